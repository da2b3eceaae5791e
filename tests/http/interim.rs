//! Interim responses and trailers.

use super::{GET, GET_CLOSE, Stage};
use crate::support::Origin;

#[test]
fn an_expectation_is_the_origins_to_meet() {
    let origin = Origin::start(|peer| {
        peer.read_until(b"\r\n\r\n")?;
        peer.send("HTTP/1.1 100 Continue\r\n\r\n")?;
        let body = peer.read_exact(5)?;
        assert_eq!(body, b"hello");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(
        client.read_until("\r\n\r\n"),
        b"HTTP/1.1 100 Continue\r\n\r\n"
    );
    client.send("hello");
    assert_eq!(client.response().text(), "ok");
    let head = String::from_utf8(origin.received().concat()).unwrap();
    assert!(head.contains("Expect: 100-continue\r\n"), "{head}");
}

#[test]
fn an_origin_may_refuse_a_body_before_it_is_sent() {
    let origin = Origin::start(|peer| {
        peer.read_until(b"\r\n\r\n")?;
        peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")?;
        peer.read_to_end().map(drop)
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status(), response.text()), (413, "no".to_owned()));
    // The body that was announced may still come, so the connection cannot go on.
    assert_eq!(response.header("connection"), Some("close"));
}

#[test]
fn early_hints_come_early() {
    let origin = Origin::start(|peer| {
        while peer.request()?.is_some() {
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")?;
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\nConnection: x\r\n\r\n")?;
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")?;
        }
        Ok(())
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    for _ in 0..2 {
        client.send(GET);
        for name in ["a", "b"] {
            let hint = client.response();
            assert_eq!(hint.status(), 103);
            assert_eq!(
                hint.headers,
                [("Link".to_owned(), format!("</{name}.css>"))]
            );
        }
        assert_eq!(client.response().text(), "x");
    }
    assert_eq!(origin.connections(), 1);
    // HTTP/1.0 knows no interim responses.
    let response = stage.ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((response.status(), response.text()), (200, "x".to_owned()));
}

#[test]
fn an_origin_cannot_send_interim_responses_for_ever() {
    let origin = Origin::start(|peer| {
        peer.request()?;
        loop {
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".repeat(100))?;
        }
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    client.send(GET_CLOSE);
    let all = client.try_read_to_end().expect("the proxy ends this");
    let text = String::from_utf8_lossy(&all);
    assert!(
        text.contains("502 Bad Gateway") && text.contains("upstream.bad_response"),
        "{} bytes",
        text.len()
    );
    assert!(text.len() < 64 * 1024, "{} bytes", text.len());
}

#[test]
fn trailers_go_both_ways() {
    let origin = Origin::start(|peer| {
        let request = peer.request()?.unwrap();
        let raw = String::from_utf8_lossy(&request.raw).into_owned();
        assert!(raw.ends_with("0\r\nX-Sum: 1\r\n\r\n"), "{raw}");
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Total: 2\r\nContent-Length: 9\r\n\r\n")?;
        peer.read_to_end().map(drop)
    });
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    let response = client.exchange(
        "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\n",
    );
    let raw = String::from_utf8(response.raw).unwrap();
    assert!(raw.ends_with("\r\n0\r\nX-Total: 2\r\n\r\n"), "{raw}");
    let requests = origin.wait_for_requests(1);
    assert_eq!(requests[0].header("te"), Some("trailers"));
}
