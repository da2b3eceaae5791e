//! One address or prefix a line. What else an export has to say stands in comments, which other readers of such files leave alone.

use super::{Fields, Parsed};

/// How the comment begins that says when the entries below it end, in seconds from now or [`NEVER`].
pub(super) const ENDS: &str = "ends in ";
pub(super) const NEVER: &str = "never";

pub(super) fn parse(text: &str, parsed: &mut Parsed) {
    let mut list = None;
    let mut left = None;
    for (line, text) in (1..).zip(text.lines()) {
        let (address, comment) = match text.split_once(['#', ';']) {
            Some((address, comment)) => (address.trim(), Some(comment)),
            None => (text.trim(), None),
        };
        if address.is_empty() {
            let comment = comment.map(str::trim);
            if let Some(ends) = comment.and_then(|comment| comment.strip_prefix(ENDS)) {
                left = Some(ends).filter(|ends| super::ttl::parse(ends).is_ok());
            }
            // As `export` begins a list.
            let name = comment.and_then(|comment| comment.strip_prefix("list "));
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
                ttl: left,
                reason: comment,
                list,
            };
            parsed.take(line, fields);
        }
    }
}
