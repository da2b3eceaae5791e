//! A request that somebody might send, from a method, a URL and fields to the head that a client would write.

use std::net::{IpAddr, Ipv4Addr};

use crate::config::Listener;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `GET http://www.example.com/`.
    pub text: String,
    /// As it comes over HTTP/1.1; other wires lead to the same.
    pub head: Vec<u8>,
    /// `http` or `https`, where the URL says so.
    pub scheme: Option<&'static str>,
    /// Where the URL names one.
    pub port: Option<u16>,
    /// The peer of the connection.
    pub from: IpAddr,
    /// By its name.
    pub listener: Option<String>,
    /// What the connection speaks.
    pub wire: Option<Wire>,
    /// How often it is asked at once; the last one is meant.
    pub times: u64,
    /// Whether it comes nowhere if no listener speaks its wire; else the routes are asked all the same.
    pub is_strict: bool,
}

/// A version of HTTP by its word in `protocols`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// HTTP/1.1.
    H1,
    /// HTTP/2.
    H2,
    /// HTTP/3.
    H3,
}

impl Wire {
    /// The word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H2 => "h2",
            Self::H3 => "h3",
        }
    }
}

impl Asked {
    /// Who asks where nothing else is said.
    pub const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// The host of a path that is asked without one.
    pub const HOST: &str = "localhost";

    /// Whether neither the URL nor a field names a host.
    pub fn names_no_host(url: &str, fields: &[(String, String)]) -> bool {
        let has_host = fields
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"));
        url.starts_with('/') && !has_host
    }

    /// A request for a URL, or for a path with the host in its fields; a `Host` there goes before the one of the URL.
    ///
    /// # Errors
    /// A sentence that says what cannot be sent.
    pub fn new(method: &str, url: &str, fields: &[(String, String)]) -> Result<Self, String> {
        if method.is_empty() || [method, url].iter().any(|word| word.contains(is_odd)) {
            return Err("a method or URL is empty, or has a blank or line break in it".to_owned());
        }
        let (scheme, rest) = match url.split_once("://") {
            Some(("http", rest)) => (Some("http"), Some(rest)),
            Some(("https", rest)) => (Some("https"), Some(rest)),
            Some(_) | None => (None, None),
        };
        let (host, target) = match rest {
            Some(rest) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (host, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
                (Some(host), target)
            }
            None => (None, url),
        };
        // A fragment stays with the client (RFC 9110 §4.2.5).
        let target = target.split('#').next().unwrap_or_default();
        let slash = if target.starts_with('/') || target == "*" {
            ""
        } else if rest.is_some() {
            "/"
        } else {
            return Err(format!("`{url}` is neither a URL nor a path"));
        };
        let mut head = format!("{method} {slash}{target} HTTP/1.1\r\n");
        let names_host = |(name, _): &(String, String)| name.eq_ignore_ascii_case("host");
        if let Some(host) = host.filter(|_| !fields.iter().any(names_host)) {
            head.extend(["Host: ", host, "\r\n"]);
        }
        for (name, value) in fields {
            if [name, value].iter().any(|it| it.contains(['\r', '\n'])) {
                return Err(format!("the header `{name}` has a line break"));
            }
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        Ok(Self {
            text: format!("{method} {url}"),
            head: head.into_bytes(),
            scheme,
            port: host.and_then(port),
            from: Self::NOBODY,
            listener: None,
            wire: None,
            times: 1,
            is_strict: false,
        })
    }
}

fn is_odd(character: char) -> bool {
    character.is_whitespace() || character.is_control()
}

fn port(authority: &str) -> Option<u16> {
    let (host, port) = authority.rsplit_once(':')?;
    let is_whole = !host.contains(':') || host.ends_with(']');
    port.parse().ok().filter(|_| is_whole)
}

/// Of the URLs that lead to a listener.
pub(super) fn scheme_of(listener: &Listener) -> &'static str {
    if listener.tls.is_some() {
        "https"
    } else {
        "http"
    }
}
