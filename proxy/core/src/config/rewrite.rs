//! What a route does to the path: `strip_prefix`, `add_prefix`, `rewrite`.

use regex::bytes::Regex;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::Node;
use super::{matcher, values};
use crate::template::{self, Template, Variable};

/// Another path for the endpoint.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// Asked of the path as routes see it; a path that it does not match goes as it came.
    pub regex: Regex,
    /// Begins with a slash.
    pub to: Template,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "route.rewrite",
    doc: "Another path for the endpoint; the query goes along.",
    keys: &[
        Key::optional(
            "regex",
            "regular expression",
            "'^/v1/(.*)$'",
            "What the path has to match, decoded and without dot segments, as for `match`; another one goes as it came. Absent: match.path_regex.",
        ),
        Key::required(
            "to",
            "path",
            "\"/api/$1\"",
            "The path, and a query if it has one, to which that of the request is added. $1 or $name is a group of the expression; variables are those of `headers`.",
        ),
    ],
    later: &[],
};

/// `Some(None)`: there is none.
#[expect(clippy::option_option, reason = "absent, or wrong and told")]
pub(super) fn of_route(section: &Section<'_>, groups: Option<&Regex>) -> Option<Option<Rewrite>> {
    if !section.has("rewrite") {
        section.reader.ask(section.keys.name, "rewrite");
        return Some(None);
    }
    if !section.has("to") {
        let complaint = Complaint::new("only what goes to an upstream is rewritten")
            .hint("add to = \"UPSTREAM\", or leave `rewrite` out");
        section.complain("rewrite", complaint);
    }
    for other in ["strip_prefix", "add_prefix"] {
        if section.has(other) {
            let complaint = Complaint::new(format!("`{other}` and `rewrite` exclude each other"))
                .hint("keep one of them: `rewrite` can do both");
            section.complain("rewrite", complaint);
        }
    }
    let table = section.section("rewrite")?;
    read(&table, groups).map(Some)
}

/// `groups`: the expression that the route's paths match.
pub(super) fn read(section: &Section<'_>, groups: Option<&Regex>) -> Option<Rewrite> {
    let regex = section.optional("regex", matcher::regex).ok()?;
    let Some(regex) = regex.or_else(|| groups.cloned()) else {
        let complaint = Complaint::new("there is no expression to rewrite by");
        section.complain(
            "to",
            complaint.hint("add regex = '…', or match = { path_regex = '…' }"),
        );
        return None;
    };
    let to = section.value("to", |node| target(node, &regex))?;
    Some(Rewrite { regex, to })
}

fn target(node: &Node, regex: &Regex) -> Result<Template, Unread> {
    let to = values::text(node)?;
    let valid = to
        .bytes()
        .all(|byte| byte > b' ' && byte < 0x7f && byte != b'#');
    if !to.starts_with('/') || !valid {
        return Err(Complaint::new(format!("`{to}` is not a path"))
            .hint("write \"/path/$1\"")
            .into());
    }
    let template = template::parse(&to, Some(regex))?;
    if template.variables().any(|known| *known == Variable::Status) {
        return Err(Complaint::new("a request has no `{status}`")
            .hint("only edits of responses know it")
            .into());
    }
    Ok(template)
}

/// A prefix that is taken off, or put before.
pub(super) fn prefix(node: &Node) -> Result<String, Unread> {
    let path = matcher::path(node)?;
    match path.trim_end_matches('/') {
        "" => Err(
            Complaint::new("this is no prefix: every path begins with it")
                .hint("write one such as \"/api\", or leave it out")
                .into(),
        ),
        trimmed => Ok(trimmed.to_owned()),
    }
}
