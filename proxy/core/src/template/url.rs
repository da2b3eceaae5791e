//! Templates that become a URL or a path. What the client said is percent-encoded where it would mean something else than a
//! part of a path.

use regex::bytes::Captures;

use super::{Part, Source, Template, Variable};

/// A path and query for an endpoint; what the client asked with its own query follows.
pub fn path_of(
    template: &Template,
    captures: Option<&Captures<'_>>,
    source: &impl Source,
    query: &[u8],
) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, template, captures, source);
    push_query(&mut out, query);
    out
}

/// Where a client is sent: an absolute URL, or a path that is one for every reader.
pub fn sent_to(
    template: &Template,
    captures: Option<&Captures<'_>>,
    source: &impl Source,
    query: &[u8],
) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, template, captures, source);
    // `//host` would be another host.
    let slashes = out.iter().take_while(|byte| **byte == b'/').count();
    out.drain(..slashes.saturating_sub(1));
    push_query(&mut out, query);
    out
}

fn write(
    out: &mut Vec<u8>,
    template: &Template,
    captures: Option<&Captures<'_>>,
    source: &impl Source,
) {
    let parts = match template {
        Template::Plain(text) => return out.extend_from_slice(text),
        Template::Parts(parts) => parts,
    };
    for part in parts {
        let mut value = Vec::new();
        match part {
            Part::Text(text) => out.extend_from_slice(text),
            Part::Group(index) => {
                let group = captures.and_then(|captures| captures.get(*index));
                // Decoded, as routes see paths: what is no part of a path is encoded anew.
                let group = group.map(|group| group.as_bytes()).unwrap_or_default();
                encode(out, group, |byte| is_of_path(byte) || byte == b'/');
            }
            Part::Variable(variable) => {
                source.push(variable, &mut value);
                match variable {
                    // As received, and checked then. A query may have a backslash, which browsers take for a slash: at the beginning
                    // of a path it would be another host.
                    Variable::Host
                    | Variable::Path
                    | Variable::Uri
                    | Variable::Query
                    | Variable::Parameter(_) => {
                        encode(out, &value, |byte| byte.is_ascii_graphic() && byte != b'\\');
                    }
                    Variable::ClientIp
                    | Variable::Method
                    | Variable::RequestId
                    | Variable::Route
                    | Variable::Scheme
                    | Variable::Status
                    | Variable::Upstream
                    | Variable::Header(_)
                    | Variable::Cookie(_) => encode(out, &value, is_of_path),
                }
            }
        }
    }
}

/// A decoded path as it may stand in a request line.
pub fn encoded_path(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    encode(&mut out, path, |byte| is_of_path(byte) || byte == b'/');
    out
}

fn push_query(out: &mut Vec<u8>, query: &[u8]) {
    if !query.is_empty() {
        out.push(if out.contains(&b'?') { b'&' } else { b'?' });
        out.extend_from_slice(query);
    }
}

/// `pchar` of RFC 3986 §3.3 but the percent sign.
fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

fn encode(out: &mut Vec<u8>, text: &[u8], is_plain: impl Fn(u8) -> bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or(b'0');
    for byte in text {
        if is_plain(*byte) {
            out.push(*byte);
        } else {
            out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}
