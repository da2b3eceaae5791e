//! Connection ids in datagrams that are forwarded unread (RFC 8999, RFC 9000 §17): by them a client is known that comes from another
//! address all of a sudden.

/// The shortest that is gone by: ids of other endpoints must not be hit by chance.
const LEAST: usize = 4;
/// RFC 9000 §17.2.
const MOST: usize = 20;

/// RFC 9000 and RFC 9369. Whatever else is forwarded must not be taken for QUIC.
const VERSIONS: [[u8; 4]; 2] = [[0, 0, 0, 1], [0x6b, 0x33, 0x43, 0xcf]];

/// The ids of a packet with a long header: its destination's and its source's.
fn long(datagram: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = datagram.split_first()?;
    let (version, rest) = rest.split_first_chunk::<4>()?;
    if first & 0x80 == 0 || !VERSIONS.contains(version) {
        return None;
    }
    let (destination, rest) = vector(rest)?;
    let (source, _) = vector(rest)?;
    Some((destination, source))
}

fn vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

fn is_id(id: &&[u8]) -> bool {
    (LEAST..=MOST).contains(&id.len())
}

/// The id by which an endpoint wants to be called, where the datagram says so.
pub fn chosen_by(datagram: &[u8]) -> Option<&[u8]> {
    long(datagram).map(|(_, source)| source).filter(is_id)
}

/// By which id a client may be calling its endpoint: packets with a short header do not say where it ends, so all `lengths` that endpoints
/// are known to use are offered.
pub fn called<'a>(
    datagram: &'a [u8],
    lengths: impl Iterator<Item = usize> + 'a,
) -> impl Iterator<Item = &'a [u8]> {
    let long = long(datagram).map(|(destination, _)| destination);
    let is_short = matches!(datagram.first(), Some(first) if first & 0x80 == 0);
    let rest = datagram.get(1..).filter(|_| is_short).unwrap_or_default();
    let short = lengths.filter_map(move |length| rest.get(..length));
    long.into_iter().chain(short).filter(is_id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{called, chosen_by};

    fn packet(first: u8, version: u32, to: &[u8], from: &[u8]) -> Vec<u8> {
        let lengths = [to.len(), from.len()].map(|length| u8::try_from(length).unwrap_or(u8::MAX));
        [
            &[first][..],
            &version.to_be_bytes(),
            &lengths[..1],
            to,
            &lengths[1..],
            from,
            b"rest",
        ]
        .concat()
    }

    fn names(datagram: &[u8], lengths: &[usize]) -> Vec<Vec<u8>> {
        called(datagram, lengths.iter().copied())
            .map(<[u8]>::to_vec)
            .collect()
    }

    #[test]
    fn long_headers_have_both_ids() {
        for version in [1, 0x6b33_43cf] {
            let datagram = packet(0xc3, version, b"client-1", b"server-22");
            assert_eq!(chosen_by(&datagram), Some(&b"server-22"[..]));
            assert_eq!(names(&datagram, &[8]), [b"client-1".to_vec()]);
        }
        // Too short, too long, another version, another protocol.
        let short = packet(0xc3, 1, b"client-1", b"abc");
        let long = packet(0xc3, 1, b"client-1", &[7; 21]);
        let negotiation = packet(0xc3, 0, b"client-1", b"server-2");
        for datagram in [
            &short[..],
            &long,
            &negotiation,
            b"\x81\x80\0\x01\0\x01",
            b"",
        ] {
            assert_eq!(chosen_by(datagram), None, "{datagram:?}");
        }
    }

    #[test]
    fn short_headers_are_tried_at_every_length() {
        let datagram = b"\x41server-2payload";
        assert_eq!(
            names(datagram, &[8, 4, 40]),
            [b"server-2".to_vec(), b"serv".to_vec()]
        );
        assert_eq!(names(b"\x41serv", &[8, 3]), Vec::<Vec<u8>>::new());
    }

    proptest! {
        #[test]
        fn any_datagram_is_looked_at_without_harm(
            datagram in prop::collection::vec(any::<u8>(), 0..80),
            length in 0_usize..30,
        ) {
            for id in chosen_by(&datagram).into_iter().chain(called(&datagram, [length].into_iter())) {
                prop_assert!((4..=20).contains(&id.len()));
            }
        }
    }
}
