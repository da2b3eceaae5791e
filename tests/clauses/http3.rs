//! The rows whose request is a list of fields, over HTTP/3, and those about its streams and frames. The client is quinn with frames made
//! here, so that nothing is too wrong to be sent.

#[path = "../../proxy/src/serve/h3/qpack/table.rs"]
mod table_of_qpack;

use std::net::SocketAddr;
use std::time::Duration;

use quinn::{Connection, ConnectionError, Endpoint, ReadError, RecvStream, SendStream};
use tokio::time::timeout;

use self::table_of_qpack::STATIC;
use super::lists::{Answer, judge};
use super::origin::Rows;
use super::table::{self, Row, code};
use super::{TABLES, run_all};
use crate::control::address;
use crate::h3::client::{config, endpoint, run};
use crate::support::Proxy;

const PATIENCE: Duration = Duration::from_secs(5);
const DATA: u64 = 0;
const HEADERS: u64 = 1;
const SETTINGS: u64 = 4;
/// The type of a control stream.
const CONTROL: u8 = 0;

#[test]
fn downgrade() {
    run_tables(&TABLES[..3]);
}

#[test]
fn streams_and_frames() {
    run_tables(&TABLES[3..]);
}

fn run_tables(tables: &[&'static str]) {
    let origin = Rows::start();
    let config_text = format!(
        "[listener.webs]\nbind = [\"127.0.0.1:0\"]\nprotocols = [\"h1\", \"h3\"]\ntls = {{ self_signed = [\"a.test\"] }}\nmax_header = \"16k\"\n\
         [upstream.app]\nendpoints = [\"{}\"]\n[[route]]\nname = \"all\"\nto = \"app\"\n",
        origin.origin.address()
    );
    let proxy = Proxy::start(&config_text);
    let webs = address(&proxy, "webs");
    let rows: Vec<Row> = tables.iter().copied().flat_map(table::rows).collect();
    run_all(rows.iter().filter(|row| row.is_for_http3()), |row| {
        origin.expect(row);
        let answer = run(over_h3(row, webs))?;
        match (&answer, row.closed) {
            (Ended::Closed(found), Some(expected)) if *found == expected => Ok(()),
            (Ended::Answered(answer), None) => judge(row, row.reset.map(in_http3), answer, &origin),
            _ => Err(format!("{answer:x?}")),
        }
    });
}

/// How a row's connection went.
#[derive(Debug)]
enum Ended {
    Answered(Answer),
    /// By the proxy, with this code.
    Closed(u64),
}

/// Tables of the other versions name the codes of HTTP/2.
fn in_http3(reset: u64) -> u64 {
    match reset {
        1 => code("H3_MESSAGE_ERROR"),
        known => known,
    }
}

async fn over_h3(row: &Row, webs: SocketAddr) -> Result<Ended, String> {
    let endpoint: Endpoint = endpoint(config());
    let connecting = endpoint.connect(webs, "a.test").unwrap();
    let connection = connecting.await.map_err(|error| error.to_string())?;
    // What the proxy closes while it is written to is seen below.
    let (_kept, request) = send(row, &connection).await;
    let reading = timeout(PATIENCE, async {
        let answer = match request {
            Some(stream) => read(stream).await,
            None => Err("nothing was asked".to_owned()),
        };
        match (row.closed, answer) {
            (None, Ok(answer)) => Ok(Ended::Answered(answer)),
            (Some(_), Ok(answer)) if answer.reset.is_some() => Err(format!("{answer:?}")),
            (_, answer) => {
                let end = connection.closed().await;
                if let ConnectionError::ApplicationClosed(close) = end {
                    return Ok(Ended::Closed(close.error_code.into_inner()));
                }
                Err(format!("{end} behind {answer:?}"))
            }
        }
    });
    let ended = reading
        .await
        .map_err(|late| format!("the proxy says nothing: {late}"))?;
    connection.close(0x100u32.into(), b"");
    ended
}

/// Opens the row's streams. Those of one direction have to stay open for as long as the connection.
async fn send(row: &Row, connection: &Connection) -> (Vec<SendStream>, Option<RecvStream>) {
    let mut kept = Vec::new();
    let mut streams: Vec<(Vec<u8>, bool)> = row.uni.clone();
    if !row.is_silent {
        let mut control = vec![CONTROL];
        control.extend(frame(SETTINGS, &row.settings));
        for (kind, payload) in &row.control {
            control.extend(frame(*kind, payload));
        }
        streams.insert(0, (control, false));
    }
    for (bytes, ends) in streams {
        let Ok(mut stream) = connection.open_uni().await else {
            return (kept, None);
        };
        // The proxy may stop what means nothing to it.
        let _ = stream.write_all(&bytes).await;
        if ends {
            let _ = stream.finish();
        } else {
            kept.push(stream);
        }
    }
    let bytes = request(row);
    if bytes.is_empty() {
        return (kept, None);
    }
    let Ok((mut sending, receiving)) = connection.open_bi().await else {
        return (kept, None);
    };
    let _ = sending.write_all(&bytes).await;
    let _ = sending.finish();
    kept.push(sending);
    (kept, Some(receiving))
}

/// The octets of a row's request stream.
fn request(row: &Row) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, payload) in &row.before {
        out.extend(frame(*kind, payload));
    }
    if !row.list.is_empty() {
        out.extend(frame(HEADERS, &section(&row.list)));
    }
    for (kind, payload) in &row.data {
        out.extend(frame(*kind, payload));
    }
    if !row.last.is_empty() {
        out.extend(frame(HEADERS, &section(&row.last)));
    }
    for (kind, payload) in &row.after {
        out.extend(frame(*kind, payload));
    }
    out.extend_from_slice(&row.tail);
    out
}

fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(kind, &mut out);
    varint(payload.len() as u64, &mut out);
    out.extend_from_slice(payload);
    out
}

/// An integer of QUIC (RFC 9000 §16).
fn varint(value: u64, out: &mut Vec<u8>) {
    match value {
        0..0x40 => out.push(value as u8),
        0x40..0x4000 => out.extend((value as u16 | 0x4000).to_be_bytes()),
        0x4000..0x4000_0000 => out.extend((value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend((value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

/// Literals with names of their own (RFC 9204 §4.5.6).
fn section(list: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![0, 0];
    for (name, value) in list {
        integer(0x20, 3, name.len(), &mut out);
        out.extend_from_slice(name);
        integer(0, 7, value.len(), &mut out);
        out.extend_from_slice(value);
    }
    out
}

/// An integer behind a prefix (RFC 7541 §5.1).
fn integer(flags: u8, bits: u32, mut value: usize, out: &mut Vec<u8>) {
    let full = (1 << bits) - 1;
    if value < full {
        return out.push(flags | value as u8);
    }
    out.push(flags | full as u8);
    value -= full;
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads the frames of an answer to their end.
async fn read(mut stream: RecvStream) -> Result<Answer, String> {
    let mut answer = Answer::default();
    let mut octets = Vec::new();
    loop {
        match stream.read_chunk(usize::MAX, true).await {
            Ok(Some(chunk)) => octets.extend_from_slice(&chunk.bytes),
            Ok(None) => {
                answer.whole = true;
                break;
            }
            Err(ReadError::Reset(code)) => {
                answer.reset = Some(code.into_inner());
                break;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    let mut rest = octets.as_slice();
    while let Some((kind, length)) = head(&mut rest) {
        // The last frame of a stream that was reset may not be whole.
        let (payload, after) = rest.split_at(length.min(rest.len()));
        if payload.len() < length {
            assert!(!answer.whole, "a frame that is not whole");
        }
        rest = after;
        match kind {
            HEADERS if payload.len() == length => fields(payload, &mut answer),
            DATA => answer.text.extend_from_slice(payload),
            _ => {}
        }
    }
    Ok(answer)
}

/// The type and the length of the next frame.
fn head(rest: &mut &[u8]) -> Option<(u64, usize)> {
    let kind = number(rest)?;
    let length = number(rest)?;
    Some((kind, length as usize))
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let (first, _) = rest.split_first()?;
    let (octets, after) = rest.split_at_checked(1 << (first >> 6))?;
    *rest = after;
    let value = octets[1..]
        .iter()
        .fold(u64::from(first & 0x3f), |value, octet| {
            value << 8 | u64::from(*octet)
        });
    Some(value)
}

/// Reads a field section as this proxy writes one: without Huffman coding and without a table of its own.
fn fields(section: &[u8], answer: &mut Answer) {
    let mut rest = section.strip_prefix(&[0, 0]).expect("no dynamic table");
    while let Some((first, _)) = rest.split_first() {
        let (name, value) = match first {
            0xc0.. => {
                let (name, value) = STATIC[prefixed(6, &mut rest)];
                (name.to_vec(), value.to_vec())
            }
            0x50..=0x5f => (
                STATIC[prefixed(4, &mut rest)].0.to_vec(),
                text(7, &mut rest),
            ),
            0x20..=0x27 => (text(3, &mut rest), text(7, &mut rest)),
            other => panic!("a field line that begins with {other:#x}"),
        };
        if name == b":status" {
            let status = String::from_utf8_lossy(&value);
            answer.statuses.push(status.parse().expect("a status"));
        }
        let line = [&name[..], b": ", &value, b"\n"].concat();
        answer.text.extend(line);
    }
}

fn text(bits: u32, rest: &mut &[u8]) -> Vec<u8> {
    let length = prefixed(bits, rest);
    let (text, after) = rest.split_at(length);
    *rest = after;
    text.to_vec()
}

fn prefixed(bits: u32, rest: &mut &[u8]) -> usize {
    let full = (1usize << bits) - 1;
    let mut value = usize::from(rest[0]) & full;
    *rest = &rest[1..];
    if value < full {
        return value;
    }
    let mut shift = 0;
    loop {
        let octet = rest[0];
        *rest = &rest[1..];
        value += usize::from(octet & 0x7f) << shift;
        shift += 7;
        if octet & 0x80 == 0 {
            return value;
        }
    }
}
