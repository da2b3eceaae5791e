//! The distribution's way: a released rustc from Debian's packages, told by `RUSTC_BOOTSTRAP` to compile for BPF, and
//! a bpf-linker built against the packaged LLVM of the same version.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::packages;
use super::toolchain::{Toolchain, install_linker, llvm_major, store, version_of};
use crate::shell;

/// A program of the same name may be another version, so the sign of each is the package's own documentation.
const PACKAGES: packages::Set = &[
    ("rustc-web", "/usr/share/doc/rustc-web"),
    ("cargo-web", "/usr/share/doc/cargo-web"),
    ("rust-web-src", "/usr/share/doc/rust-web-src"),
    ("llvm-22-dev", "/usr/share/doc/llvm-22-dev"),
    ("libzstd-dev", "/usr/share/doc/libzstd-dev"),
    ("zlib1g-dev", "/usr/share/doc/zlib1g-dev"),
];

pub(super) fn find() -> Result<Toolchain> {
    packages::install(PACKAGES)?;
    let rustc = Path::new("/usr/bin/rustc");
    let version = version_of(rustc)?;
    let major = llvm_major(&version)?;
    let llvm = format!("/usr/lib/llvm-{major}");
    ensure!(
        Path::new(&llvm).join("lib/libLLVM.so").exists(),
        "{} has LLVM {major}, which is not at {llvm}",
        rustc.display()
    );
    let place = store()?.join(format!("llvm-{major}"));
    let cargo = shell::which("cargo").context("there is no cargo on PATH")?;
    let toolchain = Toolchain {
        name: format!("the distribution's rustc with LLVM {major}"),
        cargo: "/usr/bin/cargo".into(),
        rustc: rustc.to_owned(),
        linker: install_linker(&cargo, &place, Path::new(&llvm), major)?,
        version,
    };
    toolchain.trial()?;
    Ok(toolchain)
}
