//! Packages of Debian and its relatives: what is missing, and how it is installed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::shell::{self, say};

/// Packages, each with the program (by name) or file (by absolute path) that shows that it is there: other
/// distributions bring the same under other names.
pub(crate) type Set = &'static [(&'static str, &'static str)];

/// What the tests start as real neighbours.
pub(crate) const TESTS: Set = &[
    ("nginx-light", "nginx"),
    ("curl", "curl"),
    ("iproute2", "ip"),
    ("nghttp2-client", "nghttp"),
    ("prometheus", "prometheus"),
];

/// What compiles the C in the cryptography and in the allocator.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) const BUILD: Set = &[("gcc", "cc"), ("libc6-dev", "/usr/include/stdio.h")];
/// The cryptography chooses its own sources on the two common architectures only; elsewhere that is left to CMake.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) const BUILD: Set = &[
    ("gcc", "cc"),
    ("libc6-dev", "/usr/include/stdio.h"),
    ("make", "make"),
    ("cmake", "cmake"),
];

/// What counts instructions.
pub(crate) const COUNTS: Set = &[("valgrind", "valgrind")];

/// What is too large to be installed without being asked for.
pub(crate) const BROWSER: Set = &[("chromium", "chromium")];

/// What puts proxies under load, and checks their answers before.
pub(crate) const LOADS: Set = &[
    ("curl", "curl"),
    ("nghttp2-client", "h2load"),
    ("wrk", "wrk"),
];

const LIMIT: Duration = Duration::from_mins(15);

/// The packages of a set that are not there.
pub(crate) fn missing(set: Set) -> Vec<&'static str> {
    set.iter()
        .filter(|(_, sign)| {
            if sign.starts_with('/') {
                !Path::new(sign).exists()
            } else {
                shell::which(sign).is_none()
            }
        })
        .map(|(package, _)| *package)
        .collect()
}

/// Installs the packages of a set that are missing; without the right to do so, says what to type.
pub(crate) fn install(set: Set) -> Result<()> {
    let wanted = missing(set);
    if wanted.is_empty() {
        return Ok(());
    }
    let wanted = wanted.join(" ");
    if shell::which("apt-get").is_none() {
        bail!("please install what Debian calls {wanted}: there is no apt-get here");
    }
    if !shell::is_root() {
        bail!(
            "please run `sudo apt-get install --no-install-recommends {wanted}`, then this again"
        );
    }
    say(format!("installing {wanted}"));
    let _quiet = NoServices::declare()?;
    if apt_install(&wanted).is_ok() {
        return Ok(());
    }
    apt(&["update"])?;
    apt_install(&wanted)
}

fn apt_install(packages: &str) -> Result<()> {
    let mut arguments = vec!["install", "--yes", "--no-remove", "--no-install-recommends"];
    arguments.extend(packages.split(' '));
    apt(&arguments)
}

fn apt(arguments: &[&str]) -> Result<()> {
    shell::run_within(
        Command::new("apt-get")
            .args(["--quiet", "-oDPkg::Lock::Timeout=120"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive"),
        LIMIT,
        &shell::target("xtask/log/apt"),
    )
}

/// While this lives, an installed package does not start its service: nginx is wanted as a program, not as a server
/// on port 80.
struct NoServices(Option<PathBuf>);

impl NoServices {
    const POLICY: &'static str = "/usr/sbin/policy-rc.d";

    fn declare() -> Result<Self> {
        let policy = PathBuf::from(Self::POLICY);
        if policy.exists() {
            return Ok(Self(None));
        }
        fs::write(&policy, "#!/bin/sh\nexit 101\n")
            .with_context(|| format!("cannot write {}", Self::POLICY))?;
        fs::set_permissions(&policy, fs::Permissions::from_mode(0o755))?;
        Ok(Self(Some(policy)))
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(policy) = &self.0
            && let Err(error) = fs::remove_file(policy)
        {
            say(format!("please remove {}: {error}", policy.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_missing_when_its_sign_is() {
        let set: Set = &[
            ("shell", "sh"),
            ("files", "/proc/self/status"),
            ("nowhere", "/nonexistent/file"),
            ("no-program", "no-such-program-anywhere"),
        ];
        assert_eq!(missing(set), ["nowhere", "no-program"]);
    }
}
