//! What the shield says of itself.

use serde::{Deserialize, Serialize};

use super::syn::SynStatus;
use super::traffic::Traffic;
use crate::privilege::Privileges;

/// An interface of the shield.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceStatus {
    pub name: String,
    /// `native` or `generic`; nothing if the shield is not attached to it.
    pub mode: Option<String>,
    /// Why it is not native, or not attached.
    pub note: Option<String>,
    /// Nothing if it is not attached, or counted with others.
    #[serde(default)]
    pub traffic: Option<Traffic>,
    /// When the shield is taken off it unless confirmed; RFC 3339.
    #[serde(default)]
    pub confirm_by: Option<String>,
}

/// Which countries are kept out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeoStatus {
    /// The file.
    pub database: String,
    /// What its provider calls it; nothing if it was never read.
    pub kind: Option<String>,
    /// RFC 3339.
    pub built: Option<String>,
    /// `deny` or `allow`.
    pub rule: String,
    /// `enforce` or `monitor`, for countries alone.
    #[serde(default)]
    pub action: String,
    /// Their codes.
    pub countries: Vec<String>,
    /// Ranges of the database that are in a country.
    pub ranges: usize,
    /// Ranges that are kept apart from the /24 or /32 around them, which is in another country.
    pub parts: usize,
    /// Ranges for which there was no room, decided by the country of most of their neighbours.
    pub coarse: usize,
    /// Why the file that is there now is not used.
    pub error: Option<String>,
}

/// What came from a country and was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountryDrops {
    /// ISO 3166-1.
    pub country: String,
    pub packets: u64,
}

/// What the shield does, and what it cannot do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// False: the kill switch is on and everything passes.
    pub on: bool,
    /// `enforce` or `monitor`.
    pub action: String,
    pub interfaces: Vec<InterfaceStatus>,
    /// What came in by interfaces without counters of their own: those beyond fifteen, and members of a bond that is shielded.
    #[serde(default)]
    pub other_interfaces: Option<Traffic>,
    /// Why no interface is shielded by XDP.
    pub unshielded: Option<String>,
    /// Whether somebody follows the drops.
    #[serde(default)]
    pub followed: bool,
    /// Packets dropped by country, the most first.
    #[serde(default)]
    pub countries: Vec<CountryDrops>,
    /// Floods of SYNs, as the proxy sees them.
    #[serde(default)]
    pub syn: Option<SynStatus>,
    /// Whether a proxy is running, which applies the lists to the connections that it accepts.
    pub proxy: bool,
    /// What that proxy may do.
    #[serde(default)]
    pub privileges: Option<Privileges>,
    pub blocked: usize,
    pub allowed: usize,
    /// Nothing if `shield.geo` is not configured.
    #[serde(default)]
    pub geo: Option<GeoStatus>,
    /// What went wrong and holds on.
    pub warnings: Vec<String>,
}

impl Status {
    /// One line for banner, status and log.
    pub fn headline(&self) -> String {
        let attached: Vec<String> = self
            .interfaces
            .iter()
            .filter_map(|interface| {
                Some(format!(
                    "{} ({})",
                    interface.name,
                    interface.mode.as_deref()?
                ))
            })
            .collect();
        let mut line = if !self.on {
            "OFF by the kill switch: everything passes".to_owned()
        } else if attached.is_empty() {
            let why = self
                .unshielded
                .as_deref()
                .unwrap_or("no interface is attached");
            let instead = if self.proxy {
                "; block lists are applied when connections are accepted"
            } else {
                ""
            };
            format!("not shielded by XDP: {why}{instead}")
        } else {
            format!("XDP on {}", attached.join(", ")) + &self.missing()
        };
        if self.on && self.action == "monitor" {
            line += ", monitor: counts, drops nothing";
        }
        if let Some(syn) = &self.syn {
            line += &syn.headline();
        }
        line + &format!("; {} blocked, {} allowed", self.blocked, self.allowed)
    }
}

impl SynStatus {
    /// What the line about everything says of it.
    fn headline(&self) -> String {
        match (self.attack, self.always, self.watched) {
            (false, _, _) | (_, true, true) => String::new(),
            (true, true, false) => ", every SYN is answered with a cookie".into(),
            (true, false, true) => format!(", SYN FLOOD of {}/s, only counted", self.rate),
            (true, false, false) => {
                format!(", SYN FLOOD of {}/s answered with cookies", self.rate)
            }
        }
    }
}

impl Status {
    /// Interfaces that should be shielded and are not, each with why.
    pub(super) fn unattached(&self) -> impl Iterator<Item = (&str, &str)> {
        let unattached = self.interfaces.iter().filter(|one| one.mode.is_none());
        unattached.map(|one| {
            let why = one.note.as_deref().unwrap_or("not attached");
            (one.name.as_str(), why)
        })
    }

    fn missing(&self) -> String {
        self.unattached().fold(String::new(), |line, (name, why)| {
            line + ", NOT on " + name + ": " + why
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_from_cookies_that_are_always_sent() {
        let said = |attack, always, watched| {
            let syn = SynStatus {
                attack,
                always,
                watched,
                rate: 7,
                ..SynStatus::default()
            };
            syn.headline()
        };
        assert_eq!(said(false, false, false), "");
        assert_eq!(
            said(true, false, false),
            ", SYN FLOOD of 7/s answered with cookies"
        );
        assert_eq!(said(true, false, true), ", SYN FLOOD of 7/s, only counted");
        assert_eq!(
            said(true, true, false),
            ", every SYN is answered with a cookie"
        );
        assert_eq!(said(true, true, true), "");
    }

    #[test]
    fn one_line_says_what_protects() {
        let mut status = Status {
            on: true,
            action: "enforce".into(),
            unshielded: Some("no privilege".into()),
            proxy: true,
            blocked: 3,
            ..Status::default()
        };
        let expected = "not shielded by XDP: no privilege; block lists are applied when connections are accepted; 3 blocked, 0 allowed";
        assert_eq!(status.headline(), expected);
        status.interfaces = vec![
            InterfaceStatus {
                name: "eth0".into(),
                mode: Some("native".into()),
                note: None,
                traffic: None,
                confirm_by: None,
            },
            InterfaceStatus {
                name: "eth1".into(),
                mode: None,
                note: Some("no such interface".into()),
                traffic: None,
                confirm_by: None,
            },
        ];
        status.action = "monitor".into();
        let expected = "XDP on eth0 (native), NOT on eth1: no such interface, monitor: counts, drops nothing; 3 blocked, 0 allowed";
        assert_eq!(status.headline(), expected);
        status.on = false;
        assert_eq!(
            status.headline(),
            "OFF by the kill switch: everything passes; 3 blocked, 0 allowed"
        );
    }
}
