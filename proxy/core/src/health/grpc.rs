//! The question and the answers of `grpc.health.v1.Health/Check`, as octets. Two messages with a field each do not need a
//! compiler of their language.

/// What is called.
pub const PATH: &str = "/grpc.health.v1.Health/Check";
/// Octets before a message: whether it is compressed, and how long it is.
const PREFIX: usize = 5;
/// Field 1, of a kind that has its length before it.
const SERVICE: u8 = 0x0a;
/// Field 1, a varint.
const STATUS: u8 = 0x08;
/// `SERVING`.
const SERVING: u64 = 1;

/// Why an endpoint is not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwell {
    /// It says so.
    #[error("it says that it does not serve")]
    NotServing,
    /// It does not know the service that it was asked for.
    #[error("it does not know that service")]
    UnknownService,
    /// It says neither.
    #[error("its answer is no HealthCheckResponse")]
    Garbled,
}

/// A `HealthCheckRequest`, framed; an empty name asks for the whole server.
pub fn question(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(SERVICE);
        varint(service.len() as u64, &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    // A name in a configuration is far shorter than what 32 bits can tell.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = vec![0];
    framed.extend_from_slice(&length.to_be_bytes());
    framed.append(&mut message);
    framed
}

/// Reads a framed `HealthCheckResponse`.
///
/// # Errors
/// Whatever it says but that the endpoint serves.
pub fn verdict(body: &[u8]) -> Result<(), Unwell> {
    let (prefix, rest) = body.split_at_checked(PREFIX).ok_or(Unwell::Garbled)?;
    let [0, length @ ..] = prefix else {
        return Err(Unwell::Garbled);
    };
    let length = length.iter().fold(0_usize, |sum, byte| {
        sum.saturating_mul(256).saturating_add((*byte).into())
    });
    let mut message = rest.get(..length).ok_or(Unwell::Garbled)?;
    let mut status = 0;
    while let Some((tag, rest)) = message.split_first() {
        // What came later is what counts; fields that nobody knows yet would have other tags.
        if *tag != STATUS {
            return Err(Unwell::Garbled);
        }
        (status, message) = read_varint(rest).ok_or(Unwell::Garbled)?;
    }
    match status {
        SERVING => Ok(()),
        3 => Err(Unwell::UnknownService),
        _ => Err(Unwell::NotServing),
    }
}

/// Seven bits an octet, the lowest first; the highest bit says that more come.
fn varint(mut number: u64, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(index).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Unwell, question, verdict};

    #[test]
    fn the_question_names_the_service_or_asks_for_the_server() {
        assert_eq!(question(""), [0, 0, 0, 0, 0]);
        assert_eq!(question("a.B"), *b"\0\0\0\0\x05\x0a\x03a.B");
        let long = question(&"x".repeat(300));
        assert!(long.starts_with(b"\0\0\0\x01\x2f\x0a\xac\x02xx"));
    }

    #[test]
    fn only_serving_is_well() {
        let check = |body: &[u8], expected: Result<(), Unwell>| {
            assert_eq!(verdict(body), expected, "{body:?}");
        };
        check(b"\0\0\0\0\x02\x08\x01", Ok(()));
        check(b"\0\0\0\0\x02\x08\x02", Err(Unwell::NotServing));
        check(b"\0\0\0\0\x02\x08\x03", Err(Unwell::UnknownService));
        check(b"\0\0\0\0\0", Err(Unwell::NotServing));
        check(b"\0\0\0\0\x04\x08\x02\x08\x01", Ok(()));
        check(b"\x01\0\0\0\x02\x08\x01", Err(Unwell::Garbled));
        check(b"\0\0\0\0\x03\x08\x01", Err(Unwell::Garbled));
        check(b"\0\0\0\0\x02\x10\x01", Err(Unwell::Garbled));
        check(b"\0\0\0\0\x02\x08\x81", Err(Unwell::Garbled));
        check(b"", Err(Unwell::Garbled));
        check(b"\0\xff\xff\xff\xff", Err(Unwell::Garbled));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let read = verdict(&body);
            prop_assert!(read != Ok(()) || body.contains(&1));
        }
    }
}
