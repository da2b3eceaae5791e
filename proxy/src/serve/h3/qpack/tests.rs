#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use openclaw_core::message::HeaderList;
use proptest::prelude::*;

use super::encode::{begin, content_length, field, known, status};
use super::table::STATIC;
use super::{Decoder, DecoderStream};
use crate::serve::compression::{BadBlock, Decoded, huffman, integer};

type Pair = (Vec<u8>, Vec<u8>);

fn decode(section: &[u8]) -> Result<Vec<Pair>, BadBlock> {
    let mut list = HeaderList::default();
    let decoded = Decoder::default().decode(section, usize::MAX, &mut list)?;
    assert_eq!(decoded, Decoded::Whole);
    let owned = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
    Ok(list.iter().map(owned).collect())
}

fn pair(name: &str, value: &str) -> Pair {
    (name.as_bytes().to_vec(), value.as_bytes().to_vec())
}

#[test]
fn every_entry_of_the_static_table_is_decoded_by_its_index() {
    for (index, (name, value)) in STATIC.iter().enumerate() {
        let mut section = vec![0, 0];
        integer(&mut section, 6, 0xc0, index);
        integer(&mut section, 4, 0x50, index);
        section.extend_from_slice(b"\x03own");
        let wanted = [
            (name.to_vec(), value.to_vec()),
            (name.to_vec(), b"own".to_vec()),
        ];
        assert_eq!(decode(&section).unwrap(), wanted, "{index}");
    }
}

#[test]
fn literals_are_decoded_raw_and_compressed() {
    // RFC 9204 §B.1.
    let example = b"\0\0\x51\x0b/index.html";
    assert_eq!(decode(example), Ok(vec![pair(":path", "/index.html")]));
    let value = huffman::tests::encode(b"www.example.com");
    let name = huffman::tests::encode(b"x-custom-name");
    let mut section = vec![0, 0];
    integer(&mut section, 3, 0x38, name.len());
    section.extend_from_slice(&name);
    integer(&mut section, 7, 0x80, value.len());
    section.extend_from_slice(&value);
    assert_eq!(
        decode(&section),
        Ok(vec![pair("x-custom-name", "www.example.com")])
    );
    assert_eq!(decode(b"\0\0"), Ok(vec![]));
    // A base behind the beginning means nothing here.
    assert_eq!(decode(b"\0\x05\xc1"), Ok(vec![pair(":path", "/")]));
}

#[test]
fn what_needs_a_dynamic_table_or_is_broken_is_refused() {
    for (section, why) in [
        (&b""[..], "no prefix"),
        (b"\0", "half a prefix"),
        (b"\x02\0", "requires an insertion"),
        (b"\0\x80", "a base before the beginning"),
        (b"\0\0\x80", "an indexed field of the dynamic table"),
        (b"\0\0\x10", "an indexed field behind the base"),
        (b"\0\0\x40\x01a", "a name of the dynamic table"),
        (b"\0\0\x00\x01a", "a name behind the base"),
        (b"\0\0\xff\x24", "a static index of 99"),
        (b"\0\0\x5f\x54\x01a", "a static name of 99"),
        (b"\0\0\xff", "an integer without its end"),
        (b"\0\0\x51", "no value"),
        (b"\0\0\x51\x05abc", "a value that is cut off"),
        (b"\0\0\x51\x81\xff", "bad Huffman padding"),
        (
            b"\0\0\xff\x80\x80\x80\x80\x80\x01",
            "an integer without bound",
        ),
    ] {
        assert_eq!(decode(section), Err(BadBlock), "{why}");
    }
}

#[test]
fn the_list_stops_at_its_limit() {
    let mut section = vec![0, 0];
    for _ in 0..10 {
        field(&mut section, b"name", b"value");
    }
    let mut list = HeaderList::default();
    let limit = 3 * (4 + 5 + 32);
    let decoded = Decoder::default().decode(&section, limit, &mut list);
    assert_eq!((decoded, list.len()), (Ok(Decoded::TooLarge), 3));
}

#[test]
fn known_names_are_those_of_the_static_table() {
    let mut count = 0;
    for (index, (name, _)) in STATIC.iter().enumerate() {
        let Some((first, many)) = known(name) else {
            continue;
        };
        assert_eq!(STATIC.get(first).unwrap().0, *name);
        assert!(
            STATIC[first..first + many]
                .iter()
                .all(|entry| entry.0 == *name)
        );
        if index == first {
            count += 1;
        }
    }
    assert_eq!(count, 27);
    assert_eq!(known(b"Content-TYPE"), Some((44, 11)));
    assert_eq!(known(&[b'a'; 33]), None);
}

#[test]
fn every_status_and_common_fields_are_short_and_decode_to_themselves() {
    for code in 100..1000u16 {
        let mut section = Vec::new();
        begin(&mut section);
        status(&mut section, code);
        assert_eq!(
            decode(&section),
            Ok(vec![pair(":status", &code.to_string())])
        );
    }
    let mut section = Vec::new();
    begin(&mut section);
    field(&mut section, b"Vary", b"accept-encoding");
    field(&mut section, b"Content-Type", b"text/html; charset=utf-8");
    field(&mut section, b"Server", b"");
    content_length(&mut section, 0);
    assert_eq!(section.len(), 2 + 1 + 1 + 2 + 1);
    content_length(&mut section, u64::MAX);
    let wanted = vec![
        pair("vary", "accept-encoding"),
        pair("content-type", "text/html; charset=utf-8"),
        pair("server", ""),
        pair("content-length", "0"),
        pair("content-length", "18446744073709551615"),
    ];
    assert_eq!(decode(&section), Ok(wanted));
}

#[test]
fn only_cancellations_come_on_the_decoder_stream() {
    let run = |octets: &[u8]| {
        let mut decoder = DecoderStream::default();
        let mut complete = 0;
        for octet in octets {
            complete += usize::from(decoder.take(*octet)?);
        }
        Some(complete)
    };
    assert_eq!(
        run(&[0x40, 0x44, 0x7f, 0x00, 0x7f, 0x80, 0x80, 0x01]),
        Some(4)
    );
    assert_eq!(run(&[0x7f, 0x80]), Some(0), "not yet");
    for wrong in [
        &[0x80][..],
        &[0xff],
        &[0x00],
        &[0x01],
        &[0x3f],
        &[0x44, 0x80],
    ] {
        assert_eq!(run(wrong), None, "{wrong:x?}");
    }
    let endless = [&[0x7f][..], &[0x80; 10]].concat();
    assert_eq!(run(&endless), None);
}

proptest! {
    #[test]
    fn every_list_survives_the_way_there_and_back(
        fields in proptest::collection::vec(
            (prop_oneof!["[a-zA-Z-]{1,40}", Just("Content-Type".to_owned()), Just("vary".to_owned())],
             prop_oneof![proptest::collection::vec(any::<u8>(), 0..400), Just(b"origin".to_vec())]), 0..20)
    ) {
        let mut section = Vec::new();
        begin(&mut section);
        for (name, value) in &fields {
            field(&mut section, name.as_bytes(), value);
        }
        let wanted: Vec<_> =
            fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase().into_bytes(), value)).collect();
        prop_assert_eq!(decode(&section), Ok(wanted));
    }

    #[test]
    fn any_section_is_decoded_or_refused(section in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut list = HeaderList::default();
        let section = [&[0, 0][..], &section].concat();
        let decoded = Decoder::default().decode(&section, 4096, &mut list);
        prop_assert!(list.size() <= 4096);
        if decoded.is_err() {
            let again = Decoder::default().decode(&section, 4096, &mut HeaderList::default());
            prop_assert_eq!(again, Err(BadBlock));
        }
    }
}
