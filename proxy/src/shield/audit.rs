//! What an order to the shield changes, in short: for the security log.

use serde_json::{Value, json};

use super::api::{Answer, Changed, Request};
use super::lists::Kind;

/// So many addresses are named.
const NAMED: usize = 10;

impl Request {
    /// What it does, by the name that it has in the logs.
    pub fn action(&self) -> String {
        let of_list = |kind: &Kind, verb: &str| match kind {
            Kind::Block => format!("blocklist.{verb}"),
            Kind::Allow => format!("allowlist.{verb}"),
        };
        match self {
            Self::Add { kind, .. } => of_list(kind, "add"),
            Self::Confirm { kind } => of_list(kind, "confirm"),
            Self::Del { kind, .. } => of_list(kind, "del"),
            Self::Flush { kind, .. } => of_list(kind, "flush"),
            Self::Import(import) => of_list(&import.kind, "import"),
            Self::List { kind, .. } => of_list(kind, "list"),
            Self::Test { kind, .. } => of_list(kind, "test"),
            Self::Export { kind, .. } => of_list(kind, "export"),
            Self::Stats { kind } => of_list(kind, "stats"),
            Self::Explain { .. } => "explain.ip".to_owned(),
            Self::Status => "shield.status".to_owned(),
            Self::Drops { .. } => "shield.drops".to_owned(),
            Self::Attach { .. } => "shield.attach".to_owned(),
            Self::ConfirmAttach => "shield.confirm".to_owned(),
            Self::Detach { .. } => "shield.detach".to_owned(),
            Self::Off => "shield.off".to_owned(),
            Self::On => "shield.on".to_owned(),
        }
    }

    /// What is to be changed; nothing where lists and shield stay as they are.
    pub fn change(&self) -> Option<Value> {
        match self {
            Self::List { .. }
            | Self::Test { .. }
            | Self::Explain { .. }
            | Self::Export { .. }
            | Self::Stats { .. }
            | Self::Status
            | Self::Drops { .. } => None,
            Self::Import(import) if import.dry_run => None,
            // Not the lists themselves, which may be large.
            Self::Import(import) => Some(json!({
                "verb": "import",
                "kind": import.kind,
                "list": import.list,
                "replace": import.replace,
                "bytes": import.text.len(),
            })),
            Self::Add {
                addresses,
                kind,
                ttl,
                list,
                reason,
                ..
            } => Some(json!({
                "verb": "add",
                "kind": kind,
                "addresses": named(addresses),
                "count": addresses.len(),
                "ttl": ttl,
                "list": list,
                "reason": reason,
            })),
            Self::Del {
                addresses,
                kind,
                list,
                ..
            } => Some(json!({
                "verb": "del",
                "kind": kind,
                "addresses": named(addresses),
                "count": addresses.len(),
                "list": list,
            })),
            Self::Confirm { .. }
            | Self::Flush { .. }
            | Self::Attach { .. }
            | Self::ConfirmAttach
            | Self::Detach { .. }
            | Self::Off
            | Self::On => serde_json::to_value(self).ok(),
        }
    }
}

impl Answer {
    /// Whether nothing that was asked for was taken.
    pub fn is_refusal(&self) -> bool {
        let Self::Changed(changed) = self else {
            return false;
        };
        let Changed {
            added,
            updated,
            removed,
            confirmed,
            refused,
            invalid,
            ..
        } = changed;
        let is_unchanged = [added, updated, removed, confirmed]
            .iter()
            .all(|count| **count == 0);
        is_unchanged && (refused.count > 0 || invalid.count > 0)
    }
}

fn named(addresses: &[String]) -> &[String] {
    addresses.get(..NAMED).unwrap_or(addresses)
}
