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

/// What a valid header says (W3C Trace Context §3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    trace: u128,
    parent: u64,
    flags: u8,
}

/// The bit of the flags that says that the trace is recorded.
const SAMPLED: u8 = 1;

impl Context {
    /// Of a header, if it is valid.
    pub fn of(value: &[u8]) -> Option<Self> {
        let (id, flags) = trace_of(value)?;
        let mut parts = str::from_utf8(value).ok()?.split('-');
        Some(Self {
            trace: u128::from_str_radix(id, 16).ok()?,
            parent: u64::from_str_radix(parts.nth(2)?, 16).ok()?,
            flags: u8::from_str_radix(flags, 16).ok()?,
        })
    }

    /// Whoever sent it records the trace.
    pub fn is_recorded(self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// Who an exchange is in the trace that it is recorded in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// The trace.
    pub trace: u128,
    /// The span of whoever sent the request.
    pub parent: Option<u64>,
    /// The span of the exchange.
    pub own: u64,
    /// The span that the first endpoint is told of.
    pub sent: u64,
    flags: u8,
}

impl Ids {
    /// Goes on with a trace, or begins one; the rest is random.
    pub fn new(received: Option<Context>, trace: u128, own: u64, sent: u64) -> Self {
        Self {
            trace: received.map_or(trace.max(1), |context| context.trace),
            parent: received.map(|context| context.parent),
            own: own.max(1),
            sent: sent.max(1),
            flags: received.map_or(0, |context| context.flags) | SAMPLED,
        }
    }

    /// For the first endpoint.
    pub fn traceparent(&self) -> Traceparent {
        self.under(self.sent)
    }

    /// For an endpoint that is asked under a span of its own.
    pub fn under(&self, span: u64) -> Traceparent {
        written(self.trace, span, self.flags)
    }
}

/// Goes on with a trace, or begins one, of which nothing is recorded here.
pub fn unrecorded(received: Option<Context>, trace: u128, parent: u64) -> Traceparent {
    let trace = received.map_or(trace.max(1), |context| context.trace);
    let flags = received.map_or(0, |context| context.flags);
    written(trace, parent.max(1), flags & !SAMPLED)
}

fn written(trace: u128, parent: u64, flags: u8) -> Traceparent {
    let mut out = Traceparent::new();
    out.push_str("00-");
    push_hex(&mut out, trace.to_be_bytes());
    out.push('-');
    push_hex(&mut out, parent.to_be_bytes());
    out.push('-');
    push_hex(&mut out, [flags]);
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
    use super::{Context, Ids, received_id, request_id, traceparent, unrecorded};

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
    fn what_is_recorded_says_so_to_endpoints_and_what_is_not_does_not() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        let context = |flags: &str| {
            let text = format!("00-{id}-b7ad6b7169203331-{flags}");
            Context::of(text.as_bytes())
        };
        for (flags, recorded, not_recorded) in [
            ("00", "01", "00"),
            ("01", "01", "00"),
            ("02", "03", "02"),
            ("03", "03", "02"),
        ] {
            let received = context(flags);
            assert_eq!(
                received.map(Context::is_recorded),
                Some(flags.ends_with(['1', '3']))
            );
            let ids = Ids::new(received, 9, 1, 2);
            assert_eq!(ids.parent, Some(0xb7ad_6b71_6920_3331));
            assert_eq!(
                ids.traceparent().as_str(),
                format!("00-{id}-0000000000000002-{recorded}")
            );
            assert_eq!(
                unrecorded(received, 9, 2).as_str(),
                format!("00-{id}-0000000000000002-{not_recorded}")
            );
        }
        let fresh = Ids::new(None, 0, 0, 0);
        assert_eq!((fresh.trace, fresh.parent, fresh.own), (1, None, 1));
        assert_eq!(
            fresh.traceparent().as_str(),
            "00-00000000000000000000000000000001-0000000000000001-01"
        );
        assert!(unrecorded(None, 5, 6).ends_with("-00"));
        assert_eq!(Context::of(b"00-0-0-0"), None);
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
