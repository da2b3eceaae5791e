//! From the main file to one document: reads included files and merges their tables.

use super::problem::Complaint;
use super::reader::Reader;
use super::tree::{self, Entry, Node, Place, Table, Value};
use super::{Source, values};

/// The whole document, or `None` when the syntax of some file is wrong.
pub(super) fn gather(source: &Source<'_>, reader: &Reader<'_>) -> Option<Table> {
    let main = reader.add_file(source.name, source.text);
    let mut document = tree::parse(reader, main, source.text)?;
    reader.ask("", "include");
    let include = document
        .iter()
        .position(|entry| entry.key == "include")
        .map(|index| document.remove(index));
    let mut whole = true;
    for (place, name) in include
        .iter()
        .flat_map(|entry| paths(source, reader, entry))
    {
        let text = match source.files.read(&name) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read `{name}`: {error}");
                let hint = "see that it is there and may be read, or leave it out";
                reader.report(place, "include", Complaint::new(message).hint(hint));
                continue;
            }
        };
        let file = reader.add_file(&name, &text);
        let Some(mut table) = tree::parse(reader, file, &text) else {
            whole = false;
            continue;
        };
        table.retain(|entry| {
            let nested = entry.key == "include";
            if nested {
                let complaint = Complaint::new("only the main file can include others")
                    .hint("name that file in the main file's `include`");
                reader.report(entry.place, "include", complaint);
            }
            !nested
        });
        merge(reader, &mut document, table);
    }
    whole.then_some(document)
}

/// The files that `include` names, in order, each once.
fn paths(source: &Source<'_>, reader: &Reader<'_>, include: &Entry) -> Vec<(Place, String)> {
    let patterns = if let Value::Array(items) = &include.node.value {
        items.as_slice()
    } else {
        std::slice::from_ref(&include.node)
    };
    let mut paths: Vec<(Place, String)> = Vec::new();
    for node in patterns {
        match expand(source, reader, node) {
            Ok(found) => {
                for path in found {
                    if paths.iter().all(|(_, known)| *known != path) {
                        paths.push((node.place, path));
                    }
                }
            }
            Err(Some(complaint)) => reader.report(node.place, "include", complaint),
            Err(None) => {}
        }
    }
    paths
}

fn expand(
    source: &Source<'_>,
    reader: &Reader<'_>,
    node: &Node,
) -> Result<Vec<String>, Option<Complaint>> {
    let pattern = match values::text(node) {
        Ok(pattern) => pattern,
        Err(super::reader::Unread::Complaint(complaint)) => {
            let hint = "write include = [\"conf.d/*.toml\"]".to_owned();
            return Err(Some(complaint.or_hint(Some(hint))));
        }
        Err(super::reader::Unread::Told) => return Err(None),
    };
    let pattern = reader.base().join(pattern).display().to_string();
    let mut found = source.files.glob(&pattern).map_err(|error| {
        Complaint::new(format!("cannot list `{pattern}`: {error}"))
            .hint("write a pattern such as \"conf.d/*.toml\"")
    })?;
    if found.is_empty() && !pattern.contains(['*', '?', '[']) {
        return Err(Some(Complaint::new(format!(
            "there is no file `{pattern}`"
        ))
        .hint("a path starts at the main file's directory; a pattern such as \"conf.d/*.toml\" may match none")));
    }
    found.sort();
    Ok(found)
}

/// Adds a file to the document: routes in order, tables key by key, nothing twice.
fn merge(reader: &Reader<'_>, document: &mut Table, file: Table) {
    for entry in file {
        let Some(known) = document.iter_mut().find(|known| known.key == entry.key) else {
            document.push(entry);
            continue;
        };
        match (&mut known.node.value, entry.node.value) {
            (Value::Table(known), Value::Table(table)) => {
                merge_keys(reader, &entry.key, known, table);
            }
            (Value::Array(known), Value::Array(items)) => known.extend(items),
            _ => {
                let message = format!("`{}` is given twice", entry.key);
                reader.conflict(
                    known.place,
                    entry.place,
                    &entry.key,
                    Complaint::new(message).hint("keep one of the two"),
                );
            }
        }
    }
}

fn merge_keys(reader: &Reader<'_>, section: &str, into: &mut Table, from: Table) {
    for entry in from {
        match into.iter().find(|known| known.key == entry.key) {
            Some(known) => {
                let path = tree::join(section, &entry.key);
                let complaint =
                    Complaint::new(format!("`{path}` is given twice")).hint("keep one of the two");
                reader.conflict(known.place, entry.place, &path, complaint);
            }
            None => into.push(entry),
        }
    }
}
