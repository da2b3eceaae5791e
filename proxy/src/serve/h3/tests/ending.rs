//! Streams and connections that end before their time, and those that end in peace.

use std::time::Duration;

use openclaw_core::reason::Reason;
use quinn_proto::Dir;

use super::messages::{f, request};
use super::pair::Pair;
use super::setup::Setup;
use crate::serve::h3::code::Code;
use crate::serve::h3::frame::{DATA, HEADERS};
use crate::serve::h3::{End, Pending};
use crate::serve::multiplexed::{MAX_GLITCHES, MAX_RESETS};

/// Longer than the client puts acknowledgements off.
const ACK: Duration = Duration::from_millis(100);

#[test]
fn a_response_cut_short_is_reset() {
    for path in ["/abort", "/short", "/long", "/drop"] {
        let mut pair = Pair::new();
        let id = pair.ask(&request("GET", path, &[]));
        assert_eq!(
            pair.seen[&id].reset,
            Some(Code::InternalError as u64),
            "{path}"
        );
        assert!(!pair.seen[&id].ended, "{path}");
    }
}

#[test]
fn an_early_answer_is_whole_and_stops_the_request() {
    let mut pair = Pair::new();
    let id = pair.open(Dir::Bi, &request("POST", "/early", &[]), false);
    pair.send(id, &f(DATA, &[0; 5000]), false);
    pair.run();
    assert_eq!(pair.answer(id).status(), "413");
    let seen = &pair.seen[&id];
    assert_eq!((seen.ended, seen.reset), (true, None));
    assert_eq!(seen.stopped, Some(Code::NoError as u64));
    assert_eq!(pair.close_code(), None);
}

#[test]
fn a_request_cancelled_either_way_lets_go_of_its_exchange() {
    for stops in [true, false] {
        let mut pair = Pair::new();
        let id = pair.open(Dir::Bi, &request("POST", "/hold", &[]), false);
        pair.run();
        assert_eq!(pair.log.alive.get(), 1);
        if stops {
            pair.stop(id);
        } else {
            pair.reset(id);
        }
        pair.run();
        assert_eq!(pair.log.alive.get(), 0);
        assert_eq!(pair.close_code(), None);
        if !stops {
            assert_eq!(pair.seen[&id].reset, Some(Code::RequestCancelled as u64));
        }
    }
}

#[test]
fn a_request_that_is_cancelled_with_its_head_never_begins() {
    let mut pair = Pair::new();
    let id = pair.open(Dir::Bi, &request("POST", "/hold", &[]), false);
    pair.reset(id);
    pair.stop(id);
    pair.run();
    assert!(pair.log.started.borrow().is_empty());
    assert_eq!(pair.close_code(), None);
}

#[test]
fn cancelling_without_end_ends_the_connection() {
    let mut pair = Pair::new();
    for _ in 0..=MAX_RESETS {
        let id = pair.open(Dir::Bi, &request("GET", "/hold", &[]), true);
        pair.run();
        pair.stop(id);
        pair.run();
        if pair.end.is_some() {
            break;
        }
    }
    let Some(End::Violation(violation)) = pair.end else {
        panic!("{:?}", pair.end);
    };
    assert_eq!(violation.reason(), Reason::H3Abuse);
    assert_eq!(pair.close_code(), Some(Code::ExcessiveLoad as u64));
    assert_eq!(pair.log.started.borrow().len(), MAX_RESETS as usize + 1);
    assert_eq!((pair.log.alive.get(), pair.log.most.get()), (0, 1));
}

#[test]
fn header_lists_over_the_limit_end_the_connection() {
    let mut pair = Pair::new();
    // 42 octets each, decoded (RFC 9204 §3.2.1): `:method: GET` of the static table.
    let unfolding = f(HEADERS, &[&[0, 0][..], &[0xd1; 1000]].concat());
    let mut asked = 0;
    while pair.end.is_none() && asked < 100 {
        pair.ask(&unfolding);
        asked += 1;
    }
    assert_eq!(pair.close_code(), Some(Code::ExcessiveLoad as u64));
    assert!(asked < 20, "{asked}");
}

#[test]
fn frames_without_use_end_the_connection() {
    let most = MAX_GLITCHES as usize + 1;
    let head = request("POST", "/hold", &[]);
    for frames in [f(DATA, b"").repeat(most), f(0x21, b"").repeat(most)] {
        let mut pair = Pair::new();
        let id = pair.open(Dir::Bi, &head, false);
        pair.send(id, &frames, false);
        pair.run();
        assert_eq!(pair.close_code(), Some(Code::ExcessiveLoad as u64));
    }
    let settings = [0, 4, 0];
    for (start, more) in [
        (&settings[..], f(0x21, b"")),
        (&settings, f(0xd, &[0])),
        (&[2], vec![0x20]),
        (&[3], vec![0x44]),
    ] {
        let mut pair = Pair::new();
        let id = pair.open(Dir::Uni, start, false);
        pair.send(id, &more.repeat(most), false);
        pair.run();
        assert_eq!(
            pair.close_code(),
            Some(Code::ExcessiveLoad as u64),
            "{more:x?}"
        );
    }
    let mut pair = Pair::new();
    for _ in 0..most {
        if pair.end.is_none() {
            pair.open(Dir::Uni, &[0x21], true);
            pair.run();
        }
    }
    assert_eq!(pair.close_code(), Some(Code::ExcessiveLoad as u64));
}

#[test]
fn a_connection_leaves_in_two_steps() {
    let mut pair = Pair::new();
    let held = pair.open(Dir::Bi, &request("POST", "/echo", &[]), false);
    pair.run();
    let control = *pair.seen.keys().find(|id| id.dir() == Dir::Uni).unwrap();
    let said = pair.seen[&control].octets.len();
    pair.driver.as_mut().unwrap().drain();
    pair.run();
    let goaway = &pair.seen[&control].octets[said..];
    assert_eq!(goaway, b"\x07\x08\xff\xff\xff\xff\xff\xff\xff\xfc");
    let late = pair.ask(&request("GET", "/", &[]));
    assert_eq!(pair.answer(late).payload, b"hello", "before it could know");
    let said = pair.seen[&control].octets.len();
    let driver = pair.driver.as_mut().unwrap();
    assert_eq!(driver.pending_since().pending, Pending::Draining);
    driver.expire();
    pair.run();
    let goaway = &pair.seen[&control].octets[said..];
    assert_eq!(goaway, b"\x07\x01\x08", "streams 0 and 4 are served");
    let refused = pair.ask(&request("GET", "/", &[]));
    assert_eq!(
        pair.seen[&refused].reset,
        Some(Code::RequestRejected as u64)
    );
    assert_eq!(pair.end, None);
    pair.send(held, &f(DATA, b"last"), true);
    pair.wait(ACK);
    assert_eq!(pair.answer(held).payload, b"last");
    assert_eq!(pair.end, Some(End::Closed));
    assert_eq!(pair.close_code(), Some(Code::NoError as u64));
}

#[test]
fn the_end_waits_until_the_client_has_the_last_response() {
    let mut pair = Pair::with(Setup {
        client: 1000,
        ..Setup::default()
    });
    pair.reads = false;
    let id = pair.ask(&request("GET", "/length/100000", &[]));
    let driver = pair.driver.as_mut().unwrap();
    driver.drain();
    driver.expire();
    pair.run();
    assert_eq!(pair.end, None);
    pair.reads = true;
    pair.wait(ACK);
    assert_eq!(pair.answer(id).payload.len(), 100_000);
    assert_eq!(pair.end, Some(End::Closed));
}

#[test]
fn a_head_that_does_not_come_has_a_deadline() {
    let mut pair = Pair::new();
    let whole = request("GET", "/", &[]);
    let (begun, rest) = whole.split_at(10);
    let id = pair.open(Dir::Bi, begun, false);
    pair.run();
    let wait = |pair: &Pair| pair.driver.as_ref().unwrap().pending_since();
    assert_eq!(wait(&pair).pending, Pending::Head);
    pair.send(id, rest, true);
    pair.wait(ACK);
    assert_eq!(wait(&pair).pending, Pending::Idle);
    pair.open(Dir::Bi, begun, false);
    pair.run();
    let marked = wait(&pair);
    pair.open(Dir::Bi, begun, false);
    pair.run();
    assert_eq!(wait(&pair), marked, "the oldest one counts");
    pair.driver.as_mut().unwrap().expire();
    pair.run();
    assert_eq!(pair.end, Some(End::Expired(Pending::Head)));
}

#[test]
fn a_connection_is_idle_once_all_was_confirmed() {
    let mut pair = Pair::with(Setup {
        client: 1000,
        ..Setup::default()
    });
    pair.reads = false;
    pair.ask(&request("GET", "/length/900", &[]));
    pair.ask(&request("GET", "/length/2000", &[]));
    let wait = |pair: &Pair| pair.driver.as_ref().unwrap().pending_since();
    assert_eq!(wait(&pair).pending, Pending::None, "an exchange runs");
    pair.reads = true;
    pair.run();
    // A packet number that was left out on purpose, as now and then one is, has the client confirm at once.
    let pending = wait(&pair).pending;
    assert!(
        matches!(pending, Pending::Stalled | Pending::Idle),
        "{pending:?}"
    );
    pair.wait(ACK);
    assert_eq!(wait(&pair).pending, Pending::Idle);
    pair.driver.as_mut().unwrap().expire();
    pair.run();
    assert_eq!(pair.end, Some(End::Expired(Pending::Idle)));
}

#[test]
fn exchanges_end_with_their_connection() {
    let mut pair = Pair::new();
    pair.open(Dir::Bi, &request("POST", "/hold", &[]), false);
    pair.run();
    assert_eq!(pair.log.alive.get(), 1);
    let now = pair.now;
    let quic = pair.client_quic();
    quic.borrow_mut()
        .close(now, Code::NoError.into(), bytes::Bytes::new());
    pair.run();
    assert!(pair.driver.is_none());
    assert_eq!(pair.log.alive.get(), 0);
}
