//! `test`: every test, with everything the tests need in place first.

use std::ffi::OsString;

use anyhow::Result;

use crate::{ebpf, setup, shell};

pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    setup::install_packages(setup::BUILD)?;
    setup::install_packages(setup::TESTS)?;
    setup::clients()?;
    ebpf::run()?;
    shell::run(
        shell::cargo()
            .args(["test", "--workspace", "--exclude", "openclaw-xdp"])
            .args(arguments),
    )
}
