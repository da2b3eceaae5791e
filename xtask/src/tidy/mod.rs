//! `tidy`: the rules of the house that no other tool holds.

mod direction;
mod length;
mod scan;
mod status;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell::{self, say};
use crate::stamp;

/// A source file, read once for all rules.
struct Source {
    /// Below the root of the workspace, with slashes.
    name: String,
    /// The text with comments, strings and test modules blanked out, line by line as it was.
    code: String,
}

pub(crate) fn run() -> Result<()> {
    let sources = sources()?;
    let mut problems = direction::check(&sources);
    problems.extend(status::check(&sources));
    let list = shell::root().join("xtask/tidy.list");
    let exceptions =
        fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    problems.extend(length::check(&sources, &exceptions));
    for problem in &problems {
        say(problem);
    }
    // A proxy that does not compile must not hide what was found without it.
    let examples = examples()?;
    for problem in &examples {
        say(problem);
    }
    problems.extend(examples);
    match problems.len() {
        0 => Ok(()),
        count => bail!("{count} untidy"),
    }
}

/// Every Rust file that is not a test.
fn sources() -> Result<Vec<Source>> {
    let root = shell::root();
    let mut files = Vec::new();
    for folder in ["ebpf", "proxy", "xtask"] {
        stamp::files_below(&root.join(folder), &mut files)?;
    }
    files.sort();
    let mut sources = Vec::new();
    for file in files {
        let name = file
            .strip_prefix(&root)
            .unwrap_or(&file)
            .to_string_lossy()
            .into_owned();
        if file.extension().is_none_or(|kind| kind != "rs") || is_test(Path::new(&name)) {
            continue;
        }
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        sources.push(Source {
            name,
            code: scan::without_tests(&scan::blank(&text)),
        });
    }
    Ok(sources)
}

fn is_test(name: &Path) -> bool {
    name.file_stem()
        .and_then(|stem| stem.to_str())
        .is_some_and(|stem| stem == "tests" || stem.ends_with("_tests"))
        || name
            .components()
            .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "benches")
}

/// Asks the proxy itself whether every configuration in the tree loads.
fn examples() -> Result<Vec<String>> {
    shell::run(shell::cargo().args(["build", "--quiet", "--package", "openclaw"]))?;
    let proxy = shell::target("debug/openclaw");
    let mut files = Vec::new();
    let folder = shell::root().join("config");
    if folder.is_dir() {
        stamp::files_below(&folder, &mut files)?;
    }
    // What stands there is a part of a configuration, which a test loads with the rest.
    let parts = folder.join("cdn");
    files.retain(|file| {
        file.extension().is_some_and(|kind| kind == "toml") && !file.starts_with(&parts)
    });
    files.sort();
    let mut problems = Vec::new();
    for file in &files {
        problems.extend(example(&proxy, file)?);
    }
    Ok(problems)
}

fn example(proxy: &Path, file: &PathBuf) -> Result<Option<String>> {
    let output = Command::new(proxy)
        .args(["check", "--text-only"])
        .arg(file)
        .current_dir(shell::root())
        .output()
        .with_context(|| format!("cannot start {}", proxy.display()))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    Ok((!output.status.success())
        .then(|| format!("{} does not load:\n{}", file.display(), complaint.trim())))
}
