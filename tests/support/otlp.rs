//! What an exporter of spans sends, decoded: OTLP over HTTP in Protocol Buffers, strictly.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Message;

/// A span as the collector understood it.
#[derive(Clone, Debug, Default)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub name: String,
    /// 2 is that of a server, 3 that of a client.
    pub kind: u64,
    pub begun: u64,
    pub ended: u64,
    pub is_error: bool,
    attributes: BTreeMap<String, String>,
}

impl Span {
    /// An attribute, as text; nothing where there is none.
    pub fn is(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// One field of a message: its number, and its value as a number or as bytes.
type Field<'a> = (u64, u64, &'a [u8]);

fn fields(mut message: &[u8]) -> Vec<Field<'_>> {
    fn varint(message: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = *message.split_off_first().expect("a whole number");
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
        }
        unreachable!("a number ends")
    }
    let mut all = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let (number, bytes): (u64, &[u8]) = match key & 7 {
            0 => (varint(&mut message), &[]),
            1 => {
                let bytes = message.split_off(..8).unwrap();
                (u64::from_le_bytes(bytes.try_into().unwrap()), bytes)
            }
            2 => {
                let length = varint(&mut message) as usize;
                (0, message.split_off(..length).expect("a whole message"))
            }
            5 => {
                let bytes = message.split_off(..4).unwrap();
                (u32::from_le_bytes(bytes.try_into().unwrap()).into(), bytes)
            }
            other => panic!("wire type {other}"),
        };
        all.push((key >> 3, number, bytes));
    }
    all
}

fn inner(message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    let found = fields(message).into_iter();
    found.filter_map(move |(field, _, bytes)| (field == number).then_some(bytes))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text is UTF-8")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

fn attribute(bytes: &[u8]) -> (String, String) {
    let name = text(inner(bytes, 1).next().unwrap());
    let value = inner(bytes, 2).next().unwrap();
    let value = fields(value)
        .pop()
        .map(|(field, number, bytes)| match field {
            1 => text(bytes),
            3 => number.to_string(),
            other => panic!("a value of kind {other}"),
        });
    (name, value.unwrap())
}

fn span(bytes: &[u8]) -> Span {
    let mut span = Span::default();
    for (field, number, bytes) in fields(bytes) {
        match field {
            1 => span.trace = hex(bytes),
            2 => span.id = hex(bytes),
            4 => span.parent = hex(bytes),
            5 => span.name = text(bytes),
            6 => span.kind = number,
            7 => span.begun = number,
            8 => span.ended = number,
            9 => span.attributes.extend([attribute(bytes)]),
            15 => span.is_error = inner(bytes, 2).next().is_none() && !bytes.is_empty(),
            16 => assert_eq!(number & 1, 1, "it is recorded"),
            other => panic!("field {other} of a span"),
        }
    }
    span
}

/// All spans of a request of the exporter.
pub fn spans(message: &Message) -> Vec<Span> {
    assert!(
        message.start.starts_with("POST /v1/traces "),
        "{}",
        message.start
    );
    assert_eq!(
        message.header("content-type"),
        Some("application/x-protobuf")
    );
    let resources: Vec<&[u8]> = inner(&message.body, 1).collect();
    assert_eq!(resources.len(), 1);
    let resource = inner(resources[0], 1).next().unwrap();
    let about: BTreeMap<String, String> = inner(resource, 1).map(attribute).collect();
    assert_eq!(about["service.name"], "edge", "as tests call it");
    let scope = inner(resources[0], 2).next().unwrap();
    inner(scope, 2).map(span).collect()
}
