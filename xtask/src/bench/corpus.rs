//! `bench corpus`: how much each content coding saves of pages, styles, scripts and data, and what that takes.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{build, shell};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where the files are; else the documentation of Rust, which the toolchain brings
    #[arg(long)]
    folder: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let folder = match &arguments.folder {
        Some(folder) => folder.clone(),
        None => documentation()?,
    };
    ensure!(
        folder.is_dir(),
        "{} is no folder: name one with --folder, or run `rustup component add rust-docs`",
        folder.display()
    );
    shell::run(
        build::release()?
            .args(["run", "--quiet", "--release", "--package", "openclaw"])
            .args(["--example", "corpus", "--"])
            .arg(folder),
    )
}

fn documentation() -> Result<PathBuf> {
    let root = shell::capture(Command::new("rustc").args(["--print", "sysroot"]));
    let root = root.context("cannot ask rustc where it is")?;
    Ok(PathBuf::from(root.trim()).join("share/doc/rust/html"))
}
