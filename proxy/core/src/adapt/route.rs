//! A route as it is written.

use std::fmt::Write;

use super::{Note, words};

/// See the module. Values are of TOML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) name: String,
    /// Lines of comment above it.
    pub(super) remarks: Vec<String>,
    pub(super) matcher: Vec<(&'static str, String)>,
    pub(super) keys: Vec<(&'static str, String)>,
    pub(super) request: Edit,
    pub(super) response: Edit,
    pub(super) rank: Rank,
    /// What it was made of.
    pub(super) origin: Option<Note>,
    /// There would be files.
    pub(super) has_files: bool,
    /// It cannot be written after all.
    pub(super) is_left_out: bool,
}

/// When a route is asked that finds its paths by an expression; the last goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A prefix that is written as an expression: behind those that are some, the longer ones first.
    Late(usize),
    #[default]
    Usual,
    /// A prefix that goes before expressions.
    Early(usize),
    /// An expression inside of a prefix, so many locations deep.
    Inside(usize),
    First,
}

/// Edits of header fields: names, and values of TOML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) set: Vec<(String, String)>,
    pub(super) add: Vec<(String, String)>,
    pub(super) remove: Vec<String>,
}

impl Edit {
    pub(super) fn len(&self) -> usize {
        self.set.len() + self.add.len() + self.remove.len()
    }

    /// The fields that a key names.
    pub(super) fn leave_out(&mut self, key: &str) {
        let is_meant =
            |name: &str| key.ends_with(&format!(".{name}")) || key.contains(&format!("\"{name}\""));
        self.set.retain(|(name, _)| !is_meant(name));
        self.add.retain(|(name, _)| !is_meant(name));
        let index = key
            .rsplit_once("remove[")
            .and_then(|(_, end)| end.split(']').next());
        if let Some(index) = index.and_then(|it| it.parse::<usize>().ok()) {
            self.remove = self
                .remove
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != index)
                .map(|(_, it)| it.clone())
                .collect();
        }
    }

    fn written(&self) -> Option<String> {
        let table = |name: &str, pairs: &[(String, String)]| {
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(name, value)| format!("{} = {value}", words::text(name)))
                .collect();
            (!pairs.is_empty()).then(|| format!("{name} = {{ {} }}", pairs.join(", ")))
        };
        let remove =
            (!self.remove.is_empty()).then(|| format!("remove = {}", words::list(&self.remove)));
        let parts = [table("set", &self.set), table("add", &self.add), remove];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("{{ {} }}", parts.join(", ")))
    }
}

impl Route {
    pub(super) fn set(&mut self, key: &'static str, value: impl Into<String>) {
        self.keys.push((key, value.into()));
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|(known, _)| *known == key)
    }

    /// The status that it answers with itself.
    pub(super) fn answer(&self) -> Option<u16> {
        let respond = self.keys.iter().find(|(key, _)| *key == "respond");
        let status = respond?.1.strip_prefix("{ status = ")?;
        status.split([' ', ',']).next()?.parse().ok()
    }

    pub(super) fn write(&self, out: &mut String) {
        out.push('\n');
        for remark in &self.remarks {
            // A quoted word may hold a line break, which would end the comment.
            let plain = remark.replace(char::is_control, " ");
            // Writing to a String cannot fail.
            let _ = writeln!(out, "# {plain}");
        }
        let _ = write!(out, "[[route]]\nname = {}\n", words::text(&self.name));
        if !self.matcher.is_empty() {
            let parts: Vec<String> = self
                .matcher
                .iter()
                .map(|(key, value)| format!("{key} = {value}"))
                .collect();
            let _ = writeln!(out, "match = {{ {} }}", parts.join(", "));
        }
        for (key, value) in &self.keys {
            let _ = writeln!(out, "{key} = {value}");
        }
        let sides = [("request", &self.request), ("response", &self.response)];
        let sides: Vec<String> = sides
            .iter()
            .filter_map(|(side, edit)| Some(format!("{side} = {}", edit.written()?)))
            .collect();
        if !sides.is_empty() {
            let _ = writeln!(out, "headers = {{ {} }}", sides.join(", "));
        }
    }
}
