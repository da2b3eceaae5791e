//! Everything a developer does here, one verb a file: `cargo xtask --help`.
//!
//! A verb says what it does in short lines, is quick when there is nothing to do, and fails with one sentence that
//! says what to type next.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks on standard output and error"
)]

mod bench;
mod build;
mod ci;
mod dist;
mod ebpf;
mod profile;
mod reference;
mod run;
mod setup;
mod shell;
mod stamp;
mod test;
mod tidy;

use std::ffi::OsString;
use std::process::ExitCode;

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
    /// Builds the release binary
    Build,
    /// Takes anew what the compiler of the release knows about hot code: benches/profile
    Profile,
    /// Packs the release binary for users: a tar archive and a package for Debian, into target/dist
    Dist(dist::Arguments),
    /// Builds the release binary and starts it; arguments go to `openclaw run`
    Run(Rest),
    /// Runs every test; arguments go to `cargo test`
    Test(Rest),
    /// Everything that must be green before a change goes in
    Ci,
    /// Checks what no other tool does: module direction, lengths, example configurations
    Tidy,
    /// Writes the references of every key and metric: config/openclaw.toml and config/metrics.md
    Reference(reference::Arguments),
    /// Measures
    Bench(bench::Arguments),
}

/// Arguments for someone else.
#[derive(Debug, clap::Args)]
struct Rest {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

fn main() -> ExitCode {
    match obey() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn obey() -> Result<()> {
    match Arguments::parse().verb {
        Verb::Setup(arguments) => setup::run(&arguments),
        Verb::Ebpf => ebpf::run().map(drop),
        Verb::Build => build::run().map(drop),
        Verb::Profile => profile::run(),
        Verb::Dist(arguments) => dist::run(&arguments),
        Verb::Run(rest) => run::run(&rest.arguments),
        Verb::Test(rest) => test::run(&rest.arguments),
        Verb::Ci => ci::run(),
        Verb::Tidy => tidy::run(),
        Verb::Reference(arguments) => reference::run(&arguments),
        Verb::Bench(arguments) => bench::run(&arguments),
    }
}
