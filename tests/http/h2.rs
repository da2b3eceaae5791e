//! HTTP/2 clients in front of HTTP/1 origins, over TLS and with prior knowledge.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use h2::{Reason, client};
use hyper::{HeaderMap, Method};
use tokio::net::TcpStream;

use super::h2_client::{get, in_the_clear, over, read, request, run, send, with_tls};
use super::h2_frames::{ACK, DATA, PING, PREFACE, SETTINGS, frame, goaway, next};
use super::{Stage, app, h2_frames, listeners};
use crate::support::{Origin, PATIENCE, RawClient};

/// Answers a GET with its path and everything else with its body.
fn echo() -> Origin {
    Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            let mut parts = request.start.split(' ');
            let (method, target) = (parts.next().unwrap(), parts.next().unwrap());
            let body = if method == "GET" {
                target.as_bytes()
            } else {
                &request.body
            };
            peer.send(format!("HTTP/1.1 200 OK\r\nX-Case: Kept\r\nConnection: x-hop\r\nX-Hop: 1\r\nContent-Length: {}\r\n\r\n", body.len()))?;
            peer.send(body)?;
        }
        Ok(())
    })
}

#[test]
fn requests_go_through_over_tls_and_in_the_clear() {
    let origin = echo();
    let stage = Stage::before(&origin);
    run(async {
        for mut sender in [with_tls(&stage).await, in_the_clear(&stage).await] {
            let (head, body) = get(&mut sender, "/x?y=z").await;
            assert_eq!((head.status().as_u16(), &body[..]), (200, &b"/x?y=z"[..]));
            assert_eq!(head.headers()["x-case"], "Kept");
            assert!(!head.headers().contains_key("x-hop"));
            assert!(!head.headers().contains_key("connection"));
            let (response, stream) = sender
                .send_request(request(Method::POST, "/"), false)
                .unwrap();
            send(stream, b"hello", None).await;
            let mut body = response.await.unwrap().into_body();
            assert_eq!(read(&mut body).await.unwrap(), b"hello");
        }
    });
    let requests = origin.requests();
    assert_eq!(requests[0].start, "GET /x?y=z HTTP/1.1");
    assert_eq!(requests[0].header("host"), Some("a.test"));
    assert_eq!(requests[0].header("x-forwarded-proto"), Some("https"));
    assert_eq!(requests[1].header("transfer-encoding"), Some("chunked"));
    assert!(
        stage
            .proxy
            .wait_for_access("\"protocol\":\"HTTP/2\"")
            .contains("/x?y=z")
    );
}

#[test]
fn cookie_crumbs_reach_the_origin_as_one_field() {
    let origin = echo();
    let stage = Stage::before(&origin);
    run(async {
        let mut sender = in_the_clear(&stage).await;
        let mut crumbs = request(Method::GET, "/");
        for crumb in ["a=1", "b=2", "c=3"] {
            crumbs
                .headers_mut()
                .append("cookie", crumb.parse().unwrap());
        }
        let (response, _) = sender.send_request(crumbs, true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200);
    });
    let cookies: Vec<_> = origin.requests()[0]
        .headers
        .iter()
        .filter(|(name, _)| name == "cookie")
        .cloned()
        .collect();
    assert_eq!(cookies, [("cookie".to_owned(), "a=1; b=2; c=3".to_owned())]);
}

#[test]
fn a_hundred_streams_share_one_connection() {
    let origin = echo();
    let stage = Stage::before(&origin);
    run(async {
        let mut sender = with_tls(&stage).await;
        let mut answers = Vec::new();
        for n in 0..100 {
            sender = sender.ready().await.unwrap();
            let (response, _) = sender
                .send_request(request(Method::GET, &format!("/{n}")), true)
                .unwrap();
            answers.push(response);
        }
        for (n, answer) in answers.into_iter().enumerate() {
            let mut body = answer.await.unwrap().into_body();
            assert_eq!(read(&mut body).await.unwrap(), format!("/{n}").as_bytes());
        }
    });
    assert_eq!(origin.requests().len(), 100);
}

#[test]
fn large_bodies_pass_small_windows() {
    let origin = echo();
    let stage = Stage::before(&origin);
    let body: Vec<u8> = (0..2_000_000u32).map(|n| (n % 253) as u8).collect();
    run(async {
        let mut builder = client::Builder::new();
        builder
            .initial_window_size(1000)
            .initial_connection_window_size(70_000)
            .max_frame_size(16_384);
        let mut sender = over(TcpStream::connect(stage.web).await.unwrap(), &builder).await;
        let mut up = request(Method::POST, "/");
        up.headers_mut().insert("content-length", body.len().into());
        let (response, stream) = sender.send_request(up, false).unwrap();
        let sending = tokio::spawn({
            let body = body.clone();
            async move { send(stream, &body, None).await }
        });
        let (head, mut down) = response.await.unwrap().into_parts();
        assert_eq!(head.headers["content-length"], body.len().to_string());
        assert!(read(&mut down).await.unwrap() == body);
        sending.await.unwrap();
    });
    assert_eq!(
        origin.requests()[0].header("content-length"),
        Some("2000000")
    );
}

#[test]
fn trailers_go_both_ways() {
    let origin = Origin::start(|peer| {
        let request = peer.request()?.unwrap();
        assert!(request.raw.ends_with(b"0\r\nx-sum: 1\r\n\r\n"));
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Total: 2\r\n\r\n")
    });
    let stage = Stage::before(&origin);
    run(async {
        let mut sender = with_tls(&stage).await;
        let (response, stream) = sender
            .send_request(request(Method::POST, "/"), false)
            .unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        send(stream, b"body", Some(trailers)).await;
        let mut body = response.await.unwrap().into_body();
        assert_eq!(read(&mut body).await.unwrap(), b"ok");
        let trailers = body.trailers().await.unwrap().expect("trailers");
        assert_eq!(trailers["x-total"], "2");
    });
}

#[test]
fn interim_responses_and_bodiless_ones_pass() {
    let origin = Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")?;
            peer.send(if request.start.starts_with("HEAD") {
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
            } else {
                "HTTP/1.1 204 No Content\r\n\r\n"
            })?;
        }
        Ok(())
    });
    let stage = Stage::before(&origin);
    run(async {
        let mut sender = in_the_clear(&stage).await;
        let (response, _) = sender
            .send_request(request(Method::HEAD, "/"), true)
            .unwrap();
        let head = response.await.unwrap();
        assert_eq!(head.headers()["content-length"], "9");
        assert!(head.into_body().is_end_stream());
        let (none, body) = get(&mut sender, "/").await;
        assert_eq!((none.status().as_u16(), body.len()), (204, 0));
    });
}

#[test]
fn a_stream_that_is_reset_leaves_the_others_alone() {
    let origin = Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            if request.start.contains("/endless") {
                peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                loop {
                    peer.send("3e8\r\n".to_owned() + &"x".repeat(1000) + "\r\n")?;
                }
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
        Ok(())
    });
    let stage = Stage::before(&origin);
    run(async {
        let mut sender = with_tls(&stage).await;
        for _ in 0..10 {
            let (response, mut stream) = sender
                .send_request(request(Method::GET, "/endless"), true)
                .unwrap();
            let mut body = response.await.unwrap().into_body();
            assert!(body.data().await.unwrap().is_ok());
            stream.send_reset(Reason::CANCEL);
            drop(body);
            let (_, whole) = get(&mut sender, "/").await;
            assert_eq!(whole, b"ok");
        }
    });
    stage.proxy.wait_for_access("http.client_aborted");
}

#[test]
fn a_cut_response_is_a_reset_and_not_an_end() {
    let (seen, told) = channel();
    let told = Mutex::new(told);
    let origin = Origin::start(move |peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")?;
        told.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        Ok(())
    });
    let stage = Stage::before(&origin);
    run(async {
        let mut sender = in_the_clear(&stage).await;
        let (response, _) = sender
            .send_request(request(Method::GET, "/"), true)
            .unwrap();
        let mut body = response.await.unwrap().into_body();
        seen.send(()).unwrap();
        let error = read(&mut body).await.unwrap_err();
        assert!(error.is_reset(), "{error}");
    });
}

#[test]
fn refusals_are_the_same_as_in_http_1() {
    let origin = Origin::start(|peer| peer.read_to_end().map(drop));
    let rest = app(origin.address(), "response_timeout = \"300ms\"").replace(
        "to =",
        "match = { path = \"/app\" }\nmax_body = \"1k\"\nto =",
    );
    let stage = Stage::with(&rest);
    run(async {
        let mut sender = with_tls(&stage).await;
        let mut large = request(Method::POST, "/app");
        large.headers_mut().insert("content-length", 1025.into());
        for (request, ended, status, reason) in [
            (request(Method::GET, "/none"), true, 404, "route.none"),
            (request(Method::GET, "/app"), true, 504, "upstream.timeout"),
            (large, false, 413, "http.body_too_large"),
        ] {
            let (response, _stream) = sender.send_request(request, ended).unwrap();
            let response = response.await.unwrap();
            assert_eq!(response.status(), status);
            let id = response.headers()["x-request-id"]
                .to_str()
                .unwrap()
                .to_owned();
            let mut body = response.into_body();
            let mut text = Vec::new();
            while let Some(Ok(data)) = body.data().await {
                text.extend_from_slice(&data);
            }
            let text = String::from_utf8(text).unwrap();
            assert!(text.contains(reason) && text.contains(&id), "{text}");
        }
    });
}

#[test]
fn a_draining_proxy_says_goaway_and_finishes_its_streams() {
    let (go, going) = channel::<()>();
    let going = Mutex::new(going);
    let origin = Origin::start(move |peer| {
        peer.request()?;
        going.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    });
    let mut stage = Stage::before(&origin);
    let mut client = stage.client();
    client.send(PREFACE);
    client.send(frame(SETTINGS, 0, 0, &[]));
    client.send(h2_frames::get(1));
    origin.wait_for_requests(1);
    stage.proxy.signal("TERM");
    // First any stream may still come (RFC 9113, section 6.8), until the PING is answered.
    assert_eq!(goaway(&mut client), (0x7fff_ffff, 0));
    let ping = next(&mut client, PING);
    client.send(frame(PING, ACK, 0, &ping.payload));
    assert_eq!(goaway(&mut client), (1, 0));
    go.send(()).unwrap();
    let data = next(&mut client, DATA);
    assert_eq!((data.stream, &data.payload[..]), (1, &b"ok"[..]));
    client.expect_closed();
    drop(client);
    assert_eq!(stage.proxy.wait().code(), Some(0));
}

#[test]
fn each_listener_speaks_what_it_is_told_to() {
    let origin = echo();
    let config = listeners("protocols = [\"h1\"]") + &app(origin.address(), "");
    let stage = Stage::start(&config);
    let client = RawClient::connect_tls(stage.webs, "a.test", &["h2", "http/1.1"]);
    assert_eq!(client.alpn(), Some(&b"http/1.1"[..]));
    let mut client = stage.client();
    client.send(PREFACE);
    assert_eq!(client.response().status(), 505);

    let config = listeners("protocols = [\"h2\"]") + &app(origin.address(), "");
    let stage = Stage::start(&config);
    let refused = RawClient::try_connect_tls(stage.webs, "a.test", &["http/1.1"]);
    assert!(refused.is_err_and(|error| error.kind() != io::ErrorKind::TimedOut));
    let mut client = stage.client();
    client.send(super::GET);
    let answer = client.read_to_end();
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
}
