//! Request fields by which an application answers something else than the first line asks for, and says nothing of that in `Vary`.
//! What anybody can write must not make what everybody gets.
//!
//! There are two kinds. Some name another method or target: such a request goes past the cache. Others say where the application
//! stands (its public host, port, scheme, prefix) or who was let in, as proxies do: an endpoint does not hear them from a client that is
//! no trusted proxy, and what it answers to a trusted one is told apart by them.

use super::rule::Rule;
use crate::message::field::members;
use crate::message::{Field, Kind};

/// Another method or target.
const OVERRIDES: [&[u8]; 7] = [
    b"x-http-method-override",
    b"x-http-method",
    b"x-method-override",
    b"x-original-url",
    b"x-original-uri",
    b"x-rewrite-url",
    b"x-envoy-original-path",
];

/// All that begins so, but for what this hop writes anew or has in the key.
const FAMILY: &[u8] = b"x-forwarded-";
const OTHERS: [&[u8]; 7] = [
    b"x-host",
    b"x-original-host",
    b"x-http-host-override",
    b"x-scheme",
    b"x-url-scheme",
    b"x-script-name",
    b"front-end-https",
];

/// Whether a request asks the application for something else than its first line says.
pub fn changes_its_meaning(request: &[Field<'_>]) -> bool {
    let mut fields = request.iter().filter(|field| begins(field, b"x"));
    fields.any(|field| OVERRIDES.iter().any(|known| is_alike(field.name, known)))
}

/// Whether an endpoint may not hear a field from just anybody, as the route stores what comes of it. What the route itself names in
/// its key, or for going past the cache, is heard.
pub fn steers(field: &Field<'_>, rule: &Rule) -> bool {
    let is_named = |listed: &[String], prefix: &str| {
        let mut names = listed.iter().filter_map(|name| name.strip_prefix(prefix));
        names.any(|name| field.is(name.as_bytes()))
    };
    (field.kind == Kind::Forwarded || is_steering(field))
        && !is_named(&rule.vary, "")
        && !is_named(&rule.bypass, "header:")
}

/// What a request says of that kind; `None` for nearly all.
pub(super) fn steered(request: &[Field<'_>]) -> Option<Box<[u8]>> {
    let mut said: Vec<u8> = Vec::new();
    for field in request {
        if field.kind == Kind::Forwarded {
            // The addresses in it are no matter of where the application stands.
            let pairs = members(field.value).flat_map(|member| member.split(|byte| *byte == b';'));
            for pair in pairs.map(<[u8]>::trim_ascii) {
                let name = pair.split(|byte| *byte == b'=').next();
                let name = name.unwrap_or_default().to_ascii_lowercase();
                if matches!(&*name, b"host" | b"proto") {
                    said.extend_from_slice(pair);
                    said.push(b'\n');
                }
            }
        } else if is_steering(field) {
            said.extend(field.name.to_ascii_lowercase());
            said.push(b':');
            said.extend_from_slice(field.value);
            said.push(b'\n');
        }
    }
    (!said.is_empty()).then(|| said.into())
}

fn is_steering(field: &Field<'_>) -> bool {
    // Scheme and client of what a trusted proxy says are known here.
    if matches!(field.kind, Kind::XForwardedFor | Kind::XForwardedProto) || !begins(field, b"xf") {
        return false;
    }
    let family = field.name.get(..FAMILY.len()).unwrap_or_default();
    is_alike(family, FAMILY) || OTHERS.iter().any(|known| is_alike(field.name, known))
}

/// Most names are told by their first letter.
fn begins(field: &Field<'_>, letters: &[u8]) -> bool {
    let first = field.name.first();
    first.is_some_and(|first| letters.contains(&(first | 0x20)))
}

/// As applications compare them that know `X_HOST` alone.
fn is_alike(name: &[u8], known: &[u8]) -> bool {
    let written = name.iter().map(|byte| match byte {
        b'_' => b'-',
        byte => byte.to_ascii_lowercase(),
    });
    name.len() == known.len() && written.eq(known.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_another_target_or_method_are_known() {
        let check = |name: &str, expected: bool| {
            let request = [Field::new(name.as_bytes(), b"/x")];
            assert_eq!(changes_its_meaning(&request), expected, "{name}");
        };
        check("X-Original-URL", true);
        check("x_rewrite_url", true);
        check("X-HTTP-Method-Override", true);
        check("X-Original-URLs", false);
        check("Host", false);
    }

    #[test]
    fn what_tells_an_application_where_it_stands_is_known() {
        let rule = Rule::default();
        let check = |name: &str, expected: bool| {
            let field = Field::new(name.as_bytes(), b"1");
            assert_eq!(steers(&field, &rule), expected, "{name}");
        };
        for name in [
            "X-Forwarded-Host",
            "X-Forwarded-Port",
            "x-forwarded-prefix",
            "X_Forwarded_Server",
            "X-Forwarded-User",
            "X-Host",
            "X-Scheme",
            "Front-End-Https",
            "Forwarded",
        ] {
            check(name, true);
        }
        for name in [
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "X-Forwarded",
            "X-Hosts",
            "From",
            "X-Request-Id",
        ] {
            check(name, false);
        }
    }

    #[test]
    fn what_the_route_names_is_heard() {
        let rule = Rule {
            vary: vec!["x-forwarded-prefix".to_owned()],
            bypass: vec!["header:x-host".to_owned(), "cookie:x-scheme".to_owned()],
            ..Rule::default()
        };
        let is_heard = |name: &str| !steers(&Field::new(name.as_bytes(), b"1"), &rule);
        assert!(is_heard("X-Forwarded-Prefix") && is_heard("X-Host"));
        assert!(!is_heard("X-Scheme") && !is_heard("X-Forwarded-Port"));
    }

    #[test]
    fn what_is_said_is_compared_as_far_as_it_steers() {
        let said = |lines: &[(&str, &str)]| {
            let fields: Vec<Field<'_>> = lines
                .iter()
                .map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()))
                .collect();
            steered(&fields).map(|said| String::from_utf8_lossy(&said).into_owned())
        };
        assert_eq!(said(&[("X-Forwarded-For", "1"), ("Accept", "a")]), None);
        assert_eq!(
            said(&[("X-Forwarded-Port", "1"), ("X-HOST", "b")]).as_deref(),
            Some("x-forwarded-port:1\nx-host:b\n")
        );
        assert_eq!(said(&[("Forwarded", "for=1.2.3.4")]), None);
        assert_eq!(
            said(&[("Forwarded", "for=a, for=b; Host=\"c\";proto=https")]).as_deref(),
            Some("Host=\"c\"\nproto=https\n")
        );
    }
}
