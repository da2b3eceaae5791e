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
        let mut priority = Self::default();
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
}
