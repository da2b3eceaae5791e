//! What an order to the shield changes, in short: for the security log.

use serde_json::{Value, json};

use super::api::Request;

/// So many addresses are named.
const NAMED: usize = 10;

impl Request {
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

fn named(addresses: &[String]) -> &[String] {
    addresses.get(..NAMED).unwrap_or(addresses)
}
