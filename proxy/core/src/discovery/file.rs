//! A file of endpoints, JSON or TOML.
//!
//! A list of addresses or tables (`address`, `weight`, `zone`), in TOML under the key `endpoints`; or the groups that Prometheus reads
//! (`file_sd`): tables with `targets`, whose labels say nothing here but `zone`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Endpoint, Target, TooMany, set};
use crate::config::{EndpointAddress, endpoint_address};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// By any name but `*.toml`.
    Json,
    /// By the name `*.toml`.
    Toml,
}

/// Why a file is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// What is written there makes no sense.
    #[error("line {line}, column {column}: {message}")]
    Text {
        /// From 1.
        line: usize,
        /// In bytes, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// More endpoints than are taken.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// The endpoints that the text of a file has. Those of weight 0 are left out.
///
/// # Errors
/// The first thing in it that makes no sense.
pub fn endpoints(text: &str, format: Format) -> Result<Vec<Endpoint>, FileError> {
    let List(found) = match format {
        Format::Json => serde_json::from_str(text).map_err(|error| {
            let whole = error.to_string();
            let place = format!(" at line {} column {}", error.line(), error.column());
            FileError::Text {
                line: error.line().max(1),
                column: error.column().max(1),
                message: whole.strip_suffix(&place).unwrap_or(&whole).to_owned(),
            }
        })?,
        Format::Toml => toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or(text);
            let line_start = before.rfind('\n').map_or(0, |end| end + 1);
            FileError::Text {
                line: before.matches('\n').count() + 1,
                column: before.len() - line_start + 1,
                message: error.message().to_owned(),
            }
        })?,
    };
    Ok(set(found)?)
}

/// The endpoints of the whole file.
struct List(Vec<Endpoint>);

/// One entry of the list: an endpoint, or several with one label.
struct Entry(Vec<Endpoint>);

/// The address of an endpoint, as in a configuration.
struct Address(Target);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = List;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of endpoints")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<List, A::Error> {
        let mut found = Vec::new();
        while let Some(Entry(endpoints)) = entries.next_element()? {
            found.extend(endpoints);
        }
        Ok(List(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut keys: A) -> Result<List, A::Error> {
        let mut found = None;
        while let Some(key) = keys.next_key::<String>()? {
            match key.as_str() {
                "endpoints" => found = Some(keys.next_value::<List>()?),
                _ => return Err(unknown(&key, "`endpoints`")),
            }
        }
        found.ok_or_else(|| Error::custom("missing key `endpoints`"))
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an address such as \"127.0.0.1:9001\", or a table with one")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Entry, E> {
        Ok(entry(vec![address(text)?], 1, None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut keys: A) -> Result<Entry, A::Error> {
        let mut targets: Vec<Target> = Vec::new();
        let (mut weight, mut zone, mut is_named) = (1, None, false);
        while let Some(key) = keys.next_key::<String>()? {
            match key.as_str() {
                "address" => {
                    targets.push(keys.next_value::<Address>()?.0);
                    is_named = true;
                }
                "targets" => {
                    let all: Vec<Address> = keys.next_value()?;
                    targets.extend(all.into_iter().map(|Address(target)| target));
                    is_named = true;
                }
                "weight" => weight = u32::from(keys.next_value::<u16>()?),
                "zone" => zone = Some(keys.next_value()?),
                "labels" => {
                    let mut labels: BTreeMap<String, Label> = keys.next_value()?;
                    if let Some(Label(Some(label))) = labels.remove("zone") {
                        zone = Some(label);
                    }
                }
                _ => {
                    return Err(unknown(
                        &key,
                        "`address`, `weight`, `zone`, `targets`, `labels`",
                    ));
                }
            }
        }
        if !is_named {
            return Err(Error::custom("missing key `address`"));
        }
        Ok(entry(targets, weight, zone.as_ref()))
    }
}

/// A label is a string; others are nobody's business here.
struct Label(Option<String>);

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Label;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a label")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Label, E> {
                Ok(Label(Some(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Any)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Address;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an address such as \"127.0.0.1:9001\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Address, E> {
                Ok(Address(address(text)?))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

fn entry(targets: Vec<Target>, weight: u32, zone: Option<&String>) -> Entry {
    let targets = targets.into_iter().filter(|_| weight > 0);
    let endpoints = targets.map(|target| Endpoint {
        priority: 0,
        target,
        weight,
        zone: zone.cloned(),
    });
    Entry(endpoints.collect())
}

/// As in a configuration, but for what is inside the program.
fn address<E: Error>(text: &str) -> Result<Target, E> {
    match endpoint_address(text) {
        Ok(EndpointAddress::Ip(address)) => Ok(Target::Ip(address)),
        Ok(EndpointAddress::Name { host, port }) => Ok(Target::Name { host, port }),
        Ok(EndpointAddress::Demo) => Err(E::custom(format!("`{text}` is no address"))),
        Err(complaint) => Err(E::custom(complaint)),
    }
}

fn unknown<E: Error>(key: &str, known: &str) -> E {
    E::custom(format!("unknown key `{key}`; there is {known}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{Format, endpoints};

    fn told(text: &str, format: Format) -> String {
        let found = endpoints(text, format).unwrap();
        let told = found.iter().map(|endpoint| {
            let zone = endpoint.zone.as_deref().map(|zone| format!("@{zone}"));
            let zone = zone.unwrap_or_default();
            format!("{}*{}{zone}", endpoint.target, endpoint.weight)
        });
        told.collect::<Vec<_>>().join(" ")
    }

    fn wrong(text: &str, format: Format) -> String {
        endpoints(text, format).unwrap_err().to_string()
    }

    #[test]
    fn a_list_is_json_or_toml() {
        let expected = "10.0.0.1:80*1 10.0.0.2:80*3@eu app.internal:8080*1";
        let json = r#"["10.0.0.1:80", {"address": "10.0.0.2:80", "weight": 3, "zone": "eu"},
            "app.internal:8080", {"address": "10.0.0.3:80", "weight": 0}]"#;
        assert_eq!(told(json, Format::Json), expected);
        let whole = format!("{{\"endpoints\": {json}}}");
        assert_eq!(told(&whole, Format::Json), expected);
        let toml = "endpoints = [\"10.0.0.1:80\", { address = \"10.0.0.2:80\", weight = 3, zone = \"eu\" },\n\"app.internal:8080\"]";
        assert_eq!(told(toml, Format::Toml), expected);
        let tables =
            "[[endpoints]]\naddress = \"10.0.0.1:80\"\n[[endpoints]]\naddress = \"10.0.0.2:80\"\n";
        assert_eq!(told(tables, Format::Toml), "10.0.0.1:80*1 10.0.0.2:80*1");
        assert_eq!(told("[]", Format::Json), "");
        assert_eq!(told("endpoints = []", Format::Toml), "");
    }

    #[test]
    fn the_groups_of_prometheus_are_read() {
        let text = r#"[{"targets": ["10.0.0.1:80", "10.0.0.2:80"], "labels": {"zone": "a", "env": "prod"}},
            {"targets": ["10.0.0.3:80"]}, {"targets": []}]"#;
        assert_eq!(
            told(text, Format::Json),
            "10.0.0.1:80*1@a 10.0.0.2:80*1@a 10.0.0.3:80*1"
        );
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        for (text, place, what) in [
            ("", "line 1, column 1", "EOF"),
            (
                "[\n  \"10.0.0.1:80\",\n  \"10.0.0.2\"\n]",
                "line 3, column",
                "it has no port",
            ),
            (
                "[{\"addresss\": \"10.0.0.1:80\"}]",
                "line 1, column",
                "unknown key `addresss`",
            ),
            (
                "[{\"weight\": 1}]",
                "line 1, column",
                "missing key `address`",
            ),
            ("[1]", "line 1, column", "invalid type: integer"),
            ("{}", "line 1, column", "missing key `endpoints`"),
            ("[\"builtin:demo\"]", "line 1, column", "no address"),
            (
                "[{\"address\": \"a:80\", \"weight\": -1}]",
                "line 1, column",
                "invalid value",
            ),
        ] {
            let wrong = wrong(text, Format::Json);
            assert!(
                wrong.starts_with(place) && wrong.contains(what),
                "{text}: {wrong}"
            );
            assert_eq!(wrong.matches("line").count(), 1, "{wrong}");
        }
        for (text, place, what) in [
            (
                "endpoints = [\n  \"a:80\",\n  \"b\",\n]",
                "line 3, column 3",
                "it has no port",
            ),
            ("endpoints = [\n", "line ", "array"),
            ("endpoint = []", "line 1, column", "unknown key `endpoint`"),
        ] {
            let wrong = wrong(text, Format::Toml);
            assert!(
                wrong.starts_with(place) && wrong.contains(what),
                "{text}: {wrong}"
            );
        }
    }
}
