//! The ring through which the kernel program tells of packets that it drops or would drop. It wakes nobody: the reader looks when it
//! wants to, and what does not fit meanwhile is lost.

use std::fmt;

use aya::maps::{Map, MapData, RingBuf};
use openclaw_common::abi::Event;
use openclaw_common::maps::EVENTS;

use super::KernelError;

/// Takes records out of the ring; there should be one reader.
pub struct EventReader(RingBuf<MapData>);

impl EventReader {
    pub(super) fn new(map: std::os::fd::OwnedFd) -> Result<Self, KernelError> {
        let failed = |source| KernelError::Ring {
            map: EVENTS,
            source: Box::new(source),
        };
        let data = MapData::from_fd(map).map_err(failed)?;
        let map = Map::from_map_data(data).map_err(failed)?;
        RingBuf::try_from(map).map(Self).map_err(failed)
    }

    /// The oldest record; nothing if there is none.
    pub fn take(&mut self) -> Option<Event> {
        loop {
            let item = self.0.next()?;
            // Anything shorter is of no build that shares these maps.
            if let Some(event) = decode(&item) {
                return Some(event);
            }
        }
    }
}

impl fmt::Debug for EventReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventReader").finish_non_exhaustive()
    }
}

/// Reads the fields in their order.
fn decode(mut bytes: &[u8]) -> Option<Event> {
    fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
        let (first, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*first)
    }
    let bytes = &mut bytes;
    Some(Event {
        time_ns: u64::from_ne_bytes(take(bytes)?),
        source: take(bytes)?,
        destination: take(bytes)?,
        source_port: u16::from_ne_bytes(take(bytes)?),
        destination_port: u16::from_ne_bytes(take(bytes)?),
        protocol: u8::from_ne_bytes(take(bytes)?),
        family: u8::from_ne_bytes(take(bytes)?),
        reason: u8::from_ne_bytes(take(bytes)?),
        country: u8::from_ne_bytes(take(bytes)?),
        interface: u32::from_ne_bytes(take(bytes)?),
        bytes: u32::from_ne_bytes(take(bytes)?),
    })
}
