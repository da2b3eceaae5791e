//! Requests and answers.

use std::net::IpAddr;

use hyper::Method;

use super::client::{Client, answer, config, endpoint, run};
use super::{LISTENER, Stage, echo};
use crate::support::{Folder, Origin, RawClient, certificate};

#[test]
fn a_request_is_answered_and_logged_as_http_3() {
    let origin = Origin::serving("hello");
    let stage = Stage::before(&origin);
    run(async {
        let mut client = Client::connect(stage.webs).await;
        let (head, body) = client.get("/path?query").await;
        assert_eq!((head.status().as_u16(), &body[..]), (200, &b"hello"[..]));
        assert_eq!(head.headers().get("alt-svc"), None, "it is here already");
        let other = client.get("/").await;
        assert_eq!(other.1, b"hello");
    });
    let line = stage.proxy.wait_for_access("/path?query");
    for part in ["\"HTTP/3\"", "\"TLSv1.3\"", "\"webs\"", "127.0.0.1"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let asked = &origin.wait_for_requests(1)[0];
    assert_eq!(asked.start, "GET /path?query HTTP/1.1");
    assert_eq!(asked.header("host"), Some("a.test"));
    assert_eq!(asked.header("x-forwarded-proto"), Some("https"));
    assert_eq!(asked.header("early-data"), None);
}

#[test]
fn bodies_go_both_ways_whole() {
    let origin = echo();
    let stage = Stage::before(&origin);
    run(async {
        let mut client = Client::connect(stage.webs).await;
        let (head, body) = client.post("/small", b"small".to_vec()).await;
        assert_eq!(head.headers()["x-asked"], "POST /small HTTP/1.1");
        assert_eq!(body, b"small");
        // More than every window.
        let large: Vec<u8> = (0..10_000_000u32)
            .map(|number| (number / 7) as u8)
            .collect();
        let (head, body) = client.post("/large", large.clone()).await;
        assert_eq!(head.status().as_u16(), 200);
        assert!(body == large, "{} bytes came back", body.len());
    });
}

#[test]
fn many_streams_run_beside_each_other() {
    let origin = echo();
    let stage = Stage::before(&origin);
    run(async {
        let mut client = Client::connect(stage.webs).await;
        let mut streams = Vec::new();
        for number in 0..100 {
            let mut stream = client.start(Method::GET, &format!("/{number}")).await;
            stream.finish().await.unwrap();
            streams.push(stream);
        }
        for (number, stream) in streams.iter_mut().enumerate().rev() {
            let (head, _) = answer(stream).await;
            let asked = format!("GET /{number} HTTP/1.1");
            assert_eq!(head.headers()["x-asked"], asked.as_str());
        }
    });
}

#[test]
fn every_address_of_a_listener_answers_from_itself() {
    let origin = Origin::serving("x");
    let app = format!("[upstream.app]\nendpoints = [\"{}\"]\n", origin.address());
    let route = "[[route]]\nname = \"all\"\nto = \"app\"\n";
    for (bind, asked) in [
        ("[::1]:0", "::1"),
        // A client takes an answer from the address that it asked alone.
        ("0.0.0.0:0", "127.0.0.2"),
        ("[::]:0", "::1"),
    ] {
        let listener = LISTENER.replace("127.0.0.1:0", bind);
        let stage = Stage::start(&format!("{listener}\n{app}\n{route}"));
        let server = (asked.parse::<IpAddr>().unwrap(), stage.webs.port()).into();
        run(async {
            let mut client = Client::connect(server).await;
            assert_eq!(client.get("/").await.1, b"x", "{bind} {asked}");
        });
    }
}

#[test]
fn a_client_without_a_certificate_gets_no_further_than_the_handshake() {
    let origin = Origin::serving("x");
    let folder = Folder::new();
    let (authority, _) = certificate(&folder, &["authority.test"]);
    let listener = LISTENER.replace(
        "self_signed",
        &format!("client_ca = \"{}\", self_signed", authority.display()),
    );
    let app = format!("[upstream.app]\nendpoints = [\"{}\"]\n", origin.address());
    let route = "[[route]]\nname = \"all\"\nto = \"app\"\n";
    let stage = Stage::start(&format!("{listener}\n{app}\n{route}"));
    run(async {
        let stranger = endpoint(config());
        // As it sees it, the handshake may be complete before the proxy has looked.
        if let Ok(quic) = stranger.connect(stage.webs, "a.test").unwrap().await {
            quic.closed().await;
        }
    });
    stage.proxy.wait_for_access("tls.no_certificate");
    assert_eq!(origin.connections(), 0);
}

#[test]
fn the_other_versions_say_where_http_3_is() {
    let origin = Origin::serving("x");
    let stage = Stage::before(&origin);
    let mut client = RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"]);
    let response = client.exchange("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let expected = format!("h3=\":{}\"; ma=86400", stage.webs.port());
    assert_eq!(response.header("alt-svc"), Some(&*expected));
    let refused = client.exchange("GET / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: x\r\n\r\n");
    assert_eq!(refused.header("alt-svc"), Some(&*expected));
}

#[test]
fn an_endpoint_may_say_something_else() {
    let origin =
        Origin::answering("HTTP/1.1 200 OK\r\nalt-svc: clear\r\nContent-Length: 0\r\n\r\n");
    let stage = Stage::before(&origin);
    let mut client = RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"]);
    let response = client.exchange("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(response.header("alt-svc"), Some("clear"));
}
