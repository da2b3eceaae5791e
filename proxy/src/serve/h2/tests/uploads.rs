//! Uploads of clients far away: windows that grow with what comes in a round trip, and how far.

use std::collections::HashMap;

use super::raw::{Raw, f, post};
use super::server::run;
use crate::serve::h2::flow::{CONNECTION_WINDOW, STREAM_WINDOW};
use crate::serve::h2::frame::{ACK, DATA, PING, WINDOW_UPDATE};
use crate::serve::h2::growth;

/// A client that sends all it may, hears of nothing until all of that has come, and answers everything at once.
struct Distant {
    raw: Raw,
    /// By stream; 0 is the connection.
    windows: HashMap<u32, u32>,
    /// PINGs of the server.
    pings: usize,
}

impl Distant {
    async fn open(streams: &[(u32, &str)]) -> Self {
        let mut raw = Raw::open().await;
        let mut windows = HashMap::from([(0, CONNECTION_WINDOW)]);
        for (id, path) in streams {
            raw.send(&post(*id, path)).await;
            windows.insert(*id, STREAM_WINDOW);
        }
        Self {
            raw,
            windows,
            pings: 0,
        }
    }

    /// One round trip: what was sent on the stream in it.
    async fn round(&mut self, id: u32, most: u32) -> u32 {
        let count = self.windows[&id].min(self.windows[&0]).min(most);
        let mut left = count;
        while left > 0 {
            let part = left.min(16384);
            self.raw
                .send(&f(DATA, 0, id, &vec![0; part as usize]))
                .await;
            left -= part;
        }
        for window in [0, id] {
            *self.windows.get_mut(&window).unwrap() -= count;
        }
        // A PING is answered before the exchanges have their turn; the one after it is not.
        let mut answers = Vec::new();
        let mut marks = 2;
        self.raw.send(&f(PING, 0, 0, &[7; 8])).await;
        while marks > 0 {
            let seen = self.raw.next().await.unwrap();
            match seen.kind {
                WINDOW_UPDATE => *self.windows.get_mut(&seen.stream).unwrap() += seen.number(0),
                PING if seen.flags == ACK => {
                    marks -= 1;
                    if marks > 0 {
                        self.raw.send(&f(PING, 0, 0, &[7; 8])).await;
                    }
                }
                PING => {
                    self.pings += 1;
                    answers.extend(f(PING, ACK, 0, &seen.payload));
                }
                kind => panic!("a frame of type {kind}"),
            }
        }
        self.raw.send(&answers).await;
        count
    }
}

#[test]
fn an_upload_from_afar_moves_more_each_round_trip_up_to_a_bound() {
    run(async {
        let mut client = Distant::open(&[(1, "/take")]).await;
        let mut rounds = Vec::new();
        for _ in 0..16 {
            rounds.push(client.round(1, u32::MAX).await);
        }
        assert_eq!(rounds[0], STREAM_WINDOW);
        // It is credited by halves.
        assert!(
            rounds[12..].iter().all(|sent| *sent > 1 << 20),
            "{rounds:?}"
        );
        assert!(rounds.iter().all(|sent| *sent <= 4 << 20), "{rounds:?}");
        assert!(client.pings <= 2 * rounds.len(), "{}", client.pings);
    });
}

#[test]
fn an_upload_that_does_not_fill_its_window_does_not_grow_it() {
    run(async {
        let mut client = Distant::open(&[(1, "/take")]).await;
        for _ in 0..40 {
            client.round(1, STREAM_WINDOW / 8).await;
        }
        assert!(client.windows[&1] <= STREAM_WINDOW, "{:?}", client.windows);
        assert!(client.pings > 3, "it was asked how far it is");
    });
}

#[test]
fn streams_that_stall_hold_no_more_than_the_connection_may_have() {
    run(async {
        let streams: Vec<(u32, &str)> = (0..20).map(|at| (2 * at + 1, "/take")).collect();
        let mut client = Distant::open(&[&streams[..], &[(41, "/hold")]].concat()).await;
        for (id, _) in &streams {
            for _ in 0..12 {
                client.round(*id, u32::MAX).await;
            }
        }
        assert!(client.windows[&1] > 1 << 20, "{:?}", client.windows);
        let connection = client.windows.remove(&0).unwrap();
        assert!(connection <= CONNECTION_WINDOW + growth::CONNECTION);
        let all: u32 = client.windows.values().sum();
        assert!(all <= 21 * STREAM_WINDOW + growth::CONNECTION, "{all}");
        client.windows.insert(0, connection);
        // Whoever stalls is not given more.
        assert_eq!(client.round(41, u32::MAX).await, STREAM_WINDOW);
        assert_eq!(client.round(41, u32::MAX).await, 0);
        assert_eq!(client.windows[&41], 0);
    });
}
