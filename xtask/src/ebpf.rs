//! `ebpf`: compiles the kernel program to `target/bpf/openclaw-xdp.o`, where the proxy's build script takes it from.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::setup;
use crate::shell::{self, say};
use crate::stamp;

const STAMP: &str = "ebpf";

/// Brings the object up to date and says where it is.
pub(crate) fn run() -> Result<PathBuf> {
    compile(&setup::toolchain()?)
}

/// The same, but a machine without a toolchain for it goes on without the kernel program.
pub(crate) fn run_if_possible() -> Result<()> {
    match setup::toolchain() {
        Ok(toolchain) => compile(&toolchain).map(drop),
        Err(error) => {
            say(format!("{error:#}"));
            say("going on without the kernel program: the proxy will run unshielded and say so");
            Ok(())
        }
    }
}

/// What compiler or clippy say against the kernel program.
pub(crate) fn lint() -> Result<()> {
    let toolchain = setup::toolchain()?;
    let target_dir = shell::target("bpf-lint");
    let mut command = toolchain.lint(&target_dir);
    command
        .args(["--package", "openclaw-xdp"])
        .current_dir(shell::root());
    shell::run(&mut command).context("the kernel program is not clean")
}

fn compile(toolchain: &setup::Toolchain) -> Result<PathBuf> {
    let object = shell::target("bpf/openclaw-xdp.o");
    let root = shell::root();
    let sources = ["ebpf", "Cargo.lock", "Cargo.toml"].map(|name| root.join(name));
    let salt = format!("{}{}", toolchain.linker.display(), toolchain.version);
    let digest = stamp::digest(&sources, &salt)?;
    if object.exists() && stamp::read(STAMP).as_deref() == Some(&digest) {
        return Ok(object);
    }
    say(format!(
        "compiling the kernel program with {}",
        toolchain.name
    ));
    let target_dir = shell::target("bpf-build");
    shell::run(
        toolchain
            .build(&target_dir)
            .args(["--package", "openclaw-xdp"])
            .current_dir(&root),
    )
    .context("the kernel program does not compile")?;
    let built = setup::Toolchain::object(&target_dir, "openclaw-xdp");
    let bytes = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    // Same bytes, same file: the proxy is not compiled again for a comment in the kernel program.
    if fs::read(&object).ok().as_deref() != Some(&bytes[..]) {
        fs::create_dir_all(shell::target("bpf"))?;
        fs::write(&object, &bytes).with_context(|| format!("cannot write {}", object.display()))?;
    }
    stamp::write(STAMP, &digest)?;
    say(format!(
        "{} KiB at {}",
        bytes.len() / 1024,
        object.display()
    ));
    Ok(object)
}
