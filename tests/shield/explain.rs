//! `openclaw explain ip`: lists, limits and the kernel's maps, over the real binary.

use openclaw::shield::kernel::{Maps, Pins};
use openclaw_common::abi::class;
use serde_json::Value;

use super::lists::{Stage, addresses, json};
use crate::control::{address, answering};
use crate::support::{Proxy, curl};

fn explain(proxy: &Proxy, address: &str) -> Value {
    json(&proxy.cli(&["-o", "json", "explain", "ip", address]).ok())
}

fn said(explained: &Value) -> (&str, &str, bool) {
    (
        explained["verdict"].as_str().unwrap(),
        explained["reason"].as_str().unwrap(),
        explained["agree"].as_bool().unwrap(),
    )
}

#[test]
fn everything_that_touches_an_address_is_said_and_the_kernel_agrees() {
    let stage = Stage::new();
    let rules = "allow = [\"203.0.113.64/26\"]\nsyn = { per_source = \"1/h\", burst = 5 }\n";
    let proxy = Proxy::start(&(stage.answering() + rules));
    for addition in [
        &["203.0.113.0/24", "--list", "wide", "--reason", "noise"][..],
        &["203.0.113.9", "--ttl", "1h"],
        &["2001:db8:7::/48"],
        &["198.51.100.9", "--ttl", "1h"],
        &["2001:db8:9:1::/64", "--ttl", "1h"],
    ] {
        proxy.cli(&[&["blocklist", "add"], addition].concat()).ok();
    }
    for (address, expected) in [
        ("203.0.113.9", ("drop", "shield.block", true)),
        ("198.51.100.9", ("drop", "shield.ban", true)),
        ("203.0.113.70", ("pass", "shield.allow", true)),
        ("198.51.100.77", ("pass", "shield.pass", true)),
        ("2001:db8:9:1::5", ("drop", "shield.ban", true)),
        ("2001:db8:7:2::5", ("drop", "shield.block", true)),
        ("2001:db8:8::5", ("pass", "shield.pass", true)),
        ("::ffff:198.51.100.9", ("drop", "shield.ban", true)),
    ] {
        let explained = explain(&proxy, address);
        assert_eq!(said(&explained), expected, "{explained}");
        assert_eq!(explained["kernel"]["reason"], expected.1, "{explained}");
    }
    let text = proxy.cli(&["explain", "ip", "203.0.113.9"]).ok().text();
    for part in [
        "203.0.113.9: drop (shield.block)\n",
        "  allow: on no list\n",
        "  block: 203.0.113.0/24 on the list `wide`, no end: noise\n",
        "  block: 203.0.113.9 on the list `manual`, ends in ",
        "  limit: shield.syn 1 in 3600 s, 5 at once, 0 of 5 used\n",
        "  kernel: agrees\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let overruled = explain(&proxy, "203.0.113.70");
    assert_eq!(overruled["allow"][0]["list"], "config");
    assert_eq!(overruled["block"][0]["list"], "wide");
    let wrong = proxy.cli(&["explain", "ip", "203.0.113.0/24"]);
    assert_eq!(wrong.code, 2);
}

#[test]
fn what_a_source_has_used_of_its_limit_is_said_and_so_are_maps_that_disagree() {
    let stage = Stage::new();
    let rules = "syn = { per_source = \"1/h\", burst = 5, mode = \"off\" }\n";
    let proxy = Proxy::start(&(stage.answering() + rules));
    for (client, server) in [stage.net.inside4.into(), stage.net.inside6.into()]
        .into_iter()
        .zip(addresses(&proxy))
    {
        let client: std::net::IpAddr = client;
        for _ in 0..2 {
            assert!(stage.reaches(client, server));
        }
        let explained = explain(&proxy, &client.to_string());
        let limit = &explained["limits"][0];
        assert_eq!(
            (&limit["name"], &limit["used"]),
            (&"shield.syn".into(), &2.into())
        );
    }
    // Somebody else wrote to the maps.
    let maps = Maps::open(&Pins::new(&stage.pins.0)).unwrap();
    let index = class::index4([203, 0, 113, 9]);
    maps.class4.store(index, class::BLOCKED);
    let explained = explain(&proxy, "203.0.113.9");
    assert_eq!(said(&explained), ("pass", "shield.pass", false));
    assert_eq!(explained["kernel"]["reason"], "shield.block");
    let text = proxy.cli(&["explain", "ip", "203.0.113.9"]).ok().text();
    assert!(
        text.contains("  kernel: says drop (shield.block)\n"),
        "{text}"
    );
    maps.class4.store(index, 0);
    assert_eq!(explain(&proxy, "203.0.113.9")["agree"], true);
}

#[test]
fn limits_of_routes_that_count_by_address_are_said_with_what_is_used_of_them() {
    let mut proxy = Proxy::start(&format!(
        "{}limit = {{ rate = \"2/h\" }}\n\
         [[route]]\nname = \"api\"\nmatch = {{ path = \"/api\" }}\nrespond = {{ body = \"api\" }}\n\
         limit = {{ rate = \"5/h\", key = \"header:x-key\" }}\n\
         [[route]]\nname = \"shared\"\nmatch = {{ path = \"/shared\" }}\nrespond = {{ body = \"shared\" }}\n\
         limit = {{ rate = \"5/h\", key = \"route\" }}\n",
        answering("hello")
    ));
    let url = |path: &str| format!("http://{}{path}", address(&proxy, "web"));
    let used = |explained: &Value, name: &str| {
        let limits = explained["limits"].as_array().unwrap().iter();
        let mut limits = limits.filter(|one| one["name"] == name);
        limits.next().map(|one| one["used"].clone())
    };
    curl(&[&url("/"), &url("/"), &url("/"), &url("/api")]);
    let client = explain(&proxy, "127.0.0.1");
    let [whole, api] = ["route.all.limit", "route.api.limit"];
    assert_eq!(used(&client, whole), Some(2.into()), "{client}");
    assert_eq!(used(&client, api), Some(1.into()));
    assert_eq!(used(&client, "route.shared.limit"), None);
    let note = client["notes"][0].as_str().unwrap_or_default();
    assert!(
        note.starts_with("the route `all` refuses its next request (limit.rate) for "),
        "{client}"
    );
    let other = explain(&proxy, "127.0.0.2");
    assert_eq!(used(&other, whole), Some(0.into()));
    assert_eq!(other["notes"], Value::Array(Vec::new()));
    let text = proxy.cli(&["explain", "ip", "127.0.0.1"]).ok().text();
    let line = "  limit: route.all.limit 2 in 3600 s by client_ip, 2 of 2 used\n";
    assert!(text.contains(line), "{text}");
    // Without a proxy nobody counts, but the limits are named.
    proxy.signal("TERM");
    assert!(proxy.wait().success());
    assert_eq!(
        used(&explain(&proxy, "127.0.0.1"), whole),
        Some(Value::Null)
    );
}
