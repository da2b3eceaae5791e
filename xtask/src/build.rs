//! `build`: the release binary, with the kernel program in it where one can be compiled.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{ebpf, profile, setup, shell};

/// Builds, and says where the binary is.
pub(crate) fn run() -> Result<PathBuf> {
    setup::install_packages(setup::BUILD)?;
    ebpf::run_if_possible()?;
    shell::run(release()?.args(["build", "--release", "--package", "openclaw"]))?;
    Ok(shell::target("release/openclaw"))
}

/// The cargo for everything that is released or measured. What it compiles knows from `cargo xtask profile` which code is hot,
/// if that was taken with this compiler.
pub(crate) fn release() -> Result<Command> {
    let mut cargo = shell::cargo();
    if let Some(flags) = profile::flags()? {
        cargo.arg("--config").arg(flags);
    }
    Ok(cargo)
}
