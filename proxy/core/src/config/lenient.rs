//! What can be known of a configuration that is wrong: where its admin socket is, so that the proxy that serves its forerunner can be
//! asked.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::{Source, variables};

/// The admin socket that a configuration names, whatever else is wrong with it.
pub fn named_socket(source: &Source<'_>) -> Option<PathBuf> {
    let base = Path::new(source.name).parent().unwrap_or(Path::new(""));
    let written = socket_in(source.text).or_else(|| {
        included(source, base)
            .iter()
            .find_map(|text| socket_in(text))
    })?;
    let socket = variables::expand(&written, source.variable).ok()?;
    Some(base.join(socket))
}

fn socket_in(text: &str) -> Option<String> {
    let (table, _) = DeTable::parse_recoverable(text);
    let table = table.get_ref();
    let admin = entry(table, "admin").and_then(DeValue::as_table);
    let socket = admin.and_then(|admin| string(entry(admin, "socket")?));
    socket.or_else(|| socket_line(text))
}

/// What does not close swallows the sections behind it, but not their lines.
fn socket_line(text: &str) -> Option<String> {
    let lines = text.lines().map(str::trim);
    let mut section = lines.skip_while(|line| *line != "[admin]").skip(1);
    section
        .by_ref()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| DeTable::parse(line).ok())
        .find_map(|line| string(entry(line.get_ref(), "socket")?))
}

/// The texts of included files that can be read.
fn included(source: &Source<'_>, base: &Path) -> Vec<String> {
    let (table, _) = DeTable::parse_recoverable(source.text);
    let patterns: Vec<String> = match entry(table.get_ref(), "include") {
        Some(DeValue::Array(items)) => items
            .iter()
            .filter_map(|item| string(item.get_ref()))
            .collect(),
        Some(one) => string(one).into_iter().collect(),
        None => Vec::new(),
    };
    let names = patterns.iter().filter_map(|pattern| {
        let pattern = variables::expand(pattern, source.variable).ok()?;
        let pattern = base.join(pattern).display().to_string();
        // What cannot be listed or read is told by whoever loads it.
        source.files.glob(&pattern).ok()
    });
    names
        .flatten()
        .filter_map(|name| source.files.read(&name).ok())
        .collect()
}

fn entry<'a>(table: &'a DeTable<'_>, key: &str) -> Option<&'a DeValue<'a>> {
    table
        .iter()
        .find(|(name, _)| name.get_ref() == key)
        .map(|(_, value)| value.get_ref())
}

fn string(value: &DeValue<'_>) -> Option<String> {
    value.as_str().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::config::Files;

    struct One;

    impl Files for One {
        fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
            Ok(vec![pattern.to_owned()])
        }

        fn read(&self, name: &str) -> Result<String, String> {
            match name {
                "/etc/oc/admin.toml" => Ok("[admin]\nsocket = \"included\"\n".to_owned()),
                _ => Err("no such file".to_owned()),
            }
        }
    }

    fn check(text: &str, expected: Option<&str>) {
        let source = Source {
            name: "/etc/oc/main.toml",
            text,
            files: &One,
            variable: &|name| (name == "RUN").then(|| "/run".to_owned()),
        };
        let found = named_socket(&source);
        assert_eq!(found.as_deref(), expected.map(Path::new), "{text}");
    }

    #[test]
    fn the_socket_is_found_beside_what_is_wrong() {
        let socket = "[admin]\nsocket = \"${RUN}/a.sock\"\n";
        for (before, after) in [
            ("[nonsense]\n", ""),
            ("", "[listener.web]\nbind = [\"127.0.0.1:80\"\n[[route]]\n"),
            ("[listener.web]\nbind = [\"127.0.0.1:80\"\n", "[server]\n"),
            ("[listener.web]\nbind = [\"127.0.0.1:80]\n", "x = = 1\n"),
            ("[[route]]\nmatch = { path = \"/\"\n", ""),
        ] {
            check(&format!("{before}{socket}{after}"), Some("/run/a.sock"));
        }
        check("admin = { socket = \"a\" }\nx = = 2\n", Some("/etc/oc/a"));
        check(
            "include = [\"none.toml\", \"admin.toml\"]\nx = = 2\n",
            Some("/etc/oc/included"),
        );
        check("[admin]\nsocket = \"${NONE}\"\n", None);
        check("[admin]\nsocket = 5\n[server]\nsocket = \"x\"\n", None);
        check("[admin\nsocket = \"a\n", None);
    }
}
