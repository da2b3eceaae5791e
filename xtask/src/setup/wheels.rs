//! Programs that come as Python wheels: in pinned versions, each set in a virtual environment of its own below `target/tools`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::packages;
use crate::shell::{self, say};
use crate::stamp;

const LIMIT: Duration = Duration::from_mins(15);

/// Clients of HTTP/3 that nobody here has written: of QUIC in Python, in Rust and in C.
const CLIENTS: [&str; 4] = [
    "aioquic==1.7.2",
    "qh3==2.1.0",
    "niquests==3.21.2",
    "curl-cffi==0.16.3",
];

/// What the tests ask the proxy with.
pub(crate) fn clients() -> Result<()> {
    wheels("clients", &CLIENTS).map(drop)
}

/// The environment with these wheels, made anew when they are others.
pub(crate) fn wheels(name: &str, wheels: &[&str]) -> Result<PathBuf> {
    let folder = shell::target("tools").join(name);
    let wanted = wheels.join(" ");
    let made = format!("wheels-{name}");
    if folder.join("bin/pip").exists() && stamp::read(&made).as_deref() == Some(&wanted) {
        return Ok(folder);
    }
    say(format!("installing {wanted}"));
    packages::install(&[("python3-venv", "python3")])?;
    let log = shell::target("xtask/log/python");
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&folder);
    if shell::run_within(&mut venv, LIMIT, &log).is_err() {
        // Debian's python3 alone cannot make one.
        packages::install(&[("python3-venv", "/usr/share/doc/python3-venv")])?;
        shell::run_within(&mut venv, LIMIT, &log)?;
    }
    shell::run_within(
        Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(wheels),
        LIMIT,
        &log,
    )?;
    stamp::write(&made, &wanted)?;
    Ok(folder)
}
