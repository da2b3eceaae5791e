//! `profile`: which code is hot, for the compiler of releases.
//!
//! The binary is built with counters in it, put under the loads of `bench peers`, and what it counted becomes a file in the repository,
//! named after the compiler: only that one gives functions the names by which their counts are found. A function that has changed
//! since is compiled as if there were no profile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::bench::peers;
use crate::setup::toolchain::{field, llvm_major, version_of};
use crate::shell::{self, say};
use crate::{ebpf, setup};

/// What merges counts; it must know the format of the compiler's LLVM.
const MERGER: &str = "llvm-profdata";

/// Takes the profile anew.
pub(crate) fn run() -> Result<()> {
    let version = version_of(Path::new("rustc"))?;
    let merger = merger(&version)?;
    setup::install_packages(setup::BUILD)?;
    ebpf::run_if_possible()?;
    let counts = shell::target("profile/counts");
    let folder = shell::target("profile");
    let counting = format!(
        "build.rustflags=[\"-Cprofile-generate={}\"]",
        counts.display()
    );
    shell::run(
        shell::cargo()
            .args([
                "--config",
                &counting,
                "build",
                "--release",
                "--package",
                "openclaw",
            ])
            .arg("--target-dir")
            .arg(&folder),
    )?;
    // Build scripts have counted, too.
    drop(fs::remove_dir_all(&counts));
    peers::train(&folder.join("release/openclaw"))?;
    let file = file(&version)?;
    fs::create_dir_all(file.parent().unwrap_or(&file))?;
    shell::run(
        Command::new(&merger)
            .args(["merge", "--sparse", "--output"])
            .arg(&file)
            .arg(&counts),
    )?;
    say(format!("wrote {}", file.display()));
    Ok(())
}

/// What tells cargo to use the profile, if there is one of this compiler.
pub(crate) fn flags() -> Result<Option<String>> {
    let file = file(&version_of(Path::new("rustc"))?)?;
    Ok(file.exists().then(|| {
        // Functions that have changed since are no mistake.
        let quiet = "-Cllvm-args=-no-pgo-warn-mismatch";
        // What is hot lies side by side: of 20 MiB of code a request needs one page here and one there. Four per cent of the CPU
        // time of a small request.
        let sorted = "-Clink-arg=-Wl,-z,keep-text-section-prefix";
        format!(
            "build.rustflags=[\"-Cprofile-use={}\", \"{quiet}\", \"{sorted}\"]",
            file.display()
        )
    }))
}

fn file(version: &str) -> Result<PathBuf> {
    let release = field(version, "release").context("rustc does not say which it is")?;
    Ok(shell::root().join(format!("benches/profile/rustc-{release}.profdata")))
}

/// rustup's, of the same LLVM, or the distribution's, if that is no older.
fn merger(version: &str) -> Result<PathBuf> {
    let major: u32 = llvm_major(version)?.parse()?;
    let libraries = shell::capture(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let own = Path::new(libraries.trim())
        .with_file_name("bin")
        .join(MERGER);
    if own.exists() {
        return Ok(own);
    }
    let named = (major..major + 5).find_map(|major| shell::which(&format!("{MERGER}-{major}")));
    named.with_context(|| {
        format!("there is no {MERGER} of LLVM {major}: run `rustup component add llvm-tools`, then this again")
    })
}
