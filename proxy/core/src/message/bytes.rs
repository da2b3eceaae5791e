//! Which bytes may stand where, looked up many times in every head: tables with one bit a class, and words of eight bytes at once.

/// A byte of a token (RFC 9110 §5.6.2).
pub(super) const TOKEN: u8 = 1;
/// One that is no upper case either.
pub(super) const LOWER_TOKEN: u8 = 2;
/// A byte of a host name: unreserved ones and percent-encoding (RFC 3986 §3.2.2). Sub-delimiters are left out: no host has them, and a
/// comma would make a list.
pub(super) const NAME: u8 = 4;
/// A byte of a target: visible ASCII without those that no URI holds raw. Browsers leave braces, bars, carets and backquotes in
/// queries, so these pass.
pub(super) const TARGET: u8 = 8;
/// Any byte but the backslash.
pub(super) const NO_BACKSLASH: u8 = 16;

#[expect(
    clippy::indexing_slicing,
    reason = "the index counts to the length of the table, and iterators are not const"
)]
const CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let byte = index as u8;
        let token = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        let name = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%');
        let target = byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'<' | b'>');
        let mut classes = 0;
        if token {
            classes |= TOKEN;
        }
        if token && !byte.is_ascii_uppercase() {
            classes |= LOWER_TOKEN;
        }
        if name {
            classes |= NAME;
        }
        if target {
            classes |= TARGET;
        }
        if byte != b'\\' {
            classes |= NO_BACKSLASH;
        }
        table[index] = classes;
        index += 1;
    }
    table
};

/// The classes that every byte belongs to; all of them where there is no byte.
#[inline]
pub(super) fn common(bytes: &[u8]) -> u8 {
    bytes.iter().fold(u8::MAX, |common, byte| {
        common & CLASSES.get(usize::from(*byte)).copied().unwrap_or_default()
    })
}

/// Whether there is a control character other than a tab.
pub(super) fn has_control(bytes: &[u8]) -> bool {
    // Tabs are rare enough to be looked for afterwards.
    words(bytes, b' ', suspects)
        && bytes
            .iter()
            .any(|byte| byte.is_ascii_control() && *byte != b'\t')
}

/// Whether there is such a byte; for texts of a few words, before which anything faster is not yet set up.
#[inline]
pub(super) fn has(bytes: &[u8], wanted: u8) -> bool {
    words(bytes, !wanted, |word| {
        zeros(word ^ (ONES * u64::from(wanted)))
    })
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Whether the look of any eight bytes is not zero.
#[inline]
fn words(bytes: &[u8], filler: u8, look: impl Fn(u64) -> u64) -> bool {
    let look = |word: [u8; 8]| look(u64::from_le_bytes(word));
    // The last eight are looked at once more rather than the rest byte by byte.
    let Some(last) = bytes.last_chunk::<8>() else {
        let mut word = [filler; 8];
        for (to, from) in word.iter_mut().zip(bytes) {
            *to = *from;
        }
        return look(word) != 0;
    };
    let (words, _) = bytes.as_chunks::<8>();
    words
        .iter()
        .fold(look(*last), |all, word| all | look(*word))
        != 0
}

/// Not zero if one of the bytes is.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGH
}

/// Not zero if one of the bytes is a control character.
#[inline]
fn suspects(word: u64) -> u64 {
    let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
    below_space | zeros(word ^ (ONES * 0x7f))
}

#[cfg(test)]
mod tests {
    use super::{has, has_control};

    #[test]
    fn a_control_character_is_found_wherever_it_stands() {
        for length in 0..40 {
            let clean: Vec<u8> = (0..length).map(|at| b' ' + (at * 7 % 90) as u8).collect();
            assert!(!has_control(&clean), "{length}");
            for at in 0..length {
                for byte in 0..=255u8 {
                    let mut text = clean.clone();
                    text.splice(at..=at, [byte]);
                    let expected = byte.is_ascii_control() && byte != b'\t';
                    assert_eq!(has_control(&text), expected, "{length} {at} {byte}");
                    assert!(has(&text, byte), "{length} {at} {byte}");
                    assert_eq!(has(&text, b'~'), text.contains(&b'~'), "{text:?}");
                }
            }
        }
    }
}
