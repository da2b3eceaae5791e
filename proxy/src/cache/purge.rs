//! Taking responses out, or calling them stale, before their time.

use std::collections::HashMap;
use std::sync::Arc;

use openclaw_core::message::HeaderList;

use super::changes::hash;
use super::disk::Purging;
use super::{Key, Object, Store, uri_of};

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

/// The same, to be kept.
#[derive(Debug)]
pub(super) enum Meant {
    All,
    Url(Box<str>),
    Prefix(Box<str>),
    /// Its hash.
    Tag(u64),
}

/// What became of it.
#[derive(Debug)]
pub struct Purged {
    /// Responses.
    pub objects: usize,
    /// What is still to be done on the disk, where there is one.
    pub on_disk: Option<Purging>,
}

impl From<Purge<'_>> for Meant {
    fn from(what: Purge<'_>) -> Self {
        match what {
            Purge::All => Self::All,
            Purge::Url(url) => Self::Url(url.into()),
            Purge::Prefix(prefix) => Self::Prefix(prefix.into()),
            Purge::Tag(tag) => Self::Tag(hash(tag.as_bytes())),
        }
    }
}

impl Meant {
    pub(super) fn means(&self, key: &str, has_tag: impl Fn(u64) -> bool) -> bool {
        match self {
            Self::All => true,
            Self::Url(url) => uri_of(key) == &**url,
            Self::Prefix(prefix) => key.starts_with(&**prefix),
            Self::Tag(tag) => has_tag(*tag),
        }
    }
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

    /// Takes out what is meant, also of what is on its way; `soft`: it stays, and its origin is asked before it is used.
    pub fn purge(&self, what: Purge<'_>, soft: bool) -> Purged {
        self.changes.purge(what, || self.sweep(what, soft))
    }

    fn sweep(&self, what: Purge<'_>, soft: bool) -> Purged {
        let meant = Meant::from(what);
        let mut in_memory: HashMap<Key, usize> = HashMap::new();
        // One page after another: no lock is held for longer than one takes, so that hits need not wait for all of it.
        for (key, page) in self.pages.iter() {
            let is_meant = |object: &Object| meant.means(&key, |tag| object.has_tag(tag));
            let count = page.iter().filter(|object| is_meant(object)).count();
            if count == 0 {
                continue;
            }
            if soft {
                let meant = page.iter().filter(|object| is_meant(object));
                meant.for_each(|object| object.grow_stale());
            } else {
                // With one response of a URI the others go as well: they are the same thing in other words. What has come into
                // their place meanwhile is not meant, or would not have been put in.
                self.changes.alone(&key, || {
                    self.pages.remove_if(&*key, |now| Arc::ptr_eq(now, &page))
                });
            }
            in_memory.insert(key, count);
        }
        let mut on_disk: HashMap<Key, usize> = HashMap::new();
        let purging = self.disk().map(|disk| {
            let (keys, purging) = disk.purge(what, soft);
            for key in keys {
                *on_disk.entry(key).or_default() += 1;
            }
            purging
        });
        // What is in both is one.
        for (key, count) in in_memory {
            let both = on_disk.entry(key).or_default();
            *both = count.max(*both);
        }
        Purged {
            objects: on_disk.values().sum(),
            on_disk: purging,
        }
    }
}

/// The hashes of the tags that an origin gives a response.
pub(super) fn tags(fields: &HeaderList) -> Box<[u64]> {
    let of_tags = fields.iter().filter(|(name, _)| {
        let mut known = TAG_FIELDS.iter();
        known.any(|known| name.eq_ignore_ascii_case(known))
    });
    let tags = of_tags.flat_map(|(_, value)| value.split(|byte| matches!(byte, b' ' | b',')));
    tags.filter(|tag| !tag.is_empty()).map(hash).collect()
}
