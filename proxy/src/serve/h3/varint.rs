//! Variable-length integers (RFC 9000 §16).

/// How many octets the number takes that begins with this one.
pub(super) fn length(first: u8) -> usize {
    1 << (first >> 6)
}

/// The number at the front, and how many octets it takes.
pub(super) fn read(input: &[u8]) -> Option<(u64, usize)> {
    let first = *input.first()?;
    let length = length(first);
    let rest = input.get(1..length)?;
    let number = rest.iter().fold(u64::from(first & 0x3f), |number, octet| {
        number << 8 | u64::from(*octet)
    });
    Some((number, length))
}

/// Appends a number below 2^62 in its shortest form.
pub(super) fn write(out: &mut Vec<u8>, number: u64) {
    let octets = number.to_be_bytes();
    let (skipped, mark) = match number {
        0..0x40 => (7, 0),
        0x40..0x4000 => (6, 0x40),
        0x4000..0x4000_0000 => (4, 0x80),
        _ => (0, 0xc0),
    };
    let start = out.len();
    out.extend_from_slice(octets.get(skipped..).unwrap_or_default());
    if let Some(first) = out.get_mut(start) {
        *first |= mark;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{read, write};

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        for (octets, number) in [
            (
                &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..],
                151_288_809_941_952_652,
            ),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
            (&[0x40, 0x25], 37),
        ] {
            assert_eq!(read(octets), Some((number, octets.len())));
            assert_eq!(
                read(octets.split_last().map_or(&[], |(_, most)| most)),
                None
            );
        }
    }

    proptest! {
        #[test]
        fn every_number_survives_the_way_there_and_back(number in 0..1u64 << 62, shift in 0..62) {
            let number = number >> shift;
            let mut out = Vec::new();
            write(&mut out, number);
            prop_assert_eq!(read(&out), Some((number, out.len())));
        }
    }
}
