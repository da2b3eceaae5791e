//! Requests that are answered.

use quinn_proto::Dir;

use super::pair::{Pair, f, request};
use crate::serve::h3::frame::{DATA, HEADERS};

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
        &f(HEADERS, &super::pair::section(&[("x-sum", "6")])),
        true,
    );
    pair.run();
    let answer = pair.answer(id);
    assert_eq!(answer.payload, b"onetwo");
    assert_eq!(answer.sections[1], [("x-sum".into(), "6".into())]);
    assert!(pair.seen[&id].ended);
}
