//! `setup`: what the kernel program and the tests need and Cargo does not bring.
//!
//! A toolchain counts as found only when it has compiled a small BPF program here. What it found is remembered
//! under `target/`, so that the next call is a look at two files.

mod distribution;
mod nightly;
pub(crate) mod packages;
pub(crate) mod toolchain;
mod wheels;

use anyhow::{Result, anyhow, bail};
use clap::ValueEnum;

pub(crate) use packages::{BUILD, COUNTS, TESTS, install as install_packages};
pub(crate) use toolchain::{Toolchain, store};
pub(crate) use wheels::{clients, wheels};

use crate::shell::say;

/// The version that both ways were tried with; it links bitcode of LLVM 21, 22 and 23.
const BPF_LINKER: &str = "0.13.0";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Take this toolchain for the kernel program, and look again even if one was found before
    #[arg(long)]
    toolchain: Option<Kind>,
    /// Install Chromium as well, 300 MB, for the tests that are ignored without it
    #[arg(long)]
    with_browser: bool,
}

/// Where a toolchain for the kernel program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// rustup's nightly with rust-src
    Nightly,
    /// Packages of Debian and its relatives
    Distribution,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let toolchain = match arguments.toolchain {
        Some(kind) => find(&[kind]),
        None => toolchain(),
    };
    // Both are tried, so that one run names everything that is missing.
    let compiler = install_packages(BUILD);
    if compiler.is_ok() {
        say("build: a C compiler and the headers of the C library are here");
    }
    let tests = install_packages(TESTS).and_then(|()| clients());
    if tests.is_ok() {
        say("tests: nginx, curl, ip, nghttp and clients of HTTP/3 are here");
    }
    let counts = install_packages(COUNTS);
    if counts.is_ok() {
        say("counts of instructions: valgrind is here");
    }
    let mut packages = both(both(compiler, tests), counts);
    if arguments.with_browser {
        packages = both(packages, install_packages(packages::BROWSER));
    }
    match (toolchain, packages) {
        (Ok(toolchain), packages) => {
            say(format!("kernel program: {}", toolchain.name));
            packages
        }
        (Err(error), Ok(())) => Err(error),
        (Err(error), Err(other)) => bail!("{error:#}\n{other:#}"),
    }
}

/// What is wrong with either.
fn both(one: Result<()>, other: Result<()>) -> Result<()> {
    match (one, other) {
        (Err(error), Err(other)) => Err(anyhow!("{error:#}\n{other:#}")),
        (one, other) => one.and(other),
    }
}

/// The toolchain found before, if it is still the same, else one found now.
pub(crate) fn toolchain() -> Result<Toolchain> {
    match Toolchain::recall() {
        Some(toolchain) => Ok(toolchain),
        None => find(&[Kind::Nightly, Kind::Distribution]),
    }
}

fn find(kinds: &[Kind]) -> Result<Toolchain> {
    say("looking for a toolchain for the kernel program");
    let mut reasons = Vec::new();
    for kind in kinds {
        let (name, found) = match kind {
            Kind::Nightly => ("rustup's nightly", nightly::find()),
            Kind::Distribution => ("the distribution's packages", distribution::find()),
        };
        match found {
            Ok(toolchain) => {
                toolchain.remember()?;
                return Ok(toolchain);
            }
            Err(error) => {
                say(format!("{name}: not this one"));
                reasons.push(format!("{name}: {error:#}"));
            }
        }
    }
    bail!(
        "no toolchain can compile the kernel program\n  {}",
        reasons.join("\n  ")
    );
}
