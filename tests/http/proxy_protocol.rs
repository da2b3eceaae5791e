//! Clients behind a proxy that announces them: whom logs, lists, limits and routes go by then.

use std::net::SocketAddr;

use super::{GET, assert_refused, listeners};
use crate::control::address;
use crate::support::{Message, Origin, Proxy, RawClient, curl};

/// Announcing is 127.0.0.1; everybody else is a client.
struct Stage {
    proxy: Proxy,
    web: SocketAddr,
    webs: SocketAddr,
    origin: Origin,
}

impl Stage {
    fn start(keys: &str, rest: &str) -> Self {
        let origin = Origin::serving("x");
        let keys = format!("proxy_protocol = [\"127.0.0.1\"]\n{keys}");
        let app = super::app(origin.address(), "");
        let proxy = Proxy::start(&format!("{}{rest}{app}", listeners(&keys)));
        Self {
            web: address(&proxy, "web"),
            webs: address(&proxy, "webs"),
            proxy,
            origin,
        }
    }

    /// A connection that begins with these bytes.
    fn announced(&self, header: impl AsRef<[u8]>) -> RawClient {
        let mut client = RawClient::connect(self.web);
        client.send(header);
        client
    }

    fn ask(&self, source: &str) -> Message {
        self.announced(line(source)).exchange(GET)
    }

    /// The connection is closed without an answer, and the log says why.
    fn refused(&self, header: impl AsRef<[u8]>, detail: &str) {
        let mut client = self.announced(header);
        // What is not read any more may make the end a reset.
        let rest = client.try_read_to_end().unwrap_or_default();
        assert_eq!(rest, b"", "{detail}");
        let line = self.proxy.wait_for_access(detail);
        let reason = "\"reason\":\"http.proxy_protocol\"";
        assert!(line.contains(reason), "{line}");
        assert!(line.contains("\"client\":\"127.0.0.1\""), "{line}");
    }
}

fn line(source: &str) -> String {
    format!("PROXY TCP4 {source} 198.51.100.1 4711 443\r\n")
}

/// Version 2: a client over IPv4 with an addition.
fn octets(source: [u8; 4]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11".to_vec();
    header.extend(source);
    header.extend([198, 51, 100, 1, 0x12, 0x67, 1, 0xbb, 4, 0, 2, 0, 0]);
    header
}

#[test]
fn the_announced_client_is_the_client() {
    let route = "[[route]]\nname = \"office\"\nmatch = { client = [\"203.0.113.0/24\"] }\nrespond = { body = \"office\" }\n";
    let stage = Stage::start("", route);
    assert_eq!(stage.ask("203.0.113.7").text(), "office");
    let line = stage.proxy.wait_for_access("office");
    assert!(line.contains("\"client\":\"203.0.113.7\""), "{line}");
    let mut connection = stage.announced(octets([192, 0, 2, 1]));
    for _ in 0..2 {
        assert_eq!(connection.exchange(GET).text(), "x");
    }
    // Octet by octet, and in one segment with the request.
    let mut connection = RawClient::connect(stage.web);
    for octet in octets([192, 0, 2, 2]) {
        connection.send([octet]);
    }
    assert_eq!(connection.exchange(GET).text(), "x");
    let mut connection = stage.announced(line_and(GET));
    assert_eq!(connection.response().text(), "x");
    let forwarded: Vec<String> = stage
        .origin
        .requests()
        .iter()
        .map(|request| request.header("X-Forwarded-For").unwrap().to_owned())
        .collect();
    assert_eq!(
        forwarded,
        ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"]
    );
}

fn line_and(request: &str) -> String {
    line("192.0.2.3") + request
}

#[test]
fn the_senders_own_connections_are_its_own_and_curl_announces_itself() {
    let stage = Stage::start("", "");
    for own in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
        assert_eq!(stage.announced(own).exchange(GET).status(), 200);
    }
    let url = format!("http://{}/", stage.web);
    let curled = curl(&["--haproxy-protocol", &url]).ok();
    assert_eq!(curled.text(), "x");
    let secured = format!("https://{}/", stage.webs);
    let curled = curl(&["--haproxy-protocol", "-k", "--http2", &secured]).ok();
    assert_eq!(curled.text(), "x");
    for request in stage.origin.requests() {
        assert_eq!(request.header("X-Forwarded-For"), Some("127.0.0.1"));
    }
    assert_eq!(stage.origin.requests().len(), 4);
}

#[test]
fn those_who_have_to_announce_cannot_do_without_and_others_cannot_announce() {
    let stage = Stage::start("header_timeout = \"300ms\"", "");
    stage.refused(GET, "no PROXY header");
    stage.refused("PROXY TCP4 192.0.2.1\r\n", "not as the protocol has it");
    stage.refused("", "within header_timeout");
    stage.refused(&octets([192, 0, 2, 1])[..20], "within header_timeout");
    stage.refused([b'\r'; 5000], "no PROXY header");
    let other = || RawClient::try_connect_from([127, 0, 0, 2].into(), stage.web).unwrap();
    assert_eq!(other().exchange(GET).status(), 200);
    let announced = other().exchange(line_and(GET));
    assert_refused(&announced, 400, "http.malformed");
    assert_eq!(stage.origin.requests().len(), 1);
}

#[test]
fn each_announced_client_has_its_own_limit_of_connections() {
    let stage = Stage::start("max_connections_per_ip = 1", "");
    let mut first = stage.announced(line("192.0.2.1"));
    assert_eq!(first.exchange(GET).status(), 200);
    let mut second = stage.announced(line("192.0.2.2"));
    assert_eq!(second.exchange(GET).status(), 200);
    let rest = stage.announced(line("192.0.2.1")).try_read_to_end();
    assert_eq!(rest.unwrap_or_default(), b"");
    let line = stage.proxy.wait_for_access("limit.connections");
    assert!(line.contains("\"client\":\"192.0.2.1\""), "{line}");
}

#[test]
fn lists_hold_for_announced_clients_and_a_ban_would_hit_the_wrong_one() {
    let shield = "[shield]\nblock = [\"203.0.113.1\"]\n[autoban]\nafter = { protocol = 1 }\n";
    let stage = Stage::start("", shield);
    let rest = stage.announced(line("203.0.113.1")).try_read_to_end();
    assert_eq!(rest.unwrap_or_default(), b"");
    let told = stage.proxy.wait_for_access("shield.block");
    assert!(told.contains("\"client\":\"203.0.113.1\""), "{told}");
    // One that is listed while it is connected is closed.
    let mut connected = stage.announced(line("203.0.113.2"));
    assert_eq!(connected.exchange(GET).status(), 200);
    let added = stage.proxy.cli(&["blocklist", "add", "203.0.113.2"]);
    assert_eq!(added.code, 0, "{added:?}");
    assert_eq!(connected.try_read_to_end().unwrap_or_default(), b"");
    // What a client does behind the proxy gets neither of the two banned; refusals are judged in the order in which they come.
    let wrong =
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    stage.announced(line("203.0.113.3")).send(wrong);
    stage.proxy.wait_for_access("http.smuggling");
    let mut direct = RawClient::try_connect_from([127, 0, 0, 2].into(), stage.web).unwrap();
    direct.send(wrong);
    let told = stage.proxy.wait_for("banned: http.smuggling");
    assert!(told.contains("127.0.0.2"), "{told}");
    assert_eq!(stage.ask("203.0.113.3").status(), 200);
    let peer = stage.proxy.cli(&["blocklist", "add", "127.0.0.1"]);
    assert_ne!(peer.code, 0, "who announces cannot be blocked: {peer:?}");
}
