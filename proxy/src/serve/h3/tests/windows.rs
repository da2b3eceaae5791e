//! Windows: what a slow reader on either side may have waiting here, and that it goes on afterwards.

use std::time::Duration;

use quinn_proto::{Dir, WriteError};

use super::messages::{f, request};
use super::pair::Pair;
use super::setup::Setup;
use crate::serve::h3::frame::{DATA, HEADERS, head};

#[test]
fn a_response_goes_on_when_its_client_reads_again() {
    for (client, sending) in [(1000, 1 << 20), (1 << 20, 5000)] {
        let mut pair = Pair::with(Setup {
            client,
            sending,
            ..Setup::default()
        });
        pair.reads = false;
        let id = pair.ask(&request("GET", "/length/300000", &[]));
        assert_eq!(pair.log.alive.get(), usize::from(client == 1000));
        let next = pair.ask(&request("GET", "/", &[]));
        pair.reads = true;
        pair.wait(Duration::from_secs(1));
        let answer = pair.answer(id);
        assert_eq!(answer.payload.len(), 300_000);
        assert_eq!(answer.kinds, [HEADERS, DATA], "one frame for all of it");
        assert!(pair.seen[&id].ended);
        assert_eq!(pair.answer(next).payload, b"hello");
        assert_eq!(pair.log.alive.get(), 0);
    }
}

#[test]
fn a_short_response_that_was_given_to_us_outlives_its_exchange() {
    let mut pair = Pair::with(Setup {
        client: 10,
        ..Setup::default()
    });
    pair.reads = false;
    // Without a body there is nothing to wait for after the head.
    let id = pair.ask(&request("POST", "/early", &[]));
    assert_eq!(pair.log.alive.get(), 0);
    pair.reads = true;
    pair.wait(Duration::from_millis(200));
    assert_eq!(pair.answer(id).status(), "413");
    assert!(pair.seen[&id].ended);
    let gone = pair.open(Dir::Bi, &request("POST", "/early", &[]), true);
    pair.reads = false;
    pair.run();
    pair.stop(gone);
    pair.run();
    assert_eq!(pair.close_code(), None);
}

#[test]
fn an_upload_waits_in_its_window_until_it_is_read() {
    let mut pair = Pair::with(Setup {
        receiving: 40_000,
        ..Setup::default()
    });
    let id = pair.open(Dir::Bi, &request("POST", "/hold", &[]), false);
    let mut data = Vec::new();
    head(&mut data, DATA, 1 << 30);
    pair.send(id, &data, false);
    pair.run();
    let payload = vec![0; 10_000];
    let mut sent = 0;
    let quic = pair.client_quic();
    for _ in 0..100 {
        let written = quic.borrow_mut().send_stream(id).write(&payload);
        match written {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error, WriteError::Blocked),
        }
        pair.run();
    }
    // Nobody reads: the window, and nothing beyond it.
    assert!((30_000..=40_000).contains(&sent), "{sent}");
}

#[test]
fn a_large_upload_comes_back_whole() {
    let mut pair = Pair::with(Setup {
        receiving: 20_000,
        client: 20_000,
        ..Setup::default()
    });
    let id = pair.open(Dir::Bi, &request("POST", "/echo", &[]), false);
    let body: Vec<u8> = (0..200_000u32).map(|at| (at * 7 / 3) as u8).collect();
    let frames = body.chunks(3333).map(|part| f(DATA, part));
    let octets: Vec<u8> = frames.flatten().collect();
    let mut sent = 0;
    while sent < octets.len() {
        let quic = pair.client_quic();
        let written = quic.borrow_mut().send_stream(id).write(&octets[sent..]);
        sent += written.unwrap_or(0);
        pair.wait(Duration::from_millis(30));
    }
    pair.send(id, &[], true);
    pair.wait(Duration::from_millis(200));
    assert_eq!(pair.answer(id).payload, body);
    assert!(pair.seen[&id].ended);
}
