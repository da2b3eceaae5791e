//! Clients that cost more than they ask for: each is bounded, and most are shown the door.

use openclaw_core::reason::Reason;

use super::raw::{Raw, block, f, get, post, request, reset, settings, update};
use super::server::{MAX_HEADER, run};
use crate::serve::h2::End;
use crate::serve::h2::flow::CONNECTION_WINDOW;
use crate::serve::h2::frame::{
    ACK, CONTINUATION, Code, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING,
    PRIORITY, PRIORITY_UPDATE, RST_STREAM, SETTINGS,
};

const FRAMES: u32 = 4000;

/// Sends the frames of `flood` until the server says GOAWAY, at most [`FRAMES`] of them.
fn check_flood(why: &str, first: &[u8], mut flood: impl FnMut(u32) -> Vec<u8>, most: u32) {
    run(async {
        let mut raw = Raw::open().await;
        raw.send(first).await;
        let mut octets = Vec::new();
        for at in 0..FRAMES {
            octets.extend(flood(at));
        }
        let log = std::rc::Rc::clone(&raw.served.log);
        assert!(most < FRAMES);
        let (mut read, mut write) = tokio::io::split(raw.served.pipe);
        let writer = tokio::task::spawn_local(async move {
            tokio::io::AsyncWriteExt::write_all(&mut write, &octets)
                .await
                .ok();
        });
        let mut input = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut read, &mut input)
            .await
            .unwrap();
        let (mut at, mut code, mut answers) = (0, None, 0);
        while at < input.len() {
            let length = u32::from_be_bytes([0, input[at], input[at + 1], input[at + 2]]) as usize;
            answers += 1;
            if input[at + 3] == GOAWAY {
                code = Some(u32::from_be_bytes(
                    input[at + 13..at + 17].try_into().unwrap(),
                ));
            }
            at += 9 + length;
        }
        assert_eq!(code, Some(Code::EnhanceYourCalm as u32), "{why}");
        assert!(answers <= most + 10, "{why}: {answers} answers");
        writer.await.unwrap();
        drop(read);
        let End::Violation(violation) = raw.served.end.await.unwrap() else {
            panic!("{why}")
        };
        assert_eq!(violation.reason(), Reason::H2Abuse, "{why}");
        assert_eq!(log.alive.get(), 0, "{why}");
        assert!(log.started.borrow().len() <= most as usize, "{why}");
    });
}

#[test]
fn floods_end_in_goaway() {
    let id = |at: u32| 2 * at + 1;
    check_flood(
        "rapid reset",
        b"",
        |at| [get(id(at), "/hold"), reset(id(at))].concat(),
        210,
    );
    check_flood("too many streams", b"", |at| get(id(at), "/hold"), 400);
    check_flood("pings", b"", |_| f(PING, 0, 0, &[0; 8]), 1100);
    check_flood("settings", b"", |_| settings(&[]), 120);
    let many = settings(&[(0xff, 1); 1000]);
    check_flood("settings without number", b"", |_| many.clone(), 120);
    let sizes = |at: u32| settings(&[(1, 4096 * (at % 2))]);
    check_flood("table sizes to and fro", b"", sizes, 120);
    let acks = |_| f(SETTINGS, ACK, 0, b"");
    check_flood("acknowledgements of nothing", b"", acks, 10);
    let goaways = |_| f(GOAWAY, 0, 0, &[0; 8]);
    check_flood("farewells", &get(1, "/hold"), goaways, 10);
    check_flood("resets of closed streams", &get(1, "/"), |_| reset(1), 10);
    let unfolding = |at| f(HEADERS, END_HEADERS | END_STREAM, id(at), &[0x82; 1000]);
    check_flood("header lists that unfold", b"", unfolding, 100);
    check_flood("priorities", b"", |_| f(PRIORITY, 0, 1, &[0; 5]), 10);
    let updates = |_| f(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1");
    check_flood("updates of priorities", &get(1, "/hold"), updates, 10);
    check_flood("unknown frames", b"", |_| f(0xee, 0, 1, b""), 10);
    check_flood("empty DATA", &post(1, "/hold"), |_| f(DATA, 0, 1, b""), 10);
    check_flood(
        "padded nothing",
        &post(1, "/hold"),
        |_| f(DATA, PADDED, 1, b"\x01\0"),
        10,
    );
    check_flood(
        "empty CONTINUATION",
        &f(HEADERS, 0, 1, b""),
        |_| f(CONTINUATION, 0, 1, b""),
        10,
    );
    check_flood(
        "a block without end",
        &f(HEADERS, 0, 1, b""),
        |_| f(CONTINUATION, 0, 1, &[0x82; 16384]),
        10,
    );
    check_flood(
        "updates of closed streams",
        &get(1, "/"),
        |_| update(1, 1),
        10,
    );
    let ends = |_| f(DATA, END_STREAM, 1, b"");
    check_flood("more than one end", &post(1, "/hold"), ends, 10);
    check_flood("updates of the connection", b"", |_| update(0, 1), 10);
    let crumbs = [settings(&[(4, 0)]), get(1, "/length/1000000")].concat();
    check_flood(
        "a window that opens by one octet",
        &crumbs,
        |_| update(1, 1),
        1010,
    );
    let wide = [settings(&[(4, 0x7fff_ffff)]), get(1, "/length/1000000")].concat();
    let why = "a connection that opens by one octet";
    check_flood(why, &wide, |_| update(0, 1), 1020);
}

/// The frames of a stream that is wrong.
type Breach<'a> = &'a dyn Fn(u32) -> Vec<u8>;

/// Frames after which we have to reset a stream that the client need not reset itself (CVE-2025-8671).
#[test]
fn a_client_that_makes_us_reset_its_streams_pays_for_it() {
    let trailers = block(&[("a", "b")]);
    let short = block(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/hold"),
        (":authority", "test"),
        ("content-length", "1"),
    ]);
    let breaches: [(&str, Breach<'_>); 7] = [
        ("WINDOW_UPDATE of 0", &|id| {
            [get(id, "/hold"), update(id, 0)].concat()
        }),
        ("a window that overflows", &|id| {
            [get(id, "/hold"), update(id, 0x7fff_ffff)].concat()
        }),
        ("DATA behind the end", &|id| {
            [get(id, "/hold"), f(DATA, 0, id, b"x")].concat()
        }),
        ("HEADERS behind the end", &|id| {
            let more = f(HEADERS, END_HEADERS | END_STREAM, id, &trailers);
            [get(id, "/hold"), more].concat()
        }),
        ("trailers that do not end the stream", &|id| {
            [post(id, "/hold"), f(HEADERS, END_HEADERS, id, &trailers)].concat()
        }),
        ("more DATA than was declared", &|id| {
            [f(HEADERS, END_HEADERS, id, &short), f(DATA, 0, id, b"xx")].concat()
        }),
        ("malformed requests", &|id| {
            f(HEADERS, END_HEADERS, id, &block(&[("A", "b")]))
        }),
    ];
    for (why, breach) in breaches {
        check_flood(why, b"", |at| breach(2 * at + 1), 450);
    }
}

#[test]
fn a_request_that_is_reset_in_the_same_read_never_starts() {
    run(async {
        let mut raw = Raw::open().await;
        let mut octets = Vec::new();
        for id in (1..100).step_by(2) {
            octets.extend([get(id, "/hold"), reset(id)].concat());
        }
        octets.extend(get(101, "/"));
        raw.send(&octets).await;
        raw.find(DATA).await;
        let started = raw.served.log.started.borrow();
        assert_eq!(started.len(), 1);
        assert_eq!(started[0].0, b"/");
    });
}

#[test]
fn nothing_of_a_read_starts_if_the_read_ends_the_connection() {
    run(async {
        let mut raw = Raw::open().await;
        raw.send(&[get(1, "/"), get(3, "/"), f(DATA, 0, 0, b"")].concat())
            .await;
        let log = std::rc::Rc::clone(&raw.served.log);
        raw.ends_with(Code::Protocol).await;
        assert!(log.started.borrow().is_empty());
    });
}

#[test]
fn answered_requests_earn_resets_back() {
    run(async {
        let mut raw = Raw::open().await;
        for round in 0..600 {
            raw.send(&[get(4 * round + 1, "/hold"), reset(4 * round + 1)].concat())
                .await;
            raw.works(4 * round + 3).await;
        }
    });
}

#[test]
fn a_cancelled_exchange_is_dropped_and_its_place_is_free_at_once() {
    run(async {
        let mut raw = Raw::open().await;
        for id in (1..257).step_by(2) {
            raw.send(&get(id, "/hold")).await;
        }
        raw.send(&get(257, "/")).await;
        let refused = raw.find(RST_STREAM).await;
        assert_eq!(
            (refused.stream, refused.number(0)),
            (257, Code::RefusedStream as u32)
        );
        assert_eq!(raw.served.log.alive.get(), 128);
        raw.send(&reset(1)).await;
        raw.works(259).await;
        assert_eq!(
            (raw.served.log.alive.get(), raw.served.log.most.get()),
            (127, 128)
        );
    });
}

#[test]
fn a_client_that_vanishes_takes_its_exchanges_along() {
    run(async {
        let mut raw = Raw::open().await;
        raw.send(&[get(1, "/hold"), post(3, "/echo"), get(5, "/length/1000000")].concat())
            .await;
        raw.find(DATA).await;
        assert_eq!(raw.served.log.alive.get(), 3);
        drop(raw.served.pipe);
        assert!(matches!(
            raw.served.end.await.unwrap(),
            End::Gone | End::Socket(_)
        ));
        assert_eq!(raw.served.log.alive.get(), 0);
    });
}

#[test]
fn what_one_client_makes_us_hold_is_bounded_by_the_window_of_the_connection() {
    run(async {
        let mut raw = Raw::open().await;
        let mut sent = 0;
        let mut id = 1;
        while sent <= CONNECTION_WINDOW as usize {
            raw.send(&post(id, "/hold")).await;
            for _ in 0..3 {
                raw.send(&f(DATA, 0, id, &[0; 16384])).await;
                sent += 16384;
            }
            id += 2;
        }
        assert!(matches!(
            raw.ends_with(Code::FlowControl).await,
            End::Violation(_)
        ));
    });
}

#[test]
fn a_client_that_does_not_read_gets_no_more_than_the_output_may_hold() {
    run(async {
        let mut raw = Raw::open_with(&[(4, 0x7fff_ffff)]).await;
        raw.send(&update(0, 0x7000_0000)).await;
        for at in 0..50 {
            raw.send(&get(2 * at + 1, "/length/1000000")).await;
        }
        // All of it comes once the client reads.
        let mut sum = 0;
        while sum < 50_000_000 {
            sum += raw.find(DATA).await.payload.len();
        }
        assert_eq!(sum, 50_000_000);
    });
}

#[test]
fn a_table_bomb_is_answered_with_431_and_the_table_stays_in_step() {
    run(async {
        let mut raw = Raw::open().await;
        let mut bomb = request("GET", "/");
        bomb.extend([0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
        bomb.extend([b'v'; 4000]);
        bomb.extend([0xbe; 10_000]);
        assert!(bomb.len() <= MAX_HEADER);
        raw.send(&f(HEADERS, END_HEADERS | END_STREAM, 1, &bomb))
            .await;
        let head = raw.find(HEADERS).await;
        assert_eq!(raw.status(&head), "431");
        // The entry that the bomb left behind is still there.
        let mut fields = request("POST", "/echo");
        fields.push(0xbe);
        raw.send(&f(HEADERS, END_HEADERS, 3, &fields)).await;
        raw.send(&f(DATA, END_STREAM, 3, b"ok")).await;
        assert_eq!(raw.find(DATA).await.payload, b"ok");
    });
}
