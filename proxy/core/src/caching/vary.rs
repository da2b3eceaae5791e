//! Which stored response is for which request (RFC 9111 §4.1).

use super::directives::split;
use super::rule::Rule;
use super::steering::steered;
use crate::limit;
use crate::message::Field;

/// More names than these are not worth telling apart.
const MAX_NAMES: usize = 16;
/// Before the name of a cookie, where a rule names one.
const COOKIE: &[u8] = b"cookie:";
const ACCEPT_ENCODING: &[u8] = b"accept-encoding";
/// In the place of a name: what [`steered`] makes of a request. No field is called so.
const STEERED: &[u8] = b"steered:";
/// Fields of a request that this hop writes for each client, or takes from a client that is no trusted proxy.
const OWN: [&[u8]; 5] = [
    b"x-forwarded-for",
    b"forwarded",
    b"x-real-ip",
    b"x-request-id",
    b"traceparent",
];
/// The longest value that is kept for comparison.
const MAX_VALUE: usize = 1024;

/// The request fields that a stored response was chosen by, and what they said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen(Vec<Saying>);

/// The name of a field, and what the request said under it.
pub(super) type Saying = (Box<[u8]>, Option<Box<[u8]>>);

impl Chosen {
    /// By the `Vary` of a response and the names of the route. A response in some content coding is for those who said the same of
    /// codings, also where its origin has forgotten to say that. `None` if what the request said is too long to be kept.
    pub fn of(response: &[Field<'_>], names: &[String], request: &[Field<'_>]) -> Option<Self> {
        let mut chosen: Vec<Saying> = Vec::new();
        let own = names.iter().map(String::as_bytes);
        let is_coded = |field: &Field<'_>| {
            field.is(b"Content-Encoding") && !field.value.eq_ignore_ascii_case(b"identity")
        };
        let of_coded = response.iter().any(is_coded).then_some(ACCEPT_ENCODING);
        for name in varied(response).chain(own).chain(of_coded) {
            let is_cookie = name.starts_with(COOKIE);
            let name = if is_cookie {
                name.to_vec()
            } else {
                name.to_ascii_lowercase()
            };
            let name: Box<[u8]> = name.into();
            if chosen.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let value = said(request, &name);
            if value.as_ref().is_some_and(|value| value.len() > MAX_VALUE) {
                return None;
            }
            chosen.push((name, value));
        }
        if let Some(said) = steered(request) {
            if said.len() > MAX_VALUE {
                return None;
            }
            chosen.push((STEERED.into(), Some(said)));
        }
        Some(Self(chosen))
    }

    /// Whether the response is for that request.
    pub fn matches(&self, request: &[Field<'_>]) -> bool {
        let steered = steered(request);
        let mut is_steered = false;
        let is_said = self.0.iter().all(|(name, value)| {
            if **name == *STEERED {
                is_steered = true;
                return steered == *value;
            }
            said(request, name) == *value
        });
        is_said && is_steered == steered.is_some()
    }

    /// The names, in lower case, and what the request said under them.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let sayings = self.0.iter();
        sayings.map(|(name, value)| (&**name, value.as_deref()))
    }

    /// Bytes that it takes.
    pub fn size(&self) -> usize {
        let lengths = self
            .0
            .iter()
            .map(|(name, value)| name.len() + value.as_ref().map_or(0, |value| value.len()) + 48);
        lengths.sum()
    }
}

impl FromIterator<Saying> for Chosen {
    fn from_iter<I: IntoIterator<Item = Saying>>(sayings: I) -> Self {
        Self(sayings.into_iter().collect())
    }
}

/// Whether requests can be found to which the response belongs: by what their clients say, which is not what an endpoint hears under
/// some names.
pub(super) fn can_be_told_apart(response: &[Field<'_>], rule: &Rule) -> bool {
    let mut count = 0;
    let is_own = |name: &[u8]| {
        let mut filled = rule.filled.iter().map(String::as_bytes).chain(OWN);
        filled.any(|own| name.eq_ignore_ascii_case(own))
    };
    varied(response).all(|name| {
        count += 1;
        name != b"*" && count <= MAX_NAMES && !is_own(name)
    })
}

fn varied<'a>(response: &[Field<'a>]) -> impl Iterator<Item = &'a [u8]> {
    let fields = response.iter().filter(|field| field.is(b"Vary"));
    fields
        .flat_map(|field| split(field.value))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty())
}

/// What a request says under a name, so written that what means the same is the same (RFC 9111 §4.1).
fn said(request: &[Field<'_>], name: &[u8]) -> Option<Box<[u8]>> {
    // No field is called so.
    if name.starts_with(COOKIE) {
        // Of two of one name some applications take the first, and some the last.
        let all: Vec<&[u8]> = cookies(request, name).collect();
        return (!all.is_empty()).then(|| all.join(&b";"[..]).into());
    }
    let mut lines = request
        .iter()
        .filter(|field| field.is(name))
        .map(|field| field.value);
    let first = lines.next()?;
    let mut whole = first.to_vec();
    for line in lines {
        whole.extend_from_slice(b",");
        whole.extend_from_slice(line);
    }
    if name == ACCEPT_ENCODING {
        return Some(encodings(&whole));
    }
    let members = split(&whole).map(<[u8]>::trim_ascii);
    // Of fields that nobody has defined it is not known what means the same in them (RFC 9111 §4.1).
    let normal: fn(&[u8]) -> Vec<u8> = match name {
        b"accept" => media_range,
        b"accept-charset" | b"accept-language" => plain_range,
        _ => return Some(members.collect::<Vec<_>>().join(&b","[..]).into()),
    };
    // What is preferred is said by weights and not by the order (RFC 9110 §12.4.2).
    let mut members: Vec<Vec<u8>> = members.map(normal).collect();
    members.sort_unstable();
    Some(members.join(&b","[..]).into())
}

/// A range of `Accept`: letters of types have no case, those of their parameters may have one (RFC 9110 §8.3.1).
fn media_range(member: &[u8]) -> Vec<u8> {
    let parameters = memchr::memchr(b';', member).unwrap_or(member.len());
    let (media, parameters) = member.split_at_checked(parameters).unwrap_or_default();
    [&*plain_range(media), parameters].concat()
}

/// A range in which letters have no case.
fn plain_range(member: &[u8]) -> Vec<u8> {
    let letters = member.iter().filter(|byte| !byte.is_ascii_whitespace());
    letters.map(u8::to_ascii_lowercase).collect()
}

/// The values of a cookie, named as in a rule: `cookie:NAME`.
pub(super) fn cookies<'a>(request: &[Field<'a>], name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    let wanted = name.strip_prefix(COOKIE);
    let lines = request.iter().filter(|field| field.is(b"Cookie"));
    let named = wanted.map(|wanted| lines.flat_map(|line| limit::cookies(line.value, wanted)));
    named.into_iter().flatten()
}

/// The codings that a client takes, in one order: clients write the same wish in many ways. What it takes of those in use is said by
/// their names alone; whether it does not take a response as it is, and what else it names, is said as well.
fn encodings(value: &[u8]) -> Box<[u8]> {
    const KNOWN: [&[u8]; 4] = [b"br", b"deflate", b"gzip", b"zstd"];
    let mut named = [None; KNOWN.len()];
    let (mut identity, mut rest) = (None, None);
    let mut others = Vec::new();
    for member in split(value) {
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let mut coding = parts.next().unwrap_or_default().to_ascii_lowercase();
        // RFC 9110 §8.4.1.3.
        if coding == b"x-gzip" {
            coding = b"gzip".to_vec();
        }
        let is_refused = parts.any(|part| {
            let weight = part
                .strip_prefix(b"q=")
                .or_else(|| part.strip_prefix(b"Q="));
            weight.is_some_and(|weight| weight.iter().all(|byte| matches!(byte, b'0' | b'.')))
        });
        let of_known = KNOWN.iter().position(|known| *known == coding);
        match (of_known.and_then(|at| named.get_mut(at)), &*coding) {
            (Some(named), _) => *named = Some(!is_refused),
            (None, b"identity") => identity = Some(!is_refused),
            (None, b"*") => rest = Some(!is_refused),
            (None, b"") => {}
            (None, _) if !is_refused => others.push(coding),
            (None, _) => {}
        }
    }
    // A star is for what is not named, wherever it stands (RFC 9110 §12.5.3).
    let taken = |named: Option<bool>| named.or(rest) == Some(true);
    let known = KNOWN.iter().zip(named).filter(|(_, named)| taken(*named));
    let mut names: Vec<&[u8]> = known.map(|(name, _)| *name).collect();
    others.sort_unstable();
    names.extend(others.iter().map(Vec::as_slice));
    if rest == Some(true) {
        names.push(b"*");
    }
    if identity.or(rest) == Some(false) {
        names.push(b"identity;q=0");
    }
    names.join(&b","[..]).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn fields<'a>(lines: &[(&'a str, &'a str)]) -> Vec<Field<'a>> {
        lines
            .iter()
            .map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()))
            .collect()
    }

    fn check(vary: &str, first: &[(&str, &str)], second: &[(&str, &str)], expected: bool) {
        let chosen = Chosen::of(&fields(&[("Vary", vary)]), &[], &fields(first)).unwrap();
        assert!(chosen.matches(&fields(first)), "{vary} {first:?}");
        assert_eq!(
            chosen.matches(&fields(second)),
            expected,
            "{vary} {first:?} {second:?}"
        );
    }

    #[test]
    fn what_means_the_same_is_the_same() {
        check("Foo", &[("foo", "1")], &[("Foo", "1")], true);
        check("Foo", &[("foo", "1")], &[("Foo", "2")], false);
        check("Foo", &[("foo", "1")], &[], false);
        check("Foo", &[], &[], true);
        check("Foo", &[], &[("Bar", "1")], true);
        check(
            "Foo",
            &[("Foo", "1, 2")],
            &[("Foo", "1"), ("Foo", "2")],
            true,
        );
        check("Foo", &[("Foo", "1,2")], &[("Foo", "1,  2")], true);
        check("Foo", &[("Foo", "1,2")], &[("Foo", "2,1")], false);
        check(
            "Foo, Bar",
            &[("Foo", "1"), ("Bar", "2")],
            &[("Foo", "1")],
            false,
        );
        check("", &[("Foo", "1")], &[("Foo", "2")], true);
        check(
            "Accept-Language",
            &[("Accept-Language", "en, de")],
            &[("Accept-Language", "de,EN")],
            true,
        );
    }

    #[test]
    fn what_is_coded_is_for_who_asked_so_though_nothing_says_it() {
        let coded = |value| fields(&[("Content-Encoding", value)]);
        let gzip = fields(&[("Accept-Encoding", "gzip")]);
        let is_for = |response: &[Field<'_>], request: &[Field<'_>]| {
            let chosen = Chosen::of(response, &[], &gzip).unwrap();
            chosen.matches(request)
        };
        assert!(is_for(&coded("gzip"), &gzip) && !is_for(&coded("gzip"), &[]));
        assert!(is_for(&coded("identity"), &[]) && is_for(&[], &[]));
    }

    #[test]
    fn only_what_is_known_to_have_no_case_has_none() {
        let check_one = |name: &str, first: &str, second: &str, expected: bool| {
            check(name, &[(name, first)], &[(name, second)], expected);
        };
        check_one("Accept", "text/HTML, a/b", "a/b,text/html", true);
        check_one("Accept", "a/b;profile=\"A\"", "a/b;profile=\"a\"", false);
        check_one("Accept-Charset", "UTF-8", "utf-8", true);
        check_one("Accept-Version", "A, b", "a, B", false);
        check_one("Accept-Version", "b, A", "A, b", false);
        check_one("Acceptance", "A", "a", false);
    }

    #[test]
    fn what_a_trusted_proxy_says_of_where_it_stands_tells_responses_apart() {
        let port = |value| [("X-Forwarded-Port", value), ("X-Forwarded-For", "::1")];
        check("", &port("80"), &port("80"), true);
        check("", &port("80"), &port("81"), false);
        check("", &port("80"), &[], false);
        check("", &[], &port("80"), false);
    }

    #[test]
    fn a_cookie_tells_apart_what_a_rule_names_it_for() {
        let names = ["cookie:Lang".to_owned()];
        let request = |value| fields(&[("Cookie", value)]);
        let chosen = Chosen::of(&[], &names, &request("a=1; Lang=de")).unwrap();
        assert!(chosen.matches(&request("Lang=de; b=2")));
        for other in ["Lang=en", "lang=de", "a=1"] {
            assert!(!chosen.matches(&request(other)), "{other}");
        }
        // An application may take the first of two, or the last.
        for twice in ["Lang=de; Lang=en", "Lang=en; Lang=de"] {
            assert!(!chosen.matches(&request(twice)), "{twice}");
            let both = Chosen::of(&[], &names, &request(twice)).unwrap();
            assert!(both.matches(&request(twice)) && !both.matches(&request("Lang=de")));
        }
        let crumbs = fields(&[("Cookie", "Lang=de"), ("Cookie", "Lang=en")]);
        assert!(!chosen.matches(&crumbs));
        // What a client calls a field is none.
        assert!(!chosen.matches(&fields(&[("cookie:Lang", "de")])));
    }

    #[test]
    fn codings_are_compared_by_which_are_taken() {
        let same = |first: &str, second: &str, expected: bool| {
            check(
                "Accept-Encoding",
                &[("Accept-Encoding", first)],
                &[("Accept-Encoding", second)],
                expected,
            );
        };
        same("gzip, br", "br;q=1.0, gzip;q=0.5", true);
        same("gzip", "gzip, br", false);
        same("gzip", "gzip, br;q=0", true);
        same("gzip", "GZIP ;q=0.2", true);
        same("gzip", "x-gzip", true);
        same("identity", "", true);
        same("compress;q=0, br", "br", true);
        // A coding that nobody here knows can be known to the endpoint.
        same("gzip", "gzip, x-unknown", false);
        same("a, b", "b, a", true);
        // Whatever there is, in the first case.
        same("*", "gzip, br, deflate, zstd", false);
        same("*", "*;q=0.5, gzip", true);
        // What is named is not meant by a star, wherever that stands.
        same("gzip;q=0, *", "*, gzip;q=0", true);
        same("gzip;q=0, *", "*", false);
        same("gzip;q=0, *", "br, deflate, zstd, *, gzip", false);
        same("*;q=0, gzip", "gzip, *;q=0", true);
        // Who does not take it as it is.
        same("gzip", "gzip, identity;q=0", false);
        same("gzip, *;q=0", "gzip, identity;q=0", true);
        same("gzip, *;q=0, identity", "gzip", true);
    }

    #[test]
    fn names_of_the_route_count_as_well_and_a_star_matches_nothing() {
        let names = ["x-country".to_owned()];
        let request = fields(&[("X-Country", "DE")]);
        let chosen = Chosen::of(&[], &names, &request).unwrap();
        assert!(chosen.matches(&request) && !chosen.matches(&fields(&[("X-Country", "FR")])));
    }

    #[test]
    fn what_a_client_does_not_say_itself_tells_nothing_apart() {
        let rule = Rule {
            filled: vec!["x-client".to_owned()],
            ..Rule::default()
        };
        for (vary, expected) in [
            ("", true),
            ("Foo, Bar", true),
            ("Foo, *", false),
            ("X-Forwarded-Proto, X-Forwarded-Host", true),
            ("X-Forwarded-For", false),
            ("Foo, forwarded", false),
            ("X-Real-IP", false),
            ("X-Request-ID", false),
            ("Traceparent", false),
            ("X-Client", false),
            ("X-Client-Name", true),
        ] {
            let fields = fields(&[("Vary", "Accept"), ("Vary", vary)]);
            assert_eq!(can_be_told_apart(&fields, &rule), expected, "{vary}");
        }
    }
}
