//! `reference`: `config/openclaw.toml`, which is generated from the configuration's own types.

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::shell::{self, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only compare, and fail if the file is not what would be written
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.check {
        return check();
    }
    let file = shell::root().join("config/openclaw.toml");
    fs::create_dir_all(shell::root().join("config"))?;
    fs::write(&file, generate()?).with_context(|| format!("cannot write {}", file.display()))?;
    say(format!("wrote {}", file.display()));
    Ok(())
}

/// Fails unless the file in the tree is what would be written.
pub(crate) fn check() -> Result<()> {
    let file = shell::root().join("config/openclaw.toml");
    let present =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    if present == generate()? {
        return Ok(());
    }
    bail!("config/openclaw.toml is not up to date: run `cargo xtask reference`");
}

fn generate() -> Result<String> {
    shell::capture(shell::cargo().args([
        "run",
        "--quiet",
        "--package",
        "openclaw-core",
        "--example",
        "reference",
    ]))
    .context("cannot generate the reference")
}
