//! The one way to write a configuration: every comment and value as it is, in its order; spaces, line breaks and blank lines in theirs.

mod read;

use self::read::{Item, Statement, Value, statements};

/// Longer lists are written one item a line.
const WIDTH: usize = 100;
const INDENT: &str = "  ";

/// Writes a configuration anew; it has to be one that parses.
pub fn format(text: &str) -> String {
    let mut out = Writer::default();
    for statement in statements(text) {
        out.statement(&statement);
    }
    out.end();
    out.text
}

#[derive(Default)]
struct Writer {
    text: String,
    /// Comments that belong to what comes next.
    comments: Vec<String>,
    /// A blank line stands before them.
    is_apart: bool,
}

impl Writer {
    fn statement(&mut self, statement: &Statement<'_>) {
        match statement {
            Statement::Blank => {
                self.end();
                self.is_apart = true;
            }
            Statement::Comment(comment) => self.comments.push((*comment).to_owned()),
            Statement::Header { text, comment } => {
                self.is_apart = true;
                self.flush();
                self.line(text, *comment);
            }
            Statement::Setting {
                key,
                value,
                comment,
            } => {
                self.flush();
                let start = format!("{key} = ");
                let value = written(value, start.chars().count(), "");
                self.line(&format!("{start}{value}"), *comment);
            }
        }
    }

    fn line(&mut self, text: &str, comment: Option<&str>) {
        self.text.push_str(text);
        if let Some(comment) = comment {
            self.text.push(' ');
            self.text.push_str(comment);
        }
        self.text.push('\n');
    }

    /// Comments that nothing follows stand for themselves.
    fn end(&mut self) {
        if !self.comments.is_empty() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let is_apart = std::mem::take(&mut self.is_apart);
        if is_apart && !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
        for comment in std::mem::take(&mut self.comments) {
            self.line(&comment, None);
        }
    }
}

/// A value that begins at a column, on a line with that indentation.
fn written(value: &Value<'_>, column: usize, indent: &str) -> String {
    let (open, close, items, tail) = match value {
        Value::Plain(text) => return (*text).to_owned(),
        Value::List { items, tail } => ('[', ']', items, tail),
        Value::Table { items, tail } => ('{', '}', items, tail),
    };
    if let Some(line) = on_one_line(value)
        && (column + line.chars().count() <= WIDTH || open == '{')
    {
        return line;
    }
    let inner = format!("{indent}{INDENT}");
    let mut out = format!("{open}\n");
    for (index, item) in items.iter().enumerate() {
        if item.is_apart && index > 0 {
            out.push('\n');
        }
        for comment in &item.before {
            out.extend([&inner, *comment, "\n"]);
        }
        let key = item.key.as_deref().map(|key| format!("{key} = "));
        let start = format!("{inner}{}", key.unwrap_or_default());
        let value = written(&item.value, start.chars().count(), &inner);
        out.extend([&start, &value, ","]);
        if let Some(comment) = item.after {
            out.extend([" ", comment]);
        }
        out.push('\n');
    }
    for comment in tail {
        out.extend([&inner, *comment, "\n"]);
    }
    out.push_str(indent);
    out.push(close);
    out
}

/// `None`: it holds a comment, which ends its line.
fn on_one_line(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Plain(text) => Some((*text).to_owned()),
        Value::List { items, tail } => {
            let items = all_on_one_line(items, tail)?;
            Some(format!("[{items}]"))
        }
        Value::Table { items, tail } => {
            let items = all_on_one_line(items, tail)?;
            Some(if items.is_empty() {
                "{}".to_owned()
            } else {
                format!("{{ {items} }}")
            })
        }
    }
}

fn all_on_one_line(items: &[Item<'_>], tail: &[&str]) -> Option<String> {
    let parts: Option<Vec<String>> = items
        .iter()
        .map(|item| {
            let is_bare = item.before.is_empty() && item.after.is_none();
            let value = on_one_line(&item.value).filter(|_| is_bare)?;
            Some(match &item.key {
                Some(key) => format!("{key} = {value}"),
                None => value,
            })
        })
        .collect();
    parts.filter(|_| tail.is_empty()).map(|it| it.join(", "))
}

#[cfg(test)]
mod tests;
