//! Request ids and W3C trace context: made from random numbers that the caller brings.

use arrayvec::ArrayString;

/// As long as an id from a trusted proxy may be.
pub type RequestId = ArrayString<64>;

/// `00-` trace id `-` parent id `-` flags.
pub type Traceparent = ArrayString<55>;

/// A fresh id: 128 random bits in hexadecimal.
pub fn request_id(random: u128) -> RequestId {
    let mut id = RequestId::new();
    push_hex(&mut id, random.to_be_bytes());
    id
}

/// An id from a trusted proxy, if it is one that can stand in a header and a log.
pub fn received_id(value: &[u8]) -> Option<RequestId> {
    let text = str::from_utf8(value).ok()?;
    let clean = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    clean.then(|| RequestId::from(text).ok()).flatten()
}

/// Goes on with the trace of a valid `received` header under a new parent id, else begins one (W3C Trace Context §3.2).
pub fn traceparent(received: Option<&[u8]>, trace: u128, parent: u64) -> Traceparent {
    let known = received.and_then(trace_of);
    let mut out = Traceparent::new();
    out.push_str("00-");
    match known {
        Some((id, _)) => out.push_str(id),
        None => push_hex(&mut out, trace.max(1).to_be_bytes()),
    }
    out.push('-');
    push_hex(&mut out, parent.max(1).to_be_bytes());
    out.push('-');
    out.push_str(known.map_or("01", |(_, flags)| flags));
    out
}

fn trace_of(value: &[u8]) -> Option<(&str, &str)> {
    let text = str::from_utf8(value).ok()?;
    let mut parts = text.split('-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, length: usize| {
        part.len() == length
            && part
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let sound =
        hex(version, 2) && hex(id, 32) && hex(parent, 16) && hex(flags, 2) && version != "ff";
    let exact = version != "00" || parts.next().is_none();
    let set = |part: &str| part.bytes().any(|byte| byte != b'0');
    (sound && exact && set(id) && set(parent)).then_some((id, flags))
}

/// A number in hexadecimal, all digits of its bytes. A table of pairs rather than one digit at a time: three such numbers stand in
/// every request.
fn push_hex<const N: usize, const B: usize>(out: &mut ArrayString<N>, number: [u8; B]) {
    let mut text = [[b'0'; 2]; B];
    for (pair, byte) in text.iter_mut().zip(number) {
        *pair = PAIRS.get(usize::from(byte)).copied().unwrap_or_default();
    }
    out.push_str(str::from_utf8(text.as_flattened()).unwrap_or_default());
}

/// Both digits of every byte.
#[expect(
    clippy::indexing_slicing,
    reason = "the index counts to the length of the table, and iterators are not const"
)]
const PAIRS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 0xf]];
        byte += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use super::{received_id, request_id, traceparent};

    #[test]
    fn ids() {
        assert_eq!(
            request_id(0xabc).as_str(),
            "00000000000000000000000000000abc"
        );
        assert_eq!(received_id(b"r-1").as_deref(), Some("r-1"));
        for bad in [&b""[..], b"a b", b"\"", b"\xff", &[b'a'; 65]] {
            assert_eq!(received_id(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_valid_trace_goes_on_and_any_other_begins_anew() {
        let go_on = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        assert_eq!(
            traceparent(Some(go_on.as_bytes()), 1, 0x1f).as_str(),
            "00-0af7651916cd43dd8448eb211c80319c-000000000000001f-00"
        );
        for bad in [
            None,
            Some("00-0-0-0"),
            Some("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            Some("00-00000000000000000000000000000000-b7ad6b7169203331-01"),
        ] {
            assert_eq!(
                traceparent(bad.map(str::as_bytes), 2, 3).as_str(),
                "00-00000000000000000000000000000002-0000000000000003-01"
            );
        }
    }
}
