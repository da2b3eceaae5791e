//! `shield.geo`: countries kept out, or the only ones let in.

use std::path::PathBuf;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::shield::ShieldAction;
use super::tree::Node;
use super::values;
use crate::country::{UNKNOWN, UNKNOWN_WORD, country_number};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geo {
    pub database: PathBuf,
    pub rule: GeoRule,
    /// Numbers of [`crate::country`], ascending.
    pub countries: Vec<u8>,
    pub action: ShieldAction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeoRule {
    /// The countries are kept out.
    Deny,
    /// All others are kept out.
    Allow,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "shield.geo",
    doc: "Which countries are kept out. Exactly one of deny and allow. Allow lists and bans go before it.",
    keys: &[
        Key::required(
            "database",
            "path",
            "\"country.mmdb\"",
            "A database of countries in the MaxMind format, of any provider. Read again when it changes.",
        ),
        Key::optional(
            "deny",
            "list of countries",
            "[\"ZZ\"]",
            "Countries to keep out, as two capital letters; \"unknown\" is all that the database does not know.",
        ),
        Key::optional(
            "allow",
            "list of countries",
            "[\"DE\", \"FR\"]",
            "The only countries to let in. Private addresses, which have no country, come in as well.",
        ),
        Key::default(
            "action",
            "word",
            "\"enforce\"",
            "enforce keeps out who is not to come in; monitor only counts it.",
        )
        .words(&["enforce", "monitor"]),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Geo> {
    let database = section.value("database", |node| section.reader.path(node));
    let deny = section.list("deny", country);
    let allow = section.list("allow", country);
    let action = section.value("action", ShieldAction::read);
    let (rule, countries) = match (section.has("deny"), section.has("allow")) {
        (true, false) => (GeoRule::Deny, deny?),
        (false, true) => (GeoRule::Allow, allow?),
        (true, true) => {
            let complaint = Complaint::new("`deny` and `allow` exclude each other");
            section.complain("allow", complaint.hint("keep one of them"));
            return None;
        }
        (false, false) => {
            let complaint = Complaint::new("which countries are meant?");
            section.complain(
                "database",
                complaint.hint("add deny = [\"..\"] or allow = [\"..\"]"),
            );
            return None;
        }
    };
    if countries.is_empty() {
        let key = if rule == GeoRule::Deny {
            "deny"
        } else {
            "allow"
        };
        let complaint = Complaint::new("this names no country");
        section.complain(key, complaint.hint("name one, or remove `geo`"));
        return None;
    }
    let mut countries = countries;
    countries.sort_unstable();
    countries.dedup();
    Some(Geo {
        database: database?,
        rule,
        countries,
        action: action?,
    })
}

fn country(node: &Node) -> Result<u8, Unread> {
    let text = values::string(node)?;
    if text == UNKNOWN_WORD {
        return Ok(UNKNOWN);
    }
    if let Some(number) = country_number(text) {
        return Ok(number);
    }
    let meant = match text.to_ascii_uppercase().as_str() {
        "UK" => Some("GB".to_owned()),
        upper if country_number(upper).is_some() => Some(upper.to_owned()),
        _ => None,
    };
    let hint = meant.map_or_else(
        || "write the two capital letters of ISO 3166, such as \"DE\"".to_owned(),
        |meant| format!("did you mean \"{meant}\"?"),
    );
    Err(
        Complaint::new(format!("`{text}` is not the code of a country"))
            .hint(hint)
            .into(),
    )
}
