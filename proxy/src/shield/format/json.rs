//! JSON: an array, or one value a line. A value is an address or an object with `address`, and perhaps `ttl` and `reason`.

use serde::Deserialize;

use super::{Fields, Parsed};

#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Address(String),
    Object {
        #[serde(alias = "ip", alias = "prefix", alias = "cidr", alias = "value")]
        address: String,
        #[serde(default, alias = "duration")]
        ttl: Option<Ttl>,
        #[serde(default, alias = "sblid", alias = "scenario")]
        reason: Option<String>,
        #[serde(default)]
        list: Option<String>,
    },
    /// What a feed says of itself.
    Metadata {
        #[serde(rename = "type")]
        _kind: MetadataKind,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum MetadataKind {
    Metadata,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ttl {
    Seconds(u64),
    Text(String),
}

const EXPECTED: &str = "expected \"203.0.113.7\" or {\"address\": \"203.0.113.7\", \"ttl\": \"4h\", \"reason\": \"scanner\"}";

pub(super) fn parse(text: &str, parsed: &mut Parsed) {
    if text.trim_start().starts_with('[') {
        match serde_json::from_str::<Vec<&serde_json::value::RawValue>>(text) {
            Ok(items) => {
                let mut lines = Lines { text, line: 1 };
                for item in items {
                    take(lines.of(item.get()), item.get(), parsed);
                }
            }
            Err(error) => parsed.problems.add(error.line(), error.to_string()),
        }
        return;
    }
    for (line, text) in (1..)
        .zip(text.lines())
        .filter(|(_, text)| !text.trim().is_empty())
    {
        take(line, text, parsed);
    }
}

/// Counts the lines before slices of a text, asked for in their order.
struct Lines<'a> {
    text: &'a str,
    line: usize,
}

impl Lines<'_> {
    fn of(&mut self, slice: &str) -> usize {
        let offset = (slice.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        if let Some((before, behind)) = self.text.split_at_checked(offset) {
            self.line += before.bytes().filter(|byte| *byte == b'\n').count();
            self.text = behind;
        }
        self.line
    }
}

fn take(line: usize, text: &str, parsed: &mut Parsed) {
    match serde_json::from_str(text) {
        Ok(Item::Metadata { .. }) => {}
        Ok(Item::Address(address)) => parsed.take(
            line,
            Fields {
                address: &address,
                ..Fields::default()
            },
        ),
        Ok(Item::Object {
            address,
            ttl,
            reason,
            list,
        }) => {
            let ttl = ttl.map(|ttl| match ttl {
                Ttl::Seconds(seconds) => seconds.to_string(),
                Ttl::Text(text) => text,
            });
            parsed.take(
                line,
                Fields {
                    address: &address,
                    ttl: ttl.as_deref(),
                    reason: reason.as_deref(),
                    list: list.as_deref(),
                },
            );
        }
        Err(error) if error.is_data() => parsed.problems.add(line, EXPECTED),
        Err(error) => parsed.problems.add(line, error.to_string()),
    }
}
