//! Messages as tables: one row a message, its reading or its refusal on the left, its bytes on the right.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::format_collect,
    reason = "a test that cannot go on fails"
)]

mod cdn;
mod fuzz;
mod lists;
mod rendering;
mod requests;
mod responses;

use super::{Fault, Framing, HeaderList, Request};

/// The bytes of a row: `↵` is CRLF, and `\r \n \t \0 \\ \xHH` are as in Rust.
fn bytes(row: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = row.chars();
    while let Some(char) = rest.next() {
        match char {
            '↵' => out.extend_from_slice(b"\r\n"),
            '\\' => match rest.next() {
                Some('r') => out.push(b'\r'),
                Some('n') => out.push(b'\n'),
                Some('t') => out.push(b'\t'),
                Some('0') => out.push(0),
                Some('\\') => out.push(b'\\'),
                Some('x') => {
                    let digits: String = rest.by_ref().take(2).collect();
                    out.push(u8::from_str_radix(&digits, 16).unwrap());
                }
                other => panic!("no escape: \\{other:?} in {row}"),
            },
            plain => out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

/// The rows of a table as (expected, message). Lines that begin with `#` name the clause that the next rows are about.
fn rows(table: &str) -> Vec<(&str, &str)> {
    let rows: Vec<_> = table
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            line.split_once(" |")
                .unwrap_or_else(|| panic!("no row: {line}"))
        })
        .map(|(expected, message)| (expected.trim(), message.trim_start()))
        .collect();
    assert!(!rows.is_empty());
    rows
}

/// Compares every row and reports all that differ at once.
fn check(table: &str, read: impl Fn(&str) -> String) {
    let wrong: Vec<String> = rows(table)
        .into_iter()
        .filter_map(|(expected, message)| {
            let got = read(message);
            (got != expected)
                .then(|| format!("{message}\n    is read as: {got}\n    instead of: {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A header list in a row: `name=value` pairs with ` ; ` between them.
fn list(row: &str) -> HeaderList {
    let mut list = HeaderList::default();
    for pair in row.split(" ; ").filter(|pair| !pair.is_empty()) {
        let at = pair
            .char_indices()
            .skip(1)
            .find(|(_, c)| *c == '=')
            .map(|(at, _)| at);
        let (name, value) = pair.split_at(at.unwrap_or_else(|| panic!("no pair: {pair}")));
        list.push(&bytes(name), &bytes(&value[1..]));
    }
    list
}

/// What was understood of a request, in one line.
fn reading(request: &Request<'_>) -> String {
    let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    let authority = if request.authority.is_empty() {
        "-".to_owned()
    } else {
        text(request.authority)
    };
    let framing = match request.framing {
        Framing::None => "none".to_owned(),
        Framing::Length(length) => length.to_string(),
        Framing::Stream => "stream".to_owned(),
    };
    let mut line = format!(
        "{} {authority} {} {framing}",
        text(request.method),
        text(request.target)
    );
    for (is, word) in [
        (!request.keep_alive, " close"),
        (request.expects_continue, " continue"),
        (request.upgrade, " upgrade"),
        (request.accepts_trailers, " trailers"),
    ] {
        if is {
            line += word;
        }
    }
    line
}

fn refusal(fault: &Fault) -> String {
    format!("{} {}", fault.status, fault.reason.code())
}
