//! What a request says of itself, for templates.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::{Source, Variable};
use crate::limit::cookie;
use crate::route::Request;

/// A request with what was decided about it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a, R> {
    /// As routes see it.
    pub request: &'a R,
    /// Path and query as received.
    pub target: &'a [u8],
    /// The value of `X-Request-Id`.
    pub id: &'a str,
    /// The name of the route.
    pub route: &'a str,
    /// The name of the upstream; empty where none is asked.
    pub upstream: &'a str,
    /// Where the request came in, for one that names no host.
    pub local: SocketAddr,
}

impl<R: Request> Facts<'_, R> {
    fn path(&self) -> &[u8] {
        let path = self.target.split(|byte| *byte == b'?').next();
        path.filter(|path| path.starts_with(b"/")).unwrap_or(b"/")
    }

    fn uri(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.path());
        let query = self.request.query();
        if !query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(query);
        }
    }
}

impl<R: Request> Source for Facts<'_, R> {
    fn push(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
        let request = self.request;
        match variable {
            Variable::ClientIp => push_shown(out, request.client()),
            Variable::Host if request.host().is_empty() => push_shown(out, self.local.ip()),
            Variable::Host => out.extend_from_slice(request.host()),
            Variable::Method => out.extend_from_slice(request.method()),
            Variable::Path => out.extend_from_slice(self.path()),
            Variable::Query => out.extend_from_slice(request.query()),
            Variable::RequestId => out.extend_from_slice(self.id.as_bytes()),
            Variable::Route => out.extend_from_slice(self.route.as_bytes()),
            Variable::Scheme => out.extend_from_slice(request.scheme().as_bytes()),
            Variable::Status => return false,
            Variable::Upstream => out.extend_from_slice(self.upstream.as_bytes()),
            Variable::Uri => self.uri(out),
            Variable::Header(name) => {
                out.extend_from_slice(request.header(name).unwrap_or_default());
            }
            Variable::Cookie(name) => {
                let mut lines = request.cookies();
                let value = lines.find_map(|text| cookie(text, name.as_bytes()));
                out.extend_from_slice(value.unwrap_or_default());
            }
            Variable::Parameter(name) => {
                out.extend_from_slice(parameter(request.query(), name.as_bytes()));
            }
        }
        true
    }
}

fn push_shown(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(text, "{value}");
    out.extend_from_slice(text.as_bytes());
}

/// The value of the first parameter of that name, as it stands in the URL.
fn parameter<'a>(query: &'a [u8], name: &[u8]) -> &'a [u8] {
    let mut pairs = query.split(|byte| *byte == b'&');
    let value = pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="));
    value.unwrap_or_default()
}
