//! `ci`: everything that must be green before a change goes in, each step with its time.
//!
//! A step that fails does not stop the others: one run shows all there is to mend.

mod tools;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::shell::{self, say};
use crate::{bench, ebpf, reference, test, tidy};

type Step = (&'static str, fn() -> Result<()>);

const STEPS: [Step; 11] = [
    ("format", format),
    ("clippy", clippy),
    ("clippy, kernel program", ebpf::lint),
    ("toml", toml),
    ("spelling", spelling),
    ("documentation", documentation),
    ("dependencies", dependencies),
    ("tidy", tidy::run),
    ("reference", reference::check),
    ("hot questions", bench::hot::check),
    ("test", || test::run(&[])),
];

pub(crate) fn run() -> Result<()> {
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        say(format!("{name} ..."));
        let start = Instant::now();
        let result = step();
        let seconds = start.elapsed().as_secs_f32();
        match result {
            Ok(()) => say(format!("{name}: ok, {seconds:.1} s")),
            Err(error) => {
                say(format!("{name}: FAILED, {seconds:.1} s: {error:#}"));
                failed.push(name);
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "));
}

fn format() -> Result<()> {
    tools::components()?;
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    shell::run(
        shell::cargo()
            .args(["clippy", "--workspace", "--exclude", "openclaw-xdp"])
            .args(["--all-targets", "--", "-Dwarnings"]),
    )
}

fn toml() -> Result<()> {
    shell::run(tools::taplo()?.args(["fmt", "--check"]))
}

fn spelling() -> Result<()> {
    shell::run(&mut tools::typos()?)
}

fn documentation() -> Result<()> {
    shell::run(
        shell::cargo()
            .args(["doc", "--workspace", "--exclude", "openclaw-xdp"])
            .args(["--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-Dwarnings"),
    )
}

fn dependencies() -> Result<()> {
    // It reads the manifests of every target's dependencies, and a build fetches only those of its own.
    shell::run(shell::cargo().args(["fetch", "--locked", "--quiet"]))?;
    shell::run(tools::deny()?.args([
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))
}
