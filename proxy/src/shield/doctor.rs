//! What of this machine helps or hinders the shield, and what to do about it. Looks and changes nothing; needs no proxy.

use std::fs;

use openclaw_core::config::{Config, ShieldMode};
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};
use serde::{Deserialize, Serialize};

use super::kernel::{self, Pins, inspect};

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

/// Drivers with native XDP, and those that fall back to the generic mode by themselves when asked for more queues than they have.
const NATIVE: &[&str] = &[
    "amd-xgbe",
    "atlantic",
    "bnxt_en",
    "cpsw",
    "dpaa2_eth",
    "ena",
    "enetc",
    "fec",
    "gve",
    "hv_netvsc",
    "i40e",
    "ice",
    "igb",
    "igbvf",
    "igc",
    "ixgbe",
    "ixgbevf",
    "mana",
    "mlx4_en",
    "mlx5_core",
    "mtk_eth_soc",
    "mvneta",
    "mvpp2",
    "nfp",
    "octeontx2",
    "qede",
    "r8169",
    "sfc",
    "st_gmac",
    "tsnep",
    "tun",
    "veth",
    "virtio_net",
    "vif",
    "vmxnet3",
    "bonding",
    "netdevsim",
];
/// Frames up to this fit one page with the headroom that XDP wants.
const ONE_PAGE: u32 = 3498;

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
    findings.extend(interfaces(config));
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

fn interfaces(config: &Config) -> Vec<Finding> {
    let shield = &config.shield;
    if shield.mode == ShieldMode::Off || shield.interfaces.is_empty() {
        let found = if shield.mode == ShieldMode::Off {
            "`shield.mode` is off"
        } else {
            "`shield.interfaces` names none"
        };
        let advice =
            "Name the interfaces that clients come in by, such as `interfaces = [\"eth0\"]`.";
        return vec![Finding::new("interfaces", Health::Warn, found, advice)];
    }
    let pins = Pins::new(&shield.pin_dir);
    let all = shield.interfaces.iter();
    all.flat_map(|name| interface(name, shield.mode, &pins))
        .collect()
}

fn interface(name: &str, mode: ShieldMode, pins: &Pins) -> Vec<Finding> {
    // By the network namespace of the process; /sys may show another's.
    if kernel::interface_index(name).is_none() {
        let advice =
            "`ip link` lists those that there are; the proxy attaches to it when it appears.";
        return vec![Finding::new(
            name,
            Health::Fail,
            "there is no such interface",
            advice,
        )];
    }
    let check = |what: &str| format!("{name} {what}");
    let mut findings = Vec::new();
    let driver = inspect::driver(name).unwrap_or_else(|_| "unknown".into());
    let is_native = NATIVE.contains(&driver.as_str());
    let (status, advice) = match (is_native, mode) {
        (true, _) | (false, ShieldMode::Generic) => (Health::Ok, ""),
        (false, ShieldMode::Native) => (
            Health::Fail,
            "This driver is not known to have native XDP; `shield.mode = \"auto\"` falls back to the generic mode.",
        ),
        (false, _) => (
            Health::Warn,
            "This driver is not known to have native XDP: the generic mode works, at several times the cost.",
        ),
    };
    findings.push(Finding::new(check("driver"), status, driver, advice));
    findings.push(attached(name, &check("program"), pins));
    if let Some(mtu) = kernel::interface_mtu(name) {
        let is_large = mtu > ONE_PAGE;
        let status = if is_large && mode != ShieldMode::Generic {
            Health::Warn
        } else {
            Health::Ok
        };
        let advice = "Frames of several pages: some drivers refuse native XDP then; lower the MTU if the mode is generic.";
        findings.push(Finding::new(check("mtu"), status, mtu.to_string(), advice));
    }
    if let Ok(has_lro) = inspect::has_lro(name) {
        let (status, found) = if has_lro {
            (Health::Warn, "on")
        } else {
            (Health::Ok, "off")
        };
        let advice =
            format!("Run `ethtool -K {name} lro off`: most drivers refuse native XDP with it.");
        findings.push(Finding::new(check("lro"), status, found, &advice));
    }
    if let Some(state) = read(&format!("/sys/class/net/{name}/operstate")) {
        let status = if state == "down" {
            Health::Warn
        } else {
            Health::Ok
        };
        let advice = format!("Run `ip link set {name} up`.");
        findings.push(Finding::new(check("link"), status, state, &advice));
    }
    findings
}

fn attached(name: &str, check: &str, pins: &Pins) -> Finding {
    match inspect::occupant(pins, name) {
        Ok(None) => Finding::new(check, Health::Ok, "none", ""),
        Ok(Some(one)) => {
            let (mode, program, id) = (one.mode.name(), &one.program, one.id);
            let found = format!("`{program}` (id {id}, {mode})");
            if one.is_ours {
                return Finding::new(check, Health::Ok, format!("the shield, {found}"), "");
            }
            let advice = format!(
                "Another program is attached: `openclaw shield attach {name} --replace` takes its place, if nobody needs it."
            );
            Finding::new(check, Health::Fail, found, &advice)
        }
        Err(error) => Finding::new(check, Health::Warn, error.to_string(), "Ask again as root."),
    }
}

/// The content of a small file; nothing if it cannot be read.
fn read(path: &str) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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

    #[test]
    fn the_loopback_interface_is_looked_at() {
        let findings = interface("lo", ShieldMode::Native, &Pins::new(Path::new("/nowhere")));
        let names: Vec<&str> = findings.iter().map(|one| one.check.as_str()).collect();
        let expected = ["lo driver", "lo program", "lo mtu", "lo lro", "lo link"];
        assert_eq!(names, expected);
        let missing = interface(
            "no-such-if",
            ShieldMode::Auto,
            &Pins::new(Path::new("/nowhere")),
        );
        assert!(missing.iter().all(|one| one.status == Health::Fail));
        assert_eq!(missing.len(), 1);
    }
}
