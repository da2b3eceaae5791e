//! A toolchain for the kernel program: a cargo, a rustc and the linker of the same LLVM.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::BPF_LINKER;
use crate::shell::{self, say};
use crate::stamp;

/// The target of the kernel program.
const TARGET: &str = "bpfel-unknown-none";
const STAMP: &str = "toolchain";
/// A first build compiles `core` and may fetch its sources.
const TRIAL_LIMIT: Duration = Duration::from_mins(5);
/// 90 s on two cores.
const LINKER_LIMIT: Duration = Duration::from_mins(15);
/// `e_machine` of an ELF object for BPF.
const EM_BPF: [u8; 2] = [247, 0];

const TRIAL_MANIFEST: &str = "[package]
name = \"trial\"
edition = \"2024\"

[workspace]
";
const TRIAL_PROGRAM: &str = "#![no_std]
#![no_main]

#[unsafe(no_mangle)]
#[unsafe(link_section = \"xdp\")]
pub extern \"C\" fn pass(_frame: *mut u8) -> u32 {
    2
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Toolchain {
    /// What a person calls it.
    pub(crate) name: String,
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    pub(crate) linker: PathBuf,
    /// Everything `rustc -vV` says; another answer is another toolchain.
    pub(crate) version: String,
}

impl Toolchain {
    /// A `cargo build` of a BPF program, without the packages to build.
    pub(crate) fn build(&self, target_dir: &Path) -> Command {
        self.command(&self.cargo, "build", target_dir, &[])
    }

    /// Clippy where this compiler has one, else its own warnings; both as errors, without the packages to look at.
    pub(crate) fn lint(&self, target_dir: &Path) -> Command {
        let clippy = self.rustc.with_file_name("cargo-clippy");
        let has_clippy = clippy.exists() && self.rustc.with_file_name("clippy-driver").exists();
        if has_clippy {
            // By its path: `cargo clippy` would take the one of another toolchain that is earlier on PATH.
            let mut command = self.command(&clippy, "clippy", target_dir, &["-Dwarnings"]);
            command.env("CARGO", &self.cargo);
            return command;
        }
        say(format!(
            "{} has no clippy: its own warnings alone",
            self.name
        ));
        self.command(&self.cargo, "build", target_dir, &["-Dwarnings"])
    }

    fn command(
        &self,
        program: &Path,
        verb: &str,
        target_dir: &Path,
        more_flags: &[&str],
    ) -> Command {
        let mut flags = vec![
            format!("-Clinker={}", self.linker.display()),
            // Maps and the loader's relocations need BTF; atomics need the instructions of v3 (kernel 5.12).
            "-Clink-arg=--btf".to_owned(),
            // In the order of the bytes memory would be set by calls that walk byte by byte, 40 ns for a header.
            "-Clink-arg=--disable-expand-memcpy-in-order".to_owned(),
            "-Ctarget-cpu=v3".to_owned(),
            "-Cdebuginfo=2".to_owned(),
        ];
        flags.extend(more_flags.iter().map(|flag| (*flag).to_owned()));
        let mut command = shell::foreign(program);
        command
            .args([verb, "--release", "--target", TARGET, "-Zbuild-std=core"])
            .arg("--target-dir")
            .arg(target_dir)
            .env("RUSTC", &self.rustc)
            // A released compiler has the target as well, behind this door.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        command
    }

    /// Where [`Toolchain::build`] leaves the object of a binary.
    pub(crate) fn object(target_dir: &Path, binary: &str) -> PathBuf {
        target_dir.join(TARGET).join("release").join(binary)
    }

    /// Compiles a program of one instruction: the only proof that compiler and linker agree on LLVM.
    pub(crate) fn trial(&self) -> Result<()> {
        say(format!("trying {} on a small program", self.name));
        let folder = shell::target("xtask/trial");
        fs::create_dir_all(folder.join("src"))?;
        fs::write(folder.join("Cargo.toml"), TRIAL_MANIFEST)?;
        fs::write(folder.join("src/main.rs"), TRIAL_PROGRAM)?;
        let target_dir = folder.join("target");
        let object = Self::object(&target_dir, "trial");
        if object.exists() {
            fs::remove_file(&object)?;
        }
        shell::run_within(
            self.build(&target_dir).current_dir(&folder),
            TRIAL_LIMIT,
            &shell::target("xtask/log/trial"),
        )?;
        let bytes = fs::read(&object).context("the small program left no object")?;
        ensure!(
            bytes.get(18..20) == Some(&EM_BPF[..]),
            "the small program did not become a BPF object"
        );
        Ok(())
    }

    pub(crate) fn remember(&self) -> Result<()> {
        let text = format!(
            "{}\n{}\n{}\n{}\n{}",
            self.name,
            self.cargo.display(),
            self.rustc.display(),
            self.linker.display(),
            self.version
        );
        stamp::write(STAMP, &text)
    }

    /// The toolchain found before, unless one of its parts has changed or gone since.
    pub(crate) fn recall() -> Option<Self> {
        let text = stamp::read(STAMP)?;
        let mut parts = text.splitn(5, '\n').map(str::to_owned);
        let toolchain = Self {
            name: parts.next()?,
            cargo: parts.next()?.into(),
            rustc: parts.next()?.into(),
            linker: parts.next()?.into(),
            version: parts.next()?,
        };
        let unchanged = toolchain.cargo.exists()
            && toolchain.linker.exists()
            && version_of(&toolchain.rustc).ok()? == toolchain.version;
        unchanged.then_some(toolchain)
    }
}

pub(crate) fn version_of(rustc: &Path) -> Result<String> {
    shell::capture(shell::foreign(rustc).arg("-vV"))
}

/// One line of `rustc -vV`, such as `LLVM version`.
pub(crate) fn field<'v>(version: &'v str, name: &str) -> Option<&'v str> {
    version
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The major version of the LLVM in a rustc.
pub(crate) fn llvm_major(version: &str) -> Result<&str> {
    field(version, "LLVM version")
        .and_then(|llvm| llvm.split('.').next())
        .context("rustc does not say which LLVM it has")
}

/// The folder that keeps linkers from one checkout to the next.
pub(crate) fn store() -> Result<PathBuf> {
    let data = match env::var_os("XDG_DATA_HOME") {
        Some(data) => PathBuf::from(data),
        None => Path::new(&env::var_os("HOME").context("HOME is not set")?).join(".local/share"),
    };
    Ok(data.join("openclaw-toolchain"))
}

/// Installs bpf-linker for the LLVM at `llvm` (a folder with `lib/libLLVM.so`) below `place`, unless it is there.
pub(crate) fn install_linker(
    cargo: &Path,
    place: &Path,
    llvm: &Path,
    major: &str,
) -> Result<PathBuf> {
    let linker = place.join("bin/bpf-linker");
    if works(&linker) {
        return Ok(linker);
    }
    if !matches!(major, "21" | "22" | "23") {
        bail!("bpf-linker {BPF_LINKER} does not know LLVM {major}");
    }
    say(format!(
        "building bpf-linker {BPF_LINKER} for LLVM {major}: one or two minutes, once"
    ));
    let mut command = shell::foreign(cargo);
    command
        .args(["install", "bpf-linker", "--locked", "--force"])
        .args(["--version", BPF_LINKER])
        .args(["--no-default-features", "--features"])
        .arg(format!("llvm-{major}"))
        .arg("--root")
        .arg(place)
        .env("CARGO_TARGET_DIR", shell::target("xtask/bpf-linker"))
        .env("LLVM_PREFIX", llvm);
    shell::run_within(
        &mut command,
        LINKER_LIMIT,
        &shell::target("xtask/log/bpf-linker"),
    )?;
    ensure!(works(&linker), "{} does not start", linker.display());
    Ok(linker)
}

/// Whether a linker starts: its LLVM may have been removed since.
fn works(linker: &Path) -> bool {
    linker.exists() && shell::capture(shell::foreign(linker).arg("--version")).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    const VERSION: &str = "rustc 1.96.0\nrelease: 1.96.0\nLLVM version: 22.1.8\n";

    #[test]
    fn the_llvm_of_a_compiler_is_read_from_its_version() {
        assert_eq!(llvm_major(VERSION).unwrap(), "22");
        assert_eq!(field(VERSION, "release"), Some("1.96.0"));
        assert!(llvm_major("rustc 1.96.0\n").is_err());
    }
}
