//! TLS to endpoints: what is accepted, and what is not.

use std::path::Path;

use super::{accepted, load_text, rejected};
use crate::config::{TlsVersion, UpstreamTls};
use crate::proxy_protocol::Version;

fn text(endpoints: &str, keys: &str) -> String {
    format!(
        "[listener.web]\nbind = \"127.0.0.1:80\"\n[upstream.app]\nendpoints = [{endpoints}]\n{keys}\n"
    )
}

fn tls(endpoints: &str, keys: &str) -> Option<UpstreamTls> {
    accepted(&text(endpoints, keys)).upstreams.remove(0).tls
}

fn wrong(endpoints: &str, keys: &str, message: &str) {
    let problems = rejected(&text(endpoints, keys)).0;
    assert!(
        problems.len() == 1 && problems[0].message.contains(message),
        "{endpoints} {keys}\n{problems:#?}"
    );
}

#[test]
fn tls_to_endpoints_is_a_table_a_boolean_or_said_by_their_urls() {
    let plain = Some(UpstreamTls::default());
    assert_eq!(tls("\"a:1\"", ""), None);
    assert_eq!(tls("\"http://a\"", ""), None);
    assert_eq!(tls("\"http://a\"", "tls = false"), None);
    assert_eq!(tls("\"a:1\"", "tls = {}"), plain);
    assert_eq!(tls("\"a:1\"", "tls = true"), plain);
    assert_eq!(tls("\"https://a\"", "tls = true"), plain);
    assert_eq!(tls("\"https://a\", \"https://10.0.0.1:8443\"", ""), plain);
    let whole = "tls = { ca = \"ca.pem\", server_name = \"App.Internal\", certificate = { cert = \"a.pem\", key = \"/a.key\" }, min = \"1.3\" }";
    let whole = tls("\"a:1\", \"https://b\"", whole).unwrap();
    assert_eq!(whole.ca.as_deref(), Some(Path::new("ca.pem")));
    assert_eq!(whole.server_name.as_deref(), Some("app.internal"));
    assert_eq!(whole.certificate.unwrap().key, Path::new("/a.key"));
    assert_eq!((whole.min, whole.insecure), (TlsVersion::V1_3, false));
    let address = tls("\"a:1\"", "tls = { server_name = \"::1\" }").unwrap();
    assert_eq!(address.server_name.as_deref(), Some("::1"));
}

#[test]
fn endpoints_may_be_told_whose_connection_it_is() {
    let version = |keys| {
        let mut config = accepted(&text("\"a:1\"", keys));
        config.upstreams.remove(0).send_proxy_protocol
    };
    assert_eq!(version(""), None);
    assert_eq!(version("send_proxy_protocol = \"v1\""), Some(Version::V1));
    assert_eq!(version("send_proxy_protocol = \"v2\""), Some(Version::V2));
}

#[test]
fn a_listener_may_be_told_whose_connections_it_gets() {
    let listener = |keys: &str| format!("[listener.web]\nbind = \"127.0.0.1:80\"\n{keys}\n");
    let prefixes = |keys| {
        let mut config = accepted(&listener(keys));
        config.listeners.remove(0).proxy_protocol
    };
    assert!(prefixes("").is_empty());
    assert_eq!(
        prefixes("proxy_protocol = [\"10.0.0.0/8\", \"::1\"]").len(),
        2
    );
    let problems = rejected(&listener("proxy_protocol = true")).0;
    assert!(problems[0].message.contains("expected a string"));
    let all = load_text(&listener("proxy_protocol = \"0.0.0.0/0\"")).unwrap();
    let told = all.warnings.iter().map(ToString::to_string);
    let told = told.filter(|told| told.contains("every client is believed"));
    assert_eq!(told.count(), 1);
}

#[test]
fn what_contradicts_itself_is_refused() {
    wrong("\"https://a\", \"http://b\"", "", "all of its endpoints");
    wrong("\"https://a\", \"b:1\"", "", "all of its endpoints");
    wrong(
        "\"builtin:demo\"",
        "tls = {}",
        "the demo origin does not speak TLS",
    );
    wrong("\"a:1\"", "tls = 1", "expected a table");
    wrong("\"a:1\"", "tls = { caa = \"x\" }", "unknown key `caa`");
    wrong(
        "\"a:1\"",
        "tls = { ca = \"x\", insecure = true }",
        "takes any certificate",
    );
    wrong(
        "\"a:1\"",
        "tls = { server_name = \"a b\" }",
        "neither a host name nor an address",
    );
    wrong("\"a:1\"", "tls = { min = \"1.1\" }", "not known here");
    wrong(
        "\"a:1\"",
        "tls = { certificate = { cert = \"a\" } }",
        "missing key `key`",
    );
    wrong(
        "\"a:1\"",
        "tls = { insecure = 1 }",
        "expected true or false",
    );
    wrong("\"a:1\"", "send_proxy_protocol = \"v3\"", "not known here");
    wrong(
        "\"a:1\"",
        "send_proxy_protocol = \"v1\"\nprotocol = \"h2\"",
        "clients share a connection",
    );
}

#[test]
fn what_is_probably_not_meant_is_warned_of_where_it_stands() {
    for (endpoints, keys, line, message) in [
        ("\"a:1\"", "tls = { insecure = true }", 5, "INSECURE"),
        ("\"http://a\"", "tls = true", 4, "says no TLS"),
        ("\"https://a\"", "tls = false", 4, "says TLS"),
    ] {
        let loaded = load_text(&text(endpoints, keys)).unwrap();
        let warnings = loaded.warnings.iter().map(ToString::to_string);
        let told: Vec<String> = warnings
            .filter(|told| told.contains(&format!("openclaw.toml:{line}:")))
            .collect();
        assert!(
            told.len() == 1 && told[0].contains(message),
            "{keys}: {told:#?}"
        );
    }
}
