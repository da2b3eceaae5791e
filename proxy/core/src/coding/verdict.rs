//! Which responses are coded.

use super::negotiation::{Choice, choose, taken};
use super::{Coding, Rule};
use crate::message::field::members;
use crate::message::{Field, MAX_FIELDS, ResponseBody};

/// So many fields are added.
const ADDED: usize = 2;

/// What is remembered of a request until its response comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    choice: Choice,
    /// What the client takes, in the order of [`Coding::ALL`].
    taken: [bool; Coding::ALL.len()],
    /// The tags of its `If-None-Match`.
    tags: Vec<u8>,
}

/// What becomes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the same for every client, as far as codings go.
    Untouched,
    /// It goes as it is, and another client might get it coded.
    Varies,
    /// It says that the client has the response already; it has the tag that a coded one gets.
    Confirmed,
    /// It is coded.
    Coded(Coding),
    /// It goes as it was before its endpoint put it into that coding, which the client does not take.
    Decoded(Coding),
}

impl Wish {
    /// Of a request with these fields.
    pub fn of(request: &[Field<'_>], rule: &Rule) -> Self {
        let mut tags = Vec::new();
        for field in request.iter().filter(|field| field.is(b"If-None-Match")) {
            tags.extend_from_slice(field.value);
            tags.push(b',');
        }
        Self {
            choice: choose(request, &rule.codings),
            taken: taken(request),
            tags,
        }
    }

    /// Decides about the final response.
    pub fn judge(
        &self,
        rule: &Rule,
        (status, fields, body): (u16, &[Field<'_>], ResponseBody),
    ) -> Verdict {
        let content_type = find(fields, b"Content-Type");
        if status == 304 {
            // Most do not say of what type it would be.
            return match content_type {
                Some(media) if !rule.takes(media) => Verdict::Untouched,
                _ if self.has_weak_form(fields) => Verdict::Confirmed,
                _ => Verdict::Varies,
            };
        }
        let is_whole = status >= 200
            && !matches!(status, 204..=206)
            && body != ResponseBody::Tunnel
            && find(fields, b"Content-Range").is_none()
            && fields.len() + ADDED <= MAX_FIELDS;
        let is_taken = content_type.is_some_and(|media| rule.takes(media));
        if !is_whole || !is_taken || forbids_transformation(fields) {
            return Verdict::Untouched;
        }
        match (encoded(fields), self.choice.coding) {
            (Encoded::Not, Some(coding)) if self.is_worth_it(rule, body) => Verdict::Coded(coding),
            (Encoded::By(coding), _) if self.lacks(coding) && !is_empty(body) => {
                Verdict::Decoded(coding)
            }
            _ => Verdict::Varies,
        }
    }

    /// Whether the client cannot read a coding. Of one that gets another coding here it is known that it reads gzip as well: its own
    /// words may have been settled to that one.
    fn lacks(&self, coding: Coding) -> bool {
        let is_taken = self.taken.get(coding as usize) == Some(&true);
        let is_known = coding == Coding::Gzip && self.choice.coding.is_some();
        !is_taken && !is_known
    }

    /// Whether the body is large enough, as far as that is known. Who does not take it as it is gets it coded, however small.
    fn is_worth_it(&self, rule: &Rule, body: ResponseBody) -> bool {
        let length = match body {
            ResponseBody::Length(length) => Some(length),
            ResponseBody::None { declared } => declared,
            ResponseBody::Chunked | ResponseBody::UntilClose | ResponseBody::Tunnel => None,
        };
        let least = if self.choice.refuses_plain {
            1
        } else {
            rule.min_size.max(1)
        };
        length.is_none_or(|length| length >= least)
    }

    /// Whether the client has named the tag of the response in the form that coded responses get.
    fn has_weak_form(&self, fields: &[Field<'_>]) -> bool {
        let Some(tag) = find(fields, b"ETag").filter(|tag| !tag.starts_with(b"W/")) else {
            return false;
        };
        members(&self.tags).any(|known| known.strip_prefix(b"W/") == Some(tag))
    }
}

/// What `Content-Encoding` says.
enum Encoded {
    Not,
    By(Coding),
    /// By another coding, or several.
    Otherwise,
}

fn encoded(fields: &[Field<'_>]) -> Encoded {
    let lines = fields.iter().filter(|field| field.is(b"Content-Encoding"));
    let codings = lines.flat_map(|field| members(field.value));
    let mut codings = codings.filter(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    match (codings.next().map(Coding::of), codings.next()) {
        (None, _) => Encoded::Not,
        (Some(Some(coding)), None) => Encoded::By(coding),
        (Some(_), _) => Encoded::Otherwise,
    }
}

fn is_empty(body: ResponseBody) -> bool {
    match body {
        ResponseBody::Length(length) => length == 0,
        ResponseBody::None { declared } => declared == Some(0),
        ResponseBody::Chunked | ResponseBody::UntilClose | ResponseBody::Tunnel => false,
    }
}

/// RFC 9111 §5.2.2.6.
fn forbids_transformation(fields: &[Field<'_>]) -> bool {
    let mut lines = fields.iter().filter(|field| field.is(b"Cache-Control"));
    lines.any(|field| {
        members(field.value).any(|directive| directive.eq_ignore_ascii_case(b"no-transform"))
    })
}

fn find<'a>(fields: &[Field<'a>], name: &[u8]) -> Option<&'a [u8]> {
    let mut fields = fields.iter();
    fields.find(|field| field.is(name)).map(|field| field.value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::{Levels, MediaType};
    use super::*;

    const WHOLE: ResponseBody = ResponseBody::Length(5000);
    const CODED: Verdict = Verdict::Coded(Coding::Gzip);

    type Lines<'a> = &'a [(&'a str, &'a str)];

    fn rule() -> Rule {
        let types = ["text/*", "application/json"];
        Rule {
            codings: vec![Coding::Gzip],
            types: types
                .iter()
                .map(|text| MediaType::parse(text).unwrap())
                .collect(),
            min_size: 1000,
            levels: Levels {
                br: 4,
                zstd: 3,
                gzip: 6,
            },
            max_at_once: 1,
        }
    }

    fn fields(lines: Lines<'_>) -> Vec<Field<'_>> {
        let lines = lines.iter();
        lines
            .map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()))
            .collect()
    }

    #[track_caller]
    fn check(asked: Lines<'_>, status: u16, got: Lines<'_>, body: ResponseBody, expected: Verdict) {
        let rule = rule();
        let wish = Wish::of(&fields(asked), &rule);
        assert_eq!(
            wish.judge(&rule, (status, &fields(got), body)),
            expected,
            "{asked:?} {status} {got:?} {body:?}"
        );
    }

    const GZIP: Lines<'static> = &[("Accept-Encoding", "gzip")];
    const HTML: (&str, &str) = ("Content-Type", "text/html");

    #[test]
    fn what_a_client_cannot_read_is_decoded() {
        let by = |coding| [HTML, ("Content-Encoding", coding)];
        let gunzip = Verdict::Decoded(Coding::Gzip);
        check(&[], 200, &by("gzip"), WHOLE, gunzip);
        check(&[], 200, &by("x-gzip"), ResponseBody::Chunked, gunzip);
        check(&[], 404, &by("br"), WHOLE, Verdict::Decoded(Coding::Br));
        check(
            GZIP,
            200,
            &by("zstd"),
            WHOLE,
            Verdict::Decoded(Coding::Zstd),
        );
        let identity = [("Accept-Encoding", "identity")];
        check(&identity, 200, &by("gzip"), WHOLE, gunzip);
        let refused = [("Accept-Encoding", "gzip;q=0, *")];
        check(&refused, 200, &by("gzip"), WHOLE, gunzip);
        check(&refused, 200, &by("br"), WHOLE, Verdict::Varies);
        check(GZIP, 200, &by("gzip"), WHOLE, Verdict::Varies);
        // Not what nobody here knows, is in several, has nothing in it, or has to stay.
        check(&[], 200, &by("compress"), WHOLE, Verdict::Varies);
        check(&[], 200, &by("gzip, br"), WHOLE, Verdict::Varies);
        check(
            &[],
            200,
            &by("gzip"),
            ResponseBody::Length(0),
            Verdict::Varies,
        );
        check(&[], 206, &by("gzip"), WHOLE, Verdict::Untouched);
        let stays = [
            HTML,
            ("Content-Encoding", "gzip"),
            ("Cache-Control", "no-transform"),
        ];
        check(&[], 200, &stays, WHOLE, Verdict::Untouched);
        let image = [("Content-Type", "image/png"), ("Content-Encoding", "gzip")];
        check(&[], 200, &image, WHOLE, Verdict::Untouched);
    }

    #[test]
    fn what_is_text_is_coded_for_who_takes_it() {
        check(GZIP, 200, &[HTML], WHOLE, CODED);
        check(GZIP, 404, &[HTML], WHOLE, CODED);
        check(GZIP, 200, &[HTML], ResponseBody::Chunked, CODED);
        check(GZIP, 200, &[HTML], ResponseBody::UntilClose, CODED);
        check(
            GZIP,
            200,
            &[HTML, ("Content-Encoding", "identity")],
            WHOLE,
            CODED,
        );
        check(&[], 200, &[HTML], WHOLE, Verdict::Varies);
        check(
            &[("Accept-Encoding", "br")],
            200,
            &[HTML],
            WHOLE,
            Verdict::Varies,
        );
        check(
            GZIP,
            200,
            &[("Content-Type", "image/png")],
            WHOLE,
            Verdict::Untouched,
        );
        check(GZIP, 200, &[], WHOLE, Verdict::Untouched);
    }

    #[test]
    fn a_head_is_told_what_a_get_would_be() {
        let head = |declared| ResponseBody::None { declared };
        check(GZIP, 200, &[HTML], head(Some(5000)), CODED);
        check(GZIP, 200, &[HTML], head(None), CODED);
        check(GZIP, 200, &[HTML], head(Some(5)), Verdict::Varies);
    }

    #[test]
    fn what_is_small_goes_as_it_is_unless_that_is_refused() {
        check(GZIP, 200, &[HTML], ResponseBody::Length(1000), CODED);
        check(
            GZIP,
            200,
            &[HTML],
            ResponseBody::Length(999),
            Verdict::Varies,
        );
        let strict: Lines<'_> = &[("Accept-Encoding", "gzip, identity;q=0")];
        check(strict, 200, &[HTML], ResponseBody::Length(1), CODED);
        check(
            strict,
            200,
            &[HTML],
            ResponseBody::Length(0),
            Verdict::Varies,
        );
    }

    #[test]
    fn what_must_not_be_touched_is_not() {
        for status in [101, 103, 204, 205, 206] {
            check(GZIP, status, &[HTML], WHOLE, Verdict::Untouched);
        }
        check(GZIP, 200, &[HTML], ResponseBody::Tunnel, Verdict::Untouched);
        check(
            GZIP,
            200,
            &[HTML, ("Content-Range", "bytes 0-1/2")],
            WHOLE,
            Verdict::Untouched,
        );
        check(
            GZIP,
            200,
            &[HTML, ("Cache-Control", "public, No-Transform")],
            WHOLE,
            Verdict::Untouched,
        );
        check(
            GZIP,
            200,
            &[HTML, ("Content-Encoding", "gzip")],
            WHOLE,
            Verdict::Varies,
        );
        check(
            GZIP,
            200,
            &[("Content-Type", "application/grpc+json")],
            WHOLE,
            Verdict::Untouched,
        );
        let full = vec![HTML; MAX_FIELDS - 1];
        check(GZIP, 200, &full, WHOLE, Verdict::Untouched);
    }

    #[test]
    fn a_304_has_the_tag_that_the_client_knows() {
        let none = ResponseBody::None { declared: None };
        let weak: Lines<'_> = &[
            ("Accept-Encoding", "gzip"),
            ("If-None-Match", "\"b\", W/\"a\""),
        ];
        let strong: Lines<'_> = &[("Accept-Encoding", "gzip"), ("If-None-Match", "\"a\"")];
        check(weak, 304, &[("ETag", "\"a\"")], none, Verdict::Confirmed);
        check(weak, 304, &[("ETag", "\"c\"")], none, Verdict::Varies);
        check(weak, 304, &[("ETag", "W/\"a\"")], none, Verdict::Varies);
        check(strong, 304, &[("ETag", "\"a\"")], none, Verdict::Varies);
        check(
            weak,
            304,
            &[("ETag", "\"a\""), ("Content-Type", "image/png")],
            none,
            Verdict::Untouched,
        );
        check(weak, 304, &[], none, Verdict::Varies);
    }
}
