//! What is stored is compressed once, and each client finds what it can read.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{JSON, Stage, accept, json, ok, plain};
use crate::support::{Message, Origin, RawClient, wait_until};

const BOTH: &str = "compress = [\"br\", \"zstd\", \"gzip\"]\ncache = { ttl = \"1h\" }";

fn coding(message: &Message) -> Option<&str> {
    message.header("content-encoding")
}

fn is_hit(message: &Message) -> bool {
    message
        .header("cache-status")
        .is_some_and(|told| told.contains("hit"))
}

#[test]
fn it_is_compressed_once_for_all_who_get_the_same() {
    let body = json(30_000);
    let expected = body.clone();
    let stage = Stage::start(BOTH, move |_| ok(&format!("{JSON}ETag: \"a\"\r\n"), &body));
    for (lines, expected_coding) in [
        ("Accept-Encoding: gzip, deflate, br, zstd\r\n", Some("br")),
        ("Accept-Encoding: gzip, deflate\r\n", Some("gzip")),
        ("Accept-Encoding: identity\r\n", None),
    ] {
        assert!(!is_hit(&stage.get("/", lines)), "{lines}");
        // The client has all of it a moment before the store does.
        wait_until("it is stored", || is_hit(&stage.get("/", lines)));
        for _ in 0..3 {
            let answer = stage.get("/", lines);
            assert!(is_hit(&answer), "{lines}");
            assert_eq!(coding(&answer), expected_coding);
            assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
            assert!(plain(&answer) == expected);
        }
    }
    // They say it otherwise, and mean the same.
    for lines in [
        "Accept-Encoding: br\r\n",
        "accept-encoding: br;q=1.0, gzip;q=0.8\r\n",
        "",
        "Accept-Encoding: deflate\r\n",
    ] {
        assert!(is_hit(&stage.get("/", lines)), "{lines}");
    }
    assert_eq!(stage.compressions("br"), 1);
    assert_eq!(stage.compressions("gzip"), 1);
    assert_eq!(
        stage.asked(),
        ["br", "gzip", "identity"].map(|one| Some(one.to_owned()))
    );
    // A compressed copy that a client has still holds.
    let again = stage.get("/", &format!("{}If-None-Match: W/\"a\"\r\n", accept("br")));
    assert_eq!(
        (again.status(), again.header("etag")),
        (304, Some("W/\"a\""))
    );
    assert_eq!(again.header("vary"), Some("Accept-Encoding"));
}

#[test]
fn a_part_is_one_of_the_plain_response() {
    let body = json(30_000);
    let expected = body.clone();
    let stage = Stage::start(BOTH, move |request| {
        assert!(request.header("if-range").is_none());
        ok(&format!("{JSON}ETag: \"a\"\r\n"), &body)
    });
    assert_eq!(coding(&stage.get("/", &accept("br"))), Some("br"));
    stage.get("/", "");
    let part = stage.get("/", &format!("{}Range: bytes=10-19\r\n", accept("br")));
    assert_eq!((part.status(), coding(&part)), (206, None));
    assert_eq!(part.text(), expected[10..20]);
    assert_eq!(
        part.header("content-range"),
        Some(&*format!("bytes 10-19/{}", expected.len()))
    );
}

#[test]
fn what_was_compressed_is_confirmed_by_its_origin() {
    let body = json(30_000);
    let expected = body.clone();
    let keys = "compress = [\"gzip\"]\ncache = {}";
    let stage = Stage::start(keys, move |request| {
        let known = request.header("if-none-match").unwrap_or_default();
        if known == "W/\"a\"" {
            return "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nCache-Control: max-age=100\r\nVary: Cookie\r\n\r\n".to_owned();
        }
        ok(
            &format!("{JSON}ETag: \"a\"\r\nCache-Control: max-age=0\r\n"),
            &body,
        )
    });
    let lines = accept("gzip");
    stage.get("/", &lines);
    for _ in 0..2 {
        let answer = stage.get("/", &lines);
        assert_eq!((answer.status(), coding(&answer)), (200, Some("gzip")));
        assert!(plain(&answer) == expected);
        assert_eq!(answer.header("etag"), Some("W/\"a\""));
        assert_eq!(answer.header("vary"), Some("Cookie, Accept-Encoding"));
    }
    assert_eq!(stage.compressions("gzip"), 1);
    assert_eq!(stage.origin.requests().len(), 2);
}

#[test]
fn an_origin_that_compresses_itself_is_asked_for_what_the_client_gets() {
    let stage = Stage::start(BOTH, |request| {
        let line = match request.header("accept-encoding") {
            Some("gzip") => "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n",
            _ => "",
        };
        ok(
            &format!("Content-Type: text/plain\r\n{line}"),
            &"x".repeat(3000),
        )
    });
    for _ in 0..2 {
        let own = stage.get("/", &accept("gzip"));
        assert_eq!((coding(&own), own.body.len()), (Some("gzip"), 3000));
        let ours = stage.get("/", &accept("gzip, br"));
        assert_eq!((coding(&ours), plain(&ours).len()), (Some("br"), 3000));
    }
    assert_eq!(
        (stage.compressions("gzip"), stage.compressions("br")),
        (0, 1)
    );
    assert_eq!(stage.origin.requests().len(), 2);
}

/// An origin whose responses are in gzip, whatever it is asked for; the last bytes are missing where the path says so.
fn stubborn(text: &str) -> Origin {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let body = gzip.finish().unwrap();
    Origin::start(move |peer| {
        while let Some(request) = peer.request()? {
            let missing = if request.start.contains("short") {
                9
            } else {
                0
            };
            let body = &body[..body.len() - missing];
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\n{JSON}Content-Encoding: gzip\r\nETag: \"a\"\r\nContent-Length: {length}\r\n\r\n"
            );
            let is_head = request.start.starts_with("HEAD ");
            peer.send([head.as_bytes(), if is_head { &[] } else { body }].concat())?;
        }
        Ok(())
    })
}

#[test]
fn what_a_client_cannot_read_is_taken_out_of_its_coding_once() {
    let text = json(200_000);
    let stage = Stage::before(BOTH, stubborn(&text));
    let head = stage.ask("HEAD", "/", "");
    let told = |name| head.header(name).map(str::to_owned);
    assert_eq!(
        (told("content-encoding"), told("content-length")),
        (None, None)
    );
    for lines in [
        "",
        "Accept-Encoding: identity\r\n",
        "Accept-Encoding: deflate\r\n",
    ] {
        let answer = stage.get("/", lines);
        assert_eq!(
            (coding(&answer), answer.header("etag")),
            (None, Some("W/\"a\""))
        );
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        assert!(answer.text() == text, "{lines}");
        assert_eq!(is_hit(&answer), !lines.is_empty());
    }
    let part = stage.get("/", "Range: bytes=100000-100003\r\n");
    assert_eq!(
        (part.status(), part.text()),
        (206, text[100_000..100_004].to_owned())
    );
    // Who can read it gets it as it came.
    for expected in [false, true] {
        let answer = stage.get("/", &accept("gzip, br"));
        assert_eq!((coding(&answer), is_hit(&answer)), (Some("gzip"), expected));
        assert!(plain(&answer) == text);
    }
    assert_eq!(
        (stage.origin.requests().len(), stage.compressions("gzip")),
        (3, 0)
    );
    // Without the last bytes it is not whole, and does not look so.
    let mut client = RawClient::connect(stage.web);
    client.send("GET /short HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let got = client.read_to_end();
    assert!(!got.ends_with(b"0\r\n\r\n") && got.len() > 100_000);
    assert!(!is_hit(&stage.ask("HEAD", "/short", "")));
}
