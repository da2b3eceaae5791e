//! Bans that the kernel has and no file: of a process that was killed they go on, of one that ended in order they go.

use std::net::Ipv6Addr;

use openclaw::shield::kernel::{Maps, Pins, monotonic_ns};
use serde_json::Value;

use super::lists::json;
use super::rig::PinDir;
use crate::control::answering;
use crate::support::Proxy;

const HOUR: u64 = 3_600_000_000_000;
const KNOWN: &str = "203.0.113.1";
const COVERED: [u8; 4] = [192, 0, 2, 1];
const FOUR: [u8; 4] = [203, 0, 113, 9];
const SIX: [u8; 8] = [0x20, 1, 0xd, 0xb8, 0, 7, 0, 1];

fn config(pins: &PinDir) -> String {
    format!(
        "{}[shield]\ninterfaces = [\"oc-no-such\"]\npin_dir = \"{}\"\nblock = [\"192.0.2.0/24\"]\n",
        answering("hello"),
        pins.0.display()
    )
}

/// As the proxy bans, but that no list knows of it yet: its own ends are odd.
fn ban(pins: &PinDir, until_ns: u64) -> Maps {
    let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
    maps.ban4.insert(FOUR, until_ns).unwrap();
    maps.ban4.insert(COVERED, until_ns).unwrap();
    maps.ban6.insert(SIX, until_ns).unwrap();
    maps
}

fn banned(proxy: &Proxy) -> Vec<Value> {
    let listed = ["-o", "json", "blocklist", "list", "--list", "autoban"];
    let listed = json(&proxy.cli(&listed));
    listed["entries"].as_array().cloned().unwrap_or_default()
}

#[test]
fn what_was_banned_just_before_a_crash_stays_banned_until_its_end() {
    let pins = PinDir::new();
    let mut proxy = Proxy::start(&config(&pins));
    proxy.cli(&["blocklist", "add", KNOWN, "--ttl", "1h"]).ok();
    drop(ban(&pins, (monotonic_ns() + HOUR) | 1));
    proxy.kill();
    // Nor does a command line take them away.
    proxy.cli(&["blocklist", "add", "198.51.100.7"]).ok();
    proxy.start_again();
    let entries = banned(&proxy);
    let addresses: Vec<&str> = entries
        .iter()
        .map(|entry| entry["address"].as_str().unwrap())
        .collect();
    assert_eq!(addresses, ["203.0.113.9", "2001:db8:7:1::/64"]);
    for entry in &entries {
        let left = entry["expires_in"].as_u64().unwrap();
        assert!((1..=3600).contains(&left), "{entry}");
    }
    let kernel = |address: &str| {
        let explained = json(&proxy.cli(&["-o", "json", "explain", "ip", address]).ok());
        explained["kernel"]["reason"].as_str().unwrap().to_owned()
    };
    let six = Ipv6Addr::new(0x2001, 0xdb8, 7, 1, 0, 0, 0, 5).to_string();
    for address in ["203.0.113.9", &six, KNOWN] {
        assert_eq!(kernel(address), "shield.ban", "{address}");
    }
}

#[test]
fn what_others_had_banned_before_a_crash_is_theirs_to_tell_again() {
    let pins = PinDir::new();
    let mut proxy = Proxy::start(&config(&pins));
    drop(ban(&pins, (monotonic_ns() + HOUR) & !1));
    proxy.kill();
    proxy.start_again();
    assert_eq!(banned(&proxy), Vec::<Value>::new());
    let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
    assert_eq!(maps.ban4.get(FOUR), None);
}

#[test]
fn a_ban_of_an_operator_and_one_of_the_proxy_differ_in_the_kernel() {
    let pins = PinDir::new();
    let proxy = Proxy::start(&config(&pins));
    for (list, address) in [("autoban", [203, 0, 113, 5]), ("manual", [203, 0, 113, 6])] {
        let text = std::net::Ipv4Addr::from(address).to_string();
        let add = ["blocklist", "add", &text, "--ttl", "1h", "--list", list];
        proxy.cli(&add).ok();
        let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
        let end = maps.ban4.get(address).unwrap().end();
        assert_eq!(end & 1 == 1, list == "autoban", "{list}");
    }
}

#[test]
fn what_is_on_no_list_goes_after_an_end_in_order_and_when_it_has_ended() {
    let pins = PinDir::new();
    let mut proxy = Proxy::start(&config(&pins));
    proxy.signal("TERM");
    assert!(proxy.wait().success());
    let maps = ban(&pins, (monotonic_ns() + HOUR) | 1);
    proxy.start_again();
    assert_eq!(maps.ban4.get(FOUR), None);
    assert_eq!(banned(&proxy), Vec::<Value>::new());
    drop(maps);
    let maps = ban(&pins, 1);
    proxy.kill();
    drop(maps);
    proxy.start_again();
    assert_eq!(banned(&proxy), Vec::<Value>::new());
}
