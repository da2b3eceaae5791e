//! Who may ask the page what. Hosts: a name that an attacker has made to point here would let his script read everything as one of the
//! same origin, so only names of ours are answered. Orders: a token in a field that no other site can make a browser send.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use aws_lc_rs::constant_time;
use aws_lc_rs::digest::{SHA256, digest};
use hyper::header::{AUTHORIZATION, HOST, HeaderMap};
use hyper::http::request::Parts;
use openclaw_core::config::Token;
use rustix::fs::OFlags;

/// No token in a file is shorter, as in the configuration, or longer.
const SHORTEST: usize = 16;
const LONGEST: u64 = 4096;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Nobody,
    /// One who knows the token.
    Operator,
}

/// Why somebody who wants to be known is not.
#[derive(Debug)]
pub(super) enum NotLetIn {
    Wrong,
    Unreadable(io::Error),
}

/// Whether the request is for a host of ours, and for one only.
pub(super) fn host(head: &Parts, names: &[String]) -> Result<(), &'static str> {
    let mut fields = head.headers.get_all(HOST).iter();
    let field = match (fields.next(), fields.next()) {
        (Some(field), None) => field.to_str().ok(),
        (None, _) => return Err("a request needs a Host"),
        (Some(_), Some(_)) => return Err("a request has one Host"),
    };
    let target = head
        .uri
        .authority()
        .map(hyper::http::uri::Authority::as_str);
    let is_ours = |host: Option<&str>| host.is_some_and(|host| is_ours(host, names));
    if is_ours(field) && target.is_none_or(|target| is_ours(Some(target))) {
        return Ok(());
    }
    Err(
        "not a name of this page: ask for its address or localhost, or add the name to `admin.web_names`",
    )
}

/// An address, localhost or a configured name, with or without a port.
fn is_ours(host: &str, names: &[String]) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else {
            return false;
        };
        let is_end = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        return is_end && address.parse::<Ipv6Addr>().is_ok();
    }
    let name = match host.split_once(':') {
        Some((name, port)) if is_port(port) => name,
        Some(_) => return false,
        None => host,
    };
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Who it is, by the field `Authorization`. Without one it is nobody.
pub(super) fn known(headers: &HeaderMap, token: Option<&Token>) -> Result<Known, NotLetIn> {
    let Some(field) = headers.get(AUTHORIZATION) else {
        return Ok(Known::Nobody);
    };
    let wanted = match token {
        Some(Token::Here(token)) => token.expose().as_bytes().to_vec(),
        Some(Token::File(path)) => read_token(path).map_err(NotLetIn::Unreadable)?,
        None => return Err(NotLetIn::Wrong),
    };
    let offered = offered(field.as_bytes()).ok_or(NotLetIn::Wrong)?;
    // Of one length, and nothing to be learnt from how long it takes.
    let [wanted, offered] = [&*wanted, offered].map(|token| digest(&SHA256, token));
    let same = constant_time::verify_slices_are_equal(wanted.as_ref(), offered.as_ref());
    same.map_or(Err(NotLetIn::Wrong), |()| Ok(Known::Operator))
}

/// The credentials of the scheme `Bearer` (RFC 6750 §2.1).
fn offered(field: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = field.split_at_checked("bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| rest.trim_ascii())
}

/// The token in a file, without the end of its line.
pub(in crate::control) fn read_token(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe that nobody writes to would be waited for.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut text)?;
    let token = text.trim_ascii().to_vec();
    if text.len() as u64 > LONGEST || token.len() < SHORTEST {
        return Err(io::Error::other("a token has 16 to 4096 characters"));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use hyper::Request;
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn only_addresses_localhost_and_configured_names_are_ours() {
        let names = ["proxy.example.net".to_owned()];
        for (host, expected) in [
            ("127.0.0.1", true),
            ("127.0.0.1:9465", true),
            ("192.0.2.7:80", true),
            ("[::1]", true),
            ("[::1]:9465", true),
            ("LocalHost:9465", true),
            ("Proxy.Example.Net", true),
            ("proxy.example.net:443", true),
            ("", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("127.0.0.1:x", false),
            ("127.0.0.1:", false),
            ("localhost:80:80", false),
            ("[::1", false),
            ("[::1]x", false),
            ("[evil]", false),
            ("user@localhost", false),
            ("::1", false),
        ] {
            assert_eq!(is_ours(host, &names), expected, "{host}");
        }
    }

    #[test]
    fn there_is_one_host_and_the_target_has_no_other() {
        let check = |uri: &str, hosts: &[&str]| {
            let mut request = Request::get(uri);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            host(&head, &[]).is_ok()
        };
        assert!(check("/", &["localhost"]));
        assert!(check("http://127.0.0.1/", &["localhost"]));
        assert!(!check("/", &[]));
        assert!(!check("/", &["localhost", "localhost"]));
        assert!(!check("http://evil.example/", &["localhost"]));
    }

    #[test]
    fn a_token_is_known_by_its_field_alone() {
        let folder = std::env::temp_dir().join(format!("openclaw-token-{}", std::process::id()));
        std::fs::write(&folder, "sixteen-letters-\n").unwrap();
        let token = Token::File(folder.clone());
        let ask = |field: Option<&str>, token: Option<&Token>| {
            let field = field.map(|field| HeaderValue::from_str(field).unwrap());
            let fields = field.map(|field| (AUTHORIZATION, field));
            known(&HeaderMap::from_iter(fields), token)
        };
        assert!(matches!(ask(None, Some(&token)), Ok(Known::Nobody)));
        for (field, is_known) in [
            ("Bearer sixteen-letters-", true),
            ("bearer  sixteen-letters- ", true),
            ("Bearer sixteen-letters", false),
            ("Bearer sixteen-letters-x", false),
            ("Basic sixteen-letters-", false),
            ("Bearer", false),
            ("Bearer ", false),
        ] {
            let answer = ask(Some(field), Some(&token));
            assert_eq!(matches!(answer, Ok(Known::Operator)), is_known, "{field}");
        }
        let none = ask(Some("Bearer sixteen-letters-"), None);
        assert!(matches!(none, Err(NotLetIn::Wrong)));
        std::fs::write(&folder, "short").unwrap();
        let short = ask(Some("Bearer short"), Some(&token));
        assert!(matches!(short, Err(NotLetIn::Unreadable(_))));
        std::fs::remove_file(&folder).unwrap();
        let gone = ask(Some("Bearer short"), Some(&token));
        assert!(matches!(gone, Err(NotLetIn::Unreadable(_))));
    }
}
