//! One address or prefix a line.

use super::Parsed;

pub(super) fn parse(text: &str, parsed: &mut Parsed) {
    for (line, text) in (1..).zip(text.lines()) {
        let (address, comment) = match text.split_once(['#', ';']) {
            Some((address, comment)) => (address.trim(), Some(comment)),
            None => (text.trim(), None),
        };
        if address.is_empty() {
            continue;
        }
        if address.contains(char::is_whitespace) {
            parsed.problems.add(
                line,
                "one address or prefix a line; a comment begins with #",
            );
        } else {
            parsed.take(line, address, None, comment);
        }
    }
}
