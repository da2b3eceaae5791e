//! `bench`: figures, each kind under its own name.

mod check;
mod corpus;
pub(crate) mod hot;
mod load;
mod machine;
mod objects;
mod peer;
pub(crate) mod peers;
mod process;
mod readme;
mod report;
mod role;
mod scenario;
mod stage;
mod study;
mod template;

use std::ffi::OsString;

use anyhow::Result;
use clap::Subcommand;

use crate::{
    build, ebpf,
    shell::{self, say},
};

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
    /// What clients get under a flood of SYNs from forged sources, and how many of those are answered, by defence
    Flood,
    /// What a ban, an import of a million prefixes and their memory take
    Shield,
    /// Instructions of each hot question, beside the counts in benches/hot.toml
    Hot(hot::Arguments),
    /// What each content coding saves of pages, styles, scripts and data, and its CPU time
    Corpus(corpus::Arguments),
    /// What a cache spares a site, and what its visitors notice: the same visitors straight to it and through OpenClaw
    CaseStudy(study::Arguments),
    /// What a stored response takes of memory beside its body
    Objects(objects::Arguments),
    /// CPU time per request, side by side with the other proxies found here
    Peers(peers::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.subject {
        Subject::Xdp { arguments } => xdp(arguments),
        Subject::Flood => measured("shield::storm::figures"),
        Subject::Shield => measured("shield::figures::figures"),
        Subject::Hot(arguments) => hot::run(arguments),
        Subject::Corpus(arguments) => corpus::run(arguments),
        Subject::CaseStudy(arguments) => study::run(arguments),
        Subject::Objects(arguments) => objects::run(arguments),
        Subject::Peers(arguments) => peers::run(arguments),
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

/// What a test sets up, such as a flood and its clients; the binary under it is the one that is released.
fn measured(test: &str) -> Result<()> {
    ebpf::run()?;
    say(format!(
        "{}, load {}",
        machine::describe()?,
        machine::load()?
    ));
    shell::run(
        build::release()?
            .args(["test", "--quiet", "--release", "--package", "openclaw"])
            .args([
                "--test",
                "openclaw",
                "--",
                "--ignored",
                "--nocapture",
                "--exact",
                test,
            ]),
    )
}
