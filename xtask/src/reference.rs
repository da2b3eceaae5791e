//! `reference`: the documents that are generated: `config/openclaw.toml` from the configuration's own types, `config/metrics.md` from
//! the table of metrics.

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::shell::{self, say};

/// Each document, and the example of which package prints it.
const DOCUMENTS: [(&str, &str, &str); 2] = [
    ("config/openclaw.toml", "openclaw-core", "reference"),
    ("config/metrics.md", "openclaw", "metrics"),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only compare, and fail if a file is not what would be written
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.check {
        return check();
    }
    for (name, package, example) in DOCUMENTS {
        let file = shell::root().join(name);
        fs::write(&file, generate(package, example)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        say(format!("wrote {}", file.display()));
    }
    Ok(())
}

/// Fails unless the files in the tree are what would be written.
pub(crate) fn check() -> Result<()> {
    for (name, package, example) in DOCUMENTS {
        let file = shell::root().join(name);
        let present =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if present != generate(package, example)? {
            bail!("{name} is not up to date: run `cargo xtask reference`");
        }
    }
    Ok(())
}

fn generate(package: &str, example: &str) -> Result<String> {
    shell::capture(shell::cargo().args([
        "run",
        "--quiet",
        "--package",
        package,
        "--example",
        example,
    ]))
    .context("cannot generate the reference")
}
