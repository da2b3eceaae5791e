//! `compress` of routes.

use super::{accepted, rejected};
use crate::coding::{Coding, Rule};

fn route(keys: &str) -> String {
    format!(
        "[listener.web]\nbind = \"127.0.0.1:80\"\n[upstream.app]\nendpoints = \"127.0.0.1:81\"\n[[route]]\nto = \"app\"\n{keys}\n"
    )
}

fn rule(keys: &str) -> Option<Rule> {
    accepted(&route(keys)).routes[0].compress.clone()
}

#[test]
fn a_list_of_codings_stands_for_a_table_with_defaults() {
    assert_eq!(rule(""), None);
    let short = rule("compress = [\"br\", \"zstd\", \"gzip\"]").unwrap();
    assert_eq!(short.codings, Coding::ALL);
    assert_eq!(short.min_size, 1024);
    for (media, expected) in [
        ("text/html; charset=utf-8", true),
        ("text/event-stream", true),
        ("application/json", true),
        ("application/problem+json", true),
        ("image/svg+xml", true),
        ("application/wasm", true),
        ("text/javascript", true),
        ("image/png", false),
        ("application/octet-stream", false),
        ("application/gzip", false),
        ("video/mp4", false),
    ] {
        assert_eq!(short.takes(media.as_bytes()), expected, "{media}");
    }
    assert_eq!(rule("compress = {}"), Some(short.clone()));
    assert_eq!(rule("compress = \"gzip\"").unwrap().codings, [Coding::Gzip]);
    let table = "compress = { encodings = [\"zstd\", \"gzip\"], types = [\"*\"], min_size = 0, level = { gzip = 9 }, max_at_once = 3 }";
    let table = rule(table).unwrap();
    assert_eq!(table.codings, [Coding::Zstd, Coding::Gzip]);
    assert_eq!((table.min_size, table.max_at_once), (0, 3));
    assert_eq!((table.levels.gzip, table.levels.br), (9, short.levels.br));
    assert!(table.takes(b"image/png"));
}

#[test]
fn what_cannot_be_is_told() {
    let check = |keys: &str, message: &str| {
        let told = rejected(&route(keys)).to_string();
        assert!(told.contains(message), "{keys}\n{told}");
    };
    check("compress = [\"bzip2\"]", "`bzip2` is not known here");
    check("compress = [\"gzpi\"]", "did you mean `gzip`?");
    check("compress = []", "names no coding");
    check(
        "compress = true",
        "write compress = [\"br\", \"zstd\", \"gzip\"]",
    );
    check("compress = false", "leave `compress` out");
    check(
        "compress = [\"gzip\", \"br\", \"gzip\"]",
        "`gzip` is named twice",
    );
    check(
        "compress = { encodigns = [\"br\"] }",
        "did you mean `encodings`?",
    );
    check(
        "compress = { types = [\"text\"] }",
        "`text` is no media type",
    );
    check("compress = { level = { br = 12 } }", "out of range");
    check("compress = { level = { gzip = 0 } }", "out of range");
    check("compress = { min_size = \"1x\" }", "min_size");
    check("compress = { max_at_once = 0 }", "out of range");
    let answer =
        "[listener.web]\nbind = \"127.0.0.1:80\"\n[[route]]\nrespond = {}\ncompress = [\"br\"]\n";
    let told = rejected(answer).to_string();
    assert!(told.contains("from an upstream"), "{told}");
}
