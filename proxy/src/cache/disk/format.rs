//! A file of a stored response: a head that says what it is for and how long it is, and the payload behind it.
//!
//! The head is written last, and the file has its name only then; a checksum is over all of the head, and the payload has one for each
//! of its parts. What was cut short, or is of another program, is told by that.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openclaw_core::caching::{Chosen, Freshness};
use openclaw_core::message::HeaderList;

use super::parts;
use crate::cache::{Body, Key, Object};

/// With the version: what was written in another way is thrown away when it is found.
const MAGIC: [u8; 8] = *b"oclaw\0c2";
/// Before what differs in length: magic, room, length of the lines, length of the payload, checksum of the head, flags.
pub(super) const PRELUDE: usize = 32;
/// Where the flags are; beside the checksum, so that they change in place.
pub(super) const FLAGS: u64 = 28;
/// Its origin is asked before it is used.
pub(super) const STALE: u8 = 1;
/// What a head may grow by when its origin confirms it.
const SPARE: usize = 256;
/// Payloads begin at a multiple of this.
const STEP: usize = 512;
/// No head is as large as this.
pub(super) const MAX_HEAD: usize = 256 * 1024;

/// What a file says of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Payload {
    /// Where it begins.
    pub(super) room: u64,
    pub(super) length: u64,
}

impl Payload {
    /// How long its file is.
    pub(super) const fn file_length(self) -> u64 {
        self.room + parts::stored(self.length)
    }
}

/// A head that is right.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) key: Key,
    pub(super) payload: Payload,
    pub(super) is_stale: bool,
    route: Arc<str>,
    status: u16,
    fields: HeaderList,
    freshness: Freshness,
    chosen: Chosen,
    /// When it came, since 1970.
    came: Duration,
}

/// The part of a head that differs in length.
pub(super) fn lines(key: &str, object: &Object) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    put(&mut out, key.as_bytes());
    put(&mut out, object.route.as_bytes());
    let came = SystemTime::now() - object.came.elapsed();
    let came = came.duration_since(UNIX_EPOCH).unwrap_or_default();
    let freshness = &object.freshness;
    for number in [
        u64::from(object.status),
        came.as_millis().try_into().unwrap_or(u64::MAX),
        freshness.lifetime,
        freshness.initial_age,
        u64::from(freshness.always_ask),
        u64::from(freshness.never_stale),
        freshness.while_revalidate,
        freshness.if_error,
        object.fields.len() as u64,
    ] {
        out.extend(number.to_le_bytes());
    }
    for (name, value) in object.fields.iter() {
        put(&mut out, name);
        put(&mut out, value);
    }
    for (name, value) in object.chosen.iter() {
        put(&mut out, name);
        out.push(value.is_some().into());
        put(&mut out, value.unwrap_or_default());
    }
    out
}

/// Where the payload begins behind such lines.
pub(super) fn room(lines: &[u8]) -> u64 {
    let least = PRELUDE + lines.len() + SPARE;
    (least.div_ceil(STEP) * STEP) as u64
}

/// All of a head; `None` if there is no room for it.
pub(super) fn head(lines: &[u8], payload: Payload) -> Option<Vec<u8>> {
    let length = u32::try_from(lines.len()).ok()?;
    let whole = PRELUDE + lines.len();
    if whole as u64 > payload.room || whole > MAX_HEAD {
        return None;
    }
    let mut out = Vec::with_capacity(whole);
    out.extend(MAGIC);
    out.extend(u32::try_from(payload.room).ok()?.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(payload.length.to_le_bytes());
    // Its checksum, and no flag.
    out.extend([0; 8]);
    out.extend_from_slice(lines);
    let checksum = checksum(&out);
    out.splice(24..28, checksum.to_le_bytes());
    Some(out)
}

/// Over all of a head but the checksum itself and the flags.
fn checksum(head: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in [0..24, PRELUDE..head.len()] {
        hasher.update(head.get(part).unwrap_or_default());
    }
    hasher.finalize()
}

/// How long a head is in all, as its first bytes say; `None` for what is none.
pub(super) fn length(prelude: &[u8]) -> Option<usize> {
    let mut rest = prelude;
    if take::<8>(&mut rest)? != MAGIC {
        return None;
    }
    let (room, lines) = (number32(&mut rest)?, number32(&mut rest)?);
    let whole = PRELUDE + lines as usize;
    (whole <= room as usize && whole <= MAX_HEAD).then_some(whole)
}

/// Reads a head; `None` for what is none, or is not whole.
pub(super) fn read(bytes: &[u8]) -> Option<Head> {
    let bytes = bytes.get(..length(bytes)?)?;
    let mut rest = bytes.get(8..)?;
    let room = number32(&mut rest)?;
    let _lines = number32(&mut rest)?;
    let length = number(&mut rest)?;
    if number32(&mut rest)? != checksum(bytes) {
        return None;
    }
    let [flags, ..] = take::<4>(&mut rest)?;
    let key = text(&mut rest)?;
    let route = text(&mut rest)?;
    let status = u16::try_from(number(&mut rest)?).ok()?;
    let came = Duration::from_millis(number(&mut rest)?);
    let freshness = Freshness {
        lifetime: number(&mut rest)?,
        initial_age: number(&mut rest)?,
        always_ask: number(&mut rest)? != 0,
        never_stale: number(&mut rest)? != 0,
        while_revalidate: number(&mut rest)?,
        if_error: number(&mut rest)?,
    };
    let mut fields = HeaderList::default();
    for _ in 0..number(&mut rest)? {
        let name = string(&mut rest)?;
        fields.push(name, string(&mut rest)?);
    }
    let mut chosen = Vec::new();
    while !rest.is_empty() {
        let name = string(&mut rest)?;
        let [has_value] = take::<1>(&mut rest)?;
        let value = string(&mut rest)?;
        chosen.push((name.into(), (has_value != 0).then(|| value.into())));
    }
    Some(Head {
        key: key.into(),
        payload: Payload {
            room: room.into(),
            length,
        },
        is_stale: flags & STALE != 0,
        route: route.into(),
        status,
        fields,
        freshness,
        chosen: chosen.into_iter().collect(),
        came,
    })
}

impl Head {
    pub(super) const fn fields(&self) -> &HeaderList {
        &self.fields
    }

    pub(super) fn place(&self) -> (Arc<str>, Chosen) {
        (Arc::clone(&self.route), self.chosen.clone())
    }

    /// The response, with a payload that is here or is to be read.
    pub(super) fn into_object(self, body: Body) -> Object {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        // Where the clock was put back nobody knows how long it was; the origin's lifetime is counted from now then.
        let lain = now.unwrap_or_default().saturating_sub(self.came);
        let freshness = Freshness {
            initial_age: self.freshness.initial_age.saturating_add(lain.as_secs()),
            ..self.freshness
        };
        let object = Object::new(
            (self.route, self.chosen),
            (self.status, self.fields, Arc::new(body)),
            freshness,
        );
        if self.is_stale {
            object.grow_stale();
        }
        object
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    // Nothing in a head is as long as that.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend(length.to_le_bytes());
    out.extend_from_slice(bytes);
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*first)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    take(rest).map(u64::from_le_bytes)
}

fn number32(rest: &mut &[u8]) -> Option<u32> {
    take(rest).map(u32::from_le_bytes)
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number32(rest)? as usize;
    let (string, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(string)
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    str::from_utf8(string(rest)?).ok()
}
