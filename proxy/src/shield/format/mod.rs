//! Reading lists that others wrote. A line that cannot be used is reported with its number and left out; the rest goes in.

mod csv;
mod json;
mod plain;
pub(super) mod ttl;
pub(super) mod write;

use std::sync::Arc;
use std::time::Duration;

use openclaw_core::config::Prefix;
use serde::{Deserialize, Serialize};

use super::prefix::{self, Reading};

/// Problems that are kept to be shown; the rest are counted.
pub const SHOWN_PROBLEMS: usize = 20;
/// Longest reason in characters; what is longer is cut.
const LONGEST_REASON: usize = 200;

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One address or prefix a line; `#` or `;` begins a comment.
    Plain,
    /// As published by many feeds (`.netset`): like plain.
    Netset,
    /// Lines of `address,ttl,reason,list`, the header line optional.
    Csv,
    /// An array of objects or strings, or one of them a line, as of Spamhaus DROP.
    Json,
}

impl Format {
    /// How a text is most likely written, by its first line that says anything.
    pub(super) fn detect(text: &str) -> Self {
        let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        let Some(line) = lines.find(|line| !line.is_empty() && !line.starts_with(['#', ';']))
        else {
            return Self::Plain;
        };
        let is_json = line.starts_with(['[', '{']) || serde_json::from_str::<&str>(line).is_ok();
        let data = line.split_once(['#', ';']).map_or(line, |(data, _)| data);
        if is_json {
            Self::Json
        } else if data.contains(',') {
            Self::Csv
        } else {
            Self::Plain
        }
    }
}

/// An entry to be put on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::shield) struct NewEntry {
    pub(in crate::shield) prefix: Prefix,
    pub(in crate::shield) ttl: Option<Duration>,
    pub(in crate::shield) reason: Option<Arc<str>>,
    /// The list that the file says it is of.
    pub(in crate::shield) list: Option<Arc<str>>,
    /// Where it stands in the file, from 1; 0 on the command line.
    pub(in crate::shield) line: usize,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub line: usize,
    pub message: String,
}

/// Problems of a file: the first few, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problems {
    pub first: Vec<Problem>,
    pub count: usize,
}

impl Problems {
    pub(super) fn join(&mut self, other: Self) {
        self.count += other.count;
        let room = SHOWN_PROBLEMS.saturating_sub(self.first.len());
        self.first.extend(other.first.into_iter().take(room));
    }

    pub(super) fn add(&mut self, line: usize, message: impl Into<String>) {
        self.count += 1;
        if self.first.len() < SHOWN_PROBLEMS {
            self.first.push(Problem {
                line,
                message: message.into(),
            });
        }
    }
}

/// What a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) entries: Vec<NewEntry>,
    pub(super) problems: Problems,
    /// Entries whose bits behind the prefix length were cleared.
    pub(super) normalised: Problems,
    reason: Option<Arc<str>>,
    list: Option<Arc<str>>,
}

/// An entry as it was written.
#[derive(Clone, Copy, Debug, Default)]
struct Fields<'a> {
    address: &'a str,
    ttl: Option<&'a str>,
    reason: Option<&'a str>,
    list: Option<&'a str>,
}

/// Reads a whole file.
pub(super) fn parse(format: Format, text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Plain | Format::Netset => plain::parse(text, &mut parsed),
        Format::Csv => csv::parse(text, &mut parsed),
        Format::Json => json::parse(text, &mut parsed),
    }
    parsed
}

impl Parsed {
    /// Takes one entry as it was written.
    fn take(&mut self, line: usize, fields: Fields<'_>) {
        let Fields {
            address,
            ttl,
            reason,
            list,
        } = fields;
        let Reading {
            prefix,
            had_host_bits,
        } = match prefix::read(address) {
            Ok(reading) => reading,
            Err(error) => return self.problems.add(line, error.to_string()),
        };
        let ttl = match ttl.map(ttl::parse).transpose() {
            Ok(ttl) => ttl,
            Err(error) => return self.problems.add(line, error.to_string()),
        };
        if had_host_bits {
            self.normalised.add(
                line,
                format!(
                    "{} is taken as {}",
                    prefix::shorten(address),
                    prefix::show(&prefix)
                ),
            );
        }
        let reason = self.reason(reason);
        let list = list.map(|name| self.list(name));
        self.entries.push(NewEntry {
            prefix,
            ttl,
            reason,
            list,
            line,
        });
    }

    /// Lists come in blocks, so the last name is shared.
    fn list(&mut self, name: &str) -> Arc<str> {
        match &self.list {
            Some(list) if **list == *name => Arc::clone(list),
            _ => Arc::clone(self.list.insert(name.into())),
        }
    }

    /// Lists repeat their reasons, so the last one is shared.
    fn reason(&mut self, text: Option<&str>) -> Option<Arc<str>> {
        let reason = clean_reason(text?)?;
        if self.reason.as_deref() != Some(reason.as_ref()) {
            self.reason = Some(reason.into());
        }
        self.reason.clone()
    }
}

/// A reason without what would break a line or a terminal, and not too long.
pub(super) fn clean_reason(text: &str) -> Option<String> {
    let text = text.trim();
    let clean: String = text
        .chars()
        .take(LONGEST_REASON)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    (!clean.is_empty()).then_some(clean)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::fmt::Write;

    use insta::assert_snapshot;

    use super::*;

    /// Everything that was read, for people.
    fn describe(format: Format, text: &str) -> String {
        let parsed = parse(format, text);
        let mut out = String::new();
        for entry in &parsed.entries {
            write!(out, "{}: {}", entry.line, prefix::show(&entry.prefix)).unwrap();
            if let Some(ttl) = entry.ttl {
                write!(out, " for {}s", ttl.as_secs()).unwrap();
            }
            if let Some(reason) = &entry.reason {
                write!(out, " because {reason}").unwrap();
            }
            out.push('\n');
        }
        for (name, problems) in [("note", &parsed.normalised), ("problem", &parsed.problems)] {
            for Problem { line, message } in &problems.first {
                writeln!(out, "{name} in line {line}: {message}").unwrap();
            }
        }
        out
    }

    #[test]
    fn plain_lists_have_comments_and_notes() {
        let text = "\u{feff}# title\n\n 203.0.113.7\t\r\n198.51.100.9/24 ; SBL1\n2001:db8::/32# six\n::ffff:192.0.2.1\n1.2.3.4 5.6.7.8\nexample.org\n1.2.3.4/40";
        assert_snapshot!(describe(Format::Plain, text), @r"
        3: 203.0.113.7
        4: 198.51.100.0/24 because SBL1
        5: 2001:db8::/32 because six
        6: 192.0.2.1
        note in line 4: 198.51.100.9/24 is taken as 198.51.100.0/24
        problem in line 7: one address or prefix a line; a comment begins with #
        problem in line 8: `example.org` is not an address or prefix, such as 203.0.113.7 or 2001:db8::/32
        problem in line 9: the prefix length of `1.2.3.4/40` is over 32
        ");
    }

    #[test]
    fn csv_columns_may_be_named_and_quoted() {
        let text = "address,ttl,reason\n203.0.113.7,4h,\"said \"\"hello\"\", often\"\n203.0.113.8,,\n203.0.113.9,60\n\n203.0.113.10,soon,x\n203.0.113.11,\"1h\n";
        assert_snapshot!(describe(Format::Csv, text), @r#"
        2: 203.0.113.7 for 14400s because said "hello", often
        3: 203.0.113.8
        4: 203.0.113.9 for 60s
        problem in line 6: `soon` is not a time to live, such as 90s, 15m, 4h, 7d or a number of seconds
        problem in line 7: a quote is open at the end of the line, or text stands behind a closing one
        "#);
        let text = "reason,ip\nscanner,203.0.113.7\n";
        assert_snapshot!(describe(Format::Csv, text), @r"
        2: 203.0.113.7 because scanner
        ");
        let text = "203.0.113.7,1d,first line is no header\n";
        assert_snapshot!(describe(Format::Csv, text), @r"
        1: 203.0.113.7 for 86400s because first line is no header
        ");
    }

    #[test]
    fn json_is_an_array_or_lines() {
        let text = r#"[{"address": "203.0.113.7", "ttl": "4h", "reason": "x", "more": 1}, "198.51.100.0/24",
            {"address": "203.0.113.8", "ttl": 90}, {"ttl": "1h"}, 7, "nonsense"]"#;
        assert_snapshot!(describe(Format::Json, text), @r#"
        1: 203.0.113.7 for 14400s because x
        1: 198.51.100.0/24
        2: 203.0.113.8 for 90s
        problem in line 2: expected "203.0.113.7" or {"address": "203.0.113.7", "ttl": "4h", "reason": "scanner"}
        problem in line 2: expected "203.0.113.7" or {"address": "203.0.113.7", "ttl": "4h", "reason": "scanner"}
        problem in line 2: `nonsense` is not an address or prefix, such as 203.0.113.7 or 2001:db8::/32
        "#);
        let text = "{\"address\": \"203.0.113.7\"}\n\n\"203.0.113.8\"\n{broken\n{\"address\": \"203.0.113.9\", \"ttl\": -1}\n";
        assert_snapshot!(describe(Format::Json, text), @r#"
        1: 203.0.113.7
        3: 203.0.113.8
        problem in line 4: key must be a string at line 1 column 2
        problem in line 5: expected "203.0.113.7" or {"address": "203.0.113.7", "ttl": "4h", "reason": "scanner"}
        "#);
        assert_snapshot!(describe(Format::Json, "[\"203.0.113.7\", "), @r"
        problem in line 1: EOF while parsing a value at line 1 column 16
        ");
    }

    #[test]
    fn only_the_first_problems_are_kept() {
        let parsed = parse(Format::Plain, &"x\n".repeat(1000));
        assert_eq!(
            (parsed.problems.first.len(), parsed.problems.count),
            (SHOWN_PROBLEMS, 1000)
        );
    }

    #[test]
    fn reasons_cannot_break_a_line() {
        assert_eq!(clean_reason(" a\u{1b}[31m\nb "), Some("a [31m b".into()));
        assert_eq!(clean_reason(" \t"), None);
        assert_eq!(
            clean_reason(&"ä".repeat(500)).map(|text| text.chars().count()),
            Some(LONGEST_REASON)
        );
    }

    #[test]
    fn the_content_of_a_file_tells_its_format() {
        for (text, format) in [
            ("", Format::Plain),
            ("# a, b\n\n203.0.113.7\n", Format::Plain),
            (
                "; Spamhaus DROP List\n1.10.16.0/20 ; SBL256894, or so\n",
                Format::Plain,
            ),
            ("\u{feff}address,ttl\n", Format::Csv),
            ("# x\n203.0.113.7,,scanner\n", Format::Csv),
            ("\"203.0.113.7\",\"1h\"\n", Format::Csv),
            ("\"203.0.113.7\"\n", Format::Json),
            ("\n [\n", Format::Json),
            ("{\"cidr\":\"1.10.16.0/20\"}\n", Format::Json),
            ("<html>, 404\n", Format::Csv),
        ] {
            assert_eq!(Format::detect(text), format, "{text:?}");
        }
    }

    #[test]
    fn feeds_are_read_as_they_are_published() {
        let text = "{\"cidr\":\"1.10.16.0/20\",\"sblid\":\"SBL256894\",\"rir\":\"apnic\"}\n{\"cidr\":\"2a06:e480::/29\",\"sblid\":\"SBL301771\",\"rir\":\"ripencc\"}\n{\"type\":\"metadata\",\"timestamp\":1,\"size\":2,\"records\":2,\"copyright\":\"x\",\"terms\":\"y\"}\n";
        assert_snapshot!(describe(Format::detect(text), text), @r"
        1: 1.10.16.0/20 because SBL256894
        2: 2a06:e480::/29 because SBL301771
        ");
        let text =
            "; Spamhaus DROP List 2026/11/22\n; Last-Modified: now\n1.10.16.0/20 ; SBL256894\n";
        assert_snapshot!(describe(Format::detect(text), text), @r"
        3: 1.10.16.0/20 because SBL256894
        ");
        let text = "#\n# firehol_level1\n#\n# ipv4 hash:net ipset\n# Category        : attacks\n0.0.0.0/8\n1.10.16.0/20\n";
        assert_snapshot!(describe(Format::detect(text), text), @r"
        6: 0.0.0.0/8
        7: 1.10.16.0/20
        ");
    }

    #[test]
    fn an_export_says_which_list_an_entry_is_of_and_when_it_ends() {
        for format in [Format::Plain, Format::Netset, Format::Csv, Format::Json] {
            let mut writer = write::Writer::new(format);
            writer.entry("203.0.113.7", "office", Some(90), Some("a, \"b\""));
            writer.entry("203.0.113.8", "office", Some(3600), None);
            writer.entry("2001:db8::/32", "feed", None, None);
            let (text, _) = writer.finish();
            let parsed = parse(Format::detect(&text), &text);
            let lists: Vec<_> = parsed
                .entries
                .iter()
                .map(|one| one.list.as_deref())
                .collect();
            assert_eq!(
                lists,
                [Some("office"), Some("office"), Some("feed")],
                "{text}"
            );
            let ends = parsed.entries.iter();
            let ends: Vec<_> = ends.map(|one| one.ttl.map(|ttl| ttl.as_secs())).collect();
            assert_eq!(ends, [Some(90), Some(3600), None], "{text}");
            let reason = parsed.entries.first().and_then(|one| one.reason.as_deref());
            assert_eq!(reason, Some("a, \"b\""));
        }
    }
}
