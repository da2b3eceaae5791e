//! Frames (RFC 9114 §7) taken apart as their octets come, and their heads written. Knows nothing of streams; payload passes through and is
//! not collected here.

use super::varint;

pub(super) const DATA: u64 = 0x0;
pub(super) const HEADERS: u64 = 0x1;
pub(super) const CANCEL_PUSH: u64 = 0x3;
pub(super) const SETTINGS: u64 = 0x4;
pub(super) const PUSH_PROMISE: u64 = 0x5;
pub(super) const GOAWAY: u64 = 0x7;
pub(super) const MAX_PUSH_ID: u64 = 0xd;
/// RFC 9218 §7.2.
pub(super) const PRIORITY_UPDATE: u64 = 0xf_0700;
pub(super) const PRIORITY_UPDATE_PUSH: u64 = 0xf_0701;

/// Whether the type was a frame of HTTP/2 and must not come (RFC 9114 §7.2.8).
pub(super) fn is_of_http2(kind: u64) -> bool {
    matches!(kind, 0x2 | 0x6 | 0x8 | 0x9)
}

/// The next part of a stream's frames: a head, then payload until the last of it, which alone may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A frame begins.
    Head { kind: u64, length: u64 },
    /// More of its payload; whatever else the input holds is not of this frame if `is_last`.
    Payload { octets: &'a [u8], is_last: bool },
}

/// Where a stream stands in its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Head,
    Payload { left: u64 },
}

/// Takes one stream apart.
#[derive(Debug)]
pub(super) struct Frames {
    at: At,
    /// The beginning of a frame's head, of which the rest has not come.
    partial: [u8; 16],
    held: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            at: At::Head,
            partial: [0; 16],
            held: 0,
        }
    }
}

impl Frames {
    /// Cuts the next part off the input; none: the input is used up.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Piece<'a>> {
        match self.at {
            At::Head => {
                let (kind, length) = self.head(input)?;
                self.at = At::Payload { left: length };
                Some(Piece::Head { kind, length })
            }
            At::Payload { left } => {
                let count = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
                if count == 0 && left > 0 {
                    return None;
                }
                let (octets, rest) = input.split_at_checked(count)?;
                *input = rest;
                let left = left - count as u64;
                let is_last = left == 0;
                self.at = if is_last {
                    At::Head
                } else {
                    At::Payload { left }
                };
                Some(Piece::Payload { octets, is_last })
            }
        }
    }

    /// Whether the stream may end here (RFC 9114 §7.1).
    pub(super) fn is_between(&self) -> bool {
        self.at == At::Head && self.held == 0
    }

    fn head(&mut self, input: &mut &[u8]) -> Option<(u64, u64)> {
        loop {
            if let Some(head) = self.held_head() {
                self.held = 0;
                return Some(head);
            }
            let (octet, rest) = input.split_first()?;
            // A head has 16 octets at most, so there is room for one more as long as it is not complete.
            *self.partial.get_mut(self.held)? = *octet;
            self.held += 1;
            *input = rest;
        }
    }

    fn held_head(&self) -> Option<(u64, u64)> {
        let held = self.partial.get(..self.held)?;
        let (kind, used) = varint::read(held)?;
        let (length, _) = varint::read(held.get(used..)?)?;
        Some((kind, length))
    }
}

/// Appends the head of a frame.
pub(super) fn head(out: &mut Vec<u8>, kind: u64, length: u64) {
    varint::write(out, kind);
    varint::write(out, length);
}

/// Appends a HEADERS frame whose field section `write` appends.
pub(super) fn headers(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    // Room for a length of four octets, which holds any section that one can write.
    const ROOM: [u8; 5] = [HEADERS as u8, 0x80, 0, 0, 0];
    let start = out.len();
    out.extend_from_slice(&ROOM);
    write(out);
    let length = (out.len() - start - ROOM.len()) as u32 | 0x8000_0000;
    if let Some(place) = out.get_mut(start + 1..start + ROOM.len()) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends a frame that holds one number.
pub(super) fn number(out: &mut Vec<u8>, kind: u64, number: u64) {
    let mut payload = Vec::with_capacity(8);
    varint::write(&mut payload, number);
    head(out, kind, payload.len() as u64);
    out.extend_from_slice(&payload);
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
