//! `sticky` of an upstream: clients that stay with their endpoint by a cookie.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::Node;
use super::{names, values};

/// The least that a secret is long.
const SECRET_LENGTH: usize = 16;

#[derive(Clone, Debug)]
pub struct Sticky {
    /// Its name.
    pub cookie: String,
    /// How long clients keep it; `None`: until the browser is closed.
    pub max_age: Option<Duration>,
    /// Of several proxies together; `None`: one of this proxy's own, in its `state_dir`.
    pub secret: Option<Secret>,
}

/// Not for logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret")
    }
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "upstream.sticky",
    doc: "Clients stay with their endpoint by a cookie, which names it by a keyed hash. One that no endpoint has is ignored.",
    keys: &[
        Key::required("cookie", "name", "\"oc_app\"", "The name of the cookie."),
        Key::optional(
            "max_age",
            "duration",
            "\"1h\"",
            "How long clients keep it. Absent: until the browser is closed.",
        ),
        Key::optional(
            "secret",
            "string",
            "\"${STICKY_SECRET:-at least sixteen bytes}\"",
            "The key of the hash, where several proxies share clients. Absent: one of this proxy's own, kept in state_dir.",
        ),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Sticky> {
    let cookie = section.value("cookie", cookie);
    let max_age = section.optional("max_age", values::duration);
    let secret = section.optional("secret", secret);
    Some(Sticky {
        cookie: cookie?,
        max_age: max_age.ok()?,
        secret: secret.ok()?,
    })
}

fn cookie(node: &Node) -> Result<String, Unread> {
    let name = values::text(node)?;
    if !names::is_token(&name) {
        return Err(Complaint::new(format!("`{name}` is no name of a cookie"))
            .hint(names::TOKEN)
            .into());
    }
    Ok(name)
}

fn secret(node: &Node) -> Result<Secret, Unread> {
    let secret = values::text(node)?;
    if secret.len() < SECRET_LENGTH {
        let complaint = Complaint::new("a secret this short can be guessed");
        return Err(complaint.hint("write 16 bytes or more").into());
    }
    Ok(Secret(secret.into()))
}
