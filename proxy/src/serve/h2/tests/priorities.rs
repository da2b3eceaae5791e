//! Which response goes on when there is room for some of them (RFC 9218).

use super::raw::{Raw, block, f, settings, update};
use super::server::run;
use crate::serve::h2::frame::{
    Code, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY_UPDATE, SETTINGS,
};
use crate::serve::h2::settings::{INITIAL_WINDOW_SIZE, NO_RFC7540_PRIORITIES};

/// What the connection is given room for at a time.
const STEP: u32 = 10_000;

fn ask(stream: u32, path: &str, priority: &str) -> Vec<u8> {
    let mut fields = vec![
        (":method", "GET"),
        (":scheme", "https"),
        (":path", path),
        (":authority", "test"),
    ];
    if !priority.is_empty() {
        fields.push(("priority", priority));
    }
    f(HEADERS, END_HEADERS | END_STREAM, stream, &block(&fields))
}

/// A connection whose window is used up, those of its streams being far from it; its next stream is 3.
async fn exhausted(entries: &[(u16, u32)]) -> Raw {
    let mut raw = Raw::open_with(&[&[(INITIAL_WINDOW_SIZE, 1 << 20)], entries].concat()).await;
    raw.send(&ask(1, "/length/65535", "")).await;
    let mut left = 65535;
    while left > 0 {
        left -= raw.find(DATA).await.payload.len();
    }
    raw
}

/// All that was sent has been taken in.
async fn settled(raw: &mut Raw) {
    raw.send(&f(PING, 0, 0, &[0; 8])).await;
    raw.find(PING).await;
}

/// Which stream gets the next step; the whole of it goes to one.
async fn step(raw: &mut Raw) -> u32 {
    raw.send(&update(0, STEP)).await;
    let (mut left, mut stream) = (STEP as usize, None);
    while left > 0 {
        let data = raw.find(DATA).await;
        assert_eq!(*stream.get_or_insert(data.stream), data.stream);
        left -= data.payload.len();
    }
    stream.unwrap()
}

/// Asks for three steps each, and gives whose they were.
async fn order(raw: &mut Raw, priorities: &[&str]) -> Vec<usize> {
    let asked: Vec<u8> = (0..)
        .zip(priorities)
        .flat_map(|(at, priority)| ask(3 + 2 * at, "/length/30000", priority))
        .collect();
    raw.send(&asked).await;
    settled(raw).await;
    let mut order = Vec::new();
    for _ in 0..3 * priorities.len() {
        order.push((step(raw).await as usize - 3) / 2);
    }
    order
}

#[test]
fn room_goes_to_who_is_first() {
    for (priorities, expected) in [
        (["u=3", "u=0"], [1, 1, 1, 0, 0, 0]),
        (["u=7, i", "u=6"], [1, 1, 1, 0, 0, 0]),
        // One by one, where parts are of no use.
        (["u=2", "u=2"], [0, 0, 0, 1, 1, 1]),
        (["i", "u=3"], [1, 1, 1, 0, 0, 0]),
        // Side by side, where they are.
        (["u=1, i", "u=1, i"], [0, 1, 0, 1, 0, 1]),
        // A client that says nothing may know nothing; of one that has spoken the default is meant.
        (["", ""], [0, 1, 0, 1, 0, 1]),
        (["u=3", ""], [0, 0, 0, 1, 1, 1]),
        (["u=4", ""], [1, 1, 1, 0, 0, 0]),
    ] {
        run(async {
            let mut raw = exhausted(&[]).await;
            assert_eq!(
                order(&mut raw, &priorities).await,
                expected,
                "{priorities:?}"
            );
        });
    }
}

#[test]
fn what_the_endpoint_says_goes_before_what_the_client_said() {
    for (client, origin, expected) in [
        (["u=1", "u=4"], ["u=5", "u=3"], [5, 5, 5, 3, 3, 3]),
        (["u=3, i", "u=3, i"], ["i=?0", "u=3"], [3, 3, 3, 5, 5, 5]),
        (["", ""], ["u=4", "u=0"], [5, 5, 5, 3, 3, 3]),
        (["u=2", "u=4"], ["7", "i"], [3, 3, 3, 5, 5, 5]),
    ] {
        run(async {
            let mut raw = exhausted(&[]).await;
            for ((id, client), origin) in [3, 5].into_iter().zip(client).zip(origin) {
                let path = format!("/length/{origin}/30000");
                raw.send(&ask(id, &path, client)).await;
            }
            settled(&mut raw).await;
            for expected in expected {
                assert_eq!(step(&mut raw).await, expected, "{client:?} {origin:?}");
            }
        });
    }
}

#[test]
fn a_client_that_leaves_the_tree_means_the_defaults() {
    run(async {
        let mut raw = exhausted(&[(NO_RFC7540_PRIORITIES, 1)]).await;
        assert_eq!(order(&mut raw, &["", ""]).await, [0, 0, 0, 1, 1, 1]);
    });
}

#[test]
fn a_frame_changes_the_order_before_and_while_they_wait() {
    run(async {
        let mut raw = exhausted(&[]).await;
        let say = |stream: u32, value: &str| {
            let payload = [&stream.to_be_bytes()[..], value.as_bytes()].concat();
            f(PRIORITY_UPDATE, 0, 0, &payload)
        };
        // Before its stream, whose field it goes before; and what means nothing.
        raw.send(&[say(7, "u=0"), say(5, "???"), say(1, "u=0")].concat())
            .await;
        let asked = [3, 5, 7].map(|id| ask(id, "/length/30000", "u=5"));
        raw.send(&asked.concat()).await;
        settled(&mut raw).await;
        assert_eq!(step(&mut raw).await, 7);
        raw.send(&say(5, "u=0")).await;
        // One by one, in the order of their requests.
        assert_eq!(step(&mut raw).await, 5);
        raw.send(&say(5, "u=6")).await;
        assert_eq!(step(&mut raw).await, 7);
        raw.send(&say(3, "u=0")).await;
        for expected in [3, 3, 3, 7, 5, 5] {
            assert_eq!(step(&mut raw).await, expected);
        }
    });
}

#[test]
fn who_may_not_send_holds_nobody_up() {
    run(async {
        let mut raw = exhausted(&[]).await;
        raw.send(&settings(&[(INITIAL_WINDOW_SIZE, 0)])).await;
        raw.find(SETTINGS).await;
        let asked = [
            ask(3, "/length/30000", "u=0"),
            ask(5, "/length/30000", "u=7"),
        ];
        raw.send(&[&asked.concat()[..], &update(5, 30_000)].concat())
            .await;
        settled(&mut raw).await;
        assert_eq!(step(&mut raw).await, 5);
        raw.send(&update(3, STEP)).await;
        settled(&mut raw).await;
        for expected in [3, 5, 5] {
            assert_eq!(step(&mut raw).await, expected);
        }
    });
}

#[test]
fn a_response_that_is_cancelled_gives_its_turn_up() {
    run(async {
        let mut raw = exhausted(&[]).await;
        let asked = [
            ask(3, "/length/30000", "u=0"),
            ask(5, "/length/30000", "u=7"),
        ];
        raw.send(&asked.concat()).await;
        settled(&mut raw).await;
        assert_eq!(step(&mut raw).await, 3);
        raw.send(&super::raw::reset(3)).await;
        for _ in 0..3 {
            assert_eq!(step(&mut raw).await, 5);
        }
    });
}

#[test]
fn frames_and_settings_that_are_wrong_end_the_connection() {
    let say = |stream: u32, id: u32| {
        let payload = [&id.to_be_bytes()[..], b"u=1"].concat();
        f(PRIORITY_UPDATE, 0, stream, &payload)
    };
    for (why, octets, code) in [
        ("on a stream", say(1, 1), Code::Protocol),
        ("of stream 0", say(0, 0), Code::Protocol),
        ("of a stream of ours", say(0, 2), Code::Protocol),
        ("of one that cannot be open", say(0, 1001), Code::Protocol),
        (
            "too short",
            f(PRIORITY_UPDATE, 0, 0, &[0; 3]),
            Code::FrameSize,
        ),
        (
            "the tree, all of a sudden",
            settings(&[(NO_RFC7540_PRIORITIES, 1)]),
            Code::Protocol,
        ),
    ] {
        run(async {
            let mut raw = Raw::open().await;
            raw.send(&octets).await;
            raw.ends_with(code).await;
            assert!(!why.is_empty());
        });
    }
}
