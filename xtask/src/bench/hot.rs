//! `bench hot`: how many instructions an answer to each hot question takes, beside `benches/hot.toml`.
//!
//! Valgrind counts them, so it does not matter what else the machine does, and a second run finds the same. What it takes to set the
//! stage is subtracted: a question is asked so many times, then twice as often. The C library and some crates choose their code by
//! what the processor can, hence the tolerance; each architecture has counts of its own.

use std::env::consts::ARCH;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::setup::packages;
use crate::shell::{self, say};

/// A count may be so much higher, in per cent.
const TOLERANCE: u64 = 10;
/// How often a question is asked. Enough that what a run does once, and each a little differently, is nothing beside it.
const TIMES: u64 = 1000;

const PREFACE: &str = "\
# Instructions that an answer to each question of benches/hot takes: `cargo xtask bench hot --write` writes them, and
# `cargo xtask ci` fails where more than a tenth has been added.
";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Writes the counts to benches/hot.toml
    #[arg(long)]
    write: bool,
}

/// A question and the instructions of an answer.
type Counts = Vec<(String, u64)>;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let counts = count()?;
    if arguments.write {
        return fs::write(file(), table(&counts)).context("cannot write benches/hot.toml");
    }
    let text = fs::read_to_string(file()).context("cannot read benches/hot.toml")?;
    let Some(known) = section(&text, ARCH)? else {
        say(format!("benches/hot.toml has no counts for {ARCH}"));
        return Ok(());
    };
    let verdict = compare(&known, &counts);
    for line in &verdict.lines {
        say(line);
    }
    if verdict.faults.is_empty() {
        return Ok(());
    }
    bail!(
        "{}: mend it, or say in the commit why it has to be, after `cargo xtask bench hot --write`",
        verdict.faults.join(", ")
    );
}

/// For `ci`.
pub(crate) fn check() -> Result<()> {
    run(&Arguments { write: false })
}

fn file() -> PathBuf {
    shell::root().join("benches/hot.toml")
}

/// Builds the questions as the program is built, and has each counted.
fn count() -> Result<Counts> {
    packages::install(packages::COUNTS)?;
    shell::run(shell::cargo().args([
        "build",
        "--release",
        "--package",
        "openclaw-core",
        "--example",
        "hot",
    ]))?;
    let program = shell::target("release/examples/hot");
    let names = shell::capture(&mut Command::new(&program))?;
    names
        .lines()
        .map(|name| {
            let (once, twice) = (
                instructions(&program, name, TIMES)?,
                instructions(&program, name, 2 * TIMES)?,
            );
            Ok((name.to_owned(), twice.saturating_sub(once) / TIMES))
        })
        .collect()
}

/// The instructions of a whole run.
fn instructions(program: &Path, question: &str, times: u64) -> Result<u64> {
    let log = shell::target("xtask/log/valgrind");
    let mut command = Command::new("valgrind");
    command
        .args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ])
        .arg(format!("--log-file={}", log.display()))
        .arg(program)
        .args([question, &times.to_string()]);
    shell::capture(&mut command)?;
    let text = fs::read_to_string(&log)?;
    refs(&text).with_context(|| format!("valgrind says no count: {text}"))
}

/// `==1== I   refs:      6,670,975`
fn refs(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains(" refs:"))?;
    let (_, number) = line.rsplit_once(':')?;
    number.trim().replace(',', "").parse().ok()
}

/// The file with new counts for this architecture; those of others stay.
fn table(counts: &[(String, u64)]) -> String {
    let before = fs::read_to_string(file()).unwrap_or_default();
    let mut text = PREFACE.to_owned();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n[{ARCH}]");
    for (name, count) in counts {
        let _ = writeln!(text, "{name} = {count}");
    }
    let mut others = false;
    for line in before.lines() {
        if let Some(name) = line.strip_prefix('[') {
            others = name.trim_end_matches(']') != ARCH;
            if others {
                text.push('\n');
            }
        }
        if others && !line.is_empty() {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// The counts of one architecture, if there are any.
fn section(text: &str, name: &str) -> Result<Option<Counts>> {
    let header = format!("[{name}]");
    let mut lines = text.lines().skip_while(|line| *line != header);
    if lines.next().is_none() {
        return Ok(None);
    }
    lines
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.is_empty())
        .map(|line| {
            let (question, count) = line
                .split_once(" = ")
                .with_context(|| format!("benches/hot.toml: {line:?} is no count"))?;
            Ok((question.to_owned(), count.parse()?))
        })
        .collect::<Result<_>>()
        .map(Some)
}

struct Verdict {
    lines: Vec<String>,
    faults: Vec<String>,
}

fn compare(known: &[(String, u64)], counts: &[(String, u64)]) -> Verdict {
    let mut lines = Vec::new();
    let mut faults = Vec::new();
    for (name, count) in counts {
        let Some((_, before)) = known.iter().find(|(known, _)| known == name) else {
            lines.push(format!("{name}: {count}, not in the table"));
            faults.push(format!("{name} is not in benches/hot.toml"));
            continue;
        };
        let change = (*count as f64 / *before as f64 - 1.0) * 100.0;
        lines.push(format!("{name}: {count}, {change:+.1} %"));
        if *count * 100 > *before * (100 + TOLERANCE) {
            faults.push(format!("{name} takes {change:.0} % more instructions"));
        }
    }
    for (name, _) in known {
        if !counts.iter().any(|(asked, _)| asked == name) {
            faults.push(format!("nobody asks {name} of benches/hot.toml"));
        }
    }
    Verdict { lines, faults }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

    use super::{compare, refs, section};

    #[test]
    fn valgrind_is_understood() {
        let text = "==7== \n==7== I   refs:      6,670,975\n";
        assert_eq!(refs(text), Some(6_670_975));
        assert_eq!(refs("==7== Fatal error\n"), None);
    }

    #[test]
    fn each_architecture_has_its_counts() {
        let text = "# words\n\n[x86_64]\na = 1\nb-c = 20\n\n[aarch64]\na = 2\n";
        let counts = section(text, "x86_64").unwrap().unwrap();
        assert_eq!(counts, [("a".to_owned(), 1), ("b-c".to_owned(), 20)]);
        assert_eq!(section(text, "aarch64").unwrap().unwrap().len(), 1);
        assert!(section(text, "riscv64").unwrap().is_none());
        assert!(section("[x]\na: 1\n", "x").is_err());
    }

    #[test]
    fn more_than_a_tenth_is_a_fault_and_less_is_not() {
        let known = [("a".to_owned(), 1000), ("gone".to_owned(), 1)];
        let faults = |count| compare(&known, &[("a".to_owned(), count)]).faults;
        assert_eq!(faults(1100), ["nobody asks gone of benches/hot.toml"]);
        assert_eq!(faults(500).len(), 1);
        assert_eq!(faults(1101).len(), 2);
        let new = compare(&known[..1], &[("a".to_owned(), 1), ("b".to_owned(), 1)]);
        assert_eq!(new.faults, ["b is not in benches/hot.toml"]);
    }
}
