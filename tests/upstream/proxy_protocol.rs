//! Endpoints that are told whose connection they get: a real nginx reads what we send.

use std::net::SocketAddr;

use crate::control::address;
use crate::support::{Authority, Folder, Nginx, Origin, Proxy, RawClient, curl, wait_until};

/// What nginx has read out of the header: both ends.
const ECHO: &str = "location / { return 200 \"$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port\"; }";

fn config(endpoint: SocketAddr, keys: &str) -> String {
    format!(
        "[listener.web]\nbind = \"127.0.0.1:0\"\ntrusted_proxies = \"127.0.0.9\"\n[upstream.app]\nendpoints = [\"{endpoint}\"]\n{keys}\n[[route]]\nto = \"app\"\n"
    )
}

fn ask(web: SocketAddr, from: &str, client: &str) -> (String, SocketAddr) {
    let from = from.parse().unwrap();
    let mut connection = RawClient::try_connect_from(from, web).unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: {client}\r\n\r\n");
    let answer = connection.exchange(request);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    (answer.text(), connection.local())
}

#[test]
fn nginx_learns_the_client_from_either_version() {
    let folder = Folder::new();
    let nginx = Nginx::start_announced(folder.path(), ECHO);
    for version in ["v1", "v2"] {
        let keys = format!("send_proxy_protocol = \"{version}\"");
        let proxy = Proxy::start(&config(nginx.address(), &keys));
        let web = address(&proxy, "web");
        // No client gets the connection of another.
        for from in ["127.0.0.2", "127.0.0.3", "127.0.0.2"] {
            let (told, local) = ask(web, from, "203.0.113.7");
            let expected = format!("{from} {} 127.0.0.1 {}", local.port(), web.port());
            assert_eq!(told, expected);
        }
        // The client of a proxy that is trusted; whose port nobody knows.
        let (told, _) = ask(web, "127.0.0.9", "203.0.113.7");
        // nginx shows port 0 as nothing.
        assert_eq!(told, format!("203.0.113.7  127.0.0.1 {}", web.port()));
        let url = format!("http://{web}/");
        let told = curl(&["--interface", "127.0.0.4", &url]).ok().text();
        assert!(told.starts_with("127.0.0.4 "), "{told}");
    }
}

#[test]
fn the_header_goes_ahead_of_tls() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca.pem");
    let (cert, key) = authority.files(&folder, &["app.test"]);
    let lines = format!(
        "ssl_certificate {}; ssl_certificate_key {}; {ECHO}",
        cert.display(),
        key.display()
    );
    let nginx = Nginx::start_announced_tls(folder.path(), &lines);
    let file = authority.file.display();
    let keys = format!(
        "send_proxy_protocol = \"v2\"\ntls = {{ ca = \"{file}\", server_name = \"app.test\" }}"
    );
    let proxy = Proxy::start(&config(nginx.address(), &keys));
    let (told, _) = ask(address(&proxy, "web"), "127.0.0.2", "");
    assert!(told.starts_with("127.0.0.2 "), "{told}");
}

#[test]
fn a_probe_says_that_it_is_our_own() {
    let origin = Origin::serving("x");
    let keys = "send_proxy_protocol = \"v1\"\nhealth = { path = \"/health\", every = \"50ms\" }";
    let _proxy = Proxy::start(&config(origin.address(), keys));
    wait_until("a probe", || {
        let received = origin.received();
        received
            .iter()
            .any(|bytes| bytes.starts_with(b"PROXY UNKNOWN\r\n"))
    });
}
