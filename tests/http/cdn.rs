//! Behind a content delivery network: whose request it is, and what an endpoint hears of it. Edges are at 127.0.0.2, a proxy that is
//! trusted beside them at 127.0.0.3.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::control::address;
use crate::support::{Message, Origin, Proxy, RawClient};

struct Stage {
    web: SocketAddr,
    next: Origin,
    app: Origin,
    _proxy: Proxy,
}

impl Stage {
    /// The example, with origins and edges on this machine.
    fn start() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples/cdn.toml");
        let mut text = fs::read_to_string(path).unwrap();
        let [app, next] = ["app", "next"].map(Origin::serving);
        for (written, ours) in [
            ("0.0.0.0:80", "127.0.0.1:0".to_owned()),
            ("\"192.0.2.0/24\"", "\"127.0.0.2\"".to_owned()),
            ("10.0.0.11:8080", app.address().to_string()),
            ("10.0.0.21:8080", next.address().to_string()),
            (
                "cdn = [",
                "trusted_proxies = \"127.0.0.3\"\ncdn = [".to_owned(),
            ),
        ] {
            assert!(text.contains(written), "{written}");
            text = text.replacen(written, &ours, 1);
        }
        let proxy = Proxy::start(&text);
        Self {
            web: address(&proxy, "web"),
            next,
            app,
            _proxy: proxy,
        }
    }

    /// What an endpoint, and which, gets of a request from 127.0.0.`peer` with these lines.
    fn ask(&self, peer: u8, lines: &str) -> (String, Message) {
        let local = IpAddr::from([127, 0, 0, peer]);
        let mut client = RawClient::try_connect_from(local, self.web).unwrap();
        let answer = client.exchange(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"));
        let which = answer.text();
        let origin = if which == "next" {
            &self.next
        } else {
            &self.app
        };
        (which, origin.requests().pop().unwrap())
    }
}

#[test]
fn an_edge_names_its_client_and_nobody_else_does() {
    const COLLEAGUE: &str = "X-Edge-Client: 198.51.100.7\r\n";
    let stage = Stage::start();
    let check = |peer: u8, lines: &str, endpoint: &str, forwarded: &str, named: Option<&str>| {
        let (which, request) = stage.ask(peer, lines);
        assert_eq!(which, endpoint, "{peer} {lines}");
        let told = request.header("x-forwarded-for");
        assert_eq!(told, Some(forwarded), "{peer} {lines}");
        assert_eq!(request.header("x-edge-client"), named, "{peer} {lines}");
        assert_eq!(request.header("x_edge_client"), None, "{peer} {lines}");
    };
    let client = Some("198.51.100.7");
    check(2, COLLEAGUE, "next", "198.51.100.7, 127.0.0.2", client);
    check(1, COLLEAGUE, "app", "127.0.0.1", None);
    check(
        1,
        "X_Edge_Client: 198.51.100.7\r\n",
        "app",
        "127.0.0.1",
        None,
    );
    // What a client has written before the edge counts for nothing.
    let spoofed = format!("X-Forwarded-For: 10.9.9.9\r\n{COLLEAGUE}");
    check(2, &spoofed, "next", "198.51.100.7, 127.0.0.2", client);
    // Two, or none: the other fields tell.
    let twice = format!("{COLLEAGUE}X-Edge-Client: 203.0.113.9\r\n");
    check(2, &twice, "app", "127.0.0.2", None);
    let listed = "X-Forwarded-For: 198.51.100.8\r\nX-Edge-Client: unknown\r\n";
    check(2, listed, "next", "198.51.100.8, 127.0.0.2", None);
    // A proxy before us and behind the edge passes the field on; it is heard by what the proxy itself says.
    let behind = format!("X-Forwarded-For: 198.51.100.7, 127.0.0.2\r\n{COLLEAGUE}");
    let chain = "198.51.100.7, 127.0.0.2, 127.0.0.3";
    check(3, &behind, "next", chain, client);
    check(3, COLLEAGUE, "app", "127.0.0.3", None);
    // The edges of the networks that are known are elsewhere.
    let (which, request) = stage.ask(2, "CF-Connecting-IP: 198.51.100.7\r\n");
    assert_eq!(which, "app");
    assert_eq!(request.header("cf-connecting-ip"), None);
}
