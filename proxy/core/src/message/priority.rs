//! How urgent a response is to its client (RFC 9218).

use super::field::members;

/// What the field `priority`, or a frame in its place, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// From 0, the most urgent, to 7.
    pub urgency: u8,
    /// The client can make use of parts, so that responses of one urgency may come side by side.
    pub incremental: bool,
}

impl Default for Priority {
    fn default() -> Self {
        Self {
            urgency: 3,
            incremental: false,
        }
    }
}

impl Priority {
    /// That of responses to a client that has said nothing of any: they share what room there is, as it may not know of priorities, and
    /// wait for all of them at once (RFC 9218 §10).
    pub const UNSAID: Self = Self {
        urgency: 3,
        incremental: true,
    };

    /// Reads a dictionary of structured fields (RFC 9651 §3.2). Members that are unknown, or of another type or range, are passed over;
    /// none: it is no dictionary, and says nothing at all (RFC 9218 §4).
    pub fn parse(value: &[u8]) -> Option<Self> {
        Self::default().changed(value)
    }

    /// This one with what the field of its response says in place of what the client said (RFC 9218 §8).
    #[must_use]
    pub fn answered(self, value: &[u8]) -> Self {
        self.changed(value).unwrap_or(self)
    }

    fn changed(self, value: &[u8]) -> Option<Self> {
        let mut priority = self;
        for member in members(value) {
            let item = member.split(|byte| *byte == b';').next()?.trim_ascii_end();
            let mut parts = item.splitn(2, |byte| *byte == b'=');
            let key = parts.next()?;
            if !is_key(key) {
                return None;
            }
            match (key, parts.next()) {
                (_, Some([])) => return None,
                (b"u", Some([digit @ b'0'..=b'7'])) => priority.urgency = digit - b'0',
                (b"i", None | Some(b"?1")) => priority.incremental = true,
                (b"i", Some(b"?0")) => priority.incremental = false,
                _ => {}
            }
        }
        Some(priority)
    }
}

/// RFC 9651 §3.1.2.
fn is_key(key: &[u8]) -> bool {
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte == b'*';
    let is_next =
        |byte: &u8| is_first(*byte) || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.');
    key.first().is_some_and(|byte| is_first(*byte)) && key.iter().all(is_next)
}

#[cfg(test)]
mod tests {
    use super::Priority;

    #[test]
    fn a_priority_is_read_from_its_dictionary() {
        let check = |value: &str, expected: Option<(u8, bool)>| {
            let found = Priority::parse(value.as_bytes());
            assert_eq!(
                found.map(|it| (it.urgency, it.incremental)),
                expected,
                "{value}"
            );
        };
        check("", Some((3, false)));
        check("u=0", Some((0, false)));
        check("u=7, i", Some((7, true)));
        check("i,u=2", Some((2, true)));
        check("i=?0, u=1", Some((1, false)));
        check("u=5;x=1, i;y", Some((5, true)));
        // Unknown, of another type, out of range: passed over.
        check("a=b, u=1", Some((1, false)));
        check("u=8, i=1", Some((3, false)));
        check("u=-1", Some((3, false)));
        check("u=?1", Some((3, false)));
        // The last one counts.
        check("u=1, u=4", Some((4, false)));
        // No dictionary.
        check("U=1", None);
        check("u=", None);
        check("=1", None);
        check("u=1, 7", None);
        check("\"u\"", None);
    }

    #[test]
    fn a_response_changes_what_it_speaks_of() {
        let check = |client: Option<&str>, origin: &str, expected: (u8, bool)| {
            let client = client.map_or(Priority::UNSAID, |client| {
                Priority::parse(client.as_bytes()).unwrap_or_default()
            });
            let merged = client.answered(origin.as_bytes());
            let found = (merged.urgency, merged.incremental);
            assert_eq!(found, expected, "{client:?} {origin}");
        };
        // The example of RFC 9218, section 8.
        check(Some("u=5, i"), "u=1", (1, true));
        check(Some("u=5, i"), "i=?0", (5, false));
        check(Some("u=5"), "u=2, i", (2, true));
        check(Some(""), "u=7", (7, false));
        check(None, "u=0", (0, true));
        check(None, "i=?0", (3, false));
        // What says nothing, or is no dictionary, changes nothing.
        check(Some("u=5, i"), "", (5, true));
        check(Some("u=5, i"), "u=9, x", (5, true));
        check(Some("u=5, i"), "u=1, 7", (5, true));
    }
}
