//! `match` of a route: what a request must be.

use std::fmt::Debug;
use std::sync::Arc;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Told, Unread};
use super::tree::{Node, Value};
use super::{Prefix, names, values};
use crate::message::path::normalised;

/// What a request must be for the route to take it; all that is present must hold.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    pub host: Option<HostPattern>,
    pub path: Option<PathPattern>,
    /// Upper-case names; empty: any.
    pub method: Vec<String>,
    /// By lower-case name.
    pub header: Vec<(String, Wanted)>,
    pub cookie: Vec<(String, Wanted)>,
    pub query: Vec<(String, Wanted)>,
    pub client: Vec<Prefix>,
    /// `http` or `https`.
    pub scheme: Option<&'static str>,
}

impl Matcher {
    /// The expression of the path, where it has one.
    pub fn path_regex(&self) -> Option<&regex::bytes::Regex> {
        match &self.path {
            Some(PathPattern::Regex(regex)) => Some(regex),
            Some(PathPattern::Prefix(_) | PathPattern::Exact(_)) | None => None,
        }
    }
}

/// What is asked of a header, cookie or query parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It has this value.
    Is(String),
    /// It is there, whatever its value.
    Present,
    Absent,
}

/// Lower-case, without port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    Exact(String),
    /// `*.example.com` is kept as `.example.com`; it matches one or more labels in front.
    Suffix(String),
}

#[derive(Clone, Debug)]
pub enum PathPattern {
    /// Whole segments: `/api` matches `/api` and `/api/x`, not `/apix`.
    Prefix(String),
    Exact(String),
    Regex(regex::bytes::Regex),
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "route.match",
    doc: "What a request must be for the route to take it; all that is present must hold.",
    keys: &[
        Key::optional(
            "host",
            "host name",
            "\"www.example.com\"",
            "Exact, or *.example.com for everything below it. Absent: any.",
        ),
        Key::optional(
            "path",
            "path",
            "\"/api\"",
            "Whole segments: /api matches /api and /api/x, not /apix.",
        ),
        Key::optional("path_exact", "path", "\"/login\"", "This path alone."),
        Key::optional(
            "path_regex",
            "regular expression",
            "'^/static/.*\\.(jpg|png|css|js)$'",
            "Found anywhere in the path unless anchored with ^ and $.",
        ),
        Key::default(
            "method",
            "list of methods",
            "[]",
            "One of these; empty: any.",
        )
        .example("[\"GET\", \"POST\"]"),
        Key::default(
            "header",
            "table of conditions",
            "{}",
            "Each of these request headers has exactly this value; true: any value; false: it is not there.",
        )
        .example("{ \"X-Beta\" = \"1\" }"),
        Key::default("cookie", "table of conditions", "{}", "The same of cookies.")
            .example("{ version = \"2\" }"),
        Key::default(
            "query",
            "table of conditions",
            "{}",
            "The same of query parameters, compared as they stand in the URL.",
        )
        .example("{ beta = \"1\" }"),
        Key::default(
            "client",
            "list of prefixes",
            "[]",
            "The client's address is in one of these; empty: any.",
        )
        .example("[\"10.0.0.0/8\"]"),
        Key::optional(
            "scheme",
            "word",
            "\"http\"",
            "http or https, as the client came, or as a trusted proxy says in X-Forwarded-Proto. Absent: either.",
        ).words(&["http", "https"]),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Matcher> {
    let host = section.optional("host", host);
    let path = read_path(section);
    let method = section.list("method", method);
    let header = section.pairs("header", header);
    let cookie = section.pairs("cookie", cookie);
    let query = section.pairs("query", query);
    let client = section.list("client", values::prefix);
    let scheme = section.optional(
        "scheme",
        values::choice(&[("http", "http"), ("https", "https")]),
    );
    Some(Matcher {
        host: host.ok()?.flatten(),
        path: path.ok()?,
        method: method?,
        header: header?,
        cookie: cookie?,
        query: query?,
        client: client?,
        scheme: scheme.ok()?,
    })
}

fn host(node: &Node) -> Result<Option<HostPattern>, Unread> {
    Ok(host_pattern(&values::text(node)?)?)
}

/// `None`: `*`, any host.
pub(super) fn host_pattern(text: &str) -> Result<Option<HostPattern>, Complaint> {
    let text = text.to_ascii_lowercase();
    if text == "*" {
        return Ok(None);
    }
    let is_literal = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
    if is_literal || names::is_host(&text) {
        return Ok(Some(HostPattern::Exact(text)));
    }
    match text.strip_prefix("*.") {
        Some(rest) if names::is_host(rest) => {
            return Ok(Some(HostPattern::Suffix(format!(".{rest}"))));
        }
        Some(_) | None => {}
    }
    let complaint = Complaint::new(format!("`{text}` is not a host name"));
    Err(match text.rsplit_once(':') {
        Some((host, port)) if names::is_host(host) && port.parse::<u16>().is_ok() => {
            complaint.hint(format!("hosts match without their port: \"{host}\""))
        }
        Some(_) | None => {
            complaint.hint("write \"www.example.com\", \"*.example.com\" or \"[2001:db8::1]\"")
        }
    })
}

fn read_path(section: &Section<'_>) -> Result<Option<PathPattern>, Told> {
    let prefix = section.optional("path", |node| {
        let path = pattern(node)?;
        let trimmed = path.trim_end_matches('/');
        let prefix = if trimmed.is_empty() { "/" } else { trimmed };
        Ok(PathPattern::Prefix(prefix.to_owned()))
    });
    let exact = section.optional("path_exact", |node| pattern(node).map(PathPattern::Exact));
    let regex = section.optional("path_regex", |node| regex(node).map(PathPattern::Regex));
    let written: Vec<&str> = ["path", "path_exact", "path_regex"]
        .into_iter()
        .filter(|key| section.has(key))
        .collect();
    if let [first, second, ..] = written.as_slice() {
        section.reader.conflict(
            section.place_of(first),
            section.place_of(second),
            &section.key_path(second),
            Complaint::new(format!("`{first}` and `{second}` exclude each other"))
                .hint("keep one of them"),
        );
    }
    Ok(prefix?.or(exact?).or(regex?))
}

/// A path in the form in which routes see those of requests; in another one it would match none.
fn pattern(node: &Node) -> Result<String, Unread> {
    let path = path(node)?;
    let mut buffer = Vec::new();
    let seen = normalised(path.as_bytes(), &mut buffer).to_vec();
    String::from_utf8(seen).map_err(|_error| {
        Complaint::new(format!("`{path}` is no UTF-8 when it is decoded"))
            .hint("write it as an expression: path_regex = '^/\\xff$'")
            .into()
    })
}

/// A path as it stands in a request line, query excluded.
pub(super) fn path(node: &Node) -> Result<String, Unread> {
    let path = values::text(node)?;
    let valid = path
        .bytes()
        .all(|byte| byte > b' ' && byte != 0x7f && byte != b'?' && byte != b'#');
    if !path.starts_with('/') {
        let hint = format!("did you mean \"/{path}\"?");
        return Err(Complaint::new("a path starts with `/`").hint(hint).into());
    }
    if !valid {
        return Err(Complaint::new(format!("`{path}` is not a path"))
            .hint("no blanks (write %20), `?` or `#`; queries are matched with `query`")
            .into());
    }
    Ok(path)
}

/// A dot is any byte, a line end and what is no UTF-8 included: clients can escape those in a path, and would get past an expression
/// that is to keep them out.
pub(super) fn regex(node: &Node) -> Result<regex::bytes::Regex, Unread> {
    let text = values::text(node)?;
    let build = |unicode| {
        let mut builder = regex::bytes::RegexBuilder::new(&text);
        builder.dot_matches_new_line(true).unicode(unicode).build()
    };
    // Classes of letters beyond ASCII are understood as such only.
    build(false).or_else(|_| build(true)).map_err(|error| {
        // The crate draws several lines; the last names the fault.
        let drawn = error.to_string();
        let last = drawn.lines().last().unwrap_or_default();
        let fault = last.strip_prefix("error: ").unwrap_or(last);
        Complaint::new(format!("this is not a regular expression: {fault}"))
            .hint("write one as Rust's `regex` reads it, in single quotes: '^/a/[0-9]+$'")
            .into()
    })
}

fn method(node: &Node) -> Result<String, Unread> {
    let method = values::text(node)?;
    if !names::is_token(&method) {
        return Err(Complaint::new(format!("`{method}` is not a method"))
            .hint("write one such as \"GET\" or \"PROPFIND\"")
            .into());
    }
    let upper = method.to_ascii_uppercase();
    if upper != method {
        return Err(Complaint::new("methods are written in capitals")
            .hint(format!("did you mean \"{upper}\"?"))
            .into());
    }
    Ok(method)
}

/// A value, or whether there is one at all.
fn wanted(node: &Node, read: impl FnOnce() -> Result<String, Unread>) -> Result<Wanted, Unread> {
    if let Value::Boolean(is_there) = node.value {
        return Ok(if is_there {
            Wanted::Present
        } else {
            Wanted::Absent
        });
    }
    read().map(Wanted::Is)
}

fn header(name: &str, value: &Node) -> Result<(String, Wanted), Unread> {
    if !names::is_token(name) {
        return Err(Complaint::new(format!("`{name}` is not a field name"))
            .hint(names::TOKEN)
            .into());
    }
    let wanted = wanted(value, || field_value(value))?;
    Ok((name.to_ascii_lowercase(), wanted))
}

pub(super) fn field_value(node: &Node) -> Result<String, Unread> {
    let value = values::string(node)?;
    if !names::is_field_value(value) {
        let message = "a field value has no control characters and no blanks at its ends";
        return Err(Complaint::new(message)
            .hint("escape or leave out what cannot be sent")
            .into());
    }
    Ok(value.to_owned())
}

fn cookie(name: &str, value: &Node) -> Result<(String, Wanted), Unread> {
    let no_cookie = |text: &str| {
        Unread::from(
            Complaint::new(format!("no cookie looks like `{name}={text}`"))
                .hint("write its name, and its value without `;`, or true for any"),
        )
    };
    if !names::is_token(name) {
        return Err(no_cookie("…"));
    }
    let read = || match field_value(value)? {
        text if text.contains(';') => Err(no_cookie(&text)),
        text => Ok(text),
    };
    Ok((name.to_owned(), wanted(value, read)?))
}

fn query(name: &str, value: &Node) -> Result<(String, Wanted), Unread> {
    let odd = |part: &str| {
        part.bytes()
            .any(|byte| byte <= b' ' || b"&#".contains(&byte))
    };
    let no_query = |text: &str| {
        let complaint = Complaint::new(format!("no query holds `{name}={text}`"));
        Unread::from(complaint.hint("write it as it stands in the URL, percent-encoded"))
    };
    if name.is_empty() || name.contains('=') || odd(name) {
        return Err(no_query("…"));
    }
    let read = || match values::string(value)? {
        text if odd(text) => Err(no_query(text)),
        text => Ok(text.to_owned()),
    };
    Ok((name.to_owned(), wanted(value, read)?))
}

/// Under what something of a route goes on: the route's name, or what tells it apart.
pub(super) fn lasting(name: Option<&str>, apart: &dyn Debug) -> Arc<str> {
    let Some(name) = name else {
        let digest = sha1_smol::Sha1::from(format!("{apart:?}")).digest();
        // No name has this sign.
        return format!("#{digest}").into();
    };
    name.into()
}
