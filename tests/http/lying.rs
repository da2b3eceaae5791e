//! Origins that answer wrongly: the client gets a 502 or a cut connection, and nobody gets another's answer.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::{GET, Stage, app, assert_refused};
use crate::support::{Origin, PATIENCE, RawClient};

/// Sends these bytes as the answer to each request, and closes.
fn saying(bytes: &'static str) -> Origin {
    Origin::start(move |peer| {
        peer.request()?;
        peer.send(bytes)
    })
}

#[test]
fn what_is_no_answer_is_a_502_with_its_reason() {
    for (bytes, reason) in [
        ("", "upstream.reset"),
        ("HTTP/1.1 200 OK\r\nContent-Le", "upstream.reset"),
        ("hello there\r\n\r\n", "upstream.bad_response"),
        ("HTTP/1.1 OK\r\n\r\n", "upstream.bad_response"),
        ("HTTP/2 200 OK\r\n\r\n", "upstream.bad_response"),
        ("HTTP/1.1 200 OK\r\nX: \0\r\n\r\n", "upstream.bad_response"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "upstream.bad_response",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "upstream.bad_response",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "upstream.bad_response",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "upstream.bad_response",
        ),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", "upstream.reset"),
    ] {
        let origin = saying(bytes);
        let stage = Stage::before(&origin);
        let mut client = stage.client();
        client.send(GET);
        let mut response = client.response();
        if response.status() == 103 {
            response = client.response();
        }
        assert_refused(&response, 502, reason);
        // The client's own connection is as good as before.
        assert_eq!(
            client.exchange(GET).status() / 100,
            if bytes.contains("103") { 1 } else { 5 }
        );
        assert!(
            stage
                .proxy
                .wait_for_access(reason)
                .contains("\"status\":502")
        );
    }
}

#[test]
fn an_answer_that_proves_wrong_before_anything_of_it_was_sent_is_a_502() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in ["zz\r\n", "5\r\nhello\r\n-1\r\n", "5\r\nhelloXX0\r\n\r\n"] {
        let origin = Origin::start(move |peer| {
            peer.request()?;
            peer.send(format!("{head}{body}"))
        });
        let stage = Stage::before(&origin);
        let mut client = stage.client();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        assert_refused(&client.response(), 502, "upstream.bad_response");
        // A client that gets nothing repeats the request.
        assert_eq!(origin.requests().len(), 1);
        let told = stage.proxy.wait_for_access("upstream.bad_response");
        assert!(told.contains("\"status\":502"), "{told}");
        assert_eq!(client.exchange(GET).status(), 502, "the connection goes on");
    }
}

#[test]
fn of_an_answer_that_is_cut_at_once_the_client_hears() {
    let origin = saying("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc");
    let stage = Stage::before(&origin);
    for _ in 0..20 {
        let mut client = stage.client();
        client.send(GET);
        assert_eq!(client.read_exact(9), b"HTTP/1.1 ");
    }
}

#[test]
fn a_head_without_end_is_refused() {
    let origin = Origin::start(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\n")?;
        loop {
            peer.send("X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n")?;
        }
    });
    let stage = Stage::before(&origin);
    assert_refused(&stage.ask(GET), 502, "upstream.bad_response");
}

#[test]
fn a_short_body_is_not_shown_as_a_whole_one() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\nbroken\r\n",
    ] {
        let origin = saying(bytes);
        let stage = Stage::before(&origin);
        let mut client = stage.client();
        client.send(GET);
        // Whether anything of it had been sent is a matter of moments.
        match client.try_response("GET") {
            Ok(response) => assert_eq!(response.status(), 502, "{bytes}"),
            Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::TimedOut, "{bytes}"),
        }
    }
}

#[test]
fn a_reset_in_place_of_an_end_is_passed_on_as_one() {
    let (go, going) = channel::<()>();
    let going = Mutex::new(going);
    let origin = Origin::start(move |peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\n\r\npart")?;
        // A reset drops what has not been read.
        going.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        peer.reset()
    });
    let stage = Stage::before(&origin);
    for (request, last_chunk) in [(GET, "0\r\n\r\n"), ("GET / HTTP/1.0\r\n\r\n", "")] {
        let mut client = stage.client();
        client.send(request);
        client.read_until("part");
        go.send(()).unwrap();
        match client.try_read_to_end() {
            Ok(rest) => assert!(!rest.ends_with(last_chunk.as_bytes()), "{request:?}"),
            Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::TimedOut),
        }
    }
}

#[test]
fn bytes_behind_an_answer_reach_nobody() {
    for behind in [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        "poison",
        "\r\n",
    ] {
        let (sent, told) = channel();
        let sent = Mutex::new(sent);
        let origin = Origin::start(move |peer| {
            let mut first = peer.number() == 0;
            while peer.request()?.is_some() {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")?;
                if std::mem::take(&mut first) {
                    peer.send(behind)?;
                    // On the loopback they have arrived when the call returns.
                    sent.lock().unwrap().send(()).unwrap();
                }
            }
            Ok(())
        });
        let stage = Stage::before(&origin);
        let mut client = stage.client();
        assert_eq!(client.exchange(GET).text(), "good");
        told.recv_timeout(PATIENCE).unwrap();
        for _ in 0..5 {
            assert_eq!(client.exchange(GET).text(), "good", "{behind:?}");
        }
        assert_eq!(origin.connections(), 2);
    }
}

#[test]
fn a_body_where_none_may_be_reaches_nobody() {
    for (request, method, answer) in [
        (
            "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        ),
        (
            GET,
            "GET",
            "HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison",
        ),
        (
            GET,
            "GET",
            "HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        ),
    ] {
        let origin = Origin::start(move |peer| {
            let first = peer.number() == 0;
            while peer.request()?.is_some() {
                peer.send(if first {
                    answer
                } else {
                    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
                })?;
            }
            Ok(())
        });
        let stage = Stage::before(&origin);
        let mut client = stage.client();
        client.send(request);
        assert!(client.response_to(method).body.is_empty());
        assert_eq!(client.exchange(GET).text(), "good", "{answer:?}");
    }
}

#[test]
fn a_dead_origin_is_a_502_and_a_missing_answer_a_504() {
    let port = crate::support::free_port();
    let stage = Stage::with(&app(([127, 0, 0, 1], port).into(), ""));
    let mut client = stage.client();
    for _ in 0..3 {
        assert_refused(&client.exchange(GET), 502, "upstream.connect");
    }

    let origin = Origin::start(|peer| peer.read_to_end().map(drop));
    let stage = Stage::with(&app(origin.address(), "response_timeout = \"300ms\""));
    let mut client = stage.client();
    assert_refused(&client.exchange(GET), 504, "upstream.timeout");
    assert_refused(&client.exchange(GET), 504, "upstream.timeout");
    assert_eq!(origin.connections(), 2);
    let mut other = RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"]);
    assert_refused(&other.exchange(GET), 504, "upstream.timeout");
}

#[test]
fn an_answer_that_stops_is_cut_after_the_response_timeout() {
    let origin = Origin::start(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")?;
        peer.read_to_end().map(drop)
    });
    let stage = Stage::with(&app(origin.address(), "response_timeout = \"300ms\""));
    let mut client = stage.client();
    client.send(GET);
    let error = client.try_response("GET").unwrap_err();
    assert_ne!(error.kind(), std::io::ErrorKind::TimedOut);
    stage.proxy.wait_for_access("upstream.timeout");
}
