//! How connections end, and what the worker's clock is told meanwhile.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::raw::{f, get, post, request, settings, update};
use super::server::{MAX_HEADER, Pipe, Site, run};
use crate::serve::h2::frame::{ACK, Code, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING};
use crate::serve::h2::{Driver, End, Limits, PREFACE, Pending};

/// A driver that the test polls itself, as a worker does.
struct Held {
    driver: Driver<Pipe, Site>,
    pipe: DuplexStream,
    site: Site,
}

impl Held {
    fn new(read: &[u8]) -> Self {
        let (ours, pipe) = tokio::io::duplex(65536);
        let site = Site::default();
        let driver = Driver::new(Pipe(ours), site.clone(), Limits::new(MAX_HEADER), read);
        Self { driver, pipe, site }
    }

    /// After the exchange of SETTINGS.
    async fn open() -> Self {
        let mut held = Self::new(&[PREFACE, &settings(&[])].concat());
        held.turn().await;
        held.output().await;
        held
    }

    /// One poll, or a few if the driver asks for them.
    async fn turn(&mut self) -> Option<End> {
        for _ in 0..5 {
            let end = poll_fn(|cx| match Pin::new(&mut self.driver).poll(cx) {
                Poll::Ready(end) => Poll::Ready(Some(end)),
                Poll::Pending => Poll::Ready(None),
            });
            if let Some(end) = end.await {
                return Some(end);
            }
            tokio::task::yield_now().await;
        }
        None
    }

    async fn send(&mut self, octets: &[u8]) -> Option<End> {
        self.pipe.write_all(octets).await.unwrap();
        self.turn().await
    }

    /// What lies in the pipe: types of frames with the two last numbers of GOAWAY.
    async fn output(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut octets = Vec::new();
        poll_fn(|cx| {
            let mut room = [0; 65536];
            let mut read = tokio::io::ReadBuf::new(&mut room);
            let poll = tokio::io::AsyncRead::poll_read(Pin::new(&mut self.pipe), cx, &mut read);
            octets.extend_from_slice(read.filled());
            drop(poll);
            Poll::Ready(())
        })
        .await;
        let (mut frames, mut at) = (Vec::new(), 0);
        while at < octets.len() {
            let length =
                u32::from_be_bytes([0, octets[at], octets[at + 1], octets[at + 2]]) as usize;
            frames.push((octets[at + 3], octets[at + 9..at + 9 + length].to_vec()));
            at += 9 + length;
        }
        frames
    }

    fn pending(&self) -> Pending {
        self.driver.pending_since().pending
    }
}

fn goaway(last: u32, code: Code) -> (u8, Vec<u8>) {
    (
        GOAWAY,
        [last.to_be_bytes(), (code as u32).to_be_bytes()].concat(),
    )
}

#[test]
fn a_drain_says_so_twice_and_finishes_what_runs() {
    run(async {
        let mut held = Held::open().await;
        assert!(held.driver.is_idle());
        held.send(&post(1, "/echo")).await;
        assert!(!held.driver.is_idle());
        held.output().await;
        held.driver.drain();
        held.driver.drain();
        assert!(held.turn().await.is_none());
        let first = held.output().await;
        assert_eq!(first[0], goaway(0x7fff_ffff, Code::NoError));
        assert_eq!((first.len(), first[1].0), (2, PING));
        // Opened before the client saw it: served.
        held.send(&get(3, "/")).await;
        assert_eq!(held.output().await.len(), 2);
        held.send(&f(PING, 1, 0, &first[1].1)).await;
        assert_eq!(held.output().await, [goaway(3, Code::NoError)]);
        // Opened afterwards: refused, to be tried elsewhere.
        held.send(&[post(5, "/"), f(DATA, END_STREAM, 5, b"x")].concat())
            .await;
        assert_eq!(
            held.output().await,
            [(3, vec![0, 0, 0, Code::RefusedStream as u8])]
        );
        assert_eq!(held.pending(), Pending::None);
        assert!(held.send(&f(DATA, END_STREAM, 1, b"last")).await.is_none());
        let last = held.output().await;
        assert_eq!(last[0], (DATA, b"last".to_vec()));
        assert_eq!(held.pending(), Pending::Closing);
        assert_eq!(held.pipe.read(&mut [0; 1]).await.unwrap(), 0);
        drop(held.pipe);
        assert!(matches!((&mut held.driver).await, End::Closed));
        assert_eq!(held.site.0.started.borrow().len(), 2);
    });
}

#[test]
fn an_idle_connection_drains_after_one_round_trip() {
    run(async {
        let mut held = Held::open().await;
        held.driver.drain();
        held.turn().await;
        let first = held.output().await;
        held.send(&f(PING, 1, 0, &first[1].1)).await;
        assert_eq!(held.output().await, [goaway(0, Code::NoError)]);
        assert_eq!(held.pending(), Pending::Closing);
    });
}

#[test]
fn a_client_that_says_goaway_is_closed_when_its_streams_are_done() {
    run(async {
        let mut held = Held::open().await;
        held.send(&post(1, "/echo")).await;
        assert!(held.send(&f(GOAWAY, 0, 0, &[0; 8])).await.is_none());
        assert_eq!(held.pending(), Pending::None);
        held.send(&f(DATA, END_STREAM, 1, b"")).await;
        assert_eq!(held.pending(), Pending::Closing);
    });
}

#[test]
fn waits_are_told_apart() {
    run(async {
        let mut held = Held::new(&PREFACE[..10]);
        held.turn().await;
        assert_eq!(held.pending(), Pending::Preface);
        held.send(&PREFACE[10..]).await;
        assert_eq!(held.pending(), Pending::Preface);
        held.send(&settings(&[])).await;
        let idle = held.driver.pending_since();
        assert_eq!(idle.pending, Pending::Idle);
        held.send(&f(PING, 0, 0, &[0; 8])).await;
        assert_eq!(held.driver.pending_since(), idle, "a ping is no request");
        let octets = get(1, "/");
        held.send(&octets[..11]).await;
        assert_eq!(held.pending(), Pending::HeaderBlock);
        held.send(&octets[11..]).await;
        assert_ne!(held.driver.pending_since(), idle);
        assert_eq!(held.pending(), Pending::Idle);
        held.send(&f(HEADERS, END_STREAM, 3, &request("GET", "/hold")))
            .await;
        let block = held.driver.pending_since();
        assert_eq!(block.pending, Pending::HeaderBlock);
        held.send(&f(9, 0, 3, b"")).await;
        assert_eq!(held.driver.pending_since(), block);
        held.send(&f(9, END_HEADERS, 3, b"")).await;
        assert_eq!(held.pending(), Pending::None);
    });
}

#[test]
fn a_client_that_does_not_read_is_a_stall_that_moves_with_every_octet() {
    run(async {
        let mut held = Held::open().await;
        held.send(&[settings(&[(4, 1 << 20)]), update(0, 1 << 20)].concat())
            .await;
        held.send(&[get(1, "/length/65000"), get(3, "/length/65000")].concat())
            .await;
        let stall = held.driver.pending_since();
        assert_eq!(stall.pending, Pending::Stalled);
        held.turn().await;
        assert_eq!(held.driver.pending_since(), stall);
        held.pipe.read_exact(&mut [0; 100]).await.unwrap();
        held.turn().await;
        assert_eq!(held.pending(), Pending::Stalled);
        assert_ne!(held.driver.pending_since(), stall);
        held.driver.expire();
        assert!(matches!(
            held.turn().await,
            Some(End::Expired(Pending::Stalled))
        ));
        assert_eq!(held.site.0.alive.get(), 0);
    });
}

#[test]
fn expired_waits_end_with_goaway() {
    let block = f(HEADERS, 0, 1, &request("GET", "/"));
    let open = settings(&[]);
    for (octets, pending, code) in [
        (&b""[..], Pending::Preface, Code::NoError),
        (&open, Pending::Idle, Code::NoError),
        (
            &[&open[..], &block].concat(),
            Pending::HeaderBlock,
            Code::EnhanceYourCalm,
        ),
    ] {
        run(async {
            let mut held = Held::new(PREFACE);
            held.turn().await;
            held.send(octets).await;
            held.output().await;
            assert_eq!(held.pending(), pending);
            held.driver.expire();
            assert!(held.turn().await.is_none());
            assert_eq!(held.output().await, [goaway(0, code)]);
            assert_eq!(held.pending(), Pending::Closing);
            // What still comes is read and dropped, for a while.
            assert!(held.send(&[0; 60_000]).await.is_none());
            held.driver.expire();
            let end = held.turn().await.unwrap();
            assert!(
                matches!(end, End::Expired(wait) if wait == pending),
                "{end:?}"
            );
        });
    }
}

#[test]
fn a_client_that_says_nothing_while_its_requests_run_is_asked_and_then_gone() {
    run(async {
        let mut held = Held::open().await;
        held.send(&post(1, "/echo")).await;
        held.output().await;
        for _ in 0..3 {
            // What it has sent since the last look is a sign of life.
            held.driver.expire();
            held.turn().await;
            assert_eq!(held.pending(), Pending::None);
            assert_eq!(held.output().await, []);
            held.driver.expire();
            held.turn().await;
            assert_eq!(held.output().await, [(PING, b"anybody?".to_vec())]);
            assert_eq!(held.pending(), Pending::Pong);
            assert!(held.send(&f(PING, ACK, 0, b"anybody?")).await.is_none());
            assert_eq!(held.pending(), Pending::None);
        }
        held.driver.expire();
        held.driver.expire();
        held.turn().await;
        held.driver.expire();
        let end = held.turn().await.unwrap();
        assert!(matches!(end, End::Expired(Pending::Pong)), "{end:?}");
        assert_eq!(held.site.0.alive.get(), 0);
    });
}

#[test]
fn what_is_read_after_the_end_is_bounded() {
    run(async {
        let mut held = Held::open().await;
        held.driver.expire();
        held.turn().await;
        let mut sent = 0;
        loop {
            assert!(sent < 4 << 20);
            sent += 50_000;
            if let Some(end) = held.send(&[0; 50_000]).await {
                assert!(matches!(end, End::Expired(Pending::Idle)));
                break;
            }
        }
    });
}

#[test]
fn a_breach_is_answered_even_if_the_client_half_closes_behind_it() {
    run(async {
        let mut held = Held::open().await;
        held.pipe
            .write_all(&[get(1, "/"), f(DATA, 0, 0, b"")].concat())
            .await
            .unwrap();
        held.pipe.shutdown().await.unwrap();
        let end = held.turn().await;
        assert!(matches!(end, Some(End::Violation(_))), "{end:?}");
        assert_eq!(held.output().await, [goaway(1, Code::Protocol)]);
    });
}

#[test]
fn an_idle_connection_holds_little_memory() {
    run(async {
        let mut held = Held::open().await;
        for at in 0..200 {
            held.send(&get(2 * at + 1, "/length/10000")).await;
            held.output().await;
            held.send(&update(0, 10000)).await;
        }
        assert!(held.driver.is_idle());
        assert!(held.driver.held() < 3000, "{}", held.driver.held());
    });
}
