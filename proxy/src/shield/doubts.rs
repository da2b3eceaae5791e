//! What of a configuration of the shield probably does not do what is meant, on this machine and now.

use openclaw_core::config::{Config, ShieldMode};

use super::kernel::{BPFFS, Pins, inspect, interface_index};
use super::own;
use super::prefix::{AnyNet, show};
use super::store::Guard;

/// Interfaces to be shielded that this machine does not have, each with its index among those of the configuration.
pub fn missing_interfaces(config: &Config) -> Vec<(usize, String)> {
    if config.shield.mode == ShieldMode::Off {
        return Vec::new();
    }
    let interfaces = config.shield.interfaces.iter().enumerate();
    interfaces
        .filter(|(_, name)| interface_index(name).is_none())
        .map(|(index, name)| (index, format!("there is no network interface `{name}`")))
        .collect()
}

/// A place for pins that cannot hold any: maps and links live on a BPF file system only.
pub fn unpinnable(config: &Config) -> Option<String> {
    let shield = &config.shield;
    let pin_dir = &shield.pin_dir;
    if shield.mode == ShieldMode::Off
        || shield.interfaces.is_empty()
        // That one is mounted on demand.
        || pin_dir.starts_with(BPFFS)
        || inspect::is_on_bpffs(pin_dir).unwrap_or(true)
    {
        return None;
    }
    Some(format!(
        "shield.pin_dir: {} is not on a BPF file system, so nothing can be pinned there and nothing is attached; use a directory \
         below {BPFFS}",
        pin_dir.display()
    ))
}

/// Ranges of `shield.block` around what is never blocked.
pub fn pointless_blocks(config: &Config) -> Vec<String> {
    if config.shield.block.is_empty() {
        return Vec::new();
    }
    collisions(config, &own::guards(config))
}

/// Interfaces that nobody asks to be shielded now, where the program of an earlier run was kept and goes on.
pub(super) fn kept_filters(pins: &Pins, wanted: &[String]) -> Vec<String> {
    let kept = pins.filtering().into_iter();
    kept.filter(|interface| !wanted.contains(interface))
        .map(|interface| {
            format!(
                "a filter kept from an earlier run still drops packets on {interface}: `openclaw shield detach {interface}` takes it off, \
                 `openclaw shield off` lets everything pass"
            )
        })
        .collect()
}

fn collisions(config: &Config, guards: &[Guard]) -> Vec<String> {
    let blocks = config.shield.block.iter();
    blocks
        .filter_map(|block| {
            let range = AnyNet::from(*block);
            let mut met = guards.iter().filter(|guard| {
                let guarded = AnyNet::from(guard.prefix);
                range.covers(guarded) || guarded.covers(range)
            });
            let first = met.next()?;
            let more = match met.count() {
                0 => String::new(),
                count => format!(" (and {count} more)"),
            };
            Some(format!(
                "shield.block: {} meets {}, which {}{more}; what is protected is never blocked",
                show(block),
                show(&first.prefix),
                first.why
            ))
        })
        .collect()
}
