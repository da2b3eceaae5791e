//! Responses that are used again.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use super::{Stage, ok, status};
use crate::support::{Origin, PATIENCE};

const FRESH: &str = "Cache-Control: max-age=60\r\n";

#[test]
fn a_fresh_response_is_the_answer_to_everybody() {
    let stage = Stage::start("", |_, before| {
        ok(&format!("{FRESH}X-A: 1\r\n"), &before.to_string())
    });
    let first = stage.get("/a", "");
    assert_eq!(
        (first.text(), status(&first)),
        ("0".into(), "openclaw; fwd=uri-miss; stored")
    );
    // The workers share one store, so that it does not matter who is asked.
    for _ in 0..8 {
        let again = stage.get("/a", "");
        assert_eq!((again.status(), again.text()), (200, "0".into()));
        assert!(
            status(&again).starts_with("openclaw; hit; ttl="),
            "{}",
            status(&again)
        );
        assert_eq!(again.header("x-a"), Some("1"));
        assert!(again.header("age").is_some() && again.header("date").is_some());
    }
    assert_eq!(
        stage.ask("HEAD", "/a", "").header("content-length"),
        Some("1")
    );
    assert_eq!(stage.asked(), 1);
    assert_eq!(stage.get("/a?b", "").text(), "1");
    assert_eq!(stage.get("/a", "X-Host: other\r\n").text(), "0");
}

#[test]
fn a_client_gets_what_it_lacks() {
    let stage = Stage::start("", |_, _| {
        ok(&format!("{FRESH}ETag: \"v1\"\r\n"), "0123456789")
    });
    assert_eq!(stage.get("/a", "").text(), "0123456789");
    let known = stage.get("/a", "If-None-Match: \"v0\", \"v1\"\r\n");
    assert_eq!((known.status(), known.text()), (304, String::new()));
    assert_eq!(known.header("etag"), Some("\"v1\""));
    let part = stage.get("/a", "Range: bytes=2-4\r\n");
    assert_eq!((part.status(), part.text()), (206, "234".into()));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    let beyond = stage.get("/a", "Range: bytes=10-\r\n");
    assert_eq!(beyond.status(), 416);
    assert_eq!(beyond.header("content-range"), Some("bytes */10"));
    assert_eq!(
        stage.get("/a", "Range: bytes=0-1,4-5\r\n").text(),
        "0123456789"
    );
    assert_eq!(stage.asked(), 1);
}

#[test]
fn what_is_for_one_client_is_not_for_another() {
    let stage = Stage::start("ttl = \"1h\"", |request, before| {
        let lines = match request.start.split(' ').nth(1) {
            Some("/private") => "Cache-Control: private, max-age=60\r\n",
            Some("/no-store") => "Cache-Control: no-store\r\n",
            Some("/cookie") => "Set-Cookie: a=b\r\n",
            Some("/star") => "Vary: *\r\n",
            _ => "",
        };
        ok(lines, &before.to_string())
    });
    for (path, word) in [
        ("/private", "private"),
        ("/no-store", "no-store"),
        ("/cookie", "set-cookie"),
        ("/star", "vary"),
    ] {
        let (first, second) = (stage.get(path, ""), stage.get(path, ""));
        assert_ne!(first.text(), second.text(), "{path}");
        assert_eq!(
            status(&second),
            format!("openclaw; fwd=uri-miss; detail={word}")
        );
    }
    let secret = "Authorization: Basic eDp5\r\n";
    assert_ne!(
        stage.get("/a", secret).text(),
        stage.get("/a", secret).text()
    );
    // The route's ttl is for what the origin says nothing about.
    assert_eq!(stage.get("/b", "").text(), stage.get("/b", "").text());
}

#[test]
fn what_a_request_means_otherwise_is_not_stored() {
    let stage = Stage::start("", |_, before| ok(FRESH, &before.to_string()));
    for line in [
        "X-HTTP-Method-Override: DELETE\r\n",
        "X-Original-URL: /admin\r\n",
    ] {
        let poisoned = stage.get("/a", line);
        assert_eq!(status(&poisoned), "openclaw; fwd=bypass");
    }
    assert_eq!(stage.get("/a", "").text(), "2");
    assert_eq!(stage.get("/a", "X-Rewrite-URL: /b\r\n").text(), "3");
    assert_eq!(stage.get("/a", "").text(), "2");
}

#[test]
fn variants_are_told_apart() {
    let stage = Stage::start("", |request, before| {
        let asked = request.header("accept-encoding").unwrap_or("-");
        ok(
            &format!("{FRESH}Vary: Accept-Encoding\r\n"),
            &format!("{asked} {before}"),
        )
    });
    let ask = |value: &str| {
        stage
            .get("/a", &format!("Accept-Encoding: {value}\r\n"))
            .text()
    };
    assert_eq!(ask("gzip, br"), "gzip, br 0");
    assert_eq!(ask("br;q=0.9, gzip"), "gzip, br 0");
    assert_eq!(ask("gzip"), "gzip 1");
    assert_eq!(stage.get("/a", "").text(), "- 2");
    assert_eq!(ask("gzip"), "gzip 1");
}

#[test]
fn a_change_is_forgotten_by_nobody() {
    let stage = Stage::start("", |request, before| {
        if request.start.starts_with("POST /moved") {
            return "HTTP/1.1 201 Created\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n".into();
        }
        if request.start.starts_with("DELETE") {
            return "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".into();
        }
        ok(FRESH, &before.to_string())
    });
    assert_eq!(
        (stage.get("/a", "").text(), stage.get("/b", "").text()),
        ("0".into(), "1".into())
    );
    // What was refused has changed nothing.
    assert_eq!(stage.ask("DELETE", "/a", "").status(), 403);
    assert_eq!(stage.get("/a", "").text(), "0");
    assert_eq!(
        stage.ask("POST", "/a", "Content-Length: 0\r\n").status(),
        200
    );
    assert_eq!(stage.get("/a", "").text(), "4");
    assert_eq!(
        stage
            .ask("POST", "/moved", "Content-Length: 0\r\n")
            .status(),
        201
    );
    assert_eq!(stage.get("/b", "").text(), "6");
}

#[test]
fn one_fetches_what_many_want() {
    let (go, going) = channel::<()>();
    let going = Mutex::new(going);
    let origin = Origin::start(move |peer| {
        while peer.request()?.is_some() {
            going.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            peer.send(ok(FRESH, "once"))?;
        }
        Ok(())
    });
    let stage = Stage::before("", origin);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| stage.get("/a", "").text()))
            .collect();
        stage.origin.wait_for_requests(1);
        go.send(()).unwrap();
        for client in clients {
            assert_eq!(client.join().unwrap(), "once");
        }
    });
    assert_eq!(stage.asked(), 1);
}

#[test]
fn what_is_too_large_or_cut_short_passes_and_is_not_stored() {
    let stage = Stage::start("max_object = \"1k\"", |request, _| {
        if request.start.contains("/chunked") {
            let body = "x".repeat(2000);
            return format!(
                "HTTP/1.1 200 OK\r\n{FRESH}Transfer-Encoding: chunked\r\n\r\n7d0\r\n{body}\r\n0\r\n\r\n"
            );
        }
        ok(FRESH, &"x".repeat(2000))
    });
    for path in ["/a", "/a", "/chunked", "/chunked"] {
        assert_eq!(stage.get(path, "").text().len(), 2000);
    }
    assert_eq!(stage.asked(), 4);
}
