//! Requests that are answered.

use quinn_proto::Dir;

use super::messages::{f, request};
use super::pair::Pair;
use super::setup::Setup;
use crate::serve::h3::code::Code;
use crate::serve::h3::frame::{DATA, HEADERS, PRIORITY_UPDATE};

#[test]
fn a_request_is_answered_in_one_frame_of_each_kind() {
    let mut pair = Pair::new();
    pair.settings();
    let id = pair.ask(&request("GET", "/", &[]));
    let answer = pair.answer(id);
    assert_eq!(answer.status(), "200");
    assert_eq!(answer.sections[0][1], ("content-length".into(), "5".into()));
    assert_eq!(answer.payload, b"hello");
    assert_eq!(answer.kinds, [HEADERS, DATA]);
    assert!(pair.seen[&id].ended);
    assert_eq!(pair.seen[&id].stopped, None);
    assert_eq!(pair.log.alive.get(), 0);
}

#[test]
fn a_body_comes_back_with_its_trailers() {
    let mut pair = Pair::new();
    pair.settings();
    let id = pair.open(Dir::Bi, &request("POST", "/echo", &[]), false);
    pair.run();
    pair.send(id, &f(DATA, b"one"), false);
    pair.run();
    assert_eq!(pair.answer(id).payload, b"one", "at once");
    pair.send(id, &f(DATA, b"two"), false);
    pair.send(
        id,
        &f(HEADERS, &super::messages::section(&[("x-sum", "6")])),
        true,
    );
    pair.run();
    let answer = pair.answer(id);
    assert_eq!(answer.payload, b"onetwo");
    assert_eq!(answer.sections[1], [("x-sum".into(), "6".into())]);
    assert!(pair.seen[&id].ended);
}

#[test]
fn interim_responses_and_those_without_a_body_are_heads_alone() {
    let mut pair = Pair::new();
    let id = pair.ask(&request("GET", "/none", &[]));
    let answer = pair.answer(id);
    assert_eq!(answer.kinds, [HEADERS, HEADERS]);
    assert_eq!(answer.sections[0], [(":status".into(), "103".into())]);
    assert_eq!(answer.status(), "103");
    let last = [(":status", "304"), ("content-length", "7")];
    let last = last.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(answer.sections[1], last);
    assert!(pair.seen[&id].ended);
}

#[test]
fn fields_leave_in_lower_case_and_without_those_of_a_connection() {
    let mut pair = Pair::new();
    let id = pair.ask(&request("GET", "/fields", &[]));
    let answer = pair.answer(id);
    let names: Vec<_> = answer.sections[0]
        .iter()
        .map(|(name, value)| (name.as_str(), value.len()))
        .collect();
    let expected = [
        (":status", 3),
        ("content-type", 10),
        ("x-long", 20_000),
        ("x-long", 20_000),
        ("content-length", 1),
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_head_may_come_octet_by_octet() {
    let mut pair = Pair::new();
    let octets = request("GET", "/", &[("cookie", "a=1")]);
    let id = pair.open(Dir::Bi, &[], false);
    for octet in &octets {
        assert!(pair.log.started.borrow().is_empty());
        pair.send(id, &[*octet], false);
        pair.run();
    }
    assert_eq!(pair.answer(id).payload, b"hello");
    // Nobody waits for the rest of it.
    assert_eq!(pair.seen[&id].stopped, Some(Code::NoError as u64));
    assert_eq!(pair.close_code(), None);
}

#[test]
fn as_many_requests_as_announced_run_side_by_side() {
    let mut pair = Pair::new();
    let held: Vec<_> = (0..128)
        .map(|_| pair.open(Dir::Bi, &request("POST", "/echo", &[]), false))
        .collect();
    pair.run();
    assert_eq!(pair.log.alive.get(), 128);
    let more = pair.client_quic().borrow_mut().streams().open(Dir::Bi);
    assert_eq!(more, None);
    for id in &held {
        pair.send(*id, &f(DATA, b"x"), true);
    }
    pair.run();
    assert!(held.iter().all(|id| pair.answer(*id).payload == b"x"));
    assert_eq!(pair.log.alive.get(), 0);
    let id = pair.ask(&request("GET", "/", &[]));
    assert_eq!(pair.answer(id).payload, b"hello");
}

#[test]
fn a_client_says_how_urgent_its_requests_are() {
    let mut pair = Pair::new();
    let control = pair.settings();
    // Before the stream, in place of its field.
    pair.send(control, &f(PRIORITY_UPDATE, b"\x04u=6"), false);
    pair.run();
    let ids = ["u=0", "u=1, i", "u=9", "broken ="].map(|value| {
        pair.open(
            Dir::Bi,
            &request("POST", "/hold", &[("priority", value)]),
            false,
        )
    });
    pair.run();
    // Ranks of one urgency lie together.
    let ranks = |pair: &Pair| {
        let quic = pair.server_quic();
        ids.map(|id| quic.borrow_mut().send_stream(id).priority().unwrap() >> 24)
    };
    assert_eq!(ranks(&pair), [3, -3, 0, 0]);
    pair.send(control, &f(PRIORITY_UPDATE, b"\x08u=7;x"), false);
    pair.send(control, &f(PRIORITY_UPDATE, b"\x00???"), false);
    pair.run();
    assert_eq!(ranks(&pair), [3, -3, -4, 0]);
    assert_eq!(pair.close_code(), None);
}

#[test]
fn a_head_larger_than_the_client_takes_is_a_reset_and_others_are_answered() {
    let mut pair = Pair::new();
    // SETTINGS_MAX_FIELD_SECTION_SIZE of 4096 (RFC 9114 §7.2.4.1).
    pair.open(Dir::Uni, &[0, 4, 3, 6, 0x50, 0], false);
    pair.run();
    let large = pair.ask(&request("GET", "/fields", &[]));
    assert_eq!(pair.seen[&large].reset, Some(Code::InternalError as u64));
    let small = pair.ask(&request("GET", "/", &[]));
    assert_eq!(pair.answer(small).status(), "200");
    assert_eq!(pair.log.alive.get(), 0);
}

/// How much has come of each of two responses when half of the larger part has.
fn shares(priorities: [&str; 2]) -> [usize; 2] {
    shares_of(priorities.map(|priority| (priority, "/length/100000")))
}

/// The same, of these paths.
fn shares_of(asked: [(&str, &str); 2]) -> [usize; 2] {
    let mut pair = Pair::with(Setup {
        client: 200_000,
        ..Setup::default()
    });
    let ids = asked.map(|(priority, path)| {
        let head = request("GET", path, &[("priority", priority)]);
        pair.open(Dir::Bi, &head, true)
    });
    for _ in 0..1000 {
        pair.step();
        let sizes = ids.map(|id| pair.seen.get(&id).map_or(0, |seen| seen.octets.len()));
        // Not all of it, as the same turn would go on with the other.
        if sizes.iter().any(|size| *size > 50_000) {
            return sizes;
        }
    }
    panic!("nothing came");
}

#[test]
fn what_is_urgent_comes_first() {
    assert_eq!(shares(["u=7", "u=0"])[0], 0);
    assert_eq!(shares(["u=0", "u=7"])[1], 0);
}

#[test]
fn what_the_endpoint_says_goes_before_what_the_client_said() {
    let plain = "/length/100000";
    assert_eq!(
        shares_of([("u=2", "/length/u=5/100000"), ("u=3", plain)])[0],
        0
    );
    assert_eq!(
        shares_of([("u=4", plain), ("u=5", "/length/u=3/100000")])[0],
        0
    );
    assert_eq!(
        shares_of([("u=3", plain), ("u=4", "/length/i/100000")])[1],
        0
    );
}

#[test]
fn responses_of_one_urgency_come_one_by_one_unless_parts_are_of_use() {
    assert_eq!(shares(["u=3", "u=3"])[1], 0);
    assert_eq!(shares(["u=3, i", "u=3"])[0], 0);
    let shared = shares(["u=3, i", "u=3, i"]);
    assert!(shared.iter().all(|size| *size > 20_000), "{shared:?}");
}
