//! Lengths: a file or function that is too long to hold in the head is split, or stands in a list with its reason.
//! The list may only shrink: an entry that is no longer needed is a problem too.

use std::collections::BTreeMap;

use super::{Source, scan};

const FILE: usize = 400;
const FUNCTION: usize = 70;

pub(super) fn check(sources: &[Source], exceptions: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut allowed = BTreeMap::new();
    for (number, line) in exceptions.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once(": ") {
            Some((name, reason)) if !reason.trim().is_empty() => {
                allowed.insert(name.to_owned(), false);
            }
            _ => problems.push(format!(
                "xtask/tidy.list:{}: an entry is `PATH: reason` or `PATH::FUNCTION: reason`",
                number + 1
            )),
        }
    }
    for (name, text) in sources.iter().flat_map(too_long) {
        match allowed.get_mut(&name) {
            Some(used) => *used = true,
            None => problems.push(text),
        }
    }
    for (name, used) in allowed {
        if !used {
            problems.push(format!(
                "xtask/tidy.list: {name} is no longer too long; remove the entry"
            ));
        }
    }
    problems
}

/// The name of each thing in a file that is too long, and what to say about it.
fn too_long(source: &Source) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // Test modules at the end leave blank lines behind.
    let lines = source.code.trim_end().lines().count();
    if lines > FILE {
        let text = format!("{}: {lines} lines, {FILE} are allowed", source.name);
        found.push((source.name.clone(), text));
    }
    for (name, line, lines) in scan::functions(&source.code) {
        if lines > FUNCTION {
            let text = format!(
                "{}:{line}: `{name}` has {lines} lines, {FUNCTION} are allowed",
                source.name
            );
            found.push((format!("{}::{name}", source.name), text));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(code: String) -> [Source; 1] {
        [Source {
            name: "a.rs".to_owned(),
            code,
        }]
    }

    #[test]
    fn what_is_too_long_is_listed_or_a_problem() {
        let long_file = "x\n".repeat(FILE + 1);
        let long_function = format!("fn f() {{\n{}}}\n", "x\n".repeat(FUNCTION));
        for (code, exceptions, problems) in [
            ("x\n".repeat(FILE), "", 0),
            (long_file.clone(), "", 1),
            (long_file.clone(), "a.rs: a table of the RFC", 0),
            (long_file, "a.rs:", 2),
            (long_function.clone(), "", 1),
            (long_function.clone(), "# why\n\na.rs::f: one match", 0),
            (long_function, "a.rs::g: one match", 2),
            (String::new(), "a.rs: no longer", 1),
            ("x\n".to_owned() + &"\n".repeat(FILE), "", 0),
        ] {
            let found = check(&source(code), exceptions);
            assert_eq!(found.len(), problems, "{exceptions}: {found:?}");
        }
    }
}
