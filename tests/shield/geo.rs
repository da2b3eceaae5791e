//! Countries: what the database says of an address is what the kernel program and the host decide, and lists go first.

use std::path::Path;

use openclaw_common::verdict::Reason::{self, Allow, Ban, Block, Geo, Pass};
use serde_json::Value;

use super::frames::{Ip4, Ip6};
use super::lists::{Stage, addresses, json};
use super::rig::Rig;
use crate::control::{address, answering, sample};
use crate::support::{Folder, Output, Proxy, Shape, curl, mmdb, openclaw, wait_until};

const EPOCH: u32 = 1_767_225_600;
const BUILT: &str = "2026-01-01T00:00:00Z";

const WORLD: &[(&str, &str)] = &[
    ("8.8.8.0/24", "US"),
    ("9.0.0.0/8", "FR"),
    // A /24 in two countries.
    ("8.9.9.0/25", "US"),
    ("8.9.9.128/26", "FR"),
    ("8.9.9.192/26", "US"),
    ("2001:db8::/32", "FR"),
    ("2001:db9::/33", "US"),
    ("2001:db9:8000::/34", "FR"),
    ("2001:db9:c000::/34", "US"),
    ("2a00::/20", "FR"),
    ("2c00::/8", "FR"),
];

/// A kernel program on no interface, whose maps follow a proxy.
struct Lists {
    rig: Rig,
    proxy: Proxy,
    folder: Folder,
}

impl Lists {
    fn new(shape: Shape, rule: &str) -> Self {
        let (rig, folder) = (Rig::new(), Folder::new());
        let file = folder.write("country.mmdb", mmdb(shape, EPOCH, WORLD));
        let config = Self::config(&rig, &file, rule);
        let proxy = Proxy::start(&config);
        Self { rig, proxy, folder }
    }

    fn config(rig: &Rig, database: &Path, rule: &str) -> String {
        format!(
            "{}[shield]\npin_dir = \"{}\"\ngeo = {{ database = \"{}\", {rule} }}\n",
            answering("hello"),
            rig.pin_dir().display(),
            database.display(),
        )
    }

    fn cli(&self, arguments: &[&str]) -> Output {
        self.proxy.cli(arguments)
    }

    /// Kernel and host decide alike, and as expected.
    #[track_caller]
    fn check(&mut self, address: &str, expected: Reason) {
        let frame = if address.contains(':') {
            Ip6::tcp(address).frame(&[])
        } else {
            let address: std::net::Ipv4Addr = address.parse().unwrap();
            Ip4::tcp(address.octets()).frame(&[])
        };
        assert_eq!(
            self.rig.kernel(&frame).reason,
            expected,
            "{address}, in the kernel"
        );
        let tested = json(&self.cli(&["-o", "json", "blocklist", "test", address]));
        assert_eq!(tested["reason"], expected.code(), "{address}, on the host");
    }
}

#[test]
fn denied_countries_are_dropped_by_kernel_and_host_to_the_last_address() {
    let mut lists = Lists::new(Shape::Nested, "deny = [\"FR\"]");
    for (address, expected) in [
        ("9.1.2.3", Geo),
        ("9.255.255.255", Geo),
        ("10.0.0.1", Pass),
        ("8.8.8.8", Pass),
        ("1.1.1.1", Pass),
        ("8.9.9.127", Pass),
        ("8.9.9.128", Geo),
        ("8.9.9.191", Geo),
        ("8.9.9.192", Pass),
        ("2001:db8::1", Geo),
        ("2001:db9::1", Pass),
        ("2001:db9:8000::1", Geo),
        ("2001:db9:c000::1", Pass),
        ("2a00:fff:ffff::1", Geo),
        ("2a00:1000::1", Pass),
        ("2cff::1", Geo),
        ("2d00::1", Pass),
    ] {
        lists.check(address, expected);
    }
    let status = lists.cli(&["shield", "status"]).ok().text();
    assert!(status.contains("countries: not from FR\n"), "{status}");
    assert!(
        status.contains("Test-Country, built 2026-01-01T00:00:00Z, 11 ranges"),
        "{status}"
    );
    let tested = lists.cli(&["blocklist", "test", "9.1.2.3"]);
    assert_eq!(
        (tested.code, tested.text().as_str()),
        (
            1,
            "9.1.2.3 is not blocked\n  it is in FR\n  and is dropped all the same (shield.geo)\n"
        )
    );
}

#[test]
fn countries_that_are_only_watched_pass_and_are_counted() {
    let mut lists = Lists::new(Shape::Plain, "deny = [\"FR\"], action = \"monitor\"");
    lists.cli(&["blocklist", "add", "9.2.0.0/16"]).ok();
    for (address, expected) in [
        ("9.1.2.3", Geo.monitored()),
        ("2001:db8::1", Geo.monitored()),
        ("8.8.8.8", Pass),
        // Other rules are as strict as before.
        ("9.2.0.1", Block),
    ] {
        lists.check(address, expected);
    }
    let status = lists.cli(&["shield", "status"]).ok().text();
    let words = "countries: not from FR (monitor: only counted)\n";
    assert!(status.contains(words), "{status}");
    let why = "its country is kept out, but it passes: `shield.geo.action` is monitor: it is counted, not dropped";
    for verb in [["blocklist", "test"], ["explain", "ip"]] {
        let said = lists.cli(&[&verb[..], &["9.1.2.3"]].concat()).text();
        assert!(said.contains(why), "{said}");
    }
    let file = lists.folder.path().join("country.mmdb");
    let strict = Lists::config(&lists.rig, &file, "deny = [\"FR\"]");
    lists.proxy.rewrite(&strict);
    lists.cli(&["reload"]).ok();
    lists.check("9.1.2.3", Geo);
}

#[test]
fn only_allowed_countries_and_private_addresses_pass() {
    let mut lists = Lists::new(Shape::Registered, "allow = [\"FR\"]");
    for (address, expected) in [
        ("9.1.2.3", Pass),
        ("8.8.8.8", Geo),
        ("1.1.1.1", Geo),
        ("10.0.0.1", Pass),
        ("172.31.0.1", Pass),
        ("172.32.0.1", Geo),
        ("192.168.9.9", Pass),
        ("100.127.0.1", Pass),
        ("8.9.9.1", Geo),
        ("8.9.9.130", Pass),
        ("2001:db8::1", Pass),
        ("2001:db9::1", Geo),
        ("2001:db9:8000::1", Pass),
        ("2a00:1::1", Pass),
        ("2cff::1", Pass),
        ("2d00::1", Geo),
        ("fd12::1", Pass),
    ] {
        lists.check(address, expected);
    }
}

#[test]
fn allow_ban_and_block_go_before_the_country_whatever_their_length() {
    let mut lists = Lists::new(Shape::Plain, "deny = [\"FR\"]");
    for arguments in [
        "allowlist add 9.1.0.0/16 8.9.9.130 2001:db9:8000::/35 2c00:1::/32",
        "blocklist add 9.2.0.0/16 8.9.9.160/29 2001:db9:a000::/36 2001:db8:1::/48",
        "blocklist add 9.3.3.3 8.9.9.177 2001:db9:b000::1 --ttl 1h",
        "blocklist add 9.4.0.0/28 --ttl 1h",
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        lists.cli(&arguments).ok();
    }
    let rows = [
        ("9.1.2.3", Allow),
        ("8.9.9.130", Allow),
        ("2001:db9:8000::1", Allow),
        ("2c00:1::1", Allow),
        ("9.2.0.1", Block),
        ("9.4.0.1", Block),
        ("9.4.0.16", Geo),
        ("8.9.9.150", Geo),
        ("8.9.9.161", Block),
        ("8.9.9.177", Ban),
        ("9.3.3.3", Ban),
        ("9.3.3.4", Geo),
        ("2001:db9:a000::1", Block),
        ("2001:db9:b000::1", Ban),
        ("2001:db9:b000::2", Geo),
        ("2001:db8:1::1", Block),
        ("2001:db8:2::1", Geo),
        ("2c00:2::1", Geo),
    ];
    for (address, expected) in rows {
        lists.check(address, expected);
    }
    // What a list covered is the country's again.
    lists.cli(&["blocklist", "flush"]).ok();
    lists.cli(&["allowlist", "flush"]).ok();
    for (address, _) in rows {
        lists.check(address, Geo);
    }
    // And without countries nothing is left of them.
    let config = format!(
        "{}[shield]\npin_dir = \"{}\"\n",
        answering("hello"),
        lists.rig.pin_dir().display()
    );
    lists.proxy.rewrite(&config);
    lists.cli(&["reload"]).ok();
    for (address, _) in rows {
        lists.check(address, Pass);
    }
}

/// What the shield says of its countries.
fn geo(proxy: &Proxy) -> Value {
    json(&proxy.cli(&["-o", "json", "shield", "status"]).ok())["geo"].clone()
}

#[test]
fn a_new_database_is_read_a_broken_one_is_not_and_reload_follows() {
    let stage = Stage::new();
    let folder = Folder::new();
    let client = format!("{}/32", stage.net.inside4);
    let neighbour = format!("{}/32", stage.neighbour);
    let file = folder.write(
        "c.mmdb",
        mmdb(Shape::Nested, EPOCH, &[(&client, "FR"), (&neighbour, "US")]),
    );
    let config = |rule: &str| {
        let geo = format!("geo = {{ database = \"{}\", {rule} }}\n", file.display());
        stage.answering() + &geo
    };
    let proxy = Proxy::start(&config("deny = [\"FR\"]"));
    let server = addresses(&proxy)[0];
    assert_eq!(geo(&proxy)["built"], BUILT);
    assert!(!stage.reaches(stage.net.inside4, server));
    assert!(stage.reaches(stage.neighbour, server));

    folder.write("c.mmdb", "half a downl");
    wait_until("the broken database is told", || {
        geo(&proxy)["error"].is_string()
    });
    assert!(
        proxy
            .wait_for("the countries stay as they were")
            .contains("no database of countries")
    );
    assert!(!stage.reaches(stage.net.inside4, server));

    folder.write(
        "c.mmdb",
        mmdb(
            Shape::Nested,
            EPOCH + 60,
            &[(&client, "US"), (&neighbour, "FR")],
        ),
    );
    wait_until("the new database is read", || {
        geo(&proxy)["built"] == "2026-01-01T00:01:00Z"
    });
    assert!(stage.reaches(stage.net.inside4, server));
    assert!(!stage.reaches(stage.neighbour, server));
    assert_eq!(geo(&proxy)["error"], Value::Null);

    proxy.rewrite(&config("allow = [\"FR\"]"));
    proxy.cli(&["reload"]).ok();
    assert!(!stage.reaches(stage.net.inside4, server));
    assert!(stage.reaches(stage.neighbour, server));
    proxy.rewrite(&stage.answering());
    proxy.cli(&["reload"]).ok();
    assert_eq!(geo(&proxy), Value::Null);
    assert!(stage.reaches(stage.net.inside4, server));
}

#[test]
fn without_xdp_countries_are_kept_out_where_connections_are_accepted() {
    let folder = Folder::new();
    let file = folder.write(
        "c.mmdb",
        mmdb(Shape::Nested, EPOCH, &[("127.0.0.2/32", "FR")]),
    );
    let config = |state: &str| {
        format!(
            "{}[shield]\npin_dir = \"{}\"\n{state}",
            answering("hello"),
            folder.path().join("pins").display()
        )
    };
    let geo = format!(
        "geo = {{ database = \"{}\", deny = [\"FR\"] }}\n",
        file.display()
    );
    let proxy = Proxy::start(&config(&geo));
    let url = format!("http://{}/", address(&proxy, "web"));
    assert!(matches!(
        curl(&["--interface", "127.0.0.2", &url]).code,
        52 | 56
    ));
    assert_eq!(curl(&["--interface", "127.0.0.3", &url]).code, 0);
    let refused = sample(&proxy, "openclaw_refusals_total{reason=\"shield.geo\"}");
    assert_eq!(refused.as_deref(), Some("1"));
    proxy.rewrite(&config(""));
    proxy.cli(&["reload"]).ok();
    assert_eq!(curl(&["--interface", "127.0.0.2", &url]).code, 0);
}

#[test]
fn check_says_what_is_wrong_with_the_database() {
    let folder = Folder::new();
    let check = |database: &[u8]| {
        folder.write("c.mmdb", database);
        let file = folder.write(
            "openclaw.toml",
            "[listener.web]\nbind = \"127.0.0.1:0\"\n[[route]]\nrespond = {}\n[shield]\ngeo = { database = \"c.mmdb\", deny = [\"FR\"] }\n",
        );
        openclaw(&["check", file.to_str().expect("a path in UTF-8")])
    };
    let whole = mmdb(Shape::Nested, EPOCH, WORLD);
    assert_eq!(check(&whole).code, 0);
    for (database, told) in [
        (
            &whole[..whole.len() / 2],
            "is no database of countries in the MaxMind format",
        ),
        (b"", "is no database of countries in the MaxMind format"),
        (
            &mmdb(Shape::Plain, EPOCH, &[("9.0.0.0/8", "France")]),
            "names no country",
        ),
    ] {
        let output = check(database);
        assert_eq!(output.code, 2, "{}", output.stderr);
        assert!(
            output.stderr.contains("shield.geo.database"),
            "{}",
            output.stderr
        );
        assert!(output.stderr.contains(told), "{}", output.stderr);
    }
}
