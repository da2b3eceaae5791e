//! Everything a developer does here, one verb a file: `cargo xtask --help`.
//!
//! A verb says what it does in short lines, is quick when there is nothing to do, and fails with one sentence that
//! says what to type next.
#![allow(
    clippy::print_stdout,
    reason = "a command line tool speaks on standard output"
)]

mod ebpf;
mod setup;
mod shell;
mod stamp;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Builds, runs and checks OpenClaw.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Finds or installs what the kernel program and the tests need
    Setup(setup::Arguments),
    /// Compiles the kernel program to target/bpf/openclaw-xdp.o
    Ebpf,
}

fn main() -> Result<()> {
    match Arguments::parse().verb {
        Verb::Setup(arguments) => setup::run(&arguments),
        Verb::Ebpf => ebpf::run().map(drop),
    }
}
