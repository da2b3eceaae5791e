//! The decoder against the examples of RFC 7541 appendix C, and against blocks that must not decode.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests may panic"
)]

use openclaw_core::message::HeaderList;
use proptest::prelude::*;

use super::{BadBlock, Decoded, Decoder};
use crate::serve::compression::huffman;

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

fn lines(list: &HeaderList) -> Vec<String> {
    list.iter()
        .map(|(name, value)| {
            format!(
                "{}: {}",
                String::from_utf8_lossy(name),
                String::from_utf8_lossy(value)
            )
        })
        .collect()
}

/// Decodes blocks one after another with one table; beside each, its fields and the size of the table after it.
fn check(blocks: &[(&str, &[&str], usize)], limit: usize) {
    let mut decoder = Decoder::new();
    decoder.table.resize(limit);
    for (block, fields, size) in blocks {
        let mut list = HeaderList::default();
        assert_eq!(
            decoder.decode(&hex(block), 65536, &mut list),
            Ok(Decoded::Whole),
            "{block}"
        );
        assert_eq!(lines(&list), *fields, "{block}");
        assert_eq!(decoder.table.size(), *size, "{block}");
    }
}

const FIRST: &[&str] = &[
    ":method: GET",
    ":scheme: http",
    ":path: /",
    ":authority: www.example.com",
];
const SECOND: &[&str] = &[
    ":method: GET",
    ":scheme: http",
    ":path: /",
    ":authority: www.example.com",
    "cache-control: no-cache",
];
const THIRD: &[&str] = &[
    ":method: GET",
    ":scheme: https",
    ":path: /index.html",
    ":authority: www.example.com",
    "custom-key: custom-value",
];

#[test]
fn single_fields_of_the_rfc_decode() {
    check(
        &[(
            "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            &["custom-key: custom-header"],
            55,
        )],
        4096,
    );
    check(
        &[(
            "040c 2f73 616d 706c 652f 7061 7468",
            &[":path: /sample/path"],
            0,
        )],
        4096,
    );
    check(
        &[(
            "1008 7061 7373 776f 7264 0673 6563 7265 74",
            &["password: secret"],
            0,
        )],
        4096,
    );
    check(&[("82", &[":method: GET"], 0)], 4096);
}

#[test]
fn requests_of_the_rfc_decode_without_and_with_huffman() {
    check(
        &[
            (
                "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                FIRST,
                57,
            ),
            ("8286 84be 5808 6e6f 2d63 6163 6865", SECOND, 110),
            (
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
                THIRD,
                164,
            ),
        ],
        4096,
    );
    check(
        &[
            ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", FIRST, 57),
            ("8286 84be 5886 a8eb 1064 9cbf", SECOND, 110),
            (
                "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
                THIRD,
                164,
            ),
        ],
        4096,
    );
}

#[test]
fn responses_of_the_rfc_decode_with_eviction() {
    let date = "date: Mon, 21 Oct 2013 20:13:21 GMT";
    let location = "location: https://www.example.com";
    let third = &[
        ":status: 200",
        "cache-control: private",
        "date: Mon, 21 Oct 2013 20:13:22 GMT",
        location,
        "content-encoding: gzip",
        "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    ];
    check(
        &[
            (
                "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
                 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
                 6c65 2e63 6f6d",
                &[":status: 302", "cache-control: private", date, location],
                222,
            ),
            (
                "4803 3330 37c1 c0bf",
                &[":status: 307", "cache-control: private", date, location],
                222,
            ),
            (
                "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
                 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
                 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
                 3d31",
                third,
                215,
            ),
        ],
        256,
    );
    check(
        &[
            (
                "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
                 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
                &[":status: 302", "cache-control: private", date, location],
                222,
            ),
            (
                "4883 640e ffc1 c0bf",
                &[":status: 307", "cache-control: private", date, location],
                222,
            ),
            (
                "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
                 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
                 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
                third,
                215,
            ),
        ],
        256,
    );
}

#[test]
fn blocks_that_break_the_rules_are_refused() {
    for (bad, why) in [
        ("80", "index 0"),
        ("be", "an index past the end of the table"),
        ("7f", "an integer without its end"),
        ("ff80 8080 8001", "an integer of more than four octets"),
        ("4003 6162", "a name cut short"),
        ("4001 61", "no value"),
        ("4001 6105 61", "a value cut short"),
        ("7e01 61", "a name by an index past the end"),
        ("8220", "a size update after a field"),
        ("3fe2 1f", "a size update above what we allow: 4097"),
        ("0001 6181 00", "Huffman padding of zeros"),
        ("0001 6182 07ff", "Huffman padding of a whole octet"),
        ("0001 6184 ffff ffff", "EOS in a string"),
    ] {
        let mut list = HeaderList::default();
        assert_eq!(
            Decoder::new().decode(&hex(bad), 65536, &mut list),
            Err(BadBlock),
            "{why}"
        );
    }
}

#[test]
fn size_updates_at_the_start_of_a_block_are_obeyed() {
    let mut decoder = Decoder::new();
    let mut list = HeaderList::default();
    // 4096 is allowed; then 0 empties what was kept.
    for (block, size) in [
        ("3fe1 1f40 0161 0162", 34),
        ("2082", 0),
        ("4001 6101 62", 0),
        ("203f e11f 4001 6101 62", 34),
    ] {
        assert_eq!(
            decoder.decode(&hex(block), 65536, &mut list),
            Ok(Decoded::Whole),
            "{block}"
        );
        assert_eq!(decoder.table.size(), size, "{block}");
    }
}

#[test]
fn a_list_over_its_limit_stops_growing_and_keeps_the_table_in_step() {
    let mut decoder = Decoder::new();
    let mut list = HeaderList::default();
    let mut block = hex("4001 61 7f 8101");
    block.extend_from_slice(&[b'v'; 256]);
    block.extend_from_slice(&vec![0xbe; 100_000]);
    block.extend_from_slice(&hex("4001 6201 63"));
    assert_eq!(
        decoder.decode(&block, 4096, &mut list),
        Ok(Decoded::TooLarge)
    );
    assert!(list.size() <= 4096);
    list.clear();
    assert_eq!(
        decoder.decode(&hex("be"), 4096, &mut list),
        Ok(Decoded::Whole)
    );
    assert_eq!(lines(&list), ["b: c"]);
}

proptest! {
    #[test]
    fn any_block_ends_without_growing_past_the_limits(
        blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8)
    ) {
        let mut decoder = Decoder::new();
        for block in blocks {
            let mut list = HeaderList::default();
            let end = decoder.decode(&block, 2048, &mut list);
            prop_assert!(list.size() <= 2048);
            prop_assert!(decoder.table.size() <= 4096);
            if end.is_err() {
                break;
            }
        }
    }

    #[test]
    fn compressed_literals_decode_to_their_text(value in proptest::collection::vec(any::<u8>(), 0..100)) {
        let packed = huffman::tests::encode(&value);
        prop_assume!(packed.len() < 127);
        let mut block = vec![0x40, 1, b'n', 0x80 | packed.len() as u8];
        block.extend_from_slice(&packed);
        block.push(0xbe);
        let mut list = HeaderList::default();
        prop_assert_eq!(Decoder::new().decode(&block, 65536, &mut list), Ok(Decoded::Whole));
        let wanted = (&b"n"[..], &value[..]);
        prop_assert_eq!(list.iter().collect::<Vec<_>>(), [wanted, wanted]);
    }
}
