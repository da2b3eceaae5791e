//! `run`: from a fresh clone to a running proxy.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::build;

/// Builds what is not built and becomes `openclaw run`.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let binary = build::run()?;
    // The proxy takes our place, so that it gets the signals of the terminal and of a supervisor itself.
    let error = Command::new(&binary).arg("run").args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", binary.display()))
}
