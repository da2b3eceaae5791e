#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod verbs;

use super::*;
use crate::config::{self, NoFiles, Source};

const FILE: &str = r#"
[listener.web]
bind = ["127.0.0.1:0"]

[upstream.app]
endpoints = ["127.0.0.1:9001", { address = "127.0.0.1:9002", weight = 3 }, "app.internal:8080"]

[upstream.blue]
endpoints = ["127.0.0.1:9003"]

[[route]]
name = "shop"
to = [{ upstream = "app", weight = 95 }, { upstream = "blue", weight = 5 }]

[[route]]
name = "only"
match = { path = "/only" }
to = "app"

[[route]]
name = "said"
match = { path = "/said" }
respond = {}
"#;

fn config() -> Config {
    let source = Source {
        name: "test",
        text: FILE,
        files: &NoFiles,
        variable: &|_| None,
    };
    config::load(&source).unwrap().config
}

/// `+` and `-` are added and deleted, `w5` is a weight, `d` and `e` drain and enable.
fn layer(changes: &[(&str, &str)]) -> Layer {
    let mut layer = Layer::default();
    for (label, words) in changes {
        let of = layer.endpoints.entry("app".to_owned()).or_default();
        let change = of.entry((*label).to_owned()).or_default();
        for word in words.split(' ') {
            match (word, word.strip_prefix('w')) {
                ("+", _) => change.presence = Some(Presence::Added),
                ("-", _) => change.presence = Some(Presence::Deleted),
                ("d", _) => change.draining = Some(true),
                ("e", _) => change.draining = Some(false),
                (_, Some(weight)) => change.weight = Some(weight.parse().unwrap()),
                (other, None) => panic!("{other}"),
            }
        }
    }
    layer
}

fn members(kept: &[(&str, &str)], passing: &[(&str, &str)], found: &[&str]) -> String {
    let overlay = Overlay {
        kept: layer(kept),
        passing: layer(passing),
    };
    let mut discovered = Discovered::default();
    let found = found.iter().map(|text| Endpoint {
        address: config::endpoint_address(text).unwrap(),
        weight: 2,
        zone: None,
    });
    discovered.set(&"app".into(), &"dns".into(), found.collect());
    let members = overlay.members(&config().upstreams[0], &discovered);
    let told = members.iter().map(|member| {
        let Endpoint {
            address, weight, ..
        } = &member.endpoint;
        format!("{address}*{weight} {}", member.origin.name())
    });
    told.collect::<Vec<_>>().join(", ")
}

#[test]
fn the_endpoints_are_the_files_what_was_found_and_what_was_added() {
    let file = "127.0.0.1:9001*1 file, 127.0.0.1:9002*3 file, app.internal:8080*1 file";
    let rest = "127.0.0.1:9002*3 file, app.internal:8080*1 file";
    assert_eq!(members(&[], &[], &[]), file);
    assert_eq!(
        members(&[], &[("127.0.0.1:9009", "+ w7")], &["10.0.0.1:80"]),
        format!("{file}, 10.0.0.1:80*2 dns, 127.0.0.1:9009*7 runtime")
    );
    assert_eq!(
        members(&[], &[("127.0.0.1:9001", "-")], &["10.0.0.1:80"]),
        format!("{rest}, 10.0.0.1:80*2 dns")
    );
    assert_eq!(
        members(&[("10.0.0.1:80", "-")], &[], &["10.0.0.1:80"]),
        file,
        "what a registry finds can be deleted, too"
    );
    assert_eq!(
        members(&[("127.0.0.1:9001", "+")], &[], &["127.0.0.1:9002"]),
        file,
        "each is there once"
    );
    assert_eq!(
        members(
            &[("127.0.0.1:9009", "+")],
            &[("127.0.0.1:9009", "- w2")],
            &[]
        ),
        file,
        "what passes is over what is kept"
    );
    assert_eq!(
        members(
            &[("127.0.0.1:9001", "-")],
            &[("127.0.0.1:9001", "+ w4")],
            &[]
        ),
        file,
        "one that was deleted and added again is the file's"
    );
    assert_eq!(members(&[("no address", "+")], &[], &[]), file);
}

#[test]
fn what_is_said_of_an_address_is_over_what_is_said_of_its_name() {
    let overlay = Overlay {
        kept: layer(&[("app.internal:8080", "d w5"), ("127.0.0.1:9001", "d")]),
        passing: layer(&[
            ("10.0.0.1:8080", "e"),
            ("10.0.0.2:8080", "-"),
            ("127.0.0.1:9001", "w9"),
        ]),
    };
    let told = |label: &str, address: &str| {
        let change = overlay.change("app", label, address.parse().unwrap());
        (change.presence, change.weight, change.draining)
    };
    let name = "app.internal:8080";
    assert_eq!(told(name, "10.0.0.1:8080"), (None, Some(5), Some(false)));
    let deleted = Some(Presence::Deleted);
    assert_eq!(told(name, "10.0.0.2:8080"), (deleted, Some(5), Some(true)));
    assert_eq!(told(name, "10.0.0.3:8080"), (None, Some(5), Some(true)));
    let own = "127.0.0.1:9001";
    assert_eq!(told(own, own), (None, Some(9), Some(true)));
    assert!(
        overlay
            .change("other", own, own.parse().unwrap())
            .is_empty()
    );
}

fn weights(kept: &[(&str, u32)], passing: &[(&str, u32)]) -> Vec<u32> {
    let mut overlay = Overlay::default();
    let layers = [(&mut overlay.kept, kept), (&mut overlay.passing, passing)];
    for (layer, changes) in layers {
        let of = layer.routes.entry("shop".to_owned()).or_default();
        let changes = changes.iter();
        of.extend(changes.map(|(upstream, weight)| ((*upstream).to_owned(), *weight)));
    }
    let mut config = config();
    overlay.apply(&mut config);
    let Action::Forward(targets) = &config.routes[0].action else {
        panic!("it forwards");
    };
    targets.iter().map(|target| target.weight).collect()
}

#[test]
fn targets_of_routes_have_other_weights() {
    assert_eq!(weights(&[], &[]), [95, 5]);
    assert_eq!(weights(&[("app", 0), ("blue", 100)], &[]), [0, 100]);
    assert_eq!(weights(&[("app", 0), ("blue", 1)], &[("app", 2)]), [2, 1]);
    assert_eq!(
        weights(&[("app", 0), ("blue", 0)], &[]),
        [95, 5],
        "none would be picked"
    );
    assert_eq!(weights(&[("gone", 9)], &[]), [95, 5]);
}

#[test]
fn a_registry_replaces_its_own_set_only() {
    let endpoint = |text: &str| Endpoint {
        address: config::endpoint_address(text).unwrap(),
        weight: 1,
        zone: None,
    };
    let mut discovered = Discovered::default();
    let (app, dns, file): (Arc<str>, Arc<str>, Arc<str>) =
        ("app".into(), "dns".into(), "file".into());
    discovered.set(&app, &dns, vec![endpoint("10.0.0.3:80")]);
    discovered.set(&app, &file, vec![endpoint("10.0.0.2:80")]);
    discovered.set(&app, &dns, vec![endpoint("10.0.0.1:80")]);
    let found: Vec<_> = discovered.of("app").collect();
    let expected = [
        (&dns, &endpoint("10.0.0.1:80")),
        (&file, &endpoint("10.0.0.2:80")),
    ];
    assert_eq!(found, expected);
    assert_eq!(discovered.of("other").count(), 0);
}

#[test]
fn what_is_kept_from_serving_is_named() {
    let layer = layer(&[
        ("10.0.0.1:80", "-"),
        ("127.0.0.1:9001", "d"),
        ("127.0.0.1:9002", "w0"),
        ("127.0.0.1:9009", "+ w7"),
        ("app.internal:8080", "-"),
        ("other.internal:8080", "-"),
    ]);
    let told = |upstream: &Upstream| {
        let withheld = layer.withheld(upstream);
        let told = withheld.map(|(label, verb)| format!("{label} {verb:?}"));
        told.collect::<Vec<_>>().join(", ")
    };
    let mut upstream = config().upstreams.remove(0);
    let of_file = "127.0.0.1:9001 Drain, 127.0.0.1:9002 Weigh(0)";
    assert_eq!(
        told(&upstream),
        format!("10.0.0.1:80 Delete, {of_file}, app.internal:8080 Delete"),
        "a name may have had the address"
    );
    upstream.endpoints.truncate(2);
    assert_eq!(told(&upstream), of_file);
}
