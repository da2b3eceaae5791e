//! Options and answers, byte by byte.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::vec::Vec;

use super::*;

/// Reads options as the kernel program does: from a buffer that is zero behind the header.
fn read(options: &[u8]) -> Options {
    let mut header = [0; 8 * HEADER_WORDS];
    header[20..20 + options.len()].copy_from_slice(options);
    let mut read = Options::new(20 + options.len() as u32);
    for _ in 0..STEPS {
        let Some(at) = read.wants() else { break };
        read.advance(header[at as usize..][..10].try_into().unwrap());
    }
    assert_eq!(read.wants(), None, "forty steps are enough");
    read
}

/// Timestamp, SACK, scale.
fn found(options: &[u8]) -> (Option<u32>, bool, Option<u32>) {
    let read = read(options);
    let has = |bit| read.found & bit != 0;
    (
        has(TIMESTAMPS).then(|| u32::from_be(read.stamp)),
        has(SACK),
        has(SCALING).then_some(read.scale),
    )
}

#[test]
fn options_are_read_as_linux_reads_them() {
    let linux = [
        2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7,
    ];
    assert_eq!(found(&linux), (Some(0x0102_0304), true, Some(7)));
    let nothing = (None, false, None);
    assert_eq!(found(&[]), nothing);
    assert_eq!(found(&[1; 40]), nothing);
    assert_eq!(found(&[4, 2, 3, 3, 15, 0]), (None, true, Some(14)));
    // Nothing is read behind the end of the list, or behind a length that cannot be.
    assert_eq!(found(&[0, 4, 2, 3, 3, 7, 0, 0]), nothing);
    assert_eq!(found(&[4, 2, 9, 1, 3, 3, 7, 0]), (None, true, None));
    assert_eq!(found(&[4, 2, 9, 0, 3, 3, 7, 0]), (None, true, None));
    assert_eq!(found(&[4, 2, 8, 10, 1, 2, 3, 4]), (None, true, None));
    assert_eq!(found(&[1, 1, 1, 3]), nothing);
    // A known option of another length is skipped.
    assert_eq!(
        found(&[3, 4, 7, 0, 4, 3, 0, 8, 3, 0, 4, 2]),
        (None, true, None)
    );
    // An unknown one as well.
    assert_eq!(
        found(&[34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 3, 3, 2, 0]),
        (None, false, Some(2))
    );
}

#[test]
fn the_usual_options_are_known_at_a_glance_and_mean_what_a_walk_finds() {
    let linux = [
        2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7,
    ];
    let glance = |options: &[u8]| {
        let mut bytes = [0; 8 * HEADER_WORDS];
        bytes[20..20 + options.len()].copy_from_slice(options);
        let mut header = [0; HEADER_WORDS];
        for (word, bytes) in header.iter_mut().zip(bytes.chunks(8)) {
            *word = u64::from_ne_bytes(bytes.try_into().unwrap());
        }
        Options::usual(&header, 20 + options.len() as u32)
    };
    assert!(glance(&linux).is_some());
    for length in 0..linux.len() {
        assert_eq!(glance(&linux[..length]), None, "{length}");
    }
    for at in 0..linux.len() {
        for byte in 0..=u8::MAX {
            let mut options = linux;
            options[at] = byte;
            let walked = read(&options);
            let is_known = matches!(at, 2 | 3 | 8..16 | 19) || byte == linux[at];
            let expected = is_known.then_some((walked.found, walked.scale, walked.stamp));
            let seen = glance(&options).map(|seen| (seen.found, seen.scale, seen.stamp));
            assert_eq!(seen, expected, "{options:?}");
        }
    }
}

const CONFIG: Cookies = Cookies {
    flags: cookies::TIMESTAMPS | cookies::SACK | cookies::SCALING,
    mss4: 1460,
    scale: 10,
    ..Cookies::NONE
};

/// The bytes of an answer from 10.0.0.1:443 to 10.0.0.2:4242, whose SYN had these options and number.
fn answer(config: &Cookies, options: &[u8], sequence: u32, now_ns: u64) -> Vec<u8> {
    let (client, server) = (
        u32::from_ne_bytes([10, 0, 0, 2]),
        u32::from_ne_bytes([10, 0, 0, 1]),
    );
    let [a, b] = 4242_u16.to_be_bytes();
    let [c, d] = 443_u16.to_be_bytes();
    let syn = Syn {
        addresses: u64::from(client) + u64::from(server),
        mss: 1460,
        ports: u32::from_ne_bytes([a, b, c, d]),
        sequence: sequence.to_be(),
    };
    let segment = segment(config, &syn, 0xc00c_1e00, &read(options), now_ns);
    let mut bytes: Vec<u8> = segment
        .words
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .collect();
    assert!(
        bytes[segment.bytes() as usize..]
            .iter()
            .all(|byte| *byte == 0)
    );
    bytes.truncate(segment.bytes() as usize);
    bytes
}

/// RFC 1071, byte by byte.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[test]
fn an_answer_is_these_bytes() {
    let sack = [4, 2, 8, 10, 9, 8, 7, 6, 0, 0, 0, 0, 1, 3, 3, 5];
    let now_ns = 0x1_0000_7f00 * 1_000_000;
    let bytes = answer(&CONFIG, &sack, 0xffff_ffff, now_ns);
    let mut expected = std::vec![
        1,
        187,
        16,
        146,
        0xc0,
        0x0c,
        0x1e,
        0,
        0,
        0,
        0,
        0,
        0xa0,
        0x12,
        0xfa,
        0xf0,
        0,
        0,
        0,
        0,
        2,
        4,
        5,
        180,
        4,
        2,
        8,
        10,
        0,
        0,
        0x7e,
        0xc0 | 0x15,
        9,
        8,
        7,
        6,
        1,
        3,
        3,
        10,
    ];
    let mut covered = std::vec![10, 0, 0, 1, 10, 0, 0, 2, 0, 6, 0, 40];
    covered.extend(&expected);
    expected[16..18].copy_from_slice(&checksum(&covered).to_be_bytes());
    assert_eq!(bytes, expected);

    let bare = answer(&CONFIG, &[4, 2, 3, 3, 5, 0], 1, now_ns);
    assert_eq!(
        (bare.len(), bare[12], &bare[20..]),
        (24, 0x60, &[2, 4, 5, 180][..])
    );
    let mut covered = std::vec![10, 0, 0, 1, 10, 0, 0, 2, 0, 6, 0, 24];
    covered.extend(&bare);
    assert_eq!(checksum(&covered), 0);
}

#[test]
fn options_stand_in_the_timestamp_which_is_never_ahead() {
    let with_stamp = [8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 1];
    for now_ms in [
        64_u64,
        100,
        127,
        128,
        1 << 32,
        (1 << 32) + 70,
        u64::MAX / 1_000_000,
    ] {
        let bytes = answer(&CONFIG, &with_stamp, 1, now_ms * 1_000_000);
        let stamp = u32::from_be_bytes(bytes[28..32].try_into().unwrap());
        assert_eq!(stamp & 0x3f, STAMP_NO_SCALE, "no SACK, no scale");
        assert!(
            (now_ms as u32).wrapping_sub(stamp) < 128,
            "{now_ms} {stamp}"
        );
        assert_eq!(
            (&bytes[24..28], &bytes[36..40]),
            (&[1, 1, 8, 10][..], &[1; 4][..])
        );
    }
}

#[test]
fn headers_before_it_have_their_checksum_and_length() {
    let to_bytes =
        |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_ne_bytes()).collect() };
    let (source, destination) = ([192, 0, 2, 1], [198, 51, 100, 7]);
    let ip = ipv4(
        &CONFIG,
        u32::from_ne_bytes(source),
        u32::from_ne_bytes(destination),
        40,
    );
    let bytes = to_bytes(&ip);
    assert_eq!(checksum(&bytes), 0);
    assert_eq!(bytes[..10], [0x45, 0, 0, 60, 0, 0, 0x40, 0, 64, 6]);
    assert_eq!(bytes[12..], [source, destination].concat());
    let ip = ipv6(&CONFIG, [1, 2, 3, 4], [5, 6, 7, 8], 24);
    assert_eq!(to_bytes(&ip[..2]), [0x60, 0, 0, 0, 0, 24, 6, 64]);
    assert_eq!(ip[2..], [1, 2, 3, 4, 5, 6, 7, 8]);
}
