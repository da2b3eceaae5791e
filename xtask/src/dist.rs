//! `dist`: what is given to users: a tar archive for any distribution, and a package for Debian and its kin.

use std::env::consts::ARCH;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::build;
use crate::shell::{self, say};

/// Stands in the unit of the source tree, for those who copy the binary themselves.
const LOCAL: &str = "/usr/local/bin/openclaw";
const INSTALLED: &str = "/usr/bin/openclaw";
/// One for the whole workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Packs this binary instead of building the release
    #[arg(long)]
    binary: Option<PathBuf>,
    /// The folder that gets the files
    #[arg(long)]
    into: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let binary = match &arguments.binary {
        Some(binary) => binary.clone(),
        None => build::run()?,
    };
    let into = arguments
        .into
        .clone()
        .unwrap_or_else(|| shell::target("dist"));
    let tree = into.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    lay_out(&tree, &binary)?;
    archive(&into, &tree)?;
    package(&into, &tree)?;
    fs::remove_dir_all(&tree)?;
    Ok(())
}

/// The files, as they lie on a system.
fn lay_out(tree: &Path, binary: &Path) -> Result<()> {
    let root = shell::root();
    let program = tree.join("usr/bin/openclaw");
    put(&program, &fs::read(binary)?, 0o755)?;
    shell::run(Command::new("strip").arg(&program))?;
    let unit = fs::read_to_string(root.join("config/openclaw.service"))?;
    put(
        &tree.join("usr/lib/systemd/system/openclaw.service"),
        unit.replace(LOCAL, INSTALLED).as_bytes(),
        0o644,
    )?;
    let starter = tree.join("etc/openclaw/openclaw.toml");
    fs::create_dir_all(tree.join("etc/openclaw"))?;
    shell::capture(Command::new(binary).arg("init").arg(&starter))?;
    fs::set_permissions(&starter, fs::Permissions::from_mode(0o640))?;

    let manual = shell::capture(Command::new(binary).arg("man"))?;
    let manual_page = tree.join("usr/share/man/man1/openclaw.1");
    put(&manual_page, manual.as_bytes(), 0o644)?;
    shell::run(Command::new("gzip").arg("-9n").arg(&manual_page))?;
    for (shell, file) in [
        ("bash", "usr/share/bash-completion/completions/openclaw"),
        ("zsh", "usr/share/zsh/vendor-completions/_openclaw"),
        ("fish", "usr/share/fish/vendor_completions.d/openclaw.fish"),
    ] {
        let script = shell::capture(Command::new(binary).args(["completions", shell]))?;
        put(&tree.join(file), script.as_bytes(), 0o644)?;
    }

    let docs = tree.join("usr/share/doc/openclaw");
    for (from, to) in [
        ("README.md", "README.md"),
        ("CHANGELOG.md", "CHANGELOG.md"),
        ("config/openclaw.toml", "reference.toml"),
    ] {
        put(&docs.join(to), &fs::read(root.join(from))?, 0o644)?;
    }
    for folder in ["examples", "cdn"] {
        for entry in fs::read_dir(root.join("config").join(folder))? {
            let file = entry?;
            let to = docs.join(folder).join(file.file_name());
            put(&to, &fs::read(file.path())?, 0o644)?;
        }
    }
    let mut licences = String::new();
    for name in ["LICENSE", "LICENSE-MIT", "LICENSE-APACHE"] {
        let text = fs::read_to_string(root.join(name));
        licences.push_str(&text.with_context(|| format!("cannot read {name}"))?);
        licences.push('\n');
    }
    put(&docs.join("copyright"), licences.as_bytes(), 0o644)
}

fn put(file: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
    fs::set_permissions(file, fs::Permissions::from_mode(mode))?;
    Ok(())
}

fn archive(into: &Path, tree: &Path) -> Result<()> {
    let file = into.join(format!("openclaw-{VERSION}-linux-{ARCH}.tar.gz"));
    shell::run(
        Command::new("tar")
            .args(["--create", "--gzip", "--owner=root:0", "--group=root:0"])
            .arg("--sort=name")
            .arg("--file")
            .arg(&file)
            .arg("--directory")
            .arg(tree)
            .args(["etc", "usr"]),
    )?;
    say(format!("wrote {}", file.display()));
    Ok(())
}

/// By dpkg's own tool, which every Debian has; elsewhere there is the archive.
fn package(into: &Path, tree: &Path) -> Result<()> {
    if shell::which("dpkg-deb").is_none() {
        say("no dpkg-deb here, so no package for Debian");
        return Ok(());
    }
    let architecture = match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("no name of Debian's is known for the architecture {other}"),
    };
    let control = tree.join("DEBIAN");
    let scripts = shell::root().join("config/package");
    for name in ["postinst", "prerm", "postrm"] {
        put(&control.join(name), &fs::read(scripts.join(name))?, 0o755)?;
    }
    put(
        &control.join("conffiles"),
        b"/etc/openclaw/openclaw.toml\n",
        0o644,
    )?;
    let glibc = newest_glibc(&fs::read(tree.join("usr/bin/openclaw"))?);
    let size = shell::capture(Command::new("du").args(["--summarize", "-k"]).arg(tree))?;
    let size = size.split_whitespace().next().unwrap_or("0").to_owned();
    let fields = format!(
        "Package: openclaw\nVersion: {VERSION}\nArchitecture: {architecture}\nSection: net\nPriority: optional\n\
         Maintainer: The OpenClaw developers <openclaw@localhost>\nInstalled-Size: {size}\n\
         Depends: libc6 (>= {glibc}), libgcc-s1, passwd\n\
         Description: eBPF-accelerated L4/L7 reverse proxy\n \
         An XDP program in the kernel drops unwanted packets, a proxy in user space speaks TLS, HTTP/1.1, HTTP/2 and\n \
         HTTP/3, routes, balances, caches and answers. Both decide from the same lists.\n"
    );
    put(&control.join("control"), fields.as_bytes(), 0o644)?;
    let file = into.join(format!("openclaw_{VERSION}_{architecture}.deb"));
    shell::capture(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Zgzip", "--build"])
            .arg(tree)
            .arg(&file),
    )?;
    say(format!("wrote {}", file.display()));
    Ok(())
}

/// The newest version of the C library that a program asks for.
fn newest_glibc(program: &[u8]) -> String {
    let mut newest = (2, 17);
    for asked in program.split(|byte| *byte == 0) {
        let version = asked.strip_prefix(b"GLIBC_2.");
        let minor = version.and_then(|minor| std::str::from_utf8(minor).ok());
        let minor = minor.and_then(|minor| minor.split('.').next()?.parse().ok());
        newest = newest.max((2, minor.unwrap_or_default()));
    }
    format!("{}.{}", newest.0, newest.1)
}

#[cfg(test)]
mod tests {
    use super::newest_glibc;

    #[test]
    fn the_newest_version_counts() {
        let program = b"\0GLIBC_2.9\0GLIBC_2.34\0GLIBC_2.2.5\0GLIBC_PRIVATE\0";
        assert_eq!(newest_glibc(program), "2.34");
        assert_eq!(newest_glibc(b""), "2.17");
    }
}
