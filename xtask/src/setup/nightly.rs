//! The public way: rustup's nightly with rust-src, and a bpf-linker of the same LLVM.
//!
//! A bpf-linker on `PATH` is tried first. If it does not fit, one is built against the LLVM that the nightly itself
//! brings: no LLVM of the distribution can be as near to it, and none is needed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::toolchain::{Toolchain, field, install_linker, llvm_major, store, version_of};
use crate::shell::{self, say};

/// The nightly that the kernel program was last tried with.
const PINNED: &str = "nightly-2026-10-30";
const DOWNLOAD_LIMIT: Duration = Duration::from_mins(5);

pub(super) fn find() -> Result<Toolchain> {
    let rustup = shell::which("rustup").context("there is no rustup on PATH")?;
    let (name, rustc) = installed(&rustup)?;
    let version = version_of(&rustc)?;
    let name = format!("rustup's {name} with LLVM {}", llvm_major(&version)?);
    let cargo = rustc.with_file_name("cargo");
    let mut toolchain = Toolchain {
        name,
        cargo,
        rustc,
        linker: PathBuf::new(),
        version,
    };
    if let Some(linker) = shell::which("bpf-linker") {
        toolchain.linker = linker;
        match toolchain.trial() {
            Ok(()) => return Ok(toolchain),
            Err(error) => say(format!("bpf-linker on PATH does not fit: {error}")),
        }
    }
    toolchain.linker = own_linker(&toolchain)?;
    toolchain.trial()?;
    Ok(toolchain)
}

/// The name and the rustc of a nightly with rust-src: the pinned one, else any, else the pinned one is fetched.
fn installed(rustup: &Path) -> Result<(String, PathBuf)> {
    for name in [PINNED, "nightly"] {
        if let Some(rustc) = rustc_of(rustup, name)
            && has_sources(&rustc)
        {
            return Ok((name.to_owned(), rustc));
        }
    }
    say(format!("fetching {PINNED} with rust-src"));
    shell::run_within(
        shell::foreign(rustup)
            .args(["toolchain", "install", PINNED, "--no-self-update"])
            .args(["--profile", "minimal", "--component", "rust-src"]),
        DOWNLOAD_LIMIT,
        &shell::target("xtask/log/rustup"),
    )?;
    let rustc = rustc_of(rustup, PINNED).context("rustup installed no rustc")?;
    Ok((PINNED.to_owned(), rustc))
}

/// The rustc of an installed toolchain. `rustup which` would fetch a missing one on its own, without a bound.
fn rustc_of(rustup: &Path, name: &str) -> Option<PathBuf> {
    let list = shell::capture(shell::foreign(rustup).args(["toolchain", "list"])).ok()?;
    let found = list
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .any(|full| full == name || full.strip_prefix(name).is_some_and(is_host));
    if !found {
        return None;
    }
    let path = shell::capture(shell::foreign(rustup).args(["which", "rustc", "--toolchain", name]));
    Some(PathBuf::from(path.ok()?.trim()))
}

/// Whether this is the host behind the name of a toolchain, and not a date.
fn is_host(rest: &str) -> bool {
    rest.strip_prefix('-')
        .and_then(|host| host.chars().next())
        .is_some_and(|first| !first.is_ascii_digit())
}

fn sysroot(rustc: &Path) -> Option<&Path> {
    rustc.parent()?.parent()
}

fn has_sources(rustc: &Path) -> bool {
    sysroot(rustc).is_some_and(|root| root.join("lib/rustlib/src/rust/library/core").is_dir())
}

/// A bpf-linker that shares the nightly's own libLLVM, kept by the commit of that nightly.
fn own_linker(toolchain: &Toolchain) -> Result<PathBuf> {
    let commit =
        field(&toolchain.version, "commit-hash").context("rustc does not say its commit")?;
    let place = store()?.join(format!("rustc-{}", commit.get(..9).unwrap_or(commit)));
    let library = llvm_library(&toolchain.rustc)?;
    let folder = place.join("llvm/lib");
    fs::create_dir_all(&folder)?;
    // One name for the build to link with, one (the soname) for the linker to start with.
    let soname = library.file_name().context("libLLVM has no name")?;
    for name in [folder.join("libLLVM.so"), folder.join(soname)] {
        if name.read_link().is_ok_and(|old| old == library) {
            continue;
        }
        if name.symlink_metadata().is_ok() {
            fs::remove_file(&name)?;
        }
        symlink(&library, &name)?;
    }
    let major = llvm_major(&toolchain.version)?;
    // bpf-linker itself is an ordinary program: any cargo on PATH compiles it.
    let cargo = shell::which("cargo").unwrap_or_else(|| toolchain.cargo.clone());
    install_linker(&cargo, &place, &place.join("llvm"), major)
}

/// The libLLVM that a rustc of rustup brings along.
fn llvm_library(rustc: &Path) -> Result<PathBuf> {
    let folder = sysroot(rustc).context("rustc has no sysroot")?.join("lib");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("libLLVM.so."))
        })
        .with_context(|| format!("{} has no libLLVM.so.*", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dated_nightly_is_not_the_nightly() {
        assert!(is_host("-x86_64-unknown-linux-gnu"));
        assert!(!is_host("-2026-10-30-x86_64-unknown-linux-gnu"));
        assert!(!is_host(""));
    }
}
