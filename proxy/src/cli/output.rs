//! What a verb gives back, and the two ways to print it.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, Write};
use std::ops::ControlFlow;

use clap::ValueEnum;
use serde_json::Value;

/// `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Whether `-o json` stands in a command line that could not be parsed.
pub(super) fn wants_json(arguments: &[OsString]) -> bool {
    let mut words = arguments.iter().map(|word| word.to_string_lossy());
    let mut is_value = false;
    words
        .by_ref()
        .take_while(|word| word != "--")
        .any(|word| match &*word {
            "json" => is_value,
            "-ojson" | "-o=json" | "--output=json" => true,
            other => {
                is_value = matches!(other, "-o" | "--output");
                false
            }
        })
}

/// An answer.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Whole lines.
    pub(super) text: String,
    pub(super) json: Value,
    /// For people only, on stderr: the JSON has them too.
    pub(super) warnings: Vec<String>,
    pub(super) code: u8,
}

impl Outcome {
    pub(super) fn new(text: String, json: Value) -> Self {
        Self {
            text,
            json,
            warnings: Vec::new(),
            code: 0,
        }
    }

    pub(super) fn print(&self, format: Format) {
        match format {
            Format::Text => {
                for warning in &self.warnings {
                    error_line(warning);
                }
                print(&self.text);
            }
            Format::Json if self.json.is_null() => {}
            Format::Json => print(&format!("{:#}\n", self.json)),
        }
    }
}

/// A closed pipe ends the printing and nothing else.
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A line among others that follow; with a closed pipe it is the last.
pub(super) fn print_on(text: &str) -> ControlFlow<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

/// The text without anything that could steer a terminal: much of it was written by strangers.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        text.replace(char::is_control, "\u{fffd}").into()
    } else {
        text.into()
    }
}

pub(super) fn error_line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
}

/// A number of things.
pub(super) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// The beginning of what is longer than `width` characters.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().nth(width).is_none() {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// Rows with their columns aligned.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            let padding = width - cell.chars().count().min(*width);
            line.extend(std::iter::repeat_n(' ', padding + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
