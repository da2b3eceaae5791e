//! The peer's settings, as far as they concern a server that keeps no table and sends no large frames (RFC 9113 §6.5).

use super::flow::{MAX_WINDOW, STREAM_WINDOW};
use super::frame::{Code, Violation};
use crate::serve::multiplexed::Limits;

pub(super) const HEADER_TABLE_SIZE: u16 = 1;
pub(super) const ENABLE_PUSH: u16 = 2;
pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;
pub(super) const MAX_FRAME_SIZE: u16 = 5;
pub(super) const MAX_HEADER_LIST_SIZE: u16 = 6;
/// RFC 8441 §3.
pub(super) const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// RFC 9218 §2.1.
pub(super) const NO_RFC7540_PRIORITIES: u16 = 9;

/// The initial size of our encoder's table, which it does not use (RFC 7541 §4.2).
const TABLE_SIZE: u32 = 4096;

/// What we announce.
pub(super) fn ours(limits: Limits) -> [(u16, u32); 4] {
    [
        (MAX_CONCURRENT_STREAMS, limits.max_streams as u32),
        (MAX_HEADER_LIST_SIZE, limits.max_header as u32),
        (ENABLE_CONNECT_PROTOCOL, 1),
        (NO_RFC7540_PRIORITIES, 1),
    ]
}

/// What the peer has announced.
#[derive(Debug)]
pub(super) struct Peer {
    /// Window of a new stream.
    pub initial_window: u32,
    /// The next header block must begin with a size update: the peer wants our table smaller than it could be.
    pub owes_size_update: bool,
    /// That update was sent, and holds for good.
    pub table_closed: bool,
    /// What its first frame says of the priorities of RFC 7540: whether it leaves them for those of RFC 9218. None: nothing came.
    pub leaves_tree: Option<bool>,
}

impl Peer {
    pub(super) fn new() -> Self {
        Self {
            initial_window: STREAM_WINDOW,
            owes_size_update: false,
            table_closed: false,
            leaves_tree: None,
        }
    }

    /// Takes one frame's entries and returns by how much the windows of all streams move.
    pub(super) fn apply(&mut self, entries: &[u8]) -> Result<i64, Violation> {
        let before = i64::from(self.initial_window);
        let (entries, _) = entries.as_chunks::<6>();
        let mut leaves_tree = self.leaves_tree.unwrap_or_default();
        for [k0, k1, v0, v1, v2, v3] in entries {
            let value = u32::from_be_bytes([*v0, *v1, *v2, *v3]);
            match u16::from_be_bytes([*k0, *k1]) {
                HEADER_TABLE_SIZE if value < TABLE_SIZE => {
                    self.owes_size_update = !self.table_closed;
                }
                ENABLE_PUSH if value > 1 => {
                    return Err(Violation::protocol("SETTINGS_ENABLE_PUSH above 1"));
                }
                INITIAL_WINDOW_SIZE if i64::from(value) > MAX_WINDOW => {
                    return Err(Violation {
                        code: Code::FlowControl,
                        detail: "SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1",
                    });
                }
                INITIAL_WINDOW_SIZE => self.initial_window = value,
                MAX_FRAME_SIZE if !(16384..=16_777_215).contains(&value) => {
                    return Err(Violation::protocol("SETTINGS_MAX_FRAME_SIZE out of range"));
                }
                NO_RFC7540_PRIORITIES if value > 1 => {
                    let detail = "SETTINGS_NO_RFC7540_PRIORITIES above 1";
                    return Err(Violation::protocol(detail));
                }
                NO_RFC7540_PRIORITIES => leaves_tree = value == 1,
                _ => {}
            }
        }
        // The first frame says it for good (RFC 9218 §2.1).
        if leaves_tree != *self.leaves_tree.get_or_insert(leaves_tree) {
            let detail = "SETTINGS_NO_RFC7540_PRIORITIES changes";
            return Err(Violation::protocol(detail));
        }
        Ok(i64::from(self.initial_window) - before)
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Peer};

    fn entry(key: u8, value: u32) -> Vec<u8> {
        [&[0, key][..], &value.to_be_bytes()].concat()
    }

    #[test]
    fn the_last_window_of_a_frame_counts() {
        let mut peer = Peer::new();
        let entries = [entry(4, 0), entry(99, 7), entry(4, 100)].concat();
        assert_eq!(peer.apply(&entries), Ok(100 - 65535));
        assert_eq!(peer.apply(&entry(4, 0x7fff_ffff)), Ok(0x7fff_ffff - 100));
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for (key, value, code) in [
            (2, 2, Code::Protocol),
            (4, 0x8000_0000, Code::FlowControl),
            (5, 16383, Code::Protocol),
            (5, 16_777_216, Code::Protocol),
            (9, 2, Code::Protocol),
        ] {
            let refused = Peer::new().apply(&entry(key, value));
            assert_eq!(
                refused.map_err(|violation| violation.code),
                Err(code),
                "{key} {value}"
            );
        }
    }

    #[test]
    fn what_priorities_mean_is_said_once() {
        for (first, then, is_fine) in [
            (entry(9, 1), entry(9, 1), true),
            (entry(9, 1), entry(4, 1), true),
            (entry(9, 1), entry(9, 0), false),
            (entry(4, 1), entry(9, 1), false),
            (entry(4, 1), entry(9, 0), true),
        ] {
            let mut peer = Peer::new();
            assert!(peer.apply(&first).is_ok());
            assert_eq!(peer.apply(&then).is_ok(), is_fine, "{first:?} {then:?}");
        }
    }

    #[test]
    fn a_smaller_table_is_confirmed_once() {
        let mut peer = Peer::new();
        assert_eq!(peer.apply(&entry(1, 8192)), Ok(0));
        assert!(!peer.owes_size_update);
        assert_eq!(peer.apply(&entry(1, 0)), Ok(0));
        assert!(peer.owes_size_update);
        (peer.owes_size_update, peer.table_closed) = (false, true);
        assert_eq!(peer.apply(&entry(1, 0)), Ok(0));
        assert!(!peer.owes_size_update);
    }
}
