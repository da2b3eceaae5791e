//! Writing lists, so that an import of the same format brings them back.

use serde_json::json;

use super::{Format, plain, ttl};

/// A text that grows by entries.
#[derive(Debug)]
pub(in super::super) struct Writer {
    format: Format,
    out: String,
    entries: usize,
    list: String,
    /// What the last line about ends said.
    left: Option<u64>,
}

impl Writer {
    pub(in super::super) fn new(format: Format) -> Self {
        let out = match format {
            Format::Csv => "address,ttl,reason,list\n".to_owned(),
            Format::Json => "[".to_owned(),
            Format::Plain | Format::Netset => String::new(),
        };
        Self {
            format,
            out,
            entries: 0,
            list: String::new(),
            left: None,
        }
    }

    /// Adds an entry with the seconds that it has left.
    pub(in super::super) fn entry(
        &mut self,
        address: &str,
        list: &str,
        left: Option<u64>,
        reason: Option<&str>,
    ) {
        match self.format {
            Format::Plain | Format::Netset => {
                if self.list != list {
                    list.clone_into(&mut self.list);
                    self.push(&["# list ", list, "\n"]);
                }
                if self.left != left {
                    self.left = left;
                    let left = left.map_or_else(|| plain::NEVER.to_owned(), ttl::exact);
                    self.push(&["# ", plain::ENDS, &left, "\n"]);
                }
                self.push(&[address]);
                if let Some(reason) = reason {
                    self.push(&[" # ", reason]);
                }
                self.push(&["\n"]);
            }
            Format::Csv => {
                let left = left.map(ttl::exact).unwrap_or_default();
                let reason = reason.map(quote).unwrap_or_default();
                self.push(&[address, ",", &left, ",", &reason, ",", list, "\n"]);
            }
            Format::Json => {
                self.out += if self.entries == 0 { "\n" } else { ",\n" };
                let ttl = left.map(ttl::exact);
                self.out +=
                    &json!({ "address": address, "list": list, "ttl": ttl, "reason": reason })
                        .to_string();
            }
        }
        self.entries += 1;
    }

    fn push(&mut self, parts: &[&str]) {
        self.out.extend(parts.iter().copied());
    }

    /// The text and how many entries it has.
    pub(in super::super) fn finish(mut self) -> (String, usize) {
        if self.format == Format::Json {
            self.out += if self.entries == 0 { "]\n" } else { "\n]\n" };
        }
        (self.out, self.entries)
    }
}

fn quote(text: &str) -> String {
    if text.contains([',', '"']) || text.starts_with('#') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
