//! Host names as configurations write them.

/// A DNS name as RFC 1123 §2.1 has it, underscores allowed, without the final dot.
pub(super) fn is_host(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

/// What a token is made of, to be read by who has written something else.
pub(super) const TOKEN: &str = "use letters, digits and !#$%&'*+-.^_`|~, and no blanks";

/// A token of RFC 9110 §5.6.2: field names and methods.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A field value of RFC 9110 §5.5: no control characters, no blanks at its ends.
pub(super) fn is_field_value(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte == b'\t' || byte >= b' ' && byte != 0x7f)
        && text.trim_matches([' ', '\t']) == text
}

#[cfg(test)]
mod tests {
    use super::{is_field_value, is_host, is_token};

    #[test]
    fn host_names_are_labels() {
        for right in [
            "a",
            "localhost",
            "a-b.example.com",
            "_acme.x",
            "1.2.3.4",
            "xn--bcher-kva.example",
        ] {
            assert!(is_host(right), "{right}");
        }
        let long = "a".repeat(64);
        for wrong in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "-a",
            "a-",
            "a b",
            "a:80",
            "*.a",
            "b\u{fc}cher",
            &long,
        ] {
            assert!(!is_host(wrong), "{wrong}");
        }
    }

    #[test]
    fn tokens_and_values_are_what_a_head_may_hold() {
        for (text, token, value) in [
            ("X-Api", true, true),
            ("", false, true),
            ("a b", false, true),
            ("a\tb", false, true),
            ("a:b", false, true),
            (" a", false, false),
            ("a\r\nb", false, false),
            ("a\0", false, false),
            ("a\u{7f}", false, false),
            ("\u{fc}", false, true),
        ] {
            assert_eq!(is_token(text), token, "{text:?}");
            assert_eq!(is_field_value(text), value, "{text:?}");
        }
    }
}
