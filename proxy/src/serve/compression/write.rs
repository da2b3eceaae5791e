//! Writing integers and strings.

/// Appends an integer with a prefix of so many bits; `first` holds the bits above the prefix (RFC 7541 §5.1).
#[inline]
pub(crate) fn integer(out: &mut Vec<u8>, prefix: u8, first: u8, number: usize) {
    let most = 0xff >> (8 - prefix);
    if number < usize::from(most) {
        out.push(first | number as u8);
        return;
    }
    out.push(first | most);
    let mut rest = number - usize::from(most);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends the name of a field, in lower case whatever it was (RFC 9113 §8.2.1, RFC 9114 §4.2), with a length of so many bits.
#[inline]
pub(crate) fn name(out: &mut Vec<u8>, prefix: u8, first: u8, name: &[u8]) {
    integer(out, prefix, first, name.len());
    let start = out.len();
    out.extend_from_slice(name);
    if let Some(copied) = out.get_mut(start..) {
        copied.make_ascii_lowercase();
    }
}

/// Appends the value of a field as it is.
#[inline]
pub(crate) fn value(out: &mut Vec<u8>, value: &[u8]) {
    integer(out, 7, 0, value.len());
    out.extend_from_slice(value);
}

/// A status as text.
pub(crate) fn digits(status: u16) -> [u8; 3] {
    [100, 10, 1].map(|place| b'0' + (status / place % 10) as u8)
}
