//! SETTINGS (RFC 9114 §7.2.4): ours, and the checks on those of the client, of which nothing is needed later.

use super::code::{Code, Violation};
use super::frame::{self, SETTINGS};
use super::varint;
use crate::serve::multiplexed::Limits;

const MAX_FIELD_SECTION_SIZE: u64 = 0x6;
/// RFC 9220 §3.
const ENABLE_CONNECT_PROTOCOL: u64 = 0x8;
/// RFC 9297 §2.1.1.
const H3_DATAGRAM: u64 = 0x33;

/// Appends our frame. What it leaves out has the values that we mean: no dynamic table, no blocked streams.
pub(super) fn write(out: &mut Vec<u8>, limits: Limits) {
    let mut payload = Vec::new();
    for (id, value) in [
        (MAX_FIELD_SECTION_SIZE, limits.max_header as u64),
        (ENABLE_CONNECT_PROTOCOL, 1),
    ] {
        varint::write(&mut payload, id);
        varint::write(&mut payload, value);
    }
    frame::head(out, SETTINGS, payload.len() as u64);
    out.extend_from_slice(&payload);
}

/// Looks at the payload of the client's frame.
pub(super) fn check(payload: &[u8]) -> Result<(), Violation> {
    let wrong = |detail| Violation::new(Code::SettingsError, detail);
    let mut seen = Vec::new();
    let mut rest = payload;
    while !rest.is_empty() {
        let (id, value) = entry(&mut rest).ok_or(Violation::new(
            Code::FrameError,
            "SETTINGS that end in the middle of one",
        ))?;
        if seen.contains(&id) {
            return Err(wrong("a setting twice"));
        }
        seen.push(id);
        match id {
            0x0 | 0x2..=0x5 => return Err(wrong("a setting of HTTP/2")),
            ENABLE_CONNECT_PROTOCOL | H3_DATAGRAM if value > 1 => {
                return Err(wrong("a setting that is 0 or 1 has another value"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn entry(rest: &mut &[u8]) -> Option<(u64, u64)> {
    let (id, used) = varint::read(rest)?;
    *rest = rest.get(used..)?;
    let (value, used) = varint::read(rest)?;
    *rest = rest.get(used..)?;
    Some((id, value))
}
