//! `headers` of a route: edits on the way in and out.

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::Node;
use super::{matcher, names, values};
use crate::message::field::is_value;
use crate::template::{self, Source, Template, Variable};

#[derive(Clone, Debug, Default)]
pub struct HeaderEdits {
    pub request: HeaderEdit,
    pub response: HeaderEdit,
}

/// Valid field names as they are written, and values; framing and connection fields cannot be named here.
#[derive(Clone, Debug, Default)]
pub struct HeaderEdit {
    /// Replaces every field of that name.
    pub set: Vec<(String, Template)>,
    pub add: Vec<(String, Template)>,
    pub remove: Vec<String>,
}

impl HeaderEdit {
    /// Whether a request has to say something first.
    pub fn has_variables(&self) -> bool {
        let mut values = self.set.iter().chain(&self.add);
        values.any(|(_, value)| value.plain().is_none())
    }

    /// Lower-case names of fields whose value depends on more than the route and the URI that are asked for.
    pub(super) fn filled_by_client(&self) -> Vec<String> {
        let depends = |template: &Template| {
            let mut variables = template.variables();
            variables.any(|variable| {
                !matches!(
                    variable,
                    Variable::Host | Variable::Path | Variable::Route | Variable::Scheme
                )
            })
        };
        let filled = self.set.iter().chain(&self.add);
        let filled = filled.filter(|(_, value)| depends(value));
        filled.map(|(name, _)| name.to_ascii_lowercase()).collect()
    }

    /// The same with what is known filled in. A field whose value comes out empty, or as none that a field can have, is not
    /// there.
    #[must_use]
    pub fn filled(&self, source: &impl Source) -> Self {
        let mut remove = self.remove.clone();
        let fill = |(name, value): &(String, Template)| (name.clone(), value.filled(source));
        let stays = |value: &Template| value.plain().is_none_or(is_something);
        let mut set: Vec<_> = self.set.iter().map(fill).collect();
        let mut add: Vec<_> = self.add.iter().map(fill).collect();
        for (edits, own) in [(&mut set, &self.set), (&mut add, &self.add)] {
            let mut own = own.iter().map(|(_, value)| value.plain().is_some());
            edits.retain(|(_, value)| own.next() == Some(true) || stays(value));
        }
        let gone = self.set.iter().map(|(name, _)| name);
        let gone = gone.filter(|name| !set.iter().any(|(known, _)| known == *name));
        remove.extend(gone.cloned());
        Self { set, add, remove }
    }
}

fn is_something(value: &[u8]) -> bool {
    !value.is_empty() && is_value(value)
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "route.headers",
    doc: "Edits of header fields. A value may have variables: {client_ip}, {host}, {method}, {path}, {query}, {request_id}, {route}, {scheme}, {upstream}, {uri} (path and query), {header.NAME}, {cookie.NAME}, {query.NAME}, and {status} in responses; a field that comes out empty is left out, and {{word} is the text {word}.",
    keys: &[
        Key::default("request", "table", "{}", "On the way to the endpoint.")
            .example("{ set = { \"X-Api\" = \"1\", \"X-Client\" = \"{client_ip}\" }, remove = [\"Cookie\"] }")
            .fields(&REQUEST),
        Key::default("response", "table", "{}", "On the way to the client.")
            .example("{ set = { \"Strict-Transport-Security\" = \"max-age=31536000\" } }")
            .fields(&RESPONSE),
    ],
    later: &[],
};

static REQUEST: keys::Section = keys::Section {
    name: "route.headers.request",
    doc: "Edits on the way to the endpoint.",
    keys: EDITS,
    later: &[],
};

static RESPONSE: keys::Section = keys::Section {
    name: "route.headers.response",
    doc: "Edits on the way to the client.",
    keys: EDITS,
    later: &[],
};

const EDITS: &[Key] = &[
    Key::default(
        "set",
        "table of strings",
        "{}",
        "Replaces every field of that name.",
    )
    .example("{ \"X-Api\" = \"1\" }"),
    Key::default(
        "add",
        "table of strings",
        "{}",
        "Adds a field beside those that are there.",
    )
    .example("{ \"X-Tag\" = \"a\" }"),
    Key::default(
        "remove",
        "list of names",
        "[]",
        "Removes every field of that name.",
    )
    .example("[\"X-Debug\"]"),
];

/// However it is written.
pub const HOST: &str = "Host";

/// Fields that the proxy itself writes on each hop (RFC 9110 §7.6.1, RFC 9112 §6).
const OWN: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn read(section: &Section<'_>) -> Option<HeaderEdits> {
    let request = section
        .section("request")
        .and_then(|section| read_edit(&section, true));
    let response = section
        .section("response")
        .and_then(|section| read_edit(&section, false));
    Some(HeaderEdits {
        request: request?,
        response: response?,
    })
}

fn read_edit(section: &Section<'_>, of_request: bool) -> Option<HeaderEdit> {
    let pair = |may_be_host: bool| {
        move |key: &str, node: &Node| {
            let name = name(key, may_be_host)?;
            let value = value(&name, node, of_request)?;
            Ok((name, value))
        }
    };
    let set = section.pairs("set", pair(of_request));
    let add = section.pairs("add", pair(false));
    let remove = section.list("remove", |node| Ok(name(values::string(node)?, false)?));
    Some(HeaderEdit {
        set: set?,
        add: add?,
        remove: remove?,
    })
}

fn value(name: &str, node: &Node, of_request: bool) -> Result<Template, Unread> {
    let text = matcher::field_value(node)?;
    let template = template::parse(&text, None)?;
    for variable in template.variables() {
        if of_request && *variable == Variable::Status {
            let complaint = Complaint::new("a request has no `{status}`");
            return Err(complaint.hint("only edits of responses know it").into());
        }
        // Any other is whatever the client likes.
        if name == HOST && *variable != Variable::Host {
            let complaint = Complaint::new("`Host` may have no variable but `{host}`")
                .hint("write the name itself, or \"{host}\"");
            return Err(complaint.into());
        }
    }
    Ok(template)
}

fn name(text: &str, may_be_host: bool) -> Result<String, Complaint> {
    if !names::is_token(text) {
        return Err(Complaint::new(format!("`{text}` is not a field name")).hint(names::TOKEN));
    }
    let lower = text.to_ascii_lowercase();
    if OWN.contains(&lower.as_str()) {
        return Err(Complaint::new(format!(
            "`{text}` belongs to the connection: the proxy writes it itself"
        ))
        .hint("leave it out"));
    }
    if lower == "host" && !may_be_host {
        return Err(
            Complaint::new("`Host` can only be set, and only on requests")
                .hint("write request = { set = { Host = \"app.internal\" } }"),
        );
    }
    // Sent as it is written, as the other names of a head are sent as they came; `host` is looked for.
    Ok(if lower == "host" { HOST } else { text }.to_owned())
}
