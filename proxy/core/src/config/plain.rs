//! A configuration in one form, whichever way it is written: defaults are there, a lone value is a list, a name is the table that it
//! stands for, and times, sizes and rates compare by what they are. Made from the registry, so that no key can be forgotten.

use super::keys::{Key, Presence, Section};
use super::load::ROOT;
use super::places::Places;
use super::tree::{self, Node, Place, Table, Value};
use super::units;

/// Keys whose values nobody is shown.
const SECRET: [&str; 4] = ["api_key", "password", "secret", "token"];

/// A value in its one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plain {
    One(Scalar),
    List(Vec<Self>),
    /// In the order of the registry, or of names where the keys are the operator's own.
    Table(Vec<Field>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Field {
    pub key: String,
    pub value: Plain,
    /// It is not the default that nobody has written.
    is_written: bool,
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

impl Eq for Field {}

/// A string, number or boolean.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// As it is written, or its default.
    pub shown: String,
    /// The same for all that mean the same.
    meaning: String,
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.meaning == other.meaning
    }
}

impl Eq for Scalar {}

impl Plain {
    /// The value of a key, of a table that has it.
    pub fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Table(fields) => {
                let mut fields = fields.iter();
                fields.find(|it| it.key == name).map(|it| &it.value)
            }
            Self::One(_) | Self::List(_) => None,
        }
    }

    /// For people, on one line, without what is as it is anyway.
    pub fn shown(&self) -> String {
        match self {
            Self::One(scalar) => escaped(&scalar.shown),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::shown).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Table(fields) => {
                let written = fields.iter().filter(|it| it.is_written);
                let written: Vec<String> = written
                    .map(|it| format!("{} = {}", it.key, it.value.shown()))
                    .collect();
                match written.as_slice() {
                    [] => "{}".to_owned(),
                    written => format!("{{ {} }}", written.join(", ")),
                }
            }
        }
    }

    /// By which an item of a list is known: of a table, the name of what it is about.
    pub fn identity(&self) -> String {
        let names = ["name", "upstream", "address", "cert"];
        let name = names.iter().find_map(|name| self.field(name));
        name.map_or_else(|| self.shown(), Self::shown)
    }
}

impl Places {
    /// The configuration in its one form.
    pub fn plain(&self) -> Plain {
        of_section(&ROOT, self.document())
    }
}

fn of_section(section: &'static Section, table: &Table) -> Plain {
    let entries = section.keys.iter().filter_map(|key| {
        let written = table.iter().find(|entry| entry.key == key.name);
        let default = || match key.presence {
            Presence::Default(text) => tree::parse_default(text, Place::default()),
            Presence::Required | Presence::Optional => None,
        };
        let node = written.map(|entry| entry.node.clone()).or_else(default)?;
        Some(Field {
            key: key.name.to_owned(),
            value: of_key(key, &node),
            is_written: written.is_some(),
        })
    });
    Plain::Table(entries.collect())
}

fn of_key(key: &'static Key, node: &Node) -> Plain {
    match (key.kind, key.fields) {
        ("tables by name", Some(fields)) => by_name(node, |node| of_table(fields, node)),
        ("table of upstreams", Some(fields)) => {
            by_name(node, |node| list(node, |node| of_table(fields, node)))
        }
        ("table" | "table or boolean", Some(fields)) => of_table(fields, node),
        (_, Some(fields)) => list(node, |node| of_table(fields, node)),
        (kind, None) if kind.starts_with("list of ") => list(node, |node| scalar(kind, node)),
        (_, None) if SECRET.contains(&key.name) => hidden(scalar("", node)),
        (kind, None) => scalar(kind, node),
    }
}

/// That it is another may be told, and not which.
fn hidden(plain: Plain) -> Plain {
    match plain {
        Plain::One(Scalar { meaning, .. }) => Plain::One(Scalar {
            shown: "***".to_owned(),
            meaning,
        }),
        other @ (Plain::List(_) | Plain::Table(_)) => other,
    }
}

/// On one line, and nothing that steers a terminal.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

fn by_name(node: &Node, each: impl Fn(&Node) -> Plain) -> Plain {
    let Value::Table(table) = &node.value else {
        return scalar("", node);
    };
    let field = |entry: &tree::Entry| Field {
        key: entry.key.clone(),
        value: each(&entry.node),
        is_written: true,
    };
    let mut fields: Vec<Field> = table.iter().map(field).collect();
    fields.sort_by(|one, other| one.key.cmp(&other.key));
    Plain::Table(fields)
}

fn list(node: &Node, each: impl Fn(&Node) -> Plain) -> Plain {
    if let Value::Array(items) = &node.value {
        return Plain::List(items.iter().map(each).collect());
    }
    Plain::List(vec![each(node)])
}

/// A table, or the one value that stands for the key of it that cannot be left out.
fn of_table(section: &'static Section, node: &Node) -> Plain {
    if let Value::Table(table) = &node.value {
        return of_section(section, table);
    }
    let mut required = section.keys.iter();
    let required = required.find(|key| key.presence == Presence::Required);
    match (required, &node.value) {
        (Some(key), Value::String(_)) => of_section(
            section,
            &vec![tree::Entry {
                key: key.name.to_owned(),
                place: node.place,
                node: node.clone(),
            }],
        ),
        _ => scalar("", node),
    }
}

fn scalar(kind: &str, node: &Node) -> Plain {
    let shown = match &node.value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Array(_) => return list(node, |node| scalar("", node)),
        Value::Table(_) => return by_name(node, |node| scalar("", node)),
        Value::Datetime | Value::Broken => String::new(),
    };
    let meaning = meaning(kind, &shown).unwrap_or_else(|| shown.clone());
    Plain::One(Scalar { shown, meaning })
}

/// What can be written in several ways.
fn meaning(kind: &str, text: &str) -> Option<String> {
    if kind.starts_with("size") {
        return Some(units::size(text).ok()?.to_string());
    }
    if kind.starts_with("duration") {
        return Some(format!("{:?}", units::duration(text).ok()?));
    }
    match kind {
        "rate" => Some(format!("{:?}", units::rate(text).ok()?)),
        "host name" => Some(text.to_ascii_lowercase()),
        "list of prefixes" => {
            let prefix = units::prefix(text).ok()?;
            Some(format!("{}/{}", prefix.address, prefix.length))
        }
        _ => None,
    }
}
