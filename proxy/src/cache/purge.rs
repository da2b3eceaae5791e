//! Taking responses out, or calling them stale, before their time.

use std::cell::Cell;

use super::{Object, Store};

/// The fields in which an origin names the tags of a response.
const TAG_FIELDS: [&[u8]; 2] = [b"surrogate-key", b"cache-tag"];

/// What is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge<'a> {
    All,
    /// One URI, whoever asked for it.
    Url(&'a str),
    /// Every URI that begins so.
    Prefix(&'a str),
    /// Every response that has the tag.
    Tag(&'a str),
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Responses.
    pub objects: usize,
}

impl Store {
    /// A URL as an operator writes it, as a key: lower-case scheme and host, no port that says nothing, a path. `None` for what is no
    /// `http` or `https` URL.
    pub fn url(text: &str) -> Option<String> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(&*scheme, "http" | "https") {
            return None;
        }
        let (host, target) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at_checked(at)?,
            None => (rest, "/"),
        };
        (!host.is_empty()).then(|| super::uri(&scheme, host, target))
    }

    /// Takes out what is meant; `soft`: it stays, and its origin is asked before it is used.
    pub fn purge(&self, what: Purge<'_>, soft: bool) -> Purged {
        let objects = Cell::new(0);
        self.pages.retain(|key, page| {
            let is_meant = |object: &Object| match what {
                Purge::All => true,
                Purge::Url(url) => **key == *url,
                Purge::Prefix(prefix) => key.starts_with(prefix),
                Purge::Tag(tag) => has_tag(object, tag),
            };
            let meant: Vec<_> = page.iter().filter(|object| is_meant(object)).collect();
            objects.set(objects.get() + meant.len());
            // With one response of a URI the others go as well: they are the same thing in other words.
            let stays = soft || meant.is_empty();
            if soft {
                for object in meant {
                    object.grow_stale();
                }
            }
            stays
        });
        Purged {
            objects: objects.get(),
        }
    }
}

fn has_tag(object: &Object, tag: &str) -> bool {
    object.fields.iter().any(|(name, value)| {
        let is_of_tags = TAG_FIELDS
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known));
        let mut tags = value.split(|byte| matches!(byte, b' ' | b','));
        is_of_tags && tags.any(|known| known == tag.as_bytes())
    })
}
