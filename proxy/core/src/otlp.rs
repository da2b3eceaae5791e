//! Spans as OTLP has them, in Protocol Buffers: written by hand, as there are few messages of few fields. Their numbers are those of
//! opentelemetry-proto 1.x, which never change.

/// Which side of an exchange a span is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The exchange with a client.
    Server,
    /// An attempt with an endpoint.
    Client,
}

/// The value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A string.
    Text(&'a str),
    /// An integer.
    Number(i64),
}

/// Name and value.
pub type Attribute<'a> = (&'static str, Value<'a>);

/// One span.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// The trace that it belongs to.
    pub trace: u128,
    /// Its own id.
    pub id: u64,
    /// The span that it is a part of.
    pub parent: Option<u64>,
    /// The parent is somebody else's.
    pub is_remote: bool,
    /// One of few.
    pub name: &'a str,
    /// Its side.
    pub kind: Kind,
    /// Unix time in nanoseconds.
    pub begun_ns: u64,
    /// The same.
    pub ended_ns: u64,
    /// What else is known.
    pub attributes: &'a [Attribute<'a>],
    /// It failed.
    pub is_error: bool,
}

/// It is recorded, and the next two bits mean something (W3C Trace Context §3.2.2.5, and `SpanFlags`).
const RECORDED: u32 = 0x101;
const REMOTE: u32 = 0x200;
/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// Adds a span, as one of the `spans` of `ScopeSpans`.
pub fn push_span(out: &mut Vec<u8>, span: &Span<'_>) {
    message(out, 2, |out| {
        bytes(out, 1, &span.trace.to_be_bytes());
        bytes(out, 2, &span.id.to_be_bytes());
        if let Some(parent) = span.parent {
            bytes(out, 4, &parent.to_be_bytes());
        }
        bytes(out, 5, span.name.as_bytes());
        let kind = match span.kind {
            Kind::Server => 2,
            Kind::Client => 3,
        };
        number(out, 6, kind);
        fixed64(out, 7, span.begun_ns);
        fixed64(out, 8, span.ended_ns);
        for attribute in span.attributes {
            push_attribute(out, 9, *attribute);
        }
        if span.is_error {
            message(out, 15, |out| number(out, 3, ERROR));
        }
        let remote = if span.is_remote { REMOTE } else { 0 };
        fixed32(out, 16, RECORDED | remote);
    });
}

/// An `ExportTraceServiceRequest` with spans that [`push_span`] has written.
pub fn request<'a>(
    resource: &[Attribute<'_>],
    (scope, version): (&str, &str),
    spans: impl Iterator<Item = &'a [u8]>,
) -> Vec<u8> {
    let mut out = Vec::new();
    message(&mut out, 1, |out| {
        message(out, 1, |out| {
            for attribute in resource {
                push_attribute(out, 1, *attribute);
            }
        });
        message(out, 2, |out| {
            message(out, 1, |out| {
                bytes(out, 1, scope.as_bytes());
                bytes(out, 2, version.as_bytes());
            });
            for spans in spans {
                out.extend_from_slice(spans);
            }
        });
    });
    out
}

/// How many spans the collector did not take, by its `ExportTraceServiceResponse`. What makes no sense says nothing.
pub fn rejected(response: &[u8]) -> u64 {
    let Some(Found::Bytes(partial)) = find(response, 1) else {
        return 0;
    };
    match find(partial, 1) {
        Some(Found::Number(count)) => count,
        Some(Found::Bytes(_)) | None => 0,
    }
}

fn push_attribute(out: &mut Vec<u8>, field: u64, (name, value): Attribute<'_>) {
    message(out, field, |out| {
        bytes(out, 1, name.as_bytes());
        message(out, 2, |out| match value {
            Value::Text(text) => bytes(out, 1, text.as_bytes()),
            Value::Number(value) => number(out, 3, value.cast_unsigned()),
        });
    });
}

fn message(out: &mut Vec<u8>, field: u64, write: impl FnOnce(&mut Vec<u8>)) {
    varint(out, field << 3 | BYTES);
    let start = out.len();
    write(out);
    // How long it is stands before it.
    let mut length = Vec::new();
    varint(&mut length, (out.len() - start) as u64);
    out.splice(start..start, length);
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | BYTES);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3 | VARINT);
    varint(out, value);
}

fn fixed64(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3 | FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

fn fixed32(out: &mut Vec<u8>, field: u64, value: u32) {
    varint(out, field << 3 | FIXED32);
    out.extend_from_slice(&value.to_le_bytes());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The last field of this number, as Protocol Buffers wants it. A message that is broken has none.
fn find(mut message: &[u8], wanted: u64) -> Option<Found<'_>> {
    let mut found = None;
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        let value = match key & 7 {
            VARINT => Found::Number(take_varint(&mut message)?),
            FIXED64 => Found::Bytes(message.split_off(..8)?),
            BYTES => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                Found::Bytes(message.split_off(..length)?)
            }
            FIXED32 => Found::Bytes(message.split_off(..4)?),
            _ => return None,
        };
        if key >> 3 == wanted {
            found = Some(value);
        }
    }
    found
}

fn take_varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *message.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn a_span_is_written_as_others_read_it() {
        let mut out = Vec::new();
        push_span(
            &mut out,
            &Span {
                trace: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10,
                id: 0x1112_1314_1516_1718,
                parent: Some(1),
                is_remote: true,
                name: "GET",
                kind: Kind::Server,
                begun_ns: 1,
                ended_ns: 0x0203,
                attributes: &[("a", Value::Text("b")), ("c", Value::Number(300))],
                is_error: true,
            },
        );
        let wanted = [
            &b"\x12\x5d\x0a\x10"[..],
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
            b"\x12\x08\x11\x12\x13\x14\x15\x16\x17\x18",
            b"\x22\x08\0\0\0\0\0\0\0\x01",
            b"\x2a\x03GET\x30\x02",
            b"\x39\x01\0\0\0\0\0\0\0\x41\x03\x02\0\0\0\0\0\0",
            b"\x4a\x08\x0a\x01a\x12\x03\x0a\x01b",
            b"\x4a\x08\x0a\x01c\x12\x03\x18\xac\x02",
            b"\x7a\x02\x18\x02",
            b"\x85\x01\x01\x03\0\0",
        ];
        assert_eq!(out, wanted.concat());
    }

    #[test]
    fn a_request_holds_who_sends_it_and_all_spans() {
        let spans = [&b"\x12\x01x"[..], b"\x12\x01y"];
        let request = request(
            &[("service.name", Value::Text("s"))],
            ("o", "1"),
            spans.into_iter(),
        );
        let resource = b"\x0a\x15\x0a\x13\x0a\x0cservice.name\x12\x03\x0a\x01s";
        let scope = b"\x12\x0e\x0a\x06\x0a\x01o\x12\x011\x12\x01x\x12\x01y";
        assert_eq!(request, [&b"\x0a\x27"[..], resource, scope].concat());
    }

    #[test]
    fn a_collector_may_take_a_part_only() {
        for (response, expected) in [
            (&b""[..], 0),
            (b"\x0a\x00", 0),
            (b"\x0a\x02\x08\x05", 5),
            (b"\x0a\x08\x08\xac\x02\x12\x03why", 300),
            (b"\x0a\x05\x12\x03why", 0),
            (b"\x08\x05", 0),
            (b"\x0a\xff", 0),
            (b"{}", 0),
        ] {
            assert_eq!(rejected(response), expected, "{response:?}");
        }
    }

    #[test]
    fn a_long_message_has_a_long_length() {
        let name = "x".repeat(300);
        let mut out = Vec::new();
        message(&mut out, 1, |out| bytes(out, 5, name.as_bytes()));
        let inner = match find(&out, 1) {
            Some(Found::Bytes(inner)) => Some(inner),
            Some(Found::Number(_)) | None => None,
        };
        let inner = inner.unwrap();
        assert_eq!(find(inner, 5), Some(Found::Bytes(name.as_bytes())));
    }

    proptest! {
        #[test]
        fn whatever_a_collector_says_is_read(response: Vec<u8>) {
            rejected(&response);
        }

        #[test]
        fn numbers_come_back(value in any::<u64>()) {
            let mut out = Vec::new();
            number(&mut out, 7, value);
            assert_eq!(find(&out, 7), Some(Found::Number(value)));
        }
    }
}
