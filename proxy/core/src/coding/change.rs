//! What is different in the head of a response.

use super::{Coding, Verdict};
use crate::message::field::members;
use crate::message::{Field, Fields, Kind, ResponseBody};

/// Of the payload as it was: nobody could make sense of them beside another one (RFC 9110 §14.3, RFC 9530 §2 and §3).
const OF_THE_OTHER: [&[u8]; 6] = [
    b"Accept-Ranges",
    b"Content-Digest",
    b"Content-Encoding",
    b"Content-MD5",
    b"Digest",
    b"Repr-Digest",
];

/// The changes of one head.
#[derive(Debug, Default)]
pub struct Change {
    /// The coding that it is in now.
    coding: Option<Coding>,
    /// Its payload is not the one that came.
    is_recoded: bool,
    /// In place of the last line of `Vary`, or beside none.
    vary: Option<Vec<u8>>,
    etag: Option<Vec<u8>>,
}

impl Change {
    /// What the verdict means for these fields.
    pub fn new(verdict: Verdict, fields: &[Field<'_>]) -> Self {
        let (coding, weakens) = match verdict {
            Verdict::Untouched => return Self::default(),
            Verdict::Varies => (None, false),
            Verdict::Confirmed | Verdict::Decoded(_) => (None, true),
            Verdict::Coded(coding) => (Some(coding), true),
        };
        let etag = fields.iter().find(|field| field.is(b"ETag"));
        let strong = etag.filter(|field| weakens && field.value.starts_with(b"\""));
        Self {
            coding,
            is_recoded: matches!(verdict, Verdict::Coded(_) | Verdict::Decoded(_)),
            vary: varied(fields),
            // The same for all codings, and not byte for byte the same (RFC 9110 §8.8.1).
            etag: strong.map(|field| [b"W/", field.value].concat()),
        }
    }

    /// The fields as they go on. Of a full list the last are left out, which are those that this hop has added.
    pub fn apply<'a>(&'a self, fields: &[Field<'a>]) -> Fields<'a> {
        let mut changed = Fields::new();
        let last_vary = fields.iter().rposition(|field| field.is(b"Vary"));
        if let Some(coding) = self.coding {
            let name = coding.name().as_bytes();
            changed.push(Field::new(b"Content-Encoding", name));
        }
        if let Some(vary) = self.vary.as_ref().filter(|_| last_vary.is_none()) {
            changed.push(Field::new(b"Vary", vary));
        }
        for (index, field) in fields.iter().enumerate() {
            if self.is_recoded && is_of_the_other(field) {
                continue;
            }
            let value = match (&self.vary, &self.etag) {
                (Some(vary), _) if last_vary == Some(index) => vary,
                (_, Some(etag)) if field.is(b"ETag") => etag,
                _ => field.value,
            };
            let _ = changed.try_push(Field { value, ..*field });
        }
        changed
    }

    /// The trailers that still say something true.
    pub fn trailers<'a>(&self, trailers: &[Field<'a>]) -> Fields<'a> {
        let is_kept = |field: &&Field<'a>| !self.is_recoded || !is_of_the_other(field);
        trailers.iter().filter(is_kept).copied().collect()
    }

    /// Where the payload ends now: how long it will be nobody knows.
    pub fn body(&self, body: ResponseBody) -> ResponseBody {
        match body {
            _ if !self.is_recoded => body,
            ResponseBody::Length(_) | ResponseBody::Chunked => ResponseBody::Chunked,
            ResponseBody::None { .. } => ResponseBody::None { declared: None },
            ResponseBody::UntilClose => ResponseBody::UntilClose,
            ResponseBody::Tunnel => ResponseBody::Tunnel,
        }
    }
}

/// Whether a field, or a trailer, speaks of the payload as it came.
fn is_of_the_other(field: &Field<'_>) -> bool {
    field.kind == Kind::ContentLength || OF_THE_OTHER.iter().any(|name| field.is(name))
}

/// The last line of `Vary` with the name of the field that decides; `None` where the lines say enough.
fn varied(fields: &[Field<'_>]) -> Option<Vec<u8>> {
    let mut lines = fields.iter().filter(|field| field.is(b"Vary"));
    let mut names = lines.clone().flat_map(|field| members(field.value));
    if names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"Accept-Encoding")) {
        return None;
    }
    let last = lines.next_back().map(|field| field.value);
    let last = last.filter(|value| !value.is_empty());
    Some(last.map_or_else(
        || b"Accept-Encoding".to_vec(),
        |value| [value, b", Accept-Encoding"].concat(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Lines<'a> = &'a [(&'a str, &'a str)];

    #[track_caller]
    fn check(verdict: Verdict, given: Lines<'_>, expected: Lines<'_>) {
        let given: Vec<Field<'_>> = given
            .iter()
            .map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()))
            .collect();
        let change = Change::new(verdict, &given);
        let changed = change.apply(&given);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let changed: Vec<(String, String)> = changed
            .iter()
            .map(|field| (text(field.name), text(field.value)))
            .collect();
        let expected: Vec<(String, String)> = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(changed, expected);
    }

    #[test]
    fn a_coded_response_says_so_and_nothing_about_the_plain_one() {
        let gzip = Verdict::Coded(Coding::Gzip);
        check(
            gzip,
            &[
                ("Content-Type", "text/html"),
                ("content-length", "10000"),
                ("ETag", "\"a\""),
                ("Accept-Ranges", "bytes"),
                ("Repr-Digest", "sha-256=:x:"),
                ("Content-Encoding", "identity"),
                ("Last-Modified", "x"),
            ],
            &[
                ("Content-Encoding", "gzip"),
                ("Vary", "Accept-Encoding"),
                ("Content-Type", "text/html"),
                ("ETag", "W/\"a\""),
                ("Last-Modified", "x"),
            ],
        );
        check(
            gzip,
            &[("ETag", "W/\"a\""), ("Vary", "Cookie"), ("Vary", "Origin")],
            &[
                ("Content-Encoding", "gzip"),
                ("ETag", "W/\"a\""),
                ("Vary", "Cookie"),
                ("Vary", "Origin, Accept-Encoding"),
            ],
        );
    }

    #[test]
    fn a_decoded_response_says_nothing_about_the_coded_one() {
        check(
            Verdict::Decoded(Coding::Gzip),
            &[
                ("Content-Encoding", "gzip"),
                ("Content-Length", "10"),
                ("ETag", "\"a\""),
                ("Vary", "Accept-Encoding"),
                ("Last-Modified", "x"),
            ],
            &[
                ("ETag", "W/\"a\""),
                ("Vary", "Accept-Encoding"),
                ("Last-Modified", "x"),
            ],
        );
    }

    #[test]
    fn a_plain_one_says_that_another_client_may_get_something_else() {
        check(
            Verdict::Varies,
            &[("ETag", "\"a\""), ("Content-Length", "3")],
            &[
                ("Vary", "Accept-Encoding"),
                ("ETag", "\"a\""),
                ("Content-Length", "3"),
            ],
        );
        check(
            Verdict::Varies,
            &[("Vary", "accept-encoding")],
            &[("Vary", "accept-encoding")],
        );
        check(Verdict::Varies, &[("Vary", "*")], &[("Vary", "*")]);
        check(
            Verdict::Varies,
            &[("Vary", "")],
            &[("Vary", "Accept-Encoding")],
        );
        check(
            Verdict::Confirmed,
            &[("ETag", "\"a\"")],
            &[("Vary", "Accept-Encoding"), ("ETag", "W/\"a\"")],
        );
        check(
            Verdict::Untouched,
            &[("ETag", "\"a\"")],
            &[("ETag", "\"a\"")],
        );
    }

    #[test]
    fn a_full_list_keeps_its_coding() {
        let lines = vec![("X", "y"); crate::message::MAX_FIELDS];
        let fields: Vec<Field<'_>> = lines
            .iter()
            .map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()))
            .collect();
        let change = Change::new(Verdict::Coded(Coding::Br), &fields);
        let changed = change.apply(&fields);
        assert_eq!(changed.len(), crate::message::MAX_FIELDS);
        assert!(changed.iter().any(|field| field.value == b"br"));
    }

    #[test]
    fn only_a_coded_body_loses_its_length() {
        let of = |verdict| Change::new(verdict, &[]);
        let coded = of(Verdict::Coded(Coding::Zstd));
        assert_eq!(coded.body(ResponseBody::Length(5)), ResponseBody::Chunked);
        assert_eq!(
            coded.body(ResponseBody::UntilClose),
            ResponseBody::UntilClose
        );
        let head = ResponseBody::None { declared: Some(5) };
        assert_eq!(coded.body(head), ResponseBody::None { declared: None });
        assert_eq!(of(Verdict::Varies).body(head), head);
        let decoded = of(Verdict::Decoded(Coding::Gzip));
        assert_eq!(decoded.body(ResponseBody::Length(5)), ResponseBody::Chunked);
        let trailers = [
            Field::new(b"Content-Digest", b"x"),
            Field::new(b"X-Sum", b"1"),
        ];
        assert_eq!(coded.trailers(&trailers).len(), 1);
        assert_eq!(of(Verdict::Varies).trailers(&trailers).len(), 2);
    }
}
