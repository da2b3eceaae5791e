//! Listeners that forward bytes.

use std::time::Duration;

use crate::config::{Mode, Target};

use super::{accepted, load_text, rejected};

const DB: &str = "[upstream.db]\nendpoints = [\"127.0.0.1:5433\"]\n[upstream.spare]\nendpoints = [\"127.0.0.1:5434\"]\n";

fn listener(keys: &str) -> String {
    format!("{DB}[listener.l]\nbind = [\"127.0.0.1:5432\"]\n{keys}\n")
}

/// Gives exactly one problem that contains `message`, with a hint that contains `hint`.
fn check(keys: &str, message: &str, hint: &str) {
    let problems = rejected(&listener(keys));
    let told: Vec<(&str, &str)> = problems
        .0
        .iter()
        .map(|one| (one.message.as_str(), one.hint.as_deref().unwrap_or("")))
        .collect();
    let [(first, advice)] = told[..] else {
        panic!("{keys}\n{told:#?}");
    };
    assert!(
        first.contains(message) && advice.contains(hint),
        "{keys}\n{told:#?}"
    );
}

#[test]
fn bytes_go_to_an_upstream_or_to_several_by_weight() {
    let config = accepted(&listener("mode = \"tcp\"\nto = \"db\""));
    let one = &config.listeners[0];
    let Mode::Tcp(targets) = &one.mode else {
        panic!("{:?}", one.mode);
    };
    let (upstream, weight) = (0, 1);
    let [
        Target {
            upstream: to,
            weight: share,
            ..
        },
    ] = targets[..]
    else {
        panic!("one target: {targets:?}");
    };
    assert_eq!((to, share), (upstream, weight));
    assert_eq!(one.idle_timeout, Duration::from_mins(10));
    assert!(!one.protocols.h1 && !one.protocols.h2 && !one.protocols.h3);
    let split = "mode = \"tcp\"\nidle_timeout = \"5s\"\nto = [{ upstream = \"spare\", weight = 9 }, \"db\"]";
    let config = accepted(&listener(split));
    let one = &config.listeners[0];
    assert_eq!(one.mode.upstreams(), [1, 0]);
    assert_eq!(one.idle_timeout, Duration::from_secs(5));
}

/// The upstream for a client, by its name.
fn leads(names: &str, name: Option<&str>, offered: &[&str]) -> Option<String> {
    let config = accepted(&listener(&format!("mode = \"tls\"\nsni = {{ {names} }}")));
    let Mode::Tls(names) = &config.listeners[0].mode else {
        panic!("not of mode tls");
    };
    let upstream = names.find(name, |protocol| offered.contains(&protocol))?;
    Some(config.upstreams[upstream].name.to_string())
}

#[test]
fn a_server_name_leads_to_an_upstream() {
    let exact_first = "\"*\" = \"spare\", \"*.a.test\" = \"spare\", \"B.a.test\" = \"db\"";
    let longest = "\"*.test\" = \"spare\", \"*.a.test\" = \"db\"";
    let by_protocol = "\"a.test\" = [{ upstream = \"spare\", alpn = \"acme-tls/1\" }, \"db\"]";
    let only = "\"a.test\" = { upstream = \"db\", alpn = [\"h2\", \"http/1.1\"] }";
    for (names, name, offered, expected) in [
        (exact_first, Some("b.a.test"), &[][..], Some("db")),
        (exact_first, Some("c.a.test"), &[], Some("spare")),
        (exact_first, None, &[], Some("spare")),
        (longest, Some("x.y.a.test"), &[], Some("db")),
        (longest, Some("b.test"), &[], Some("spare")),
        (longest, Some("test"), &[], None),
        (longest, None, &[], None),
        (by_protocol, Some("a.test"), &["acme-tls/1"], Some("spare")),
        (by_protocol, Some("a.test"), &["h2"], Some("db")),
        (only, Some("a.test"), &["http/1.1"], Some("db")),
        (only, Some("a.test"), &["h3"], None),
        (only, Some("a.test"), &[], None),
    ] {
        let found = leads(names, name, offered);
        assert_eq!(found.as_deref(), expected, "{names} {name:?} {offered:?}");
    }
}

#[test]
fn names_without_sense_are_refused() {
    let sni = |names: &str, message: &str, hint: &str| {
        check(&format!("mode = \"tls\"\nsni = {names}"), message, hint);
    };
    check("mode = \"tls\"", "needs `sni`", "UPSTREAM");
    check(
        "mode = \"tls\"\nto = \"db\"\nsni = { \"*\" = \"db\" }",
        "`to` means nothing",
        "sni =",
    );
    check(
        "sni = { \"*\" = \"db\" }",
        "`sni` means nothing on a listener of mode `http`",
        "mode = \"tls\"",
    );
    sni("{}", "names no upstream", "");
    sni("\"db\"", "expected a table of server names", "");
    sni("{ \"*\" = [] }", "names no upstream", "");
    sni(
        "{ \"a b\" = \"db\" }",
        "`a b` is not a host name",
        "*.example.com",
    );
    sni(
        "{ \"*\" = \"dv\" }",
        "there is no upstream `dv`",
        "did you mean `db`?",
    );
    sni(
        "{ \"*\" = { upstream = \"db\", protocols = [\"h2\"] } }",
        "unknown key `protocols`",
        "",
    );
    sni(
        "{ \"*\" = { alpn = [\"h2\"] } }",
        "missing key `upstream`",
        "",
    );
    sni(
        "{ \"*\" = { upstream = \"db\", alpn = [\"\"] } }",
        "must not be empty",
        "",
    );
}

#[test]
fn tls_of_either_side_may_be_the_relays_own() {
    let secured =
        "mode = \"tcp\"\nto = \"db\"\ntls = { self_signed = [\"a\"] }\nheader_timeout = \"1s\"";
    let upstreams = listener(secured).replace(":5433\"]", ":5433\"]\ntls = true");
    let config = accepted(&upstreams);
    let one = &config.listeners[0];
    assert!(one.tls.is_some() && matches!(one.mode, Mode::Tcp(_)));
    assert!(!one.protocols.h1 && !one.protocols.h2 && !one.protocols.h3);
    assert!(config.upstreams[0].tls.is_some());
    // What comes as TLS already, and datagrams, go on as they come.
    for keys in [
        "mode = \"tls\"\nsni = { \"*\" = \"db\" }",
        "mode = \"udp\"\nto = \"db\"",
    ] {
        let text = listener(keys).replace(":5433\"]", ":5433\"]\ntls = true");
        let told = rejected(&text).to_string();
        assert!(
            told.contains("`tls` does nothing for listener `l`"),
            "{told}"
        );
    }
    let passing = "mode = \"tls\"\nsni = { \"*\" = \"db\" }\ntls = { self_signed = [\"a\"] }";
    check(
        passing,
        "`tls` means nothing on a listener of mode `tls`",
        "mode = \"tcp\"",
    );
}

#[test]
fn datagrams_and_connections_may_have_the_same_address() {
    let both = |udp: &str| {
        format!(
            "{}[listener.u]\nbind = [\"127.0.0.1:5432\"]\nmode = \"udp\"\nto = \"db\"\n{udp}",
            listener("mode = \"tcp\"\nto = \"db\"")
        )
    };
    let config = accepted(&both(""));
    assert!(matches!(config.listeners[1].mode, Mode::Udp(_)));
    assert_eq!(config.listeners[1].idle_timeout, Duration::from_mins(2));
    let third = "[listener.v]\nbind = [\"127.0.0.1:5432\"]\nmode = \"udp\"\nto = \"db\"\n";
    let problems = rejected(&both(third));
    assert!(
        problems.0[0].message.contains("is bound twice"),
        "{problems}"
    );
    check("mode = \"udp\"", "needs `to`", "UPSTREAM");
    check(
        "mode = \"udp\"\nto = \"db\"\ntls = { self_signed = [\"a\"] }",
        "`tls` means nothing",
        "mode = \"http\"",
    );
}

#[test]
fn datagrams_are_not_announced() {
    check(
        "mode = \"udp\"\nto = \"db\"\nproxy_protocol = [\"10.0.0.0/8\"]",
        "`proxy_protocol` means nothing on a listener of mode `udp`",
        "not datagrams",
    );
    let announcing = |mode: &str| {
        let text = listener(&format!("mode = \"{mode}\"\nto = \"db\""));
        text.replace(":5433\"]", ":5433\"]\nsend_proxy_protocol = \"v2\"")
    };
    accepted(&announcing("tcp"));
    let told = rejected(&announcing("udp")).to_string();
    assert!(
        told.contains("`send_proxy_protocol` means nothing to listener `l`"),
        "{told}"
    );
}

#[test]
fn what_is_probably_not_meant_is_told() {
    let told = |text: &str| -> Vec<String> {
        let loaded = load_text(text).unwrap();
        loaded
            .warnings
            .iter()
            .map(|one| one.message.clone())
            .collect()
    };
    let forwarding = listener("mode = \"tcp\"\nto = [\"db\", \"spare\"]");
    assert_eq!(told(&forwarding), Vec::<String>::new());
    let routed = told(&format!("{forwarding}[[route]]\nto = \"db\"\n"));
    assert!(
        routed.len() == 1 && routed[0].contains("no listener takes requests"),
        "{routed:?}"
    );
}

#[test]
fn keys_of_another_mode_are_refused() {
    check("mode = \"tcp\"", "needs `to`", "to = \"UPSTREAM\"");
    check(
        "mode = \"tcp\"\nto = \"dbs\"",
        "there is no upstream `dbs`",
        "did you mean `db`?",
    );
    check("mode = \"tcp\"\nto = []", "names no upstream", "");
    check(
        "to = \"db\"",
        "`to` means nothing on a listener of mode `http`",
        "mode = \"tcp\"",
    );
    for key in [
        "protocols = [\"h1\"]",
        "trusted_proxies = [\"10.0.0.0/8\"]",
        "min_body_rate = 1",
        "max_header = \"8k\"",
        "header_timeout = \"1s\"",
    ] {
        let keys = format!("mode = \"tcp\"\nto = \"db\"\n{key}");
        check(&keys, "means nothing on a listener of mode `tcp`", "");
    }
    check("mode = \"smtp\"", "`smtp` is not known here", "");
}
