//! Headers as they arrive: what is read out of them, and what is refused.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests read their own files, and fail by panicking"
)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;

const SHORT: [u8; 12] = [192, 0, 2, 1, 192, 0, 2, 2, 3, 0xe8, 1, 0xbb];

fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    header.extend(body);
    header
}

fn client(source: &str, destination: &str) -> Announced {
    Announced::Client(Ends {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    })
}

/// The header is whole with its last octet and not before, whatever follows.
fn check(header: &[u8], expected: Announced) {
    let followed = [header, b"GET / HTTP/1.1\r\n"].concat();
    assert_eq!(
        read(&followed),
        Ok(Some((expected, header.len()))),
        "{}",
        header.escape_ascii()
    );
    for part in 0..header.len() {
        assert_eq!(
            read(&header[..part]),
            Ok(None),
            "{part} of {}",
            header.escape_ascii()
        );
    }
}

fn refuse(bytes: &[u8], why: &str) {
    let told = read(bytes).unwrap_err();
    assert!(told.0.contains(why), "{}: {}", bytes.escape_ascii(), told.0);
}

#[test]
fn a_line_names_both_ends_or_nobody() {
    check(
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n",
        client("192.0.2.1:1000", "192.0.2.2:443"),
    );
    check(
        b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n",
        client("[2001:db8::1]:0", "[::1]:65535"),
    );
    check(b"PROXY UNKNOWN\r\n", Announced::Own);
    check(b"PROXY UNKNOWN what ever 1 2 3\r\n", Announced::Own);
    let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let longest = format!("PROXY UNKNOWN {longest} {longest} 65535 65535\r\n");
    assert_eq!(longest.len(), 107);
    check(longest.as_bytes(), Announced::Own);
}

#[test]
fn a_line_is_refused_unless_it_is_to_the_letter() {
    for line in [
        "PROXY \r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY UNKNOWN a\rb\r\n",
        "PROXY UNKNOWN \u{e4}\r\n",
        "PROXY unknown\r\n",
    ] {
        refuse(line.as_bytes(), "not as the protocol has it");
    }
    refuse(&[b"PROXY UNKNOWN ", &[b'x'; 93][..]].concat(), "107");
    for other in [
        "GET / HTTP/1.1\r\n",
        "PROX ",
        "proxy ",
        "\r\n\r\n\0\r\nQUIX",
        "\x16\x03\x01",
    ] {
        refuse(other.as_bytes(), "no PROXY header");
    }
}

#[test]
fn octets_name_both_ends_or_nobody() {
    check(
        &v2(0x21, 0x11, &SHORT),
        client("192.0.2.1:1000", "192.0.2.2:443"),
    );
    let mut body = [0; 36];
    (body[15], body[31], body[33], body[35]) = (1, 2, 3, 4);
    check(&v2(0x21, 0x21, &body), client("[::1]:3", "[::2]:4"));
    for (command, family, body) in [
        // The sender's own, with whatever is in it.
        (0x20, 0, &[][..]),
        (0x20, 0x11, &SHORT[..5]),
        // No addresses, a datagram, Unix sockets.
        (0x21, 0, &[1, 2, 3]),
        (0x21, 0x12, &SHORT),
        (0x21, 0x31, &[0; 216]),
    ] {
        check(&v2(command, family, body), Announced::Own);
    }
}

#[test]
fn additions_are_skipped_and_a_checksum_is_checked() {
    let with = |additions: &[u8]| v2(0x21, 0x11, &[&SHORT[..], additions].concat());
    let expected = client("192.0.2.1:1000", "192.0.2.2:443");
    check(&with(&[1, 0, 2, b'h', b'2', 4, 0, 0]), expected);
    let mut right = with(&[4, 0, 1, 9, 3, 0, 4, 0, 0, 0, 0]);
    let at = right.len() - 4;
    right[at..].copy_from_slice(&[149, 54, 127, 11]);
    check(&right, expected);
    right[20] ^= 1;
    refuse(&right, "checksum");
    refuse(&with(&[3, 0, 3, 0, 0, 0]), "do not fit");
    refuse(&with(&[1, 0, 2, 0]), "do not fit");
    refuse(&with(&[1, 0]), "do not fit");
}

#[test]
fn octets_are_refused_that_nobody_may_send() {
    refuse(&v2(0x11, 0x11, &SHORT), "another version");
    refuse(&v2(0x22, 0x11, &SHORT), "another command");
    refuse(&v2(0x21, 0x41, &SHORT), "not assigned");
    refuse(&v2(0x21, 0x13, &SHORT), "not assigned");
    refuse(&v2(0x21, 0x11, &SHORT[..11]), "too short");
    refuse(&v2(0x21, 0x21, &SHORT), "too short");
    let header = v2(0x21, 0, &[0; 4081]);
    refuse(&header[..16], "more than 4096");
}

/// A header that was accepted is one by itself, no part of it is, and what is written anew reads the same.
fn fuzz(input: &[u8]) {
    let Ok(Some((announced, length))) = read(input) else {
        return;
    };
    assert!(length <= input.len() && length <= LONGEST);
    assert_eq!(read(&input[..length]), Ok(Some((announced, length))));
    assert_eq!(read(&input[..length - 1]), Ok(None));
    let ends = match announced {
        Announced::Client(ends) => Some(ends),
        Announced::Own => None,
    };
    for version in [Version::V1, Version::V2] {
        let again = write(version, ends);
        let (same, whole) = read(&again).unwrap().unwrap();
        assert_eq!(whole, again.len());
        let canonical = |announced| match announced {
            Announced::Client(ends) => Some((
                ends.source.ip().to_canonical(),
                ends.destination.ip().to_canonical(),
                ends.source.port(),
                ends.destination.port(),
            )),
            Announced::Own => None,
        };
        assert_eq!(canonical(same), canonical(announced));
    }
}

/// The lines of the file, with escapes.
fn corpus() -> Vec<Vec<u8>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/proxy.txt");
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(unescape).collect()
}

fn unescape(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next().unwrap() {
            b'r' => bytes.push(b'\r'),
            b'n' => bytes.push(b'\n'),
            _ => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                let digits = str::from_utf8(&digits).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
            }
        }
    }
    bytes
}

#[test]
fn the_corpus_holds_what_the_fuzz_function_asserts() {
    let accepted = corpus().into_iter().filter(|input| {
        fuzz(input);
        matches!(read(input), Ok(Some(_)))
    });
    assert_eq!(accepted.count(), 7);
}

proptest! {
    #[test]
    fn mutations_of_the_corpus_do_no_harm(
        which in 0..64_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let corpus = corpus();
        let mut input = corpus[which % corpus.len()].clone();
        for (at, byte) in changes {
            let at = at.index(input.len());
            input[at] = byte;
        }
        fuzz(&input);
        input.truncate(cut.index(input.len()));
        fuzz(&input);
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz(&bytes);
        fuzz(&[SIGNATURE, &bytes[..]].concat());
        fuzz(&[b"PROXY ", &bytes[..]].concat());
    }
}
