//! Writing an integer.

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
