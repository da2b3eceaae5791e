//! One address or prefix a line.

use super::{Fields, Parsed};

pub(super) fn parse(text: &str, parsed: &mut Parsed) {
    let mut list = None;
    for (line, text) in (1..).zip(text.lines()) {
        let (address, comment) = match text.split_once(['#', ';']) {
            Some((address, comment)) => (address.trim(), Some(comment)),
            None => (text.trim(), None),
        };
        if address.is_empty() {
            // As `export` begins a list.
            let name = comment.and_then(|comment| comment.trim().strip_prefix("list "));
            if let Some(name) = name.filter(|name| !name.contains(char::is_whitespace)) {
                list = Some(name);
            }
            continue;
        }
        if address.contains(char::is_whitespace) {
            parsed.problems.add(
                line,
                "one address or prefix a line; a comment begins with #",
            );
        } else {
            let fields = Fields {
                address,
                ttl: None,
                reason: comment,
                list,
            };
            parsed.take(line, fields);
        }
    }
}
