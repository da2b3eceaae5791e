//! Comma-separated values (RFC 4180), one record a line.

use std::borrow::Cow;

use super::super::prefix;
use super::{Fields, Parsed};

/// Where the values stand in a line.
struct Columns {
    address: usize,
    ttl: Option<usize>,
    reason: Option<usize>,
    list: Option<usize>,
}

pub(super) fn parse(text: &str, parsed: &mut Parsed) {
    let mut columns = Columns {
        address: 0,
        ttl: Some(1),
        reason: Some(2),
        list: Some(3),
    };
    let mut is_first = true;
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let Some(fields) = fields(text) else {
            parsed.problems.add(
                line,
                "a quote is open at the end of the line, or text stands behind a closing one",
            );
            continue;
        };
        if std::mem::take(&mut is_first)
            && let Some(named) = header(&fields)
        {
            columns = named;
            continue;
        }
        let field = |column: Option<usize>| {
            fields
                .get(column?)
                .map(|field| field.trim())
                .filter(|field| !field.is_empty())
        };
        match field(Some(columns.address)) {
            Some(address) => parsed.take(
                line,
                Fields {
                    address,
                    ttl: field(columns.ttl),
                    reason: field(columns.reason),
                    list: field(columns.list),
                },
            ),
            None => parsed.problems.add(line, "the address is missing"),
        }
    }
}

/// The columns that a first line names, if it is no record itself.
fn header(fields: &[Cow<'_, str>]) -> Option<Columns> {
    let find = |names: &[&str]| {
        fields.iter().position(|field| {
            names
                .iter()
                .any(|name| field.trim().eq_ignore_ascii_case(name))
        })
    };
    if fields
        .iter()
        .any(|field| prefix::read(field.trim()).is_ok())
    {
        return None;
    }
    let address = find(&["address", "ip", "prefix", "cidr", "network", "value"])?;
    Some(Columns {
        address,
        ttl: find(&["ttl", "duration"]),
        reason: find(&["reason", "comment"]),
        list: find(&["list"]),
    })
}

/// The fields of a line; nothing if its quotes do not match.
fn fields(line: &str) -> Option<Vec<Cow<'_, str>>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => match rest.split_once(',') {
                Some((field, behind)) => (Cow::Borrowed(field), Some(behind)),
                None => (Cow::Borrowed(rest), None),
            },
        };
        fields.push(field);
        match behind {
            Some(behind) => rest = behind,
            None => return Some(fields),
        }
    }
}

/// Reads up to the closing quote and the comma behind it.
fn unquote(text: &str) -> Option<(Cow<'_, str>, Option<&str>)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, behind) = rest.split_once('"')?;
        field.push_str(part);
        if let Some(behind) = behind.strip_prefix('"') {
            field.push('"');
            rest = behind;
        } else if behind.is_empty() {
            return Some((Cow::Owned(field), None));
        } else {
            return Some((Cow::Owned(field), Some(behind.strip_prefix(',')?)));
        }
    }
}
