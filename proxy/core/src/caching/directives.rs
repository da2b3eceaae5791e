//! `Cache-Control` (RFC 9111 §5.2) and what speaks its language: `CDN-Cache-Control` (RFC 9213) and our own field.

use crate::message::Field;

/// The field that is meant for this proxy alone; it beats `CDN-Cache-Control`, which beats `Cache-Control` (RFC 9213 §2.2).
const OWN_FIELD: &[u8] = b"OpenClaw-Cache-Control";
const CDN_FIELD: &[u8] = b"CDN-Cache-Control";

/// Where a number is larger than this it means as much: RFC 9111 §1.2.2.
const FOREVER: u64 = 1 << 31;

/// What a sender asks caches for. Seconds throughout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// The field is there and says something.
    pub is_present: bool,
    /// Nothing may be kept.
    pub no_store: bool,
    /// Nothing may be used without asking the origin. With field names it is taken as without (RFC 9111 §5.2.2.4).
    pub no_cache: bool,
    /// Not for a cache that serves several clients; with field names it is taken as without.
    pub private: bool,
    /// May be kept although the request had credentials.
    pub public: bool,
    /// Stale responses are not used.
    pub must_revalidate: bool,
    /// Only a cache that knows the status may keep it (RFC 9111 §5.2.2.3).
    pub must_understand: bool,
    /// Only what is stored is wanted (RFC 9111 §5.2.1.7).
    pub only_if_cached: bool,
    /// The payload stays as it is.
    pub no_transform: bool,
    /// The origin will not change it while it is fresh (RFC 8246).
    pub immutable: bool,
    /// Of a response its lifetime; of a request the age that is not to be exceeded.
    pub max_age: Option<u64>,
    /// Lifetime in shared caches.
    pub s_maxage: Option<u64>,
    /// How long a response may be used while it is asked for again (RFC 5861 §3).
    pub stale_while_revalidate: Option<u64>,
    /// How long a response may be used where the origin fails (RFC 5861 §4).
    pub stale_if_error: Option<u64>,
    /// By how much a response may be stale for this request.
    pub max_stale: Option<u64>,
    /// How long a response has to stay fresh for this request.
    pub min_fresh: Option<u64>,
}

impl Directives {
    /// What a response says to this cache: the first of the targeted fields that is there and can be read (RFC 9213 §2.2), else
    /// `Cache-Control`.
    pub fn of_response(fields: &[Field<'_>]) -> Self {
        [OWN_FIELD, CDN_FIELD]
            .into_iter()
            .map(|name| Self::targeted(fields, name))
            .find(|found| found.is_present)
            .unwrap_or_else(|| Self::of_field(fields, b"Cache-Control"))
    }

    /// What a request says; `Pragma` counts where there is no `Cache-Control` (RFC 9111 §5.4).
    pub fn of_request(fields: &[Field<'_>]) -> Self {
        let mut found = Self::of_field(fields, b"Cache-Control");
        if !found.is_present {
            let mut pragmas = fields.iter().filter(|field| field.is(b"Pragma"));
            found.no_cache = pragmas.any(|field| {
                split(field.value)
                    .any(|member| member.trim_ascii().eq_ignore_ascii_case(b"no-cache"))
            });
        }
        found
    }

    fn of_field(fields: &[Field<'_>], name: &[u8]) -> Self {
        let mut found = Self::default();
        for field in fields.iter().filter(|field| field.is(name)) {
            for member in split(field.value) {
                found.note(member.trim_ascii());
            }
        }
        found
    }

    /// A targeted field is a dictionary of RFC 8941, stricter than `Cache-Control`: one that cannot be read is not there, and of a
    /// key that comes twice the last value counts.
    fn targeted(fields: &[Field<'_>], name: &[u8]) -> Self {
        let mut found = Self::default();
        for field in fields.iter().filter(|field| field.is(name)) {
            for member in split(field.value) {
                // No directive has parameters, and unknown ones say nothing (RFC 8941 §3.1.2).
                let member = pieces(member, b';').next().unwrap_or_default();
                let member = member.trim_ascii();
                let (key, value) = parts(member);
                let is_right = value.is_none_or(|value| {
                    is_item(value) && (!is_number(key) || value.iter().all(u8::is_ascii_digit))
                });
                if !is_key(key) || !is_right {
                    return Self::default();
                }
                found.forget(key);
                found.note(member);
            }
        }
        found
    }

    /// Forgets the number of a key that comes again.
    fn forget(&mut self, key: &[u8]) {
        match key {
            b"max-age" => self.max_age = None,
            b"s-maxage" => self.s_maxage = None,
            b"stale-while-revalidate" => self.stale_while_revalidate = None,
            b"stale-if-error" => self.stale_if_error = None,
            _ => {}
        }
    }

    fn note(&mut self, member: &[u8]) {
        if member.is_empty() {
            return;
        }
        self.is_present = true;
        let (name, value) = parts(member);
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            6 if is(b"public") => self.public = true,
            7 if is(b"private") => self.private = true,
            7 if is(b"max-age") => lifetime(&mut self.max_age, value),
            8 if is(b"no-store") => self.no_store = true,
            8 if is(b"no-cache") => self.no_cache = true,
            8 if is(b"s-maxage") => lifetime(&mut self.s_maxage, value),
            9 if is(b"immutable") => self.immutable = true,
            9 if is(b"min-fresh") => lifetime(&mut self.min_fresh, value),
            9 if is(b"max-stale") => {
                // Without a number any staleness will do (RFC 9111 §5.2.1.2).
                self.max_stale = Some(value.map_or(FOREVER, |value| seconds(value).unwrap_or(0)));
            }
            12 if is(b"no-transform") => self.no_transform = true,
            14 if is(b"only-if-cached") => self.only_if_cached = true,
            14 if is(b"stale-if-error") => lifetime(&mut self.stale_if_error, value),
            15 if is(b"must-revalidate") => self.must_revalidate = true,
            15 if is(b"must-understand") => self.must_understand = true,
            16 if is(b"proxy-revalidate") => self.must_revalidate = true,
            22 if is(b"stale-while-revalidate") => {
                lifetime(&mut self.stale_while_revalidate, value);
            }
            _ => {}
        }
    }
}

/// The first value counts, and one that is no number counts as none at all, which is stale (RFC 9111 §4.2.1).
fn lifetime(known: &mut Option<u64>, value: Option<&[u8]>) {
    if known.is_none() {
        *known = Some(value.and_then(seconds).unwrap_or(0));
    }
}

/// A number of seconds (RFC 9111 §1.2.2), also within quotation marks (§5.2).
pub(super) fn seconds(value: &[u8]) -> Option<u64> {
    let bare = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    let digits = bare.unwrap_or(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0_u64, |number, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    Some(number.min(FOREVER))
}

/// Name and value of a member.
fn parts(member: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'=', member) {
        Some(at) => {
            let (name, value) = member.split_at_checked(at).unwrap_or_default();
            (name, value.get(1..))
        }
        None => (member, None),
    }
}

/// The members of a list.
pub(super) fn split(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    pieces(value, b',')
}

/// What stands between such bytes; one inside a quoted string parts nothing (RFC 9110 §5.6.4).
fn pieces(value: &[u8], between: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let line = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = line.iter().position(|byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                _ if *byte == between && !quoted => return true,
                _ => {}
            }
            false
        });
        let member = line.get(..end.unwrap_or(line.len())).unwrap_or_default();
        rest = end.and_then(|at| line.get(at + 1..));
        Some(member)
    })
}

/// A key of a dictionary (RFC 8941 §3.1.2).
fn is_key(key: &[u8]) -> bool {
    let [first, rest @ ..] = key else {
        return false;
    };
    let is_later =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(byte);
    (first.is_ascii_lowercase() || *first == b'*') && rest.iter().all(is_later)
}

/// Whether the value of a key is a number of seconds.
fn is_number(key: &[u8]) -> bool {
    matches!(
        key,
        b"max-age" | b"s-maxage" | b"stale-while-revalidate" | b"stale-if-error"
    )
}

/// Roughly an item of RFC 8941 §3.3: enough to tell it from what is none.
fn is_item(value: &[u8]) -> bool {
    match value {
        [b'"', .., b'"'] => value.len() > 1,
        [b'-' | b'0'..=b'9', rest @ ..] => rest
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.'),
        [b'?', b'0' | b'1'] => true,
        [first, ..] => first.is_ascii_alphabetic() || matches!(first, b'*' | b':'),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(lines: &[(&str, &str)]) -> Directives {
        let fields: Vec<Field<'_>> = lines
            .iter()
            .map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()))
            .collect();
        Directives::of_response(&fields)
    }

    fn max_age(value: &str) -> Option<u64> {
        response(&[("cache-control", value)]).max_age
    }

    #[test]
    fn numbers_are_read_once_and_nonsense_is_stale() {
        for (value, expected) in [
            ("max-age=60", Some(60)),
            ("Max-Age=60", Some(60)),
            ("max-age=\"60\"", Some(60)),
            ("max-age='60'", Some(0)),
            ("max-age=-1", Some(0)),
            ("max-age=1.5", Some(0)),
            ("max-age=", Some(0)),
            ("max-age", Some(0)),
            ("max-age=99999999999999999999", Some(FOREVER)),
            ("max-age=0, max-age=60", Some(0)),
            ("a=\"max-age=3\", max-age=60", Some(60)),
            ("a=\",max-age=3,\", max-age=60", Some(60)),
            ("a=\"\\\",max-age=3\", max-age=60", Some(60)),
            (", ,max-age=60,", Some(60)),
            ("amax-age=60", None),
            ("", None),
        ] {
            assert_eq!(max_age(value), expected, "{value}");
        }
    }

    #[test]
    fn lines_of_one_name_are_one_list() {
        let found = response(&[
            ("cache-control", "no-store"),
            ("cache-control", "max-age=5"),
        ]);
        assert!(found.no_store && found.max_age == Some(5));
    }

    #[test]
    fn a_targeted_field_beats_the_general_one_unless_it_cannot_be_read() {
        let both = |targeted: &str| {
            response(&[
                ("cache-control", "max-age=1"),
                ("cdn-cache-control", targeted),
            ])
            .max_age
        };
        assert_eq!(both("max-age=9"), Some(9));
        assert_eq!(both("no-store"), None);
        assert_eq!(both("max-age=3, max-age=9"), Some(9));
        assert_eq!(both("max-age=9;a=1; b"), Some(9));
        assert_eq!(both("private;a=\",\";b, max-age=9 ;c"), Some(9));
        assert_eq!(both("no-store;a"), None);
        assert_eq!(both("Max-Age=9"), Some(1));
        assert_eq!(both("max-age=&"), Some(1));
        assert_eq!(both("max-age=\"9\""), Some(1));
        assert_eq!(both(""), Some(1));
        let three = response(&[
            ("cache-control", "max-age=1"),
            ("cdn-cache-control", "max-age=2"),
            ("openclaw-cache-control", "max-age=3"),
        ]);
        assert_eq!(three.max_age, Some(3));
    }

    #[test]
    fn a_request_may_speak_by_pragma() {
        let check = |lines: &[(&'static str, &'static str)]| {
            let fields: Vec<Field<'_>> = lines
                .iter()
                .map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()))
                .collect();
            Directives::of_request(&fields).no_cache
        };
        assert!(check(&[("pragma", "no-cache")]));
        assert!(check(&[("pragma", "x, No-Cache")]));
        assert!(!check(&[
            ("pragma", "no-cache"),
            ("cache-control", "max-age=3")
        ]));
        assert!(check(&[("cache-control", "no-cache")]));
        assert!(!check(&[]));
    }
}
