//! The parsed document: TOML values in file order, each with its place, variables filled in.

use toml::de::{DeTable, DeValue};

use super::problem::Complaint;
use super::reader::Reader;
use super::unclosed;

/// A span of one of the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Table),
    /// Its problem is already told.
    Broken,
}

pub(super) type Table = Vec<Entry>;

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Of the key.
    pub(super) place: Place,
    pub(super) node: Node,
}

impl Node {
    /// The type with its article, as a sentence needs it.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::String(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Boolean(_) => "a boolean",
            Value::Datetime => "a date",
            Value::Array(_) => "a list",
            Value::Table(_) | Value::Broken => "a table",
        }
    }
}

/// Reads a document; `None` when its syntax is wrong, which is reported.
pub(super) fn parse(reader: &Reader<'_>, file: usize, text: &str) -> Option<Table> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(table_of(reader, file, "", table.get_ref()));
    }
    let faults: Vec<(std::ops::Range<usize>, &str)> = errors
        .iter()
        .map(|error| (error.span().unwrap_or(0..0), error.message()))
        .collect();
    let line_of = |at: usize| {
        let before = text.as_bytes().iter().take(at);
        before.filter(|byte| **byte == b'\n').count()
    };
    // A fault before it on its line is the reason why it looks open.
    let unclosed = unclosed::find(text).filter(|unclosed| {
        let line = line_of(unclosed.start);
        let mut before = faults.iter().map(|(span, _)| span.start);
        !before.any(|at| at < unclosed.start && line_of(at) == line)
    });
    let end = unclosed.as_ref().map_or(usize::MAX, |found| found.start);
    let mut last_line = None;
    for (span, message) in faults.iter().filter(|(span, _)| span.start < end) {
        // What follows on the same line is mostly the echo of the first fault.
        let line = line_of(span.start);
        if last_line.replace(line) == Some(line) {
            continue;
        }
        let message = message
            .strip_suffix(", expected nothing")
            .unwrap_or(message);
        let (start, end) = (span.start, span.end);
        reader.report(Place { file, start, end }, "", Complaint::new(message));
    }
    if let Some(unclosed) = unclosed {
        let (start, end) = (unclosed.start, unclosed.end);
        let place = Place { file, start, end };
        reader.report(place, "", unclosed.complaint(text));
    }
    None
}

/// Reads one value of the registry; `place` stands for all of it.
pub(super) fn parse_default(text: &str, place: Place) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    let silent = Reader::silent();
    let mut node = node_of(&silent, place.file, "", value.get_ref(), value.span());
    relocate(&mut node, place);
    Some(node)
}

fn relocate(node: &mut Node, place: Place) {
    node.place = place;
    match &mut node.value {
        Value::Array(items) => items.iter_mut().for_each(|item| relocate(item, place)),
        Value::Table(entries) => {
            for entry in entries {
                entry.place = place;
                relocate(&mut entry.node, place);
            }
        }
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime
        | Value::Broken => {}
    }
}

fn table_of(reader: &Reader<'_>, file: usize, path: &str, table: &DeTable<'_>) -> Table {
    let mut entries: Table = table
        .iter()
        .map(|(key, value)| {
            let span = key.span();
            let path = join(path, key.get_ref());
            Entry {
                key: key.get_ref().to_string(),
                place: Place {
                    file,
                    start: span.start,
                    end: span.end,
                },
                node: node_of(reader, file, &path, value.get_ref(), value.span()),
            }
        })
        .collect();
    entries.sort_by_key(|entry| entry.place);
    entries
}

fn node_of(
    reader: &Reader<'_>,
    file: usize,
    path: &str,
    value: &DeValue<'_>,
    span: std::ops::Range<usize>,
) -> Node {
    let place = Place {
        file,
        start: span.start,
        end: span.end,
    };
    let broken = |complaint| {
        reader.report(place, path, complaint);
        Value::Broken
    };
    let value = match value {
        DeValue::String(text) => reader.expand(text).map_or_else(broken, Value::String),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .ok()
            .map_or_else(
                || {
                    broken(
                        Complaint::new(format!("{digits} is too large an integer"))
                            .hint("the largest is 9223372036854775807"),
                    )
                },
                Value::Integer,
            ),
        DeValue::Float(digits) => digits.as_str().parse().map_or_else(
            |_| {
                broken(
                    Complaint::new(format!("{digits} is no number")).hint("write one such as 1.5"),
                )
            },
            Value::Float,
        ),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    let path = format!("{path}[{index}]");
                    node_of(reader, file, &path, item.get_ref(), item.span())
                })
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(table_of(reader, file, path, table)),
    };
    Node { place, value }
}

/// `parent.key`, the key quoted where TOML would ask for it.
pub(super) fn join(parent: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    match (parent, bare) {
        ("", true) => key.to_owned(),
        ("", false) => format!("{key:?}"),
        (_, true) => format!("{parent}.{key}"),
        (_, false) => format!("{parent}.{key:?}"),
    }
}
