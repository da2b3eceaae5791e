//! Which responses a shared cache may keep (RFC 9111 §3), and which it should not although it may.

use std::time::Duration;

use super::directives::Directives;
use super::freshness::{self, Freshness, Times};
use super::rule::Rule;
use super::vary;
use crate::message::{Field, Fields, Kind, ResponseBody};

/// What matters of a request when its response has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// It had `Authorization`.
    pub has_credentials: bool,
    /// It said `no-store`.
    pub no_store: bool,
}

/// Why a response is not kept; the word that `Cache-Status` says in its detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `no-store`, of either side.
    NoStore,
    /// For its client alone: `private`, or a request with credentials.
    Private,
    /// It sets a cookie, which is for one client.
    SetsCookie,
    /// Nothing says how long it is fresh, and nothing can tell whether it still holds.
    NoLifetime,
    /// Not of a status that is kept.
    Status,
    /// `Vary: *`, more than is worth telling apart, or something that is not the client's to say.
    Varies,
    /// Larger than is kept.
    TooLarge,
    /// Its end is the end of its connection, which a failure ends as well: nobody knows whether it is whole.
    NoEnd,
    /// Too large for memory, and the disk fails or is behind.
    Disk,
    /// It should have been compressed, and as much as may be is already.
    Busy,
}

impl Refusal {
    /// As a token.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::SetsCookie => "set-cookie",
            Self::NoLifetime => "no-lifetime",
            Self::Status => "status",
            Self::Varies => "vary",
            Self::TooLarge => "too-large",
            Self::NoEnd => "no-end",
            Self::Disk => "disk",
            Self::Busy => "busy",
        }
    }
}

/// How the final response to a GET may be used later.
///
/// # Errors
/// Why it may not.
pub fn freshness(
    asked: Asked,
    (status, fields, body): (u16, &[Field<'_>], ResponseBody),
    rule: &Rule,
    times: Times,
) -> Result<Freshness, Refusal> {
    let directives = Directives::of_response(fields);
    // A part of something is not the whole, a 304 has nothing to keep, and the others answer a condition, a range or an expectation
    // of one request alone.
    if status < 200 || matches!(status, 206 | 304 | 412 | 416 | 417) || !rule.takes(status) {
        return Err(Refusal::Status);
    }
    let is_known = (200..=206).contains(&status)
        || matches!(status, 300..=308 | 400..=417 | 421 | 422 | 426 | 428 | 429 | 431 | 451 | 500..=505 | 511);
    if directives.must_understand && !is_known {
        return Err(Refusal::Status);
    }
    is_for_all(asked, (fields, &directives), rule)?;
    match body {
        ResponseBody::Tunnel => return Err(Refusal::Status),
        ResponseBody::UntilClose => return Err(Refusal::NoEnd),
        ResponseBody::None { .. } | ResponseBody::Length(_) | ResponseBody::Chunked => {}
    }
    if matches!(body, ResponseBody::Length(length) if length > rule.max_object) {
        return Err(Refusal::TooLarge);
    }
    let freshness = Freshness::of(status, fields, &directives, rule, times);
    let states_lifetime = freshness::explicit(fields, &directives, times.came).is_some()
        || freshness::guessed((status, fields), &directives, times.came, rule).is_some()
        || rule.lengthens(status);
    let can_be_asked = status == 200 && has_validator(fields);
    let is_useful = states_lifetime && freshness.useful_for() > Duration::ZERO;
    if !is_useful && !can_be_asked {
        return Err(Refusal::NoLifetime);
    }
    Ok(freshness)
}

/// Whether a response with these fields may be used for others than who has asked for it.
fn is_for_all(
    asked: Asked,
    (fields, directives): (&[Field<'_>], &Directives),
    rule: &Rule,
) -> Result<(), Refusal> {
    // `must-understand` takes the place of the `no-store` beside it, for those who know it (RFC 9111 §5.2.2.3).
    if asked.no_store || (directives.no_store && !directives.must_understand) {
        return Err(Refusal::NoStore);
    }
    // RFC 9111 §3.5.
    let is_shared =
        directives.public || directives.s_maxage.is_some() || directives.must_revalidate;
    if directives.private || (asked.has_credentials && !is_shared) {
        return Err(Refusal::Private);
    }
    if fields.iter().any(|field| field.is(b"Set-Cookie")) {
        return Err(Refusal::SetsCookie);
    }
    if !vary::can_be_told_apart(fields, rule) {
        return Err(Refusal::Varies);
    }
    Ok(())
}

/// What becomes of something stored whose origin has confirmed that it still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// It stays, with its new fields.
    Renewed,
    /// It stays as it was: the new fields are for who has asked.
    Untouched,
    /// It goes: with its new fields it would not have been stored.
    Gone,
}

/// Decides by the fields that it has now, those of the 304 among them.
pub fn confirmed(asked: Asked, fields: &[Field<'_>], rule: &Rule) -> Confirmed {
    let directives = Directives::of_response(fields);
    let is_for_all = |asked| is_for_all(asked, (fields, &directives), rule).is_ok();
    match (is_for_all(Asked::default()), is_for_all(asked)) {
        (false, _) => Confirmed::Gone,
        (true, false) => Confirmed::Untouched,
        (true, true) => Confirmed::Renewed,
    }
}

/// The fields of something stored with those of a 304 in the place of its own (RFC 9111 §4.3.4).
pub fn updated<'a>(stored: &[Field<'a>], new: &[Field<'a>]) -> Fields<'a> {
    let mut fields = Fields::new();
    let is_replaced = |field: &Field<'_>| {
        let mut others = new.iter().filter(|other| is_updated(other));
        others.any(|other| other.name.eq_ignore_ascii_case(field.name))
    };
    // Those of the 304 first: where there are too many it is not they that are missing.
    for field in new.iter().filter(|field| is_updated(field)) {
        let _ = fields.try_push(*field);
    }
    for field in stored.iter().filter(|field| !is_replaced(field)) {
        let _ = fields.try_push(*field);
    }
    fields
}

/// Whether an origin can be asked if it still holds (RFC 9110 §8.8).
pub fn has_validator(fields: &[Field<'_>]) -> bool {
    fields
        .iter()
        .any(|field| field.is(b"ETag") || field.is(b"Last-Modified"))
}

/// Whether a response field is kept: not what speaks of one message or one connection (RFC 9111 §3.1).
pub fn is_kept(field: &Field<'_>) -> bool {
    !(field.kind.is_hop_by_hop()
        || field.kind == Kind::Server
        || field.kind == Kind::Trailer
        || field.is(b"Age"))
}

/// Whether a field of a 304 takes the place of the stored one (RFC 9111 §3.2): not what describes the payload that is there.
fn is_updated(field: &Field<'_>) -> bool {
    is_kept(field)
        && ![
            &b"Content-Encoding"[..],
            b"Content-Type",
            b"Content-Range",
            b"ETag",
        ]
        .iter()
        .any(|name| field.is(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'a>(lines: &[(&'a str, &'a str)]) -> Vec<Field<'a>> {
        lines
            .iter()
            .map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()))
            .collect()
    }

    #[test]
    fn a_confirmation_is_weighed_as_what_is_stored() {
        let check = |stored: &[(&str, &str)], new: &[(&str, &str)], asked: Asked, expected| {
            let (stored, new) = (fields(stored), fields(new));
            let all = updated(&stored, &new);
            assert_eq!(
                confirmed(asked, &all, &Rule::default()),
                expected,
                "{stored:?} {new:?} {asked:?}"
            );
        };
        let anybody = Asked::default();
        let known = Asked {
            has_credentials: true,
            ..anybody
        };
        let no_store = Asked {
            no_store: true,
            ..anybody
        };
        let fresh = [("Cache-Control", "max-age=9")];
        let shared = [("Cache-Control", "s-maxage=9")];
        check(&fresh, &[], anybody, Confirmed::Renewed);
        check(&fresh, &[("Vary", "Accept")], anybody, Confirmed::Renewed);
        check(&fresh, &[], no_store, Confirmed::Untouched);
        check(&fresh, &[], known, Confirmed::Untouched);
        check(&shared, &[], known, Confirmed::Renewed);
        check(&shared, &fresh, known, Confirmed::Untouched);
        for new in [
            ("Set-Cookie", "a=b"),
            ("Cache-Control", "private"),
            ("Cache-Control", "no-store, max-age=9"),
            ("Vary", "*"),
        ] {
            check(&fresh, &[new], anybody, Confirmed::Gone);
            check(&fresh, &[new], known, Confirmed::Gone);
        }
    }
}
