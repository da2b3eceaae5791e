//! `respond` of a route: an answer from the configuration itself.

use std::sync::Arc;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::Section;
use super::{matcher, values};

#[derive(Clone, Debug)]
pub struct Respond {
    pub status: u16,
    pub body: Arc<[u8]>,
    pub content_type: String,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "route.respond",
    doc: "An answer without an upstream.",
    keys: &[
        Key::default("status", "number", "200", "From 200 to 599."),
        Key::default("body", "string", "\"\"", "The body.").example("\"hello\\n\""),
        Key::default(
            "content_type",
            "string",
            "\"text/plain; charset=utf-8\"",
            "The media type of the body.",
        ),
        Key::optional(
            "builtin",
            "word",
            "\"welcome\"",
            "A page of the program in place of `body` and `content_type`: welcome.",
        )
        .words(&["welcome"]),
    ],
    later: &[],
};

/// The page that greets whoever starts the program without a file.
pub const WELCOME: &str = include_str!("welcome.html");

pub(super) fn read(section: &Section<'_>) -> Option<Respond> {
    let status = section.value("status", values::count(200, 599));
    let body = section.value("body", |node| Ok(values::string(node)?.to_owned()));
    let content_type = section.value("content_type", |node| {
        values::text(node)?;
        matcher::field_value(node)
    });
    let builtin = section.optional("builtin", values::choice(&[("welcome", WELCOME)]));
    let (body, content_type) = match builtin.ok()? {
        Some(page) => {
            for key in ["body", "content_type"] {
                if section.has(key) {
                    let message = format!("`builtin` and `{key}` exclude each other");
                    let hint = "keep one of the two: the page brings its own";
                    section.complain(key, Complaint::new(message).hint(hint));
                }
            }
            (page.to_owned(), "text/html; charset=utf-8".to_owned())
        }
        None => (body?, content_type?),
    };
    let status = u16::try_from(status?).ok()?;
    // RFC 9110 §15.3.5, §15.3.6, §15.4.5: these have no content.
    if matches!(status, 204 | 205 | 304) && !body.is_empty() {
        let message = format!("a response with status {status} has no body");
        section.complain(
            "body",
            Complaint::new(message).hint("leave `body` out, or write another status"),
        );
    }
    Some(Respond {
        status,
        body: Arc::from(body.into_bytes()),
        content_type,
    })
}
