//! Which responses are compressed, and what their heads say.

use super::{CODINGS, JSON, Stage, accept, json, ok, plain};
use crate::support::Message;

const ALL: &str = "compress = [\"br\", \"zstd\", \"gzip\"]";

fn coding(message: &Message) -> Option<&str> {
    message.header("content-encoding")
}

#[test]
fn a_client_gets_what_it_likes_best_of_what_the_route_offers() {
    let body = json(20_000);
    let expected = body.clone();
    let stage = Stage::start(ALL, move |_| {
        ok(
            &format!(
                "{JSON}ETag: \"a\"\r\nAccept-Ranges: bytes\r\nContent-Digest: sha-256=:x:\r\n"
            ),
            &body,
        )
    });
    let all = format!("{}, deflate", CODINGS.join(", "));
    for (accepted, expected_coding) in [
        (&*all, Some("br")),
        ("gzip, deflate, br;q=0.9", Some("gzip")),
        ("zstd, *;q=0", Some("zstd")),
        ("gzip", Some("gzip")),
        ("*", Some("br")),
        ("identity", None),
        ("gzip;q=0", None),
        ("deflate", None),
        ("", None),
    ] {
        let answer = stage.get("/", &accept(accepted));
        assert_eq!(coding(&answer), expected_coding, "{accepted}");
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{accepted}");
        assert!(plain(&answer) == expected, "{accepted}");
        let tag = if expected_coding.is_some() {
            "W/\"a\""
        } else {
            "\"a\""
        };
        assert_eq!(answer.header("etag"), Some(tag), "{accepted}");
        for name in ["content-length", "accept-ranges", "content-digest"] {
            assert_eq!(
                answer.header(name).is_none(),
                expected_coding.is_some(),
                "{name}"
            );
        }
        if expected_coding.is_some() {
            assert!(
                answer.body.len() < expected.len() / 2,
                "{}",
                answer.body.len()
            );
        }
    }
    let nothing_said = stage.get("/", "");
    assert_eq!(coding(&nothing_said), None);
    assert_eq!(
        stage.asked().first(),
        Some(&Some(all)),
        "the origin is asked as the client asks"
    );
}

#[test]
fn what_must_not_be_compressed_goes_as_it_came() {
    let stage = Stage::start(ALL, |request| {
        let path = request.start.split(' ').nth(1).unwrap_or_default();
        let body = "x".repeat(5000);
        let text = "Content-Type: text/plain\r\n";
        match path {
            "/image" => ok("Content-Type: image/png\r\n", &body),
            "/small" => ok(text, &body[..1000]),
            "/encoded" => ok(&format!("{text}Content-Encoding: deflate\r\n"), &body),
            "/strict" => ok(&format!("{text}Cache-Control: no-transform\r\n"), &body),
            "/call" => ok("Content-Type: application/grpc+json\r\n", &body),
            "/part" => ok(
                &format!("{text}Content-Range: bytes 0-4999/9999\r\n"),
                &body,
            )
            .replacen("200 OK", "206 Partial Content", 1),
            "/none" => "HTTP/1.1 204 No Content\r\nContent-Type: text/plain\r\n\r\n".to_owned(),
            "/empty" => ok(text, ""),
            _ => ok("", &body),
        }
    });
    for (path, vary) in [
        ("/image", None),
        ("/untyped", None),
        ("/strict", None),
        ("/call", None),
        ("/part", None),
        ("/none", None),
        ("/small", Some("Accept-Encoding")),
        ("/encoded", Some("Accept-Encoding")),
        ("/empty", Some("Accept-Encoding")),
    ] {
        let answer = stage.get(path, &accept("gzip, br"));
        let own = if path == "/encoded" {
            Some("deflate")
        } else {
            None
        };
        assert_eq!(coding(&answer), own, "{path}");
        assert_eq!(answer.header("vary"), vary, "{path}");
    }
    // Who takes nothing else gets even little compressed.
    let strict = stage.get("/small", &accept("gzip, identity;q=0"));
    assert_eq!(coding(&strict), Some("gzip"));
    assert_eq!(plain(&strict).len(), 1000);
}

#[test]
fn a_head_is_that_of_the_get() {
    let body = json(5000);
    let stage = Stage::start(ALL, move |_| {
        ok(&format!("{JSON}ETag: \"a\"\r\nVary: Cookie\r\n"), &body)
    });
    let lines = accept("gzip");
    let (head, get) = (stage.ask("HEAD", "/", &lines), stage.get("/", &lines));
    for name in [
        "content-encoding",
        "vary",
        "etag",
        "content-type",
        "content-length",
    ] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    assert_eq!(get.header("vary"), Some("Cookie, Accept-Encoding"));
    assert!(head.body.is_empty());
}

#[test]
fn a_client_is_told_that_its_compressed_copy_still_holds() {
    let body = json(5000);
    let stage = Stage::start(ALL, move |request| {
        // Weak comparison, as origins do.
        let known = request.header("if-none-match").unwrap_or_default();
        if known.contains("\"a\"") {
            return "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n".to_owned();
        }
        ok(&format!("{JSON}ETag: \"a\"\r\n"), &body)
    });
    let lines = accept("gzip");
    let first = stage.get("/", &lines);
    let tag = first.header("etag").unwrap().to_owned();
    let again = stage.get("/", &format!("{lines}If-None-Match: {tag}\r\n"));
    assert_eq!(again.status(), 304);
    assert_eq!(again.header("etag"), Some("W/\"a\""));
    assert_eq!(again.header("vary"), Some("Accept-Encoding"));
    let plain = stage.get("/", "If-None-Match: \"a\"\r\n");
    assert_eq!((plain.status(), plain.header("etag")), (304, Some("\"a\"")));
}

#[test]
fn the_table_says_types_sizes_and_levels() {
    let body = json(200_000);
    let sizes = ["level = { gzip = 1 }", "level = { gzip = 9 }"].map(|level| {
        let body = body.clone();
        let keys = format!(
            "compress = {{ encodings = [\"gzip\"], types = [\"image/x-mine\"], min_size = 10, {level} }}"
        );
        let stage = Stage::start(&keys, move |request| {
            let length = if request.start.contains("/tiny") { 9 } else { body.len() };
            let media = if request.start.contains("/text") { "text/plain" } else { "image/x-mine" };
            ok(&format!("Content-Type: {media}\r\n"), &body[..length])
        });
        assert_eq!(coding(&stage.get("/tiny", &accept("gzip"))), None);
        assert_eq!(coding(&stage.get("/text", &accept("gzip"))), None);
        assert_eq!(coding(&stage.get("/", &accept("br"))), None);
        let answer = stage.get("/", &accept("gzip, br"));
        assert_eq!(coding(&answer), Some("gzip"));
        answer.body.len()
    });
    assert!(sizes[1] < sizes[0], "{sizes:?}");
}
