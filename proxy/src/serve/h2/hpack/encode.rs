//! Header lists to blocks, without state: names of the static table by index, everything else as raw literals that the
//! peer is not asked to keep. That costs some octets and saves a table per connection.

use crate::serve::compression;

/// Appends `:status`.
pub(in super::super) fn status(out: &mut Vec<u8>, status: u16) {
    let index = match status {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        _ => {
            out.extend_from_slice(&[8, 3]);
            out.extend_from_slice(&compression::digits(status));
            return;
        }
    };
    out.push(0x80 | index);
}

/// Appends one field; the name may come in any case and leaves in lower case (RFC 9113 §8.2.1).
pub(in super::super) fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    match known(name) {
        Some(index) if index < 15 => out.push(index),
        Some(index) => out.extend_from_slice(&[15, index - 15]),
        None => {
            out.push(0);
            compression::name(out, 7, 0, name);
        }
    }
    compression::value(out, value);
}

/// Appends `content-length`.
pub(in super::super) fn content_length(out: &mut Vec<u8>, length: u64) {
    field(
        out,
        b"content-length",
        itoa::Buffer::new().format(length).as_bytes(),
    );
}

/// Tells the peer's decoder that no table is used (RFC 7541 §4.2).
pub(in super::super) fn no_table(out: &mut Vec<u8>) {
    out.push(0x20);
}

/// The static table's index of a response field's name.
fn known(name: &[u8]) -> Option<u8> {
    let mut buffer = [0u8; 27];
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"age" => 21,
        b"via" => 60,
        b"date" => 33,
        b"etag" => 34,
        b"link" => 45,
        b"vary" => 59,
        b"allow" => 22,
        b"server" => 54,
        b"expires" => 36,
        b"refresh" => 52,
        b"location" => 46,
        b"set-cookie" => 55,
        b"retry-after" => 53,
        b"content-type" => 31,
        b"accept-ranges" => 18,
        b"cache-control" => 24,
        b"content-range" => 30,
        b"last-modified" => 44,
        b"content-length" => 28,
        b"content-encoding" => 26,
        b"content-language" => 27,
        b"content-location" => 29,
        b"www-authenticate" => 61,
        b"content-disposition" => 25,
        b"strict-transport-security" => 56,
        b"access-control-allow-origin" => 20,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use openclaw_core::message::HeaderList;
    use proptest::prelude::*;

    use super::super::table::STATIC;
    use super::super::{Decoded, Decoder};
    use super::{content_length, field, known, no_table, status};

    fn decoded(block: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut list = HeaderList::default();
        let whole = Decoder::new().decode(block, usize::MAX, &mut list).unwrap();
        assert_eq!(whole, Decoded::Whole);
        list.iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect()
    }

    #[test]
    fn known_names_have_the_index_of_the_static_table() {
        let named = STATIC
            .iter()
            .enumerate()
            .filter_map(|(at, (name, _))| Some((at + 1, known(name)?)));
        let mut count = 0;
        for (wanted, found) in named {
            assert_eq!(usize::from(found), wanted);
            count += 1;
        }
        assert_eq!(count, 26);
        assert_eq!(known(b"Content-TYPE"), Some(31));
        assert_eq!(known(&[b'a'; 28]), None);
    }

    #[test]
    fn every_status_decodes_to_itself() {
        for code in 100..1000u16 {
            let mut block = Vec::new();
            status(&mut block, code);
            assert_eq!(
                decoded(&block),
                [(b":status".to_vec(), code.to_string().into_bytes())]
            );
        }
    }

    #[test]
    fn lengths_and_the_size_update_decode() {
        let mut block = Vec::new();
        no_table(&mut block);
        content_length(&mut block, u64::MAX);
        assert_eq!(
            decoded(&block),
            [(b"content-length".to_vec(), b"18446744073709551615".to_vec())]
        );
    }

    proptest! {
        #[test]
        fn every_list_survives_the_way_there_and_back(
            fields in proptest::collection::vec(
                (prop_oneof!["[a-zA-Z-]{1,40}", Just("Content-Type".to_owned()), Just("vary".to_owned())],
                 proptest::collection::vec(any::<u8>(), 0..400)), 0..20)
        ) {
            let mut block = Vec::new();
            for (name, value) in &fields {
                field(&mut block, name.as_bytes(), value);
            }
            let wanted: Vec<_> =
                fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase().into_bytes(), value)).collect();
            prop_assert_eq!(decoded(&block), wanted);
        }
    }
}
