//! `build`: the release binary, with the kernel program in it where one can be compiled.

use std::path::PathBuf;

use anyhow::Result;

use crate::{ebpf, setup, shell};

/// Builds, and says where the binary is.
pub(crate) fn run() -> Result<PathBuf> {
    setup::install_packages(setup::BUILD)?;
    ebpf::run_if_possible()?;
    shell::run(shell::cargo().args(["build", "--release", "--package", "openclaw"]))?;
    Ok(shell::target("release/openclaw"))
}
