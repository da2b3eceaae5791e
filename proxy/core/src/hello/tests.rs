#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;

use super::{Hello, MAX_MESSAGE, Reader};

fn long(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes()[..], bytes].concat()
}

fn short(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &long(body)].concat()
}

fn name(text: &str) -> Vec<u8> {
    extension(0, &long(&[&[0][..], &long(text.as_bytes())].concat()))
}

fn alpn(names: &[&str]) -> Vec<u8> {
    let list: Vec<u8> = names
        .iter()
        .flat_map(|name| short(name.as_bytes()))
        .collect();
    extension(16, &long(&list))
}

/// A client's first message with these extensions.
fn message(extensions: &[Vec<u8>]) -> Vec<u8> {
    let body = [
        &[3, 3][..],
        &[7; 32],
        &short(&[9; 32]),
        &long(&[0x13, 0x01]),
        &short(&[0]),
        &long(&extensions.concat()),
    ]
    .concat();
    handshake(1, &body)
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind], &length[1..], body].concat()
}

/// The message in records of so many bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    let record = |part: &[u8]| [&[22, 3, 1][..], &long(part)].concat();
    message.chunks(size).flat_map(record).collect()
}

fn read(bytes: &[u8]) -> Result<Option<Hello>, &'static str> {
    Reader::default().read(bytes).map_err(|error| error.0)
}

fn example() -> Vec<u8> {
    message(&[
        extension(43, &[2, 3, 4]),
        name("App.Example.com"),
        alpn(&["h2", "http/1.1"]),
    ])
}

fn wanted() -> Hello {
    Hello {
        server_name: Some("app.example.com".to_owned()),
        protocols: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    }
}

#[test]
fn name_and_protocols_are_read_however_the_message_is_cut() {
    for size in [1, 2, 3, 5, 64, 16_384] {
        let bytes = records(&example(), size);
        assert_eq!(read(&bytes), Ok(Some(wanted())), "in records of {size}");
        let mut reader = Reader::default();
        for end in 0..bytes.len() {
            assert_eq!(
                reader.read(&bytes[..end]),
                Ok(None),
                "{end} of records of {size}"
            );
        }
        assert_eq!(reader.read(&bytes), Ok(Some(wanted())));
    }
}

#[test]
fn what_a_client_does_not_say_is_absent() {
    for (extensions, expected) in [
        (vec![], Hello::default()),
        (
            vec![name("a")],
            Hello {
                server_name: Some("a".to_owned()),
                protocols: vec![],
            },
        ),
        (
            vec![alpn(&["h3"])],
            Hello {
                server_name: None,
                protocols: vec![b"h3".to_vec()],
            },
        ),
        // Encrypted Client Hello: the outer name stands in the clear.
        (
            vec![extension(0xfe0d, &[0; 300]), name("outer.example")],
            Hello {
                server_name: Some("outer.example".to_owned()),
                protocols: vec![],
            },
        ),
    ] {
        assert_eq!(
            read(&records(&message(&extensions), 1000)),
            Ok(Some(expected))
        );
    }
    // TLS 1.2 without any extension.
    let body = [&[3, 3][..], &[7; 32], &[0], &long(&[0, 47]), &short(&[0])].concat();
    assert_eq!(
        read(&records(&handshake(1, &body), 99)),
        Ok(Some(Hello::default()))
    );
    // More in the same record is none of this message.
    let more = [example(), vec![20, 0, 0, 1]].concat();
    assert_eq!(read(&records(&more, 16_384)), Ok(Some(wanted())));
}

#[test]
fn what_is_no_hello_is_refused_at_the_first_byte_that_shows_it() {
    for (bytes, message) in [
        (b"G".to_vec(), "not TLS"),
        (vec![22, 2], "not TLS"),
        (vec![0x80, 0x2e, 1, 0, 2], "not TLS"),
        (vec![22, 3, 1, 0, 0], "no valid length"),
        (vec![22, 3, 1, 0x40, 1], "no valid length"),
        (records(&[2], 1), "no ClientHello"),
        (records(&[1, 0, 0x40, 1], 4), "too long"),
        (records(&handshake(1, &[3, 3]), 9), "malformed"),
        (records(&message(&[name("a"), name("b")]), 999), "malformed"),
        (
            records(&message(&[alpn(&["a"]), alpn(&["b"])]), 999),
            "malformed",
        ),
        (records(&message(&[alpn(&[""])]), 999), "malformed"),
        (records(&message(&[name("a b")]), 999), "malformed"),
        (records(&message(&[name("")]), 999), "malformed"),
        (
            records(&message(&[name(&"a".repeat(254))]), 999),
            "malformed",
        ),
        (
            records(&message(&[extension(0, &[0, 4, 1, 0, 1, b'a'])]), 999),
            "malformed",
        ),
        (records(&message(&[vec![0, 0, 0, 9]]), 999), "malformed"),
    ] {
        let told = read(&bytes).unwrap_err();
        assert!(told.contains(message), "{bytes:?}: {told}");
    }
}

/// Whatever comes is read or refused, the same however it arrives, and no more is kept than a message.
fn fuzz_hello(input: &[u8]) {
    let whole = read(input);
    for step in [1, 7] {
        let mut reader = Reader::default();
        let mut end = 0;
        let pieces = loop {
            let read = reader.read(&input[..end]).map_err(|error| error.0);
            if read != Ok(None) || end == input.len() {
                break read;
            }
            end = (end + step).min(input.len());
        };
        assert_eq!(pieces, whole, "{input:?} in steps of {step}");
        assert!(reader.message.len() <= MAX_MESSAGE + super::MAX_RECORD);
    }
    if let Ok(Some(Hello { server_name, .. })) = whole {
        assert!(server_name.is_none_or(|name| name == name.to_ascii_lowercase()));
    }
}

proptest! {
    #[test]
    fn random_bytes_and_broken_hellos_do_no_harm(
        random in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        size in 1_usize..400,
    ) {
        fuzz_hello(&random);
        let mut bytes = records(&example(), size);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        fuzz_hello(&bytes);
    }
}
