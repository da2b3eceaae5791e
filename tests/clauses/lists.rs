//! The rows whose request is a list of fields: HTTP/2, frame by frame, so that nothing is too wrong to be sent. The wire with
//! other frames around the same lists is in `http3`.

use std::net::SocketAddr;
use std::time::Duration;

use super::origin::Rows;
use super::table::{self, Row};
use super::{TABLES, compare, run_all};
use crate::control::address;
use crate::support::{Proxy, RawClient};

const PATIENCE: Duration = Duration::from_secs(5);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What a client gets for its list.
#[derive(Debug, Default)]
pub struct Answer {
    /// One for each head, interim ones included.
    pub statuses: Vec<u16>,
    /// Each head as `NAME: VALUE` lines, then the body, then trailers.
    pub text: Vec<u8>,
    /// The code, if the stream was reset before its end.
    pub reset: Option<u64>,
    /// The stream came to its end.
    pub whole: bool,
}

#[test]
fn downgrade() {
    let origin = Rows::start();
    let config = format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\nprotocols = [\"h2\"]\nmax_header = \"16k\"\n\
         [upstream.app]\nendpoints = [\"{}\"]\n[[route]]\nname = \"all\"\nto = \"app\"\n",
        origin.origin.address()
    );
    let proxy = Proxy::start(&config);
    let web = address(&proxy, "web");
    let rows: Vec<Row> = TABLES[..3].iter().copied().flat_map(table::rows).collect();
    run_all(rows.iter().filter(|row| row.is_for_http2()), |row| {
        origin.expect(row);
        judge(row, row.reset, &over_h2(row, web)?, &origin)
    });
}

/// Whether the answer is what the row says, whatever the wire; `reset`: the row's code as that wire has it.
pub fn judge(row: &Row, reset: Option<u64>, answer: &Answer, origin: &Rows) -> Result<(), String> {
    // Nothing of the answer had been sent yet: the client learns of it by a refusal.
    if row.cut && answer.reset.is_none() && answer.statuses == [502] {
        return Ok(());
    }
    let refused = row.reset.is_some() || row.refused.is_some();
    if refused && !origin.of(row).is_empty() {
        return Err("the origin heard of it".to_owned());
    }
    if answer.reset != reset && !(row.cut && answer.reset.is_some()) {
        return Err(format!("reset {:?}, not {reset:?}", answer.reset));
    }
    let last = answer.statuses.last().copied().unwrap_or_default();
    if let Some((status, reason)) = row.refused
        && (last != status || !String::from_utf8_lossy(&answer.text).contains(reason))
    {
        return Err(format!("not refused so: {answer:?}"));
    }
    if row.reset.is_none() && answer.whole == row.cut {
        return Err(format!("whole or not: {answer:?}"));
    }
    if !refused && row.sees.is_empty() && row.reply.is_none() && last != 200 {
        return Err(format!("not answered: {answer:?}"));
    }
    origin.check(row)?;
    compare("the answer", &answer.text, &row.sees, &row.never)
}

fn over_h2(row: &Row, web: SocketAddr) -> Result<Answer, String> {
    let mut client = RawClient::connect(web);
    client.patience(PATIENCE);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, b""));
    bytes.extend(request(row));
    client.try_send(bytes).map_err(|error| error.to_string())?;
    let mut answer = Answer::default();
    while !answer.whole && answer.reset.is_none() {
        let head = client
            .try_read_exact(9)
            .map_err(|error| format!("{error} behind {answer:?}"))?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = client
            .try_read_exact(length)
            .map_err(|error| error.to_string())?;
        let ends = head[4] & END_STREAM != 0;
        match head[3] {
            HEADERS => {
                fields(&payload, &mut answer);
                answer.whole = ends;
            }
            DATA => {
                answer.text.extend_from_slice(&payload);
                answer.whole = ends;
            }
            RST_STREAM => {
                let code = u32::from_be_bytes(payload[..4].try_into().unwrap());
                // NO_ERROR behind a whole answer stops a request that nobody needs any more (RFC 9113 §8.1).
                answer.reset = Some(code.into()).filter(|code| *code != 0);
            }
            GOAWAY => {
                return Err(format!("GOAWAY {:?} behind {answer:?}", &payload[4..]));
            }
            _ => {}
        }
    }
    Ok(answer)
}

/// The frames of a row's request; the last one ends the stream.
fn request(row: &Row) -> Vec<u8> {
    let mut parts = vec![(HEADERS, block(&row.list))];
    parts.extend(row.data.iter().map(|(_, data)| (DATA, data.clone())));
    if !row.last.is_empty() {
        parts.push((HEADERS, block(&row.last)));
    }
    let count = parts.len();
    let mut out = Vec::new();
    for (index, (kind, payload)) in parts.into_iter().enumerate() {
        let end = if index + 1 == count { END_STREAM } else { 0 };
        let whole = if kind == HEADERS { END_HEADERS } else { 0 };
        out.extend(frame(kind, end | whole, 1, &payload));
    }
    out
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = length[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// Literals with names of their own, not indexed (RFC 7541 §6.2.2).
fn block(list: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in list {
        out.push(0);
        for text in [name, value] {
            length(text.len(), &mut out);
            out.extend_from_slice(text);
        }
    }
    out
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn length(mut value: usize, out: &mut Vec<u8>) {
    if value < 127 {
        out.push(value as u8);
        return;
    }
    out.push(127);
    value -= 127;
    while value >= 128 {
        out.push((value % 128) as u8 | 128);
        value /= 128;
    }
    out.push(value as u8);
}

/// Reads a block as this proxy writes one: without Huffman coding and without a table of its own.
fn fields(block: &[u8], answer: &mut Answer) {
    let mut rest = block;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let (index, indexed) = match first {
            0x20..=0x3f => continue,
            0x80.. => (first & 0x7f, true),
            0x40..=0x7f => panic!("an entry for the table, {first:#x}"),
            _ => (first & 0x0f, false),
        };
        let index = usize::from(index) + continued(index, indexed, &mut rest);
        let name = if index == 0 {
            text(&mut rest)
        } else {
            NAMES[index].as_bytes().to_vec()
        };
        let value = if indexed {
            VALUES[index - 8].as_bytes().to_vec()
        } else {
            text(&mut rest)
        };
        if name == b":status" {
            let status = String::from_utf8_lossy(&value);
            answer.statuses.push(status.parse().expect("a status"));
        }
        answer
            .text
            .extend([&name[..], b": ", &value, b"\n"].concat());
    }
}

/// What follows the prefix of an index when that is full.
fn continued(prefix: u8, indexed: bool, rest: &mut &[u8]) -> usize {
    if indexed || prefix < 15 {
        return 0;
    }
    let (next, after) = rest.split_first().expect("more of an index");
    *rest = after;
    usize::from(*next)
}

fn text(rest: &mut &[u8]) -> Vec<u8> {
    let (first, mut after) = rest.split_first().expect("a length");
    assert!(first & 0x80 == 0, "Huffman coding");
    let mut length = usize::from(*first);
    if length == 127 {
        let mut shift = 0;
        loop {
            let (next, more) = after.split_first().expect("more of a length");
            after = more;
            length += usize::from(next & 0x7f) << shift;
            shift += 7;
            if next & 0x80 == 0 {
                break;
            }
        }
    }
    let (text, after) = after.split_at(length);
    *rest = after;
    text.to_vec()
}

/// The values of `:status` in the static table, from its index 8 on.
const VALUES: [&str; 7] = ["200", "204", "206", "304", "400", "404", "500"];

/// The names of the static table (RFC 7541, Appendix A).
#[rustfmt::skip]
const NAMES: [&str; 62] = [
    "", ":authority", ":method", ":method", ":path", ":path", ":scheme", ":scheme", ":status", ":status", ":status",
    ":status", ":status", ":status", ":status", "accept-charset", "accept-encoding", "accept-language", "accept-ranges",
    "accept", "access-control-allow-origin", "age", "allow", "authorization", "cache-control", "content-disposition",
    "content-encoding", "content-language", "content-length", "content-location", "content-range", "content-type",
    "cookie", "date", "etag", "expect", "expires", "from", "host", "if-match", "if-modified-since", "if-none-match",
    "if-range", "if-unmodified-since", "last-modified", "link", "location", "max-forwards", "proxy-authenticate",
    "proxy-authorization", "range", "referer", "refresh", "retry-after", "server", "set-cookie",
    "strict-transport-security", "transfer-encoding", "user-agent", "vary", "via", "www-authenticate",
];
