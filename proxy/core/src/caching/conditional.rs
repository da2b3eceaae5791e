//! What a stored response is sent as: whole, in part, or as the word that the client has it already (RFC 9110 §13, §14).

use std::ops::Range;

use super::date;
use super::directives::split;
use crate::message::{Field, Method};

/// The answer that a stored response makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As it is.
    Whole,
    /// 304.
    NotModified,
    /// 206 with these bytes.
    Part(Range<u64>),
    /// 416.
    NoSuchPart,
}

/// Decides in the order of RFC 9110 §13.2.2; `length` is that of the stored payload, where that is known: a part of something is sent
/// only then, and to GET alone (RFC 9110 §14.2).
pub fn answer(
    method: Method,
    request: &[Field<'_>],
    status: u16,
    stored: &[Field<'_>],
    length: Option<u64>,
) -> Answer {
    if status != 200 {
        return Answer::Whole;
    }
    if is_known_to_client(request, stored) {
        return Answer::NotModified;
    }
    let mut ranges = request.iter().filter(|field| field.is(b"Range"));
    let length = length.filter(|_| method == Method::Get);
    match (ranges.next(), ranges.next(), length) {
        (Some(range), None, Some(length)) if may_be_part(request, stored) => {
            part(range.value, length)
        }
        _ => Answer::Whole,
    }
}

fn is_known_to_client(request: &[Field<'_>], stored: &[Field<'_>]) -> bool {
    let mut tags = request
        .iter()
        .filter(|field| field.is(b"If-None-Match"))
        .peekable();
    if tags.peek().is_some() {
        let Some(ours) = first(stored, b"ETag") else {
            return tags.any(|field| field.value == b"*");
        };
        // Weak comparison (RFC 9110 §13.1.2).
        return tags.any(|field| {
            split(field.value).any(|tag| {
                let tag = tag.trim_ascii();
                tag == b"*" || opaque(tag) == opaque(ours)
            })
        });
    }
    let since = first(request, b"If-Modified-Since").and_then(date::parse);
    let changed = first(stored, b"Last-Modified")
        .or_else(|| first(stored, b"Date"))
        .and_then(date::parse);
    since
        .zip(changed)
        .is_some_and(|(since, changed)| changed <= since)
}

/// Whether `If-Range`, where there is one, names what is stored (RFC 9110 §13.1.5): strongly, or by the exact date.
fn may_be_part(request: &[Field<'_>], stored: &[Field<'_>]) -> bool {
    let Some(wanted) = first(request, b"If-Range") else {
        return true;
    };
    if wanted.starts_with(b"\"") {
        return first(stored, b"ETag") == Some(wanted);
    }
    !wanted.starts_with(b"W/") && first(stored, b"Last-Modified") == Some(wanted)
}

/// One range of bytes (RFC 9110 §14.1.2). Several at once are answered with the whole, as anybody may.
fn part(value: &[u8], length: u64) -> Answer {
    let (unit, set) = value.split_at_checked(6).unwrap_or_default();
    if !unit.eq_ignore_ascii_case(b"bytes=") || set.contains(&b',') {
        return Answer::Whole;
    }
    let set = set.trim_ascii();
    let Some(dash) = memchr::memchr(b'-', set) else {
        return Answer::Whole;
    };
    let (from, to) = set.split_at_checked(dash).unwrap_or_default();
    let to = to.get(1..).unwrap_or_default();
    let range = match (from, to) {
        ([], []) => return Answer::Whole,
        ([], count) => match number(count) {
            Some(count) => length.saturating_sub(count)..length,
            None => return Answer::Whole,
        },
        (from, []) => match number(from) {
            Some(from) => from..length,
            None => return Answer::Whole,
        },
        (from, to) => match (number(from), number(to)) {
            (Some(from), Some(to)) if from <= to => from..to.saturating_add(1).min(length),
            _ => return Answer::Whole,
        },
    };
    if range.is_empty() {
        return Answer::NoSuchPart;
    }
    Answer::Part(range)
}

fn number(digits: &[u8]) -> Option<u64> {
    let text = str::from_utf8(digits).ok()?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // What is larger than any body is as good as the largest number.
    Some(text.parse().unwrap_or(u64::MAX))
}

/// Whether a field stays in a 304 (RFC 9110 §15.4.5): what a client's own store is updated by.
pub fn is_told_again(field: &Field<'_>) -> bool {
    ![
        &b"Content-Type"[..],
        b"Content-Encoding",
        b"Content-Language",
        b"Content-Range",
        b"Last-Modified",
    ]
    .iter()
    .any(|name| field.is(name))
}

/// The conditions by which an origin is asked whether what is stored still holds: names and values.
pub fn questions<'a>(stored: &[Field<'a>]) -> impl Iterator<Item = (&'static [u8], &'a [u8])> {
    let tag = first(stored, b"ETag").map(|tag| (&b"If-None-Match"[..], tag));
    let date = first(stored, b"Last-Modified").map(|date| (&b"If-Modified-Since"[..], date));
    tag.into_iter().chain(date)
}

/// Whether a request field is a condition or asks for a part: what an origin is not asked while the whole is to be stored.
pub fn is_condition(field: &Field<'_>) -> bool {
    [
        &b"If-None-Match"[..],
        b"If-Modified-Since",
        b"If-Range",
        b"Range",
    ]
    .iter()
    .any(|name| field.is(name))
}

fn first<'a>(fields: &[Field<'a>], name: &[u8]) -> Option<&'a [u8]> {
    fields
        .iter()
        .find(|field| field.is(name))
        .map(|field| field.value)
}

/// A tag without its mark of weakness.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 22 Nov 2026 10:00:00 GMT";
    const LATER: &str = "Sun, 22 Nov 2026 10:00:01 GMT";

    fn check(request: &[(&str, &str)], stored: &[(&str, &str)], expected: &Answer) {
        let request: Vec<Field<'_>> = request
            .iter()
            .map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()))
            .collect();
        let stored: Vec<Field<'_>> = stored
            .iter()
            .map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()))
            .collect();
        assert_eq!(
            answer(Method::Get, &request, 200, &stored, Some(100)),
            *expected,
            "{request:?}"
        );
    }

    #[test]
    fn a_client_that_has_it_is_told_so() {
        let tagged = [("ETag", "\"a\""), ("Last-Modified", DATE)];
        check(&[("If-None-Match", "\"a\"")], &tagged, &Answer::NotModified);
        check(
            &[("If-None-Match", "W/\"a\"")],
            &tagged,
            &Answer::NotModified,
        );
        check(
            &[("If-None-Match", "\"b\", \"a\"")],
            &tagged,
            &Answer::NotModified,
        );
        check(&[("If-None-Match", "*")], &tagged, &Answer::NotModified);
        check(&[("If-None-Match", "\"b\"")], &tagged, &Answer::Whole);
        // The tag decides alone where there is one.
        check(
            &[("If-None-Match", "\"b\""), ("If-Modified-Since", LATER)],
            &tagged,
            &Answer::Whole,
        );
        check(
            &[("If-Modified-Since", DATE)],
            &tagged,
            &Answer::NotModified,
        );
        check(
            &[("If-Modified-Since", LATER)],
            &tagged,
            &Answer::NotModified,
        );
        check(&[("If-Modified-Since", "0")], &tagged, &Answer::Whole);
        check(
            &[("If-Modified-Since", DATE)],
            &[("Last-Modified", LATER)],
            &Answer::Whole,
        );
        check(&[("If-None-Match", "\"a\"")], &[], &Answer::Whole);
    }

    #[test]
    fn a_head_is_told_of_the_whole() {
        let range = [Field::new(b"Range", b"bytes=0-9")];
        assert_eq!(
            answer(Method::Head, &range, 200, &[], Some(100)),
            Answer::Whole
        );
    }

    #[test]
    fn one_range_is_a_part() {
        let stored = [("ETag", "\"a\""), ("Last-Modified", DATE)];
        let range = |value: &str, expected: &Answer| check(&[("Range", value)], &stored, expected);
        range("bytes=0-9", &Answer::Part(0..10));
        range("bytes=90-", &Answer::Part(90..100));
        range("bytes=90-1000", &Answer::Part(90..100));
        range("bytes=-10", &Answer::Part(90..100));
        range("bytes=-1000", &Answer::Part(0..100));
        range("Bytes=0-0", &Answer::Part(0..1));
        range("bytes=100-", &Answer::NoSuchPart);
        range("bytes=99999999999999999999-", &Answer::NoSuchPart);
        range("bytes=-0", &Answer::NoSuchPart);
        for odd in [
            "bytes=9-0",
            "bytes=0-1,3-4",
            "bytes=a-b",
            "bytes=-",
            "bytes=",
            "lines=0-1",
            "bytes",
        ] {
            range(odd, &Answer::Whole);
        }
        check(
            &[("Range", "bytes=0-9"), ("If-Range", "\"a\"")],
            &stored,
            &Answer::Part(0..10),
        );
        check(
            &[("Range", "bytes=0-9"), ("If-Range", "W/\"a\"")],
            &stored,
            &Answer::Whole,
        );
        check(
            &[("Range", "bytes=0-9"), ("If-Range", "\"b\"")],
            &stored,
            &Answer::Whole,
        );
        check(
            &[("Range", "bytes=0-9"), ("If-Range", DATE)],
            &stored,
            &Answer::Part(0..10),
        );
        check(
            &[("Range", "bytes=0-9"), ("If-Range", LATER)],
            &stored,
            &Answer::Whole,
        );
    }
}
