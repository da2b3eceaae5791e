//! Any octets at all on any streams: no panic, nothing left running, and no more output than the input may cause.

use proptest::prelude::*;
use quinn_proto::Dir;

use super::messages::{f, request, section};
use super::pair::Pair;
use crate::serve::h3::Driver;
use crate::serve::h3::frame::{DATA, HEADERS};

/// What the client does with one of its streams.
#[derive(Clone, Debug)]
enum Step {
    Open(Dir, Vec<u8>, bool),
    Send(usize, Vec<u8>, bool),
    Reset(usize),
    Stop(usize),
    Drain,
    Expire,
}

fn run(steps: Vec<Step>, at_once: bool) {
    let mut pair = Pair::new();
    let mut open = Vec::new();
    let mut octets = 0;
    for step in steps {
        match step {
            Step::Open(dir, first, ends) => {
                octets += first.len();
                if pair.client_quic().borrow().is_closed() {
                    break;
                }
                open.push((pair.open(dir, &first, ends), ends));
            }
            Step::Send(at, more, ends) => {
                if let Some((id, ended)) = open.get_mut(at).filter(|(_, ended)| !ended) {
                    let quic = pair.client_quic();
                    let mut quic = quic.borrow_mut();
                    let mut stream = quic.send_stream(*id);
                    // It may have been stopped, or reset, or the connection be closed.
                    if stream.write(&more).is_ok() {
                        octets += more.len();
                        *ended = ends && stream.finish().is_ok();
                    }
                }
            }
            Step::Reset(at) => open.get(at).into_iter().for_each(|(id, _)| pair.reset(*id)),
            Step::Stop(at) => {
                let id = open.get(at).map(|(id, _)| *id);
                id.into_iter()
                    .filter(|id| id.dir() == Dir::Bi)
                    .for_each(|id| pair.stop(id));
            }
            Step::Drain => pair.driver.iter_mut().for_each(Driver::drain),
            Step::Expire => pair.driver.iter_mut().for_each(Driver::expire),
        }
        if !at_once {
            pair.run();
        }
    }
    pair.run();
    let answers = pair.log.started.borrow().len();
    let output: usize = pair.seen.values().map(|seen| seen.octets.len()).sum();
    assert!(
        output <= 200 + 3 * octets + 3000 * answers,
        "{output} of {octets}"
    );
    assert!(pair.log.most.get() <= 128);
    pair.driver = None;
    assert_eq!(pair.log.alive.get(), 0);
}

fn octets() -> impl Strategy<Value = Vec<u8>> {
    let any = || proptest::collection::vec(any::<u8>(), 0..40);
    let path = prop_oneof![
        Just("/"),
        Just("/hold"),
        Just("/echo"),
        Just("/length/2000"),
        Just("/drop")
    ];
    prop_oneof![
        any(),
        path.prop_map(|path| request("POST", path, &[])),
        (0..16u64, any()).prop_map(|(kind, payload)| f(kind, &payload)),
        any().prop_map(|payload| f(DATA, &payload)),
        Just(f(HEADERS, &section(&[("a", "b")]))),
        (0..4u8, any()).prop_map(|(kind, rest)| [&[kind, 4, 0][..], &rest].concat()),
        (0..16u64, any()).prop_map(|(kind, rest)| [&[0, 4, 0][..], &f(kind, &rest)].concat()),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<bool>(), octets(), any::<bool>()).prop_map(|(bi, octets, ends)| {
            Step::Open(if bi { Dir::Bi } else { Dir::Uni }, octets, ends)
        }),
        4 => (0..8usize, octets(), any::<bool>())
            .prop_map(|(at, octets, ends)| Step::Send(at, octets, ends)),
        1 => (0..8usize).prop_map(Step::Reset),
        1 => (0..8usize).prop_map(Step::Stop),
        1 => prop_oneof![Just(Step::Drain), Just(Step::Expire)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_streams_are_taken(steps in proptest::collection::vec(step(), 0..20), at_once in any::<bool>()) {
        run(steps, at_once);
    }
}
