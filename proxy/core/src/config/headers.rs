//! `headers` of a route: edits on the way in and out.

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::Section;
use super::tree::Node;
use super::{matcher, names, values};

#[derive(Clone, Debug, Default)]
pub struct HeaderEdits {
    pub request: HeaderEdit,
    pub response: HeaderEdit,
}

/// Valid field names, in lower case, and values; framing and connection fields cannot be named here.
#[derive(Clone, Debug, Default)]
pub struct HeaderEdit {
    /// Replaces every field of that name.
    pub set: Vec<(String, String)>,
    pub add: Vec<(String, String)>,
    pub remove: Vec<String>,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "route.headers",
    doc: "Edits of header fields.",
    keys: &[
        Key::default("request", "table", "{}", "On the way to the endpoint.")
            .example("{ set = { \"X-Api\" = \"1\" }, remove = [\"Cookie\"] }")
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

fn read_edit(section: &Section<'_>, may_set_host: bool) -> Option<HeaderEdit> {
    let pair = |may_be_host: bool| {
        move |key: &str, node: &Node| Ok((name(key, may_be_host)?, matcher::field_value(node)?))
    };
    let set = section.pairs("set", pair(may_set_host));
    let add = section.pairs("add", pair(false));
    let remove = section.list("remove", |node| Ok(name(values::string(node)?, false)?));
    Some(HeaderEdit {
        set: set?,
        add: add?,
        remove: remove?,
    })
}

fn name(text: &str, may_be_host: bool) -> Result<String, Complaint> {
    if !names::is_token(text) {
        return Err(Complaint::new(format!("`{text}` is not a field name")));
    }
    let lower = text.to_ascii_lowercase();
    if OWN.contains(&lower.as_str()) {
        return Err(Complaint::new(format!(
            "`{text}` belongs to the connection: the proxy writes it itself"
        )));
    }
    if lower == "host" && !may_be_host {
        return Err(Complaint::new(
            "`Host` can only be set, and only on requests",
        ));
    }
    Ok(lower)
}
