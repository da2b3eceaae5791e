//! Tools that only `ci` needs, each in one pinned version below `target/` or the store of toolchains.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::setup;
use crate::shell::{self, say};

/// The formatter of TOML and the checker of spelling come as wheels: no compiler, two seconds.
const WHEELS: [&str; 2] = ["taplo==0.9.3", "typos==1.52.0"];
const DENY: &str = "0.20.2";
const LIMIT: Duration = Duration::from_mins(15);

/// Adds to rustup's toolchain what its minimal profile leaves out.
pub(super) fn components() -> Result<()> {
    let there = ["fmt", "clippy"]
        .iter()
        .all(|verb| shell::capture(shell::cargo().args([verb, "--version"])).is_ok());
    if there {
        return Ok(());
    }
    say("adding rustfmt and clippy");
    shell::run_within(
        Command::new("rustup").args(["component", "add", "rustfmt", "clippy"]),
        LIMIT,
        &shell::target("xtask/log/components"),
    )
}

pub(super) fn taplo() -> Result<Command> {
    wheel("taplo")
}

pub(super) fn typos() -> Result<Command> {
    wheel("typos")
}

fn wheel(program: &str) -> Result<Command> {
    let folder = setup::wheels("python", &WHEELS)?;
    let mut command = Command::new(folder.join("bin").join(program));
    command.current_dir(shell::root());
    Ok(command)
}

pub(super) fn deny() -> Result<Command> {
    let place = setup::store()?.join(format!("cargo-deny-{DENY}"));
    let file: PathBuf = place.join("bin/cargo-deny");
    if !file.exists() {
        say(format!("building cargo-deny {DENY}: some minutes, once"));
        let cargo = shell::which("cargo").context("there is no cargo on PATH")?;
        shell::run_within(
            shell::foreign(cargo)
                .args(["install", "cargo-deny", "--locked", "--version", DENY])
                .arg("--root")
                .arg(&place)
                .env("CARGO_TARGET_DIR", shell::target("xtask/cargo-deny")),
            LIMIT,
            &shell::target("xtask/log/cargo-deny"),
        )?;
    }
    let mut command = Command::new(file);
    command.current_dir(shell::root()).arg("--offline");
    Ok(command)
}
