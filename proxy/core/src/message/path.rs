//! The path as routes see it. Origins read `/%61dmin`, `//admin` and `/x/../admin` as `/admin`; a route that guards
//! `/admin` must see the same, or it can be walked around. Only the choice of the route looks at this form: the endpoint
//! gets the target as it was received.

/// The path with percent-encoding undone, empty segments folded and dot segments resolved (RFC 3986 §5.2.4, §6.2.2).
/// `buffer` is written only when that changes anything.
pub fn normalised<'a>(path: &'a [u8], buffer: &'a mut Vec<u8>) -> &'a [u8] {
    let plain = !path.contains(&b'%')
        && !path
            .windows(2)
            .any(|pair| matches!(pair, [b'/', b'/' | b'.']));
    if plain {
        return path;
    }
    buffer.clear();
    let mut rest = path;
    while let Some((byte, after)) = next_byte(rest) {
        rest = after;
        if byte == b'/' {
            end_segment(buffer);
            if buffer.last() == Some(&b'/') {
                continue;
            }
        }
        buffer.push(byte);
    }
    end_segment(buffer);
    if buffer.is_empty() {
        buffer.push(b'/');
    }
    buffer
}

/// One byte of the path, decoded, and what is behind it.
fn next_byte(path: &[u8]) -> Option<(u8, &[u8])> {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    match path {
        [b'%', high, low, rest @ ..] => match (hex(*high), hex(*low)) {
            (Some(high), Some(low)) => Some(((high * 16 + low) as u8, rest)),
            _ => path.split_first().map(|(byte, rest)| (*byte, rest)),
        },
        _ => path.split_first().map(|(byte, rest)| (*byte, rest)),
    }
}

/// Resolves the last segment if it is `.` or `..`; what stays ends with a slash then.
fn end_segment(buffer: &mut Vec<u8>) {
    let parent = |buffer: &mut Vec<u8>| {
        let end = buffer.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        buffer.truncate(end);
    };
    if buffer.ends_with(b"/..") {
        parent(buffer);
        parent(buffer);
        buffer.push(b'/');
    } else if buffer.ends_with(b"/.") {
        buffer.truncate(buffer.len() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::normalised;

    #[test]
    fn a_path_has_one_form_however_it_is_written() {
        for (path, expected) in [
            ("/", "/"),
            ("/admin", "/admin"),
            ("/admin/", "/admin/"),
            ("/%61dmin", "/admin"),
            ("/%2561", "/%61"),
            ("/a%2fb", "/a/b"),
            ("/a%2Fb", "/a/b"),
            ("//admin", "/admin"),
            ("/./admin", "/admin"),
            ("/x/../admin", "/admin"),
            ("/x/%2e%2E/admin", "/admin"),
            ("/x/y/../../admin/.", "/admin/"),
            ("/a/..", "/"),
            ("/../../a", "/a"),
            ("/a/../..//b", "/b"),
            ("/...", "/..."),
            ("/.well-known/x", "/.well-known/x"),
            ("/a..b/.c", "/a..b/.c"),
            ("/%", "/%"),
            ("/%zz%4", "/%zz%4"),
            ("*", "*"),
        ] {
            let mut buffer = Vec::new();
            let got = normalised(path.as_bytes(), &mut buffer);
            assert_eq!(String::from_utf8_lossy(got), expected, "{path}");
        }
    }
}
