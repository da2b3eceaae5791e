//! Uploads over HTTP/2 from far away: a round trip moves more than the window that a stream begins with.

use std::sync::atomic::Ordering;

use super::h2_frames::{
    ACK, DATA, END_HEADERS, HEADERS, PING, PREFACE, SETTINGS, WINDOW_UPDATE, any, frame, get_block,
};
use super::streaming::Bulk;
use super::{Stage, app};
use crate::support::RawClient;

/// What RFC 9113 begins with, for the stream and for the connection.
const INITIAL: u32 = 65535;
const LENGTH: u32 = 64 << 20;

/// Sends all it may, and reads what the proxy says only when it has nothing left to send: as far away as that takes.
struct Distant {
    client: RawClient,
    /// Of the stream and of the connection.
    windows: [u32; 2],
    left: u32,
}

impl Distant {
    fn open(stage: &Stage) -> Self {
        let mut client = stage.client();
        client.send(PREFACE);
        client.send(frame(SETTINGS, 0, 0, &[]));
        let length = LENGTH.to_string();
        // PUT is no name of the static table, content-length is its entry 28 (RFC 7541, Appendix A, section 6.2.2).
        let put = [&[0x02, 3][..], b"PUT", &get_block()[1..]].concat();
        let count = u8::try_from(length.len()).unwrap();
        let block = [&put, &[0x0f, 13, count][..], length.as_bytes()].concat();
        client.send(frame(HEADERS, END_HEADERS, 1, &block));
        Self {
            client,
            windows: [INITIAL; 2],
            left: LENGTH,
        }
    }

    fn may_send(&self) -> u32 {
        self.windows[0].min(self.windows[1]).min(self.left)
    }

    /// A round trip: how much was sent in it.
    fn round(&mut self) -> u32 {
        let count = self.may_send();
        for start in (0..count).step_by(16384) {
            let part = (count - start).min(16384) as usize;
            self.client.send(frame(DATA, 0, 1, &vec![0; part]));
        }
        self.left -= count;
        self.windows = self.windows.map(|window| window - count);
        self.client.send(frame(PING, 0, 0, b"come by!"));
        let mut answers = Vec::new();
        let mut is_heard = false;
        while !is_heard || (self.may_send() == 0 && self.left > 0) {
            let seen = any(&mut self.client);
            match seen.kind {
                WINDOW_UPDATE => {
                    let increment = u32::from_be_bytes(seen.payload.try_into().unwrap());
                    self.windows[usize::from(seen.stream == 0)] += increment;
                }
                PING if seen.payload == b"come by!" => is_heard = true,
                PING => answers.extend(frame(PING, ACK, 0, &seen.payload)),
                SETTINGS => {}
                kind => panic!("a frame of type {kind}"),
            }
        }
        self.client.send(answers);
        count
    }
}

#[test]
fn a_round_trip_moves_more_than_the_first_window() {
    let bulk = Bulk::start(0);
    let stage = Stage::with(&app(bulk.address, ""));
    let mut distant = Distant::open(&stage);
    let mut rounds = Vec::new();
    while distant.left > 0 {
        rounds.push(distant.round());
    }
    assert!(rounds.iter().max() >= Some(&(8 * INITIAL)), "{rounds:?}");
    // The body ends with its length (RFC 9113, section 8.1.1), the stream with an empty frame.
    distant.client.send(frame(DATA, 1, 1, b""));
    super::h2_frames::next(&mut distant.client, HEADERS);
    assert_eq!(bulk.taken.load(Ordering::Relaxed), u64::from(LENGTH));
}
