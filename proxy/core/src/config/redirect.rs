//! `redirect` of a route: where a client is sent.

use regex::bytes::Regex;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::Node;
use super::values;
use crate::template::{self, Part, Template, Variable};

#[derive(Clone, Debug)]
pub struct Redirect {
    /// Begins with a scheme or with a slash; what a client says cannot become a part of the host.
    pub to: Template,
    /// As it is written.
    pub written: String,
    pub status: u16,
    /// The query of the request goes along.
    pub keep_query: bool,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "route.redirect",
    doc: "Where the client is sent.",
    keys: &[
        Key::required(
            "to",
            "URL",
            "\"https://www.example.com/new\"",
            "An absolute URL, or a path on the same host. It may have the variables of `headers`, percent-encoded where they need it: https://{host}{uri} is the same over TLS. $1 or $name is a group of match.path_regex.",
        ),
        Key::default("status", "number", "307", "301, 302, 303, 307 or 308."),
        Key::default(
            "keep_query",
            "boolean",
            "false",
            "The query of the request goes along.",
        ),
    ],
    later: &[],
};

/// `groups`: the expression that the route's paths match.
pub(super) fn read(section: &Section<'_>, groups: Option<&Regex>) -> Option<Redirect> {
    let to = section.value("to", |node| target(node, groups));
    let status = section.value("status", status);
    let keep_query = section.value("keep_query", values::boolean);
    let (written, to) = to?;
    Some(Redirect {
        to,
        written,
        status: status?,
        keep_query: keep_query?,
    })
}

fn target(node: &Node, groups: Option<&Regex>) -> Result<(String, Template), Unread> {
    let to = values::text(node)?;
    let absolute = ["http://", "https://", "{scheme}://", "/"];
    let valid = to.bytes().all(|byte| byte > b' ' && byte < 0x7f);
    if !valid || !absolute.iter().any(|start| to.starts_with(start)) {
        return Err(Complaint::new(format!("`{to}` is not a URL"))
            .hint("write \"https://host/path\" or \"/path\"")
            .into());
    }
    let template = template::parse(&to, groups)?;
    if template.variables().any(|known| *known == Variable::Status) {
        return Err(
            Complaint::new("a redirect has no `{status}` before it is made")
                .hint("write the number, or leave it out")
                .into(),
        );
    }
    check_host(&to, &template)?;
    Ok((to, template))
}

/// Whoever chooses the path of a request must not choose the host of the answer.
fn check_host(written: &str, template: &Template) -> Result<(), Complaint> {
    let Template::Parts(parts) = template else {
        return Ok(());
    };
    if written.starts_with('/') {
        return Ok(());
    }
    let mut before = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => before.extend_from_slice(text),
            Part::Variable(Variable::Scheme) if before.is_empty() => before.extend(b"scheme"),
            // The host that the client asked for, and what begins with a slash.
            Part::Variable(Variable::Host) => before.push(b'h'),
            Part::Variable(Variable::Path | Variable::Uri) => before.push(b'/'),
            Part::Variable(_) | Part::Group(_) => {
                return Err(
                    Complaint::new("a request could choose the host that it is sent to")
                        .hint("put a slash between the host and what comes from the request"),
                );
            }
        }
        // Behind the two slashes of the scheme.
        let mut pieces = before.split(|byte| *byte == b'/');
        if pieces.nth(3).is_some() || before.contains(&b'?') {
            return Ok(());
        }
    }
    Ok(())
}

fn status(node: &Node) -> Result<u16, Unread> {
    let status = values::integer(i64::MIN, i64::MAX)(node)?;
    [301_u16, 302, 303, 307, 308]
        .into_iter()
        .find(|redirect| i64::from(*redirect) == status)
        .ok_or_else(|| {
            Complaint::new(format!("{status} does not redirect"))
                .hint("write 301, 302, 303, 307 or 308")
                .into()
        })
}
