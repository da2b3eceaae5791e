//! `error_pages` of a listener or a route: what clients read in place of the proxy's own few words.

use std::path::PathBuf;

use super::keys::Key;
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::Node;

/// A file for some refusals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPage {
    pub statuses: Statuses,
    pub path: PathBuf,
    pub content_type: &'static str,
}

/// For which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statuses {
    Only(u16),
    /// All of the hundred that begin with this digit and have no page of their own.
    Class(u16),
}

pub(super) const KEY: Key = Key::default(
    "error_pages",
    "table of strings",
    "{}",
    "Files that clients get as the body of refusals by the proxy itself, by status (\"502\") or hundred (\"5xx\"): html, json or txt, up to 128 KiB, read when the configuration is. Status and X-Request-Id stay; what endpoints answer is not touched.",
)
.example("{ \"503\" = \"busy.html\", \"5xx\" = \"error.html\" }");

pub(super) const OF_ROUTE: Key = Key::default(
    "error_pages",
    "table of strings",
    "{}",
    "The same as `error_pages` of listeners for requests that this route takes; where both have a page for a refusal, this one is sent.",
)
.example("{ \"429\" = \"slow.json\", \"5xx\" = \"api.json\" }");

const TYPES: [(&str, &str); 4] = [
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("json", "application/json"),
    ("txt", "text/plain; charset=utf-8"),
];

impl Statuses {
    fn of(text: &str) -> Option<Self> {
        let class = text.strip_suffix("xx").map(str::parse);
        match class {
            Some(Ok(digit @ 4..=5)) => Some(Self::Class(digit)),
            Some(_) => None,
            None => {
                // What is no number is no status either; the key's reader complains of both.
                let status = text.parse().ok();
                status
                    .filter(|one| (400..600).contains(one))
                    .map(Self::Only)
            }
        }
    }

    /// How well this is for a status: better for one of its own.
    pub fn rank(self, status: u16) -> Option<u8> {
        match self {
            Self::Only(only) => (only == status).then_some(1),
            Self::Class(class) => (class == status / 100).then_some(0),
        }
    }
}

/// As it is written.
impl std::fmt::Display for Statuses {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Only(status) => write!(out, "{status}"),
            Self::Class(digit) => write!(out, "{digit}xx"),
        }
    }
}

pub(super) fn read(section: &Section<'_>) -> Option<Vec<ErrorPage>> {
    section.pairs("error_pages", |key, node| read_page(section, key, node))
}

fn read_page(section: &Section<'_>, key: &str, node: &Node) -> Result<ErrorPage, Unread> {
    let statuses = Statuses::of(key).ok_or_else(|| {
        Complaint::new(format!("`{key}` is no status of a refusal"))
            .hint("write a status such as \"502\", or \"4xx\" or \"5xx\"")
    })?;
    let path = section.reader.path(node)?;
    let extension = path.extension().and_then(std::ffi::OsStr::to_str);
    let known = TYPES.iter().find(|(known, _)| Some(*known) == extension);
    let (_, content_type) = known.ok_or_else(|| {
        Complaint::new("the kind of a page is told by its name")
            .hint("name it .html, .json or .txt")
    })?;
    Ok(ErrorPage {
        statuses,
        path,
        content_type,
    })
}
