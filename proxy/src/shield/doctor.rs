//! What of this machine helps or hinders the shield, and what to do about it. Looks and changes nothing; needs no proxy.

mod interface;

use std::fs;

use openclaw_core::config::Config;
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};
use serde::{Deserialize, Serialize};

use super::kernel::{self, inspect};

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// `kernel`, or `eth0 driver`.
    pub check: String,
    pub status: Health,
    /// What was found.
    pub found: String,
    /// What to do, where there is something to do.
    pub advice: Option<String>,
}

impl Finding {
    fn new(
        check: impl Into<String>,
        status: Health,
        found: impl Into<String>,
        advice: &str,
    ) -> Self {
        let advice = (status != Health::Ok).then(|| advice.to_owned());
        Self {
            check: check.into(),
            status,
            found: found.into(),
            advice,
        }
    }
}

/// Looks at everything.
pub fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![
        program(),
        kernel_release(),
        privileges(),
        bpffs(config),
        memlock(),
    ];
    findings.extend(jit());
    findings.extend(sysctls());
    findings.extend(interface::all(config));
    findings
}

fn program() -> Finding {
    let (status, found) = if kernel::is_built_in() {
        (Health::Ok, "built in")
    } else {
        (
            Health::Fail,
            "this openclaw was built without the kernel program",
        )
    };
    Finding::new(
        "program",
        status,
        found,
        "Build it with `cargo xtask build`.",
    )
}

fn kernel_release() -> Finding {
    let release = inspect::release();
    let (status, advice) = match version(&release) {
        Some(version) if version < (5, 18) => (
            Health::Fail,
            "The kernel program needs Linux 5.18 or later: lists then hold at accept only.",
        ),
        Some(version) if version < (6, 0) => (
            Health::Warn,
            "Linux 6.0 or later makes SYN cookies without asking a socket.",
        ),
        Some(_) => (Health::Ok, ""),
        None => (
            Health::Warn,
            "The kernel program needs Linux 5.18 or later.",
        ),
    };
    Finding::new("kernel", status, release, advice)
}

/// The first two numbers of a release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn privileges() -> Finding {
    let wanted = [
        ("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN),
        ("CAP_BPF", CapabilitySet::BPF),
        ("CAP_PERFMON", CapabilitySet::PERFMON),
    ];
    let held = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    // The one that stands for the younger two.
    let has_all = held.contains(CapabilitySet::SYS_ADMIN);
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(name, set)| !held.contains(*set) && (*name == "CAP_NET_ADMIN" || !has_all))
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return Finding::new("capabilities", Health::Ok, "all that are needed", "");
    }
    let found = format!("{} missing", missing.join(", "));
    let advice = "Run as root, or give the service CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON (AmbientCapabilities= in systemd).";
    Finding::new("capabilities", Health::Fail, found, advice)
}

fn bpffs(config: &Config) -> Finding {
    let path = &config.shield.pin_dir;
    let shown = path.display();
    match inspect::is_on_bpffs(path) {
        Ok(true) => Finding::new(
            "bpffs",
            Health::Ok,
            format!("{shown} is on a BPF file system"),
            "",
        ),
        Ok(false) => {
            let advice = "Run `mount -t bpf bpf /sys/fs/bpf` as root; the proxy does so at its start where it may.";
            let found = format!("{shown} is not on a BPF file system");
            Finding::new("bpffs", Health::Warn, found, advice)
        }
        Err(error) => {
            let advice = "Choose another shield.pin_dir, or let this user read it.";
            Finding::new("bpffs", Health::Warn, format!("{shown}: {error}"), advice)
        }
    }
}

fn memlock() -> Finding {
    let limit = getrlimit(Resource::Memlock).current;
    let found = limit.map_or_else(
        || "unlimited".to_owned(),
        |bytes| format!("{} KiB", bytes / 1024),
    );
    // Since Linux 5.11 maps count against the memory of the control group.
    let is_counted = version(&inspect::release()).is_some_and(|version| version < (5, 11));
    let status = if is_counted && limit.is_some_and(|bytes| bytes < 256 << 20) {
        Health::Fail
    } else {
        Health::Ok
    };
    let advice = "Set LimitMEMLOCK=infinity: this kernel counts maps against it.";
    Finding::new("memlock", status, found, advice)
}

fn jit() -> Option<Finding> {
    // Readable by root alone.
    let found = read("/proc/sys/net/core/bpf_jit_enable")?;
    let status = if found == "0" {
        Health::Warn
    } else {
        Health::Ok
    };
    let advice = "Set net.core.bpf_jit_enable=1: interpreted, the program is several times slower.";
    Some(Finding::new("bpf_jit_enable", status, found, advice))
}

fn sysctls() -> Vec<Finding> {
    let wanted = [
        (
            "tcp_syncookies",
            "Set net.ipv4.tcp_syncookies=1, or cookies that the kernel program sends are not accepted.",
        ),
        (
            "tcp_timestamps",
            "Set net.ipv4.tcp_timestamps=1, or connections opened by a cookie have no window scaling and no SACK.",
        ),
    ];
    wanted
        .into_iter()
        .filter_map(|(name, advice)| {
            let found = read(&format!("/proc/sys/net/ipv4/{name}"))?;
            let status = if found == "0" {
                Health::Warn
            } else {
                Health::Ok
            };
            Some(Finding::new(name, status, found, advice))
        })
        .collect()
}

/// The content of a small file; nothing if it cannot be read.
fn read(path: &str) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        for (release, expected) in [
            ("6.18.44-fc-v657", Some((6, 18))),
            ("5.9.0", Some((5, 9))),
            ("5.10", Some((5, 10))),
            ("(unknown)", None),
        ] {
            assert_eq!(version(release), expected, "{release}");
        }
    }

    #[test]
    fn only_what_is_not_well_has_advice() {
        assert_eq!(Finding::new("a", Health::Ok, "b", "c").advice, None);
        let warned = Finding::new("a", Health::Warn, "b", "c");
        assert_eq!(warned.advice.as_deref(), Some("c"));
    }
}
