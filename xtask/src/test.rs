//! `test`: every test, with everything the tests need in place first.
//!
//! The tests share two or more processors with real proxies, origins and browsers. What fails there and passes alone is named, and
//! is a fault of the test or of the program to be found; it does not take the whole run with it.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::shell::{self, say};
use crate::{ebpf, setup};

/// More that fail at once are no accident.
const ALONE: usize = 3;

pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    setup::install_packages(setup::BUILD)?;
    setup::install_packages(setup::TESTS)?;
    setup::clients()?;
    ebpf::run()?;
    if !arguments.is_empty() {
        return shell::run(cargo_test().args(arguments));
    }
    let failed = failed_of(cargo_test().arg("--no-fail-fast"))?;
    if failed.is_empty() {
        return Ok(());
    }
    if failed.len() > ALONE {
        bail!("{} tests failed: {}", failed.len(), failed.join(", "));
    }
    say(format!("once more, alone: {}", failed.join(", ")));
    let alone = ["--", "--test-threads", "1", "--exact"];
    shell::run(cargo_test().args(alone).args(&failed))?;
    say(format!(
        "UNSTABLE, to be mended: failed beside the others and passed alone: {}",
        failed.join(", ")
    ));
    Ok(())
}

fn cargo_test() -> Command {
    let mut command = shell::cargo();
    command.args(["test", "--workspace", "--exclude", "openclaw-xdp"]);
    command
}

/// Runs all and gives the names of those that failed. An error: it failed otherwise, or without saying which.
fn failed_of(command: &mut Command) -> Result<Vec<String>> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut failed = Vec::new();
    let output = child.stdout.take().context("cargo has no output")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        failed.extend(name_of_failed(&line).map(str::to_owned));
    }
    let status = child.wait()?;
    if status.success() || !failed.is_empty() {
        return Ok(failed);
    }
    bail!("`cargo test` ended with {status}");
}

/// The name in a line such as `test a::b ... FAILED`.
fn name_of_failed(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

#[cfg(test)]
mod tests {
    use super::name_of_failed;

    #[test]
    fn who_failed_is_read_from_its_line() {
        assert_eq!(name_of_failed("test a::b ... FAILED"), Some("a::b"));
        assert_eq!(name_of_failed("test a::b ... ok"), None);
        assert_eq!(name_of_failed("test result: FAILED. 1 passed"), None);
    }
}
