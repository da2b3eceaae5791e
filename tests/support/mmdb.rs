//! Databases of countries as providers write them (`MaxMind` DB format 2.0), small enough to be written whole by a test.

use std::net::IpAddr;

/// How a provider writes the country into a record.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// `{"country": {"iso_code": "DE"}}`
    Nested,
    /// `{"registered_country": {"iso_code": "DE"}}`
    Registered,
    /// `{"country": "DE"}`
    Plain,
}

#[derive(Clone, Copy)]
enum Slot {
    Empty,
    Node(usize),
    Record(usize),
}

/// The bytes of a database, built at `epoch`, with these ranges and their countries; none may overlap another.
pub fn mmdb(shape: Shape, epoch: u32, ranges: &[(&str, &str)]) -> Vec<u8> {
    let mut nodes = vec![[Slot::Empty; 2]];
    let mut records: Vec<&str> = Vec::new();
    for (range, code) in ranges {
        let record = records.iter().position(|known| known == code);
        let record = record.unwrap_or_else(|| {
            records.push(code);
            records.len() - 1
        });
        let (address, length) = range.split_once('/').expect("a prefix");
        let mut length: usize = length.parse().expect("a length");
        let bits = match address.parse().expect("an address") {
            // IPv4 stands at ::/96.
            IpAddr::V4(address) => {
                length += 96;
                u128::from(address.to_bits())
            }
            IpAddr::V6(address) => address.to_bits(),
        };
        insert(&mut nodes, bits, length, record);
    }
    let mut data = Vec::new();
    let offsets: Vec<usize> = records
        .iter()
        .map(|code| {
            let offset = data.len();
            data.extend(record(shape, code));
            offset
        })
        .collect();
    let count = nodes.len();
    let mut bytes = Vec::new();
    for slot in nodes.iter().flatten() {
        let value = match slot {
            Slot::Empty => count,
            Slot::Node(node) => *node,
            Slot::Record(record) => count + 16 + offsets[*record],
        };
        bytes.extend(
            &u32::try_from(value)
                .expect("a small database")
                .to_be_bytes()[1..],
        );
    }
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    bytes.extend(metadata(count, epoch));
    bytes
}

fn insert(nodes: &mut Vec<[Slot; 2]>, bits: u128, length: usize, record: usize) {
    let mut node = 0;
    for depth in 0..length {
        let side = usize::from(bits >> (127 - depth) & 1 == 1);
        if depth + 1 == length {
            nodes[node][side] = Slot::Record(record);
            return;
        }
        node = match nodes[node][side] {
            Slot::Node(next) => next,
            Slot::Empty => {
                nodes.push([Slot::Empty; 2]);
                nodes[node][side] = Slot::Node(nodes.len() - 1);
                nodes.len() - 1
            }
            Slot::Record(_) => panic!("ranges overlap"),
        };
    }
}

fn record(shape: Shape, code: &str) -> Vec<u8> {
    let iso = [map(1), text("iso_code"), text(code)].concat();
    match shape {
        Shape::Nested => [map(1), text("country"), iso].concat(),
        Shape::Registered => [map(1), text("registered_country"), iso].concat(),
        Shape::Plain => [map(1), text("country"), text(code)].concat(),
    }
}

fn metadata(nodes: usize, epoch: u32) -> Vec<u8> {
    let pairs: [(&str, Vec<u8>); 9] = [
        ("binary_format_major_version", number(5, 2)),
        ("binary_format_minor_version", number(5, 0)),
        // An extended type has its number, less seven, in a second byte.
        ("build_epoch", {
            let mut bytes = vec![4, 2];
            bytes.extend(epoch.to_be_bytes());
            bytes
        }),
        ("database_type", text("Test-Country")),
        (
            "description",
            [map(1), text("en"), text("for tests")].concat(),
        ),
        ("ip_version", number(5, 6)),
        ("languages", vec![1, 4, (2 << 5) | 2, b'e', b'n']),
        ("node_count", number(6, u32::try_from(nodes).expect("few"))),
        ("record_size", number(5, 24)),
    ];
    let pairs = pairs.map(|(key, value)| [text(key), value].concat());
    [map(9), pairs.concat()].concat()
}

fn map(pairs: u8) -> Vec<u8> {
    vec![(7 << 5) | pairs]
}

/// A string of fewer than 29 bytes.
fn text(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("short");
    assert!(length < 29, "{text}");
    [&[(2 << 5) | length], text.as_bytes()].concat()
}

/// An unsigned integer of the type 5 (16 bits) or 6 (32 bits).
fn number(kind: u8, value: u32) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let bytes = bytes.iter().skip_while(|byte| **byte == 0);
    let bytes: Vec<u8> = bytes.copied().collect();
    let length = u8::try_from(bytes.len()).expect("four at most");
    [vec![(kind << 5) | length], bytes].concat()
}
