//! What of a network interface helps or hinders the kernel program.

use openclaw_core::config::{Config, Shield, ShieldMode, SynMode};

use super::super::kernel::{self, AttachedMode, Pins, inspect};
use super::{Finding, Health, read};

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

pub(super) fn all(config: &Config) -> Vec<Finding> {
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
    all.flat_map(|name| {
        let answers = answers(name, shield, &pins);
        one(name, shield.mode, &pins).into_iter().chain(answers)
    })
    .collect()
}

fn one(name: &str, mode: ShieldMode, pins: &Pins) -> Vec<Finding> {
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

/// Whether SYN cookies leave by `XDP_TX`, where only the other end of the interface knows.
fn answers(name: &str, shield: &Shield, pins: &Pins) -> Option<Finding> {
    let is_veth = inspect::driver(name).is_ok_and(|driver| driver == "veth");
    if !is_veth || shield.mode == ShieldMode::Generic || shield.syn.mode == SynMode::Off {
        return None;
    }
    // Where the choice is the shield's, it may have fallen back already.
    let one = inspect::occupant(pins, name).ok().flatten();
    let is_generic = one.is_some_and(|one| one.is_ours && one.mode == AttachedMode::Generic);
    if is_generic && shield.mode == ShieldMode::Auto {
        return None;
    }
    let found = "SYN cookies leave a veth in native mode only if its other end polls for frames";
    let advice = "Attach an XDP program to the other end (GRO there is not enough on every kernel), or set `shield.mode = \"generic\"`, else they may be lost unnoticed.";
    Some(Finding::new(
        format!("{name} answers"),
        Health::Warn,
        found,
        advice,
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_loopback_interface_is_looked_at() {
        let findings = one("lo", ShieldMode::Native, &Pins::new(Path::new("/nowhere")));
        let names: Vec<&str> = findings.iter().map(|one| one.check.as_str()).collect();
        let expected = ["lo driver", "lo program", "lo mtu", "lo lro", "lo link"];
        assert_eq!(names, expected);
        let missing = one(
            "no-such-if",
            ShieldMode::Auto,
            &Pins::new(Path::new("/nowhere")),
        );
        assert!(missing.iter().all(|one| one.status == Health::Fail));
        assert_eq!(missing.len(), 1);
    }
}
