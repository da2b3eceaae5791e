//! `[cdn.NAME]`, and `cdn` of listeners.

use super::{accepted, load_files, rejected};

const ROUTE: &str = "[[route]]\nrespond = {}\n";

fn listener(keys: &str) -> String {
    format!("[listener.web]\nbind = \"127.0.0.1:80\"\n{keys}\n{ROUTE}")
}

#[test]
fn networks_are_known_by_name_and_their_edges_are_trusted() {
    let config = accepted(&listener(
        "cdn = [\"cloudflare\", \"fastly\"]\ntrusted_proxies = \"10.0.0.1\"",
    ));
    let listener = &config.listeners[0];
    let [cloudflare, fastly] = &listener.cdns[..] else {
        panic!("{:?}", listener.cdns)
    };
    assert_eq!(
        (&*cloudflare.name, cloudflare.client_header.as_deref()),
        ("cloudflare", Some("cf-connecting-ip"))
    );
    assert_eq!(
        (&*fastly.name, fastly.client_header.as_deref()),
        ("fastly", None)
    );
    let trusted = |address: &str| {
        let address = address.parse().unwrap();
        let mut prefixes = listener.trusted_proxies.iter();
        prefixes.any(|prefix| prefix.contains(address))
    };
    for (address, expected) in [
        ("10.0.0.1", true),
        ("162.159.1.1", true),
        ("2606:4700::1", true),
        ("151.101.1.1", true),
        ("8.8.8.8", false),
    ] {
        assert_eq!(trusted(address), expected, "{address}");
    }
    assert!(accepted(&self::listener("")).listeners[0].cdns.is_empty());
}

#[test]
fn a_network_is_written_with_what_it_needs() {
    let own = "[cdn.own]\nranges = [\"192.0.2.0/24\", \"2001:db8::/48\"]\nclient_header = \"X_Edge-Client\"\n";
    let config = accepted(&(listener("cdn = \"own\"") + own));
    let cdn = &config.listeners[0].cdns[0];
    assert_eq!(cdn.client_header.as_deref(), Some("x-edge-client"));
    assert!(cdn.has([192, 0, 2, 7].into()) && !cdn.has([192, 0, 3, 7].into()));
    assert_eq!(config.listeners[0].trusted_proxies, cdn.ranges);
    // What the configuration says of a name counts, in an included file as well.
    let newer = load_files(&[
        (
            "openclaw.toml",
            "include = \"cdn/*\"\n[listener.web]\nbind = \"127.0.0.1:80\"\ncdn = \"cloudflare\"\n[[route]]\nrespond = {}\n",
        ),
        (
            "cdn/cloudflare.toml",
            "[cdn.cloudflare]\nranges = \"192.0.2.1\"\n",
        ),
    ]);
    let cdn = newer.unwrap().config.listeners[0].cdns[0].clone();
    assert_eq!((cdn.ranges.len(), &cdn.client_header), (1, &None));
}

#[test]
fn mistakes_are_told() {
    let check = |text: &str, expected: &str| {
        let told = rejected(text).to_string();
        assert!(told.contains(expected), "{told}");
    };
    check(
        &listener("cdn = \"cloudfla\""),
        "there is no network `cloudfla`",
    );
    check(&listener("cdn = \"cloudfla\""), "cloudflare");
    check(
        &listener("cdn = \"mine\""),
        "write [cdn.mine] with its `ranges`",
    );
    let own = |keys: &str| listener("") + "[cdn.own]\n" + keys;
    check(&own(""), "missing key `ranges`");
    check(&own("ranges = []"), "without addresses");
    let header = |name: &str| {
        own(&format!(
            "ranges = \"192.0.2.1\"\nclient_header = \"{name}\"\n"
        ))
    };
    check(&header("a b"), "`a b` is no name of a field");
    check(
        &header("X-Forwarded-For"),
        "`X-Forwarded-For` holds more than one address",
    );
    check(&header("Host"), "`Host` names no client");
    let relay = "[listener.web]\nbind = \"127.0.0.1:80\"\nmode = \"tcp\"\nto = \"app\"\ncdn = \"fastly\"\n[upstream.app]\nendpoints = \"127.0.0.1:81\"\n";
    check(relay, "`cdn`");
}
