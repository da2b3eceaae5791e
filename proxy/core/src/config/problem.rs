//! What is wrong with a configuration, where it stands, and what would be right: for people and as data.

use std::fmt;

use serde::Serialize;

/// What a parser says about one value; the reader adds the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Complaint {
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Complaint {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A hint where there is none yet.
    #[must_use]
    pub(crate) fn or_hint(mut self, hint: Option<String>) -> Self {
        self.hint = self.hint.or(hint);
        self
    }
}

/// Whether the configuration can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// Line and column count from one, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Location {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

/// One mistake. `Display` renders it with the line it stands on and a caret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub severity: Severity,
    #[serde(flatten)]
    pub location: Location,
    /// The path of the key, such as `listener.web.bind[0]`; empty when the whole file is meant.
    pub key: String,
    pub message: String,
    pub hint: Option<String>,
    /// The other place of a conflict.
    pub first: Option<Location>,
    #[serde(skip)]
    excerpt: String,
    /// Characters under the caret, at least one.
    #[serde(skip)]
    width: usize,
}

/// Every mistake of a configuration, in file order; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            problem.fmt(out)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let Location { file, line, column } = &self.location;
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        // A tab stays a tab, so that the caret stands under its character at every tab width.
        let indent: String = self
            .excerpt
            .chars()
            .take(column.saturating_sub(1))
            .map(|character| if character == '\t' { '\t' } else { ' ' })
            .collect();
        writeln!(out, "{severity}: {}", self.message)?;
        writeln!(out, "{gutter}--> {file}:{line}:{column}")?;
        writeln!(out, "{gutter} |")?;
        writeln!(out, "{number} | {}", self.excerpt)?;
        write!(out, "{gutter} | {indent}{}", "^".repeat(self.width))?;
        if let Some(hint) = &self.hint {
            write!(out, " {hint}")?;
        }
        writeln!(out)?;
        if !self.key.is_empty() {
            writeln!(out, "{gutter} = key: {}", self.key)?;
        }
        if let Some(first) = &self.first {
            writeln!(
                out,
                "{gutter} = first: {}:{}:{}",
                first.file, first.line, first.column
            )?;
        }
        Ok(())
    }
}

/// A configuration file, kept to show the lines that are wrong.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn location(&self, start: usize) -> Location {
        let (line, column, _) = self.line_at(start);
        Location {
            file: self.name.clone(),
            line,
            column,
        }
    }

    pub(crate) fn problem(
        &self,
        severity: Severity,
        span: (usize, usize),
        key: &str,
        complaint: Complaint,
    ) -> Problem {
        let (start, end) = span;
        let (line, column, excerpt) = self.line_at(start);
        let start = self.text.floor_char_boundary(start);
        let end = self.text.floor_char_boundary(end.max(start));
        let marked = self.text.get(start..end).unwrap_or_default();
        let width = marked.lines().next().unwrap_or_default().chars().count();
        Problem {
            severity,
            location: Location {
                file: self.name.clone(),
                line,
                column,
            },
            key: key.to_owned(),
            message: complaint.message,
            hint: complaint.hint,
            first: None,
            excerpt: excerpt.to_owned(),
            width: width.max(1),
        }
    }

    /// Line and column of a byte offset, and the text of that line.
    fn line_at(&self, offset: usize) -> (usize, usize, &str) {
        let offset = self.text.floor_char_boundary(offset);
        let (before, after) = self.text.split_at_checked(offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        let line_end = offset + after.find('\n').unwrap_or(after.len());
        let excerpt = self.text.get(line_start..line_end).unwrap_or_default();
        (line, column, excerpt.trim_end())
    }
}
