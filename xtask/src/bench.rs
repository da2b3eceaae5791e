//! `bench`: figures, each kind under its own name.

use std::ffi::OsString;

use anyhow::Result;
use clap::Subcommand;

use crate::{ebpf, shell};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    /// Nanoseconds per packet of the kernel program, stage by stage
    Xdp {
        /// For the benchmark itself
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.subject {
        Subject::Xdp { arguments } => xdp(arguments),
    }
}

fn xdp(arguments: &[OsString]) -> Result<()> {
    ebpf::run()?;
    shell::run(
        shell::cargo()
            .args(["bench", "--package", "openclaw", "--bench", "xdp", "--"])
            .args(arguments),
    )
}
