//! Messages one after the other: what goes through unchanged, and when a connection goes on.

use std::fmt::Write;

use super::{GET, GET_CLOSE, Stage};
use crate::support::{Origin, RawClient};

/// Answers each request with its target, as long as it comes.
fn mirror() -> Origin {
    Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            let target = request.start.split(' ').nth(1).unwrap().to_owned();
            let length = target.len();
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{target}"
            ))?;
        }
        Ok(())
    })
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let origin = mirror();
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    let mut all = String::new();
    for n in 0..50 {
        let _ = write!(all, "GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    client.send(all);
    for n in 0..50 {
        assert_eq!(client.response().text(), format!("/{n}"));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_head_in_single_bytes_is_a_head() {
    let origin = mirror();
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    for byte in "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes() {
        client.send([*byte]);
    }
    assert_eq!(client.response().text(), "/slow");
}

#[test]
fn one_connection_carries_many_requests_to_one_origin_connection() {
    let origin = mirror();
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    for _ in 0..20 {
        let response = client.exchange(GET);
        assert_eq!(response.header("connection"), None);
    }
    let response = client.exchange(GET_CLOSE);
    assert_eq!(response.header("connection"), Some("close"));
    client.expect_closed();
    assert_eq!(origin.connections(), 1);
}

#[test]
fn http_1_0_lives_on_only_when_it_asks() {
    let origin = mirror();
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    let response = client.exchange("GET /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(response.header("connection"), Some("keep-alive"));
    let response = client.exchange("GET /b HTTP/1.0\r\n\r\n");
    assert_eq!(response.text(), "/b");
    client.expect_closed();
    let requests = origin.requests();
    assert_eq!(requests[1].start, "GET /b HTTP/1.1");
    assert_eq!(
        requests[1].header("host"),
        Some(stage.web.to_string().as_str())
    );
}

#[test]
fn a_chunked_answer_reaches_an_http_1_0_client_as_it_is() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    );
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    let response = client.exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(response.header("transfer-encoding"), None);
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(response.text(), "abcde");
    client.expect_closed();
}

#[test]
fn responses_without_a_body_have_none() {
    let origin = Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            let head = match request.start.as_str() {
                "HEAD /length HTTP/1.1" => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
                "HEAD /chunked HTTP/1.1" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "GET /204 HTTP/1.1" => "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
                "GET /304 HTTP/1.1" => {
                    "HTTP/1.1 304 Not Modified\r\nETag: \"e\"\r\nContent-Length: 9\r\n\r\n"
                }
                other => panic!("{other}"),
            };
            peer.send(head)?;
        }
        Ok(())
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    client.send(
        "HEAD /length HTTP/1.1\r\nHost: a\r\n\r\nHEAD /chunked HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /204 HTTP/1.1\r\nHost: a\r\n\r\nGET /304 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(
        client.response_to("HEAD").header("content-length"),
        Some("1000")
    );
    assert_eq!(client.response_to("HEAD").header("content-length"), None);
    let none = client.response();
    assert_eq!((none.status(), none.header("content-length")), (204, None));
    let unmodified = client.response();
    assert_eq!(
        (unmodified.status(), unmodified.header("etag")),
        (304, Some("\"e\""))
    );
    client.finish();
    client.expect_closed();
    assert_eq!(origin.connections(), 1);
}

#[test]
fn fields_reach_both_sides_in_order_and_case() {
    let origin = Origin::answering(
        "HTTP/1.1 201 Made It\r\nX-B: 2\r\nSet-Cookie: a=b\r\nx-a: 1\r\nSet-Cookie: c=d\r\nServer: secret/1.0\r\n\
         Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n",
    );
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    client.send(
        "GET /p?q=1 HTTP/1.1\r\nhost: A.test:80\r\nX-B: 2\r\nx-a: 1\r\nX-A: \t3 \r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n",
    );
    let head = String::from_utf8(client.read_until("\r\n\r\n")).unwrap();
    assert_eq!(
        head,
        "HTTP/1.1 201 Made It\r\nX-B: 2\r\nSet-Cookie: a=b\r\nx-a: 1\r\nSet-Cookie: c=d\r\n\
         Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n"
    );
    let raw = String::from_utf8(origin.received().concat()).unwrap();
    assert!(
        raw.starts_with(
            "GET /p?q=1 HTTP/1.1\r\nHost: A.test:80\r\nX-B: 2\r\nx-a: 1\r\nX-A: 3\r\n\
             X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: A.test:80\r\nX-Request-Id: "
        ),
        "{raw}"
    );
    assert!(!raw.contains("Hop"), "{raw}");
}

#[test]
fn tls_clients_are_served_the_same() {
    let origin = mirror();
    let stage = Stage::before(&origin);
    let mut client = RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"]);
    assert_eq!(client.alpn(), Some(&b"http/1.1"[..]));
    for n in 0..3 {
        let response = client.exchange(format!("GET /{n} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        assert_eq!(response.text(), format!("/{n}"));
    }
    assert_eq!(
        origin.requests()[0].header("x-forwarded-proto"),
        Some("https")
    );
}

#[test]
fn an_answer_without_a_date_gets_one() {
    let origin = Origin::serving("x");
    let stage = Stage::before(&origin);
    let date = stage.ask(GET).header("date").expect("a date").to_owned();
    assert!(httpdate::parse_http_date(&date).is_ok(), "{date}");
}
