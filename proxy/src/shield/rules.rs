//! What may be put on which list, and the words for what may not.

use openclaw_common::maps::{BAN4_ENTRIES, BAN6_ENTRIES};
use openclaw_core::config::Prefix;

use super::index::{ListId, Record};
use super::lists::{Kind, Listed, Lists, MAX_ENTRIES, MAX_LISTS, Origin};
use super::prefix::{AnyNet, Bits, Net, shorten, show};
use super::store::{CONFIG, PROTECTED, Store};

/// Why a list cannot be changed at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ListError {
    #[error("`{0}` is not a name for a list: 1 to 64 letters, digits, `-`, `_` or `.`")]
    Name(String),
    #[error(
        "the list `config` is what `{key}` of the configuration says; change it there and reload"
    )]
    IsConfig { key: &'static str },
    #[error(
        "the list `protected` is what this host needs to live; it follows its addresses, gateways and trusted proxies"
    )]
    IsProtected,
    #[error("the list `{0}` follows its file or url in `shield.lists`; change it there")]
    IsFeed(String),
    #[error("there is no {kind} list `{name}`")]
    Unknown { kind: &'static str, name: String },
    #[error("there are {MAX_LISTS} lists already")]
    TooMany,
}

/// Why a range cannot be put on a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{address} cannot be blocked: {} {why}", if address == protector { "it" } else { protector })]
    Protected {
        address: String,
        protector: String,
        why: String,
    },
    #[error("{address} cannot be blocked: it covers {protector}, which {why}")]
    CoversProtected {
        address: String,
        protector: String,
        why: String,
    },
    #[error("{address} cannot be blocked: {} is on the allow list `{list}`", if address == protector { "it" } else { protector })]
    Allowed {
        address: String,
        protector: String,
        list: String,
    },
    #[error("{address} does not fit: the lists hold {MAX_ENTRIES} entries")]
    Full { address: String },
    #[error("{address} does not fit: {capacity} single addresses with a TTL are the most")]
    BansFull { address: String, capacity: u32 },
}

/// Whether the operator may change a list of that name.
pub(super) fn check_name(kind: Kind, name: &str) -> Result<(), ListError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match name {
        CONFIG => Err(ListError::IsConfig {
            key: if kind == Kind::Block {
                "shield.block"
            } else {
                "shield.allow"
            },
        }),
        PROTECTED => Err(ListError::IsProtected),
        _ if (1..=64).contains(&name.len()) && name.bytes().all(is_plain) => Ok(()),
        _ => Err(ListError::Name(shorten(name))),
    }
}

impl Store {
    /// Whether a range may be put on a list.
    pub(super) fn admit(
        &self,
        kind: Kind,
        list: ListId,
        net: AnyNet,
        has_end: bool,
    ) -> Result<(), Refusal> {
        self.admit_rule(kind, net)?;
        let known = self.lists().get(net, list);
        if known.is_none() && self.lists().len() >= MAX_ENTRIES {
            return Err(Refusal::Full {
                address: show(&net.to_prefix()),
            });
        }
        let becomes_ban =
            kind == Kind::Block && has_end && known.is_none_or(|known| known.until_ns == 0);
        let (bans, capacity) = match net {
            AnyNet::V4(net) if net.length == 32 => {
                (self.lists().kind::<u32>(kind).bans(), BAN4_ENTRIES)
            }
            AnyNet::V6(net) if matches!(net.length, 64 | 128) => {
                (self.lists().kind::<u128>(kind).bans(), BAN6_ENTRIES)
            }
            AnyNet::V4(_) | AnyNet::V6(_) => return Ok(()),
        };
        if becomes_ban && bans >= capacity as usize {
            return Err(Refusal::BansFull {
                address: show(&net.to_prefix()),
                capacity,
            });
        }
        Ok(())
    }

    /// Whether a range may be blocked: not inside an allowed one, and not around a protected one. Around an allowed one it may be: that
    /// one stays allowed.
    pub(super) fn admit_rule(&self, kind: Kind, net: AnyNet) -> Result<(), Refusal> {
        if kind == Kind::Allow {
            return Ok(());
        }
        let address = show(&net.to_prefix());
        if let Some(found) = self.around(Kind::Allow, net).first() {
            let protector = show(&found.net.to_prefix());
            let list = self.lists().list(found.list);
            return Err(match list.filter(|list| list.origin == Origin::Protected) {
                Some(_) => Refusal::Protected {
                    address,
                    protector,
                    why: why(&found.record),
                },
                None => Refusal::Allowed {
                    address,
                    protector,
                    list: list.map_or_else(String::new, |list| list.name.clone()),
                },
            });
        }
        let Some(protected) = self.lists().find(Kind::Allow, PROTECTED) else {
            return Ok(());
        };
        let inside = match net {
            AnyNet::V4(net) => {
                first_inside(self.lists().kind::<u32>(Kind::Allow).inside(net), protected)
            }
            AnyNet::V6(net) => first_inside(
                self.lists().kind::<u128>(Kind::Allow).inside(net),
                protected,
            ),
        };
        match inside {
            Some((prefix, why)) => Err(Refusal::CoversProtected {
                address,
                protector: show(&prefix),
                why,
            }),
            None => Ok(()),
        }
    }

    /// What stays allowed inside a blocked range.
    pub(super) fn exception(&self, net: AnyNet) -> Option<String> {
        fn find<A: Listed>(lists: &Lists, net: Net<A>) -> (usize, Option<(Prefix, ListId)>) {
            let mut inside = lists.kind::<A>(Kind::Allow).inside(net);
            let first = inside.next().map(|(net, list, _)| (net.to_prefix(), list));
            (inside.count(), first)
        }
        let (more, first) = match net {
            AnyNet::V4(net) => find(self.lists(), net),
            AnyNet::V6(net) => find(self.lists(), net),
        };
        let (prefix, list) = first?;
        let name = self
            .lists()
            .list(list)
            .map_or("", |list| list.name.as_str());
        let more = if more == 0 {
            String::new()
        } else {
            format!(", and {more} more")
        };
        Some(format!(
            "inside {}, {} stays allowed (allow list `{name}`{more})",
            show(&net.to_prefix()),
            show(&prefix)
        ))
    }

    /// Why there was nothing to delete.
    pub(super) fn missing(&self, kind: Kind, net: AnyNet) -> String {
        let address = show(&net.to_prefix());
        let around = self.around(kind, net);
        let Some(found) = around.last() else {
            return format!("{address} is not {}", kind.listed());
        };
        let name = self
            .lists()
            .list(found.list)
            .map_or("", |list| list.name.as_str());
        let wider = show(&found.net.to_prefix());
        if found.net == net {
            format!("{address} cannot be deleted{}", elsewhere(kind, name))
        } else {
            format!(
                "{address} itself is not {}; {wider} on the list `{name}` covers it",
                kind.listed()
            )
        }
    }
}

fn elsewhere(kind: Kind, name: &str) -> String {
    match check_name(kind, name) {
        Err(error) => format!(": {error}"),
        Ok(()) => String::new(),
    }
}

fn first_inside<'a, A: Bits>(
    mut inside: impl Iterator<Item = (Net<A>, ListId, &'a Record)>,
    list: ListId,
) -> Option<(Prefix, String)> {
    inside
        .find(|(_, id, _)| *id == list)
        .map(|(net, _, record)| (net.to_prefix(), why(record)))
}

fn why(record: &Record) -> String {
    record
        .reason
        .as_deref()
        .unwrap_or("is protected")
        .to_owned()
}

#[cfg(test)]
mod tests;
