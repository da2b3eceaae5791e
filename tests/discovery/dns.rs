//! Names as sources: A, AAAA and SRV records, their times to live, and name servers that fail.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpListener};

use serde_json::Value;

use super::{answering, config, ip, proxy, sample, wait_for};
use crate::control::address;
use crate::support::{Dns, Folder, Origin, Proxy, openclaw, wait_until};

fn discover(dns: &Dns, name: &str) -> String {
    let resolver = dns.address();
    format!("discover = {{ dns = \"{name}\", resolver = \"{resolver}\" }}")
}

/// A name server at which a name stands for the first origin, and the keys of an upstream that asks for it.
fn naming(origins: &[Origin], ttl: u32) -> (Dns, String) {
    let dns = Dns::start();
    dns.addresses("app.internal", ttl, &[ip(&origins[0])]);
    let port = origins[0].address().port();
    let keys = discover(&dns, &format!("app.internal:{port}"));
    (dns, keys)
}

#[test]
fn a_name_is_asked_for_again_when_its_answer_is_old() {
    let origins = Origin::siblings(3);
    let port = origins[0].address().port();
    let dns = Dns::start();
    dns.alias("app.internal", 300, "pool.internal");
    dns.addresses("pool.internal", 1, &[ip(&origins[0]), ip(&origins[1])]);
    let proxy = proxy(&discover(&dns, &format!("app.internal:{port}")));
    assert_eq!(answering(address(&proxy, "web")).len(), 2);
    dns.addresses("pool.internal", 1, &[ip(&origins[1]), ip(&origins[2])]);
    wait_for(&proxy, &["1", "2"]);
    proxy.wait_for("endpoints have changed");
    assert!(!proxy.stderr().contains("not found"), "{}", proxy.stderr());
}

#[test]
fn what_was_found_last_serves_while_the_name_server_is_silent_or_denies_the_name() {
    let origins = Origin::siblings(2);
    let (dns, keys) = naming(&origins, 1);
    let proxy = proxy(&keys);
    let errors = || {
        let name = "openclaw_discovery_errors_total{upstream=\"app\"}";
        sample(&proxy, name).unwrap().parse::<u64>().unwrap()
    };
    dns.addresses("app.internal", 1, &[]);
    wait_until("the name is asked for in vain", || errors() > 0);
    wait_for(&proxy, &["0"]);
    dns.silence(true);
    let before = errors();
    // A reload asks at once, and does not wait for what comes of it.
    proxy.cli(&["reload"]).ok();
    wait_until("the name is asked for in vain again", || errors() > before);
    wait_for(&proxy, &["0"]);
    dns.silence(false);
    dns.addresses("app.internal", 1, &[ip(&origins[1])]);
    proxy.cli(&["reload"]).ok();
    wait_for(&proxy, &["1"]);
    proxy.wait_for("endpoints are found again");
    // One line for all of it, beside what the reload says.
    assert_eq!(proxy.stderr().matches("kept=1").count(), 1);
    let last = "openclaw_discovery_last_success_timestamp_seconds{upstream=\"app\"}";
    assert!(sample(&proxy, last).unwrap().parse::<u64>().unwrap() > 1_700_000_000);
}

#[test]
fn a_reload_does_not_wait_for_a_silent_name_server_where_endpoints_are_known() {
    let origins = Origin::siblings(1);
    // It is not asked for again by itself.
    let (dns, keys) = naming(&origins, 300);
    let proxy = proxy(&keys);
    wait_for(&proxy, &["0"]);
    dns.silence(true);
    proxy.cli(&["reload"]).ok();
    wait_for(&proxy, &["0"]);
    // A silent server is asked three times, a second each.
    proxy.wait_for("endpoints are not found");
    let told = proxy.stderr();
    let at = |what: &str| told.find(what).unwrap_or_else(|| panic!("{what}: {told}"));
    assert!(at("reloaded") < at("endpoints are not found"), "{told}");
}

#[test]
fn a_name_that_is_denied_keeps_its_endpoints_as_it_is_told_to() {
    let origins = Origin::siblings(1);
    let (dns, keys) = naming(&origins, 1);
    let [gone, kept] = [false, true]
        .map(|keep| keys.replace(" }", &format!(", keep_on_empty = {keep} }}")))
        .map(|keys| proxy(&keys));
    for proxy in [&gone, &kept] {
        wait_for(proxy, &["0"]);
    }
    dns.addresses("app.internal", 1, &[]);
    wait_for(&gone, &["503"]);
    gone.wait_for("kept=0");
    // A server that falls silent takes nothing back.
    dns.silence(true);
    let told = gone.cli(&["reload"]).ok();
    assert!(told.stderr.contains("it has no address until"), "{told:?}");
    wait_for(&gone, &["503"]);
    kept.wait_for("kept=1");
    wait_for(&kept, &["0"]);
    dns.silence(false);
    dns.addresses("app.internal", 1, &[ip(&origins[0])]);
    gone.cli(&["reload"]).ok();
    wait_for(&gone, &["0"]);
}

#[test]
fn what_was_found_last_outlives_reloads_and_restarts() {
    let origins = Origin::siblings(1);
    let port = origins[0].address().port();
    let dns = Dns::start();
    dns.addresses("app.internal", 1, &[ip(&origins[0])]);
    let keys = discover(&dns, &format!("app.internal:{port}"));
    let mut proxy = proxy(&keys);
    wait_until("it is on the disk", || {
        fs::read_to_string(proxy.folder().path().join("state/discovered.json"))
            .is_ok_and(|text| text.contains("app.internal"))
    });
    dns.addresses("app.internal", 1, &[]);
    proxy.cli(&["reload"]).ok();
    proxy.wait_for("upstream app: its endpoints are not found");
    proxy.wait_for("the one that it had");
    wait_for(&proxy, &["0"]);
    proxy.signal("TERM");
    proxy.wait();
    proxy.start_again();
    let told = proxy.wait_for("its endpoints are not found");
    assert!(told.contains("app.internal has no addresses"), "{told}");
    wait_for(&proxy, &["0"]);
}

#[test]
fn a_service_gives_hosts_ports_and_weights() {
    let [a, b, c] = ["a", "b", "c"].map(Origin::serving);
    let port = |origin: &Origin| origin.address().port();
    let dns = Dns::start();
    let service = "_http._tcp.app.internal";
    for host in ["h1.internal", "h2.internal"] {
        dns.addresses(host, 1, &[ip(&a)]);
    }
    dns.services(
        service,
        1,
        &[
            (0, 3, port(&a), "h1.internal"),
            (0, 1, port(&b), "h2.internal"),
            (9, 1, port(&c), "h2.internal"),
        ],
    );
    let resolver = dns.address();
    let proxy = proxy(&format!(
        "discover = {{ srv = \"{service}\", resolver = \"{resolver}\" }}"
    ));
    wait_for(&proxy, &["a", "b"]);
    // Those of the next priority wait until nothing of the first has an address.
    dns.services(
        service,
        1,
        &[
            (0, 1, port(&a), "gone.internal"),
            (9, 1, port(&c), "h2.internal"),
        ],
    );
    wait_for(&proxy, &["c"]);
    // The root as target: the service is not offered (RFC 2782).
    dns.services(service, 1, &[(0, 0, 0, ".")]);
    wait_for(&proxy, &["503"]);
    dns.services(service, 1, &[(0, 0, port(&b), "h1.internal")]);
    wait_for(&proxy, &["b"]);
}

#[test]
fn an_answer_that_does_not_fit_is_asked_for_over_tcp() {
    let origins = Origin::siblings(1);
    let port = origins[0].address().port();
    let dns = Dns::start();
    dns.truncate();
    dns.addresses("app.internal", 60, &[ip(&origins[0])]);
    let proxy = proxy(&discover(&dns, &format!("app.internal:{port}")));
    wait_for(&proxy, &["0"]);
    assert!(dns.over_tcp() > 0, "{}", dns.questions());
}

#[test]
fn a_plain_name_is_looked_up_again_where_the_system_does() {
    let origins = Origin::siblings(2);
    let port = origins[0].address().port();
    let folder = Folder::new();
    let line = |origin: &Origin| format!("{} app.internal\n", ip(origin));
    let hosts = folder.write("hosts", line(&origins[0]));
    let mount = format!(
        "mount --bind {} /etc/hosts && exec \"$0\" \"$@\"",
        hosts.display()
    );
    let proxy = Proxy::start_through(
        &config(&format!("endpoints = [\"app.internal:{port}\"]")),
        0,
        &["unshare", "--mount", "sh", "-c", &mount],
        &[],
    );
    wait_for(&proxy, &["0"]);
    folder.write("hosts", line(&origins[1]));
    wait_for(&proxy, &["1"]);
    assert!(!proxy.stderr().contains("WARN"), "{}", proxy.stderr());
}

#[test]
fn a_check_asks_no_registry() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let resolver = silent.local_addr().unwrap();
    let folder = Folder::new();
    let keys = format!("discover = {{ srv = \"_http._tcp.a\", resolver = \"{resolver}\" }}");
    let path = folder.write("openclaw.toml", config(&keys));
    let output = openclaw(&["check", &path.display().to_string()]).ok();
    assert!(
        output
            .text()
            .contains("ok (1 listener, 1 route, 1 upstream)")
    );
    assert!(!output.text().contains("warning"), "{}", output.text());
}

/// The addresses that are served, in order.
fn served(proxy: &Proxy) -> Vec<String> {
    let output = proxy.cli(&["-o", "json", "upstream", "list"]).ok();
    let json: Value = serde_json::from_slice(&output.stdout).expect("the list is JSON");
    let endpoints = json["upstreams"][0]["endpoints"]
        .as_array()
        .expect("a list");
    let addresses = endpoints.iter().map(|one| one["address"].as_str());
    let mut addresses: Vec<String> = addresses.flatten().map(str::to_owned).collect();
    addresses.sort();
    addresses
}

#[test]
fn addresses_of_a_family_that_the_name_server_falls_silent_about_stay() {
    let dns = Dns::start();
    let [v4, other, v6]: [IpAddr; 3] =
        ["127.0.0.1", "127.0.0.2", "::1"].map(|ip| ip.parse().unwrap());
    dns.addresses("app.internal", 300, &[v4, v6]);
    let proxy = proxy(&discover(&dns, "app.internal:9"));
    assert_eq!(served(&proxy), ["127.0.0.1:9", "[::1]:9"]);
    dns.silence_v6(true);
    dns.addresses("app.internal", 300, &[other]);
    proxy.cli(&["reload"]).ok();
    wait_until("the other family has the new address", || {
        served(&proxy) == ["127.0.0.2:9", "[::1]:9"]
    });
    dns.silence_v6(false);
    // It is asked for before the other family's time is over.
    wait_until("there is none any more", || {
        served(&proxy) == ["127.0.0.2:9"]
    });
}

#[test]
fn a_plain_name_is_known_at_once_where_questions_for_the_other_family_are_dropped() {
    let origins = Origin::siblings(1);
    let port = origins[0].address().port();
    // Programs of the system ask at port 53; each process of tests has a place of its own.
    let [.., high, low] = std::process::id().to_be_bytes();
    let dns = Dns::listening(Ipv4Addr::new(127, 53, high, low.max(1)), 53);
    dns.silence_v6(true);
    dns.addresses("app.internal", 300, &[ip(&origins[0])]);
    let folder = Folder::new();
    let resolv = folder.write(
        "resolv.conf",
        format!("nameserver {}\n", dns.address().ip()),
    );
    let mount = format!(
        "mount --bind {} /etc/resolv.conf && exec \"$0\" \"$@\"",
        resolv.display()
    );
    let proxy = Proxy::start_through(
        &config(&format!("endpoints = [\"app.internal:{port}\"]")),
        0,
        &["unshare", "--mount", "sh", "-c", &mount],
        &[],
    );
    assert_eq!(answering(address(&proxy, "web")), ["0".to_owned()].into());
    assert!(!proxy.stderr().contains("WARN"), "{}", proxy.stderr());
}
