//! Text as clients send it, written into a field so that it stays there: nothing in it ends the field or the line, steers a terminal,
//! or has the line shown as another than it is.

/// As inside of a string of JSON.
pub(super) fn json(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |out, character| {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let code = u32::from(character);
        let digit = |shift: u32| HEX.get((code >> shift & 15) as usize);
        out.extend_from_slice(b"\\u");
        out.extend([12, 8, 4, 0].into_iter().filter_map(digit));
    });
}

/// Byte by byte in hexadecimal, as nginx does in its combined format.
pub(super) fn bytes(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |out, character| {
        for byte in character.encode_utf8(&mut [0; 4]).bytes() {
            // Writing to a Vec cannot fail.
            let _ = std::io::Write::write_fmt(out, format_args!("\\x{byte:02X}"));
        }
    });
}

/// Copies runs of harmless text and hands each other character, all below U+10000, to `special`.
fn escape(out: &mut Vec<u8>, text: &str, special: impl Fn(&mut Vec<u8>, char)) {
    let is_special = |character: char| {
        character.is_control() || matches!(character, '"' | '\\') || turns_lines(character)
    };
    let mut rest = text;
    while let Some(at) = rest.find(is_special) {
        let (run, tail) = rest.split_at(at);
        out.extend_from_slice(run.as_bytes());
        let mut characters = tail.chars();
        if let Some(character) = characters.next() {
            special(out, character);
        }
        rest = characters.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Whether what stands behind it is shown elsewhere than where it is: in the other direction (UAX #9 §2), or on a line of its own.
const fn turns_lines(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}
