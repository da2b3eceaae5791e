//! Any octets at all: no panic, and no more output than the input may cause.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::raw::{block, f, get, post, reset, settings, update};
use super::server::{MAX_HEADER, Pipe, Site, run};
use crate::serve::h2::frame::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PING};
use crate::serve::h2::{Driver, Limits, PREFACE};

/// Feeds octets after the preface to a connection whose exchanges answer, in pieces of `step`.
fn feed(octets: &[u8], step: usize) {
    run(async {
        let (ours, mut pipe) = tokio::io::duplex(1 << 20);
        let site = Site::default();
        let mut driver = Driver::new(Pipe(ours), site.clone(), Limits::new(MAX_HEADER), PREFACE);
        for piece in octets.chunks(step) {
            pipe.write_all(piece).await.unwrap();
            let over = poll_fn(|cx| Poll::Ready(Pin::new(&mut driver).poll(cx).is_ready()));
            if over.await {
                break;
            }
        }
        assert!(site.0.most.get() <= 256);
        drop(driver);
        assert_eq!(site.0.alive.get(), 0);
        let mut output = Vec::new();
        pipe.read_to_end(&mut output).await.unwrap();
        // `/length/…` is the most that one of our paths sends; everything else answers frame by frame.
        let answers = site.0.started.borrow().len();
        assert!(
            output.len() <= 1000 + 3 * octets.len() + 3000 * answers,
            "{} of {}",
            output.len(),
            octets.len()
        );
    });
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let stream = 0..12u32;
    prop_oneof![
        (
            0..12u8,
            any::<u8>(),
            stream.clone(),
            proptest::collection::vec(any::<u8>(), 0..40)
        )
            .prop_map(|(kind, flags, stream, payload)| f(kind, flags, stream, &payload)),
        (
            stream.clone(),
            prop_oneof![Just("/"), Just("/hold"), Just("/length/2000")]
        )
            .prop_map(|(id, path)| get(id, path)),
        (
            stream.clone(),
            prop_oneof![Just("/echo"), Just("/early"), Just("/hold")]
        )
            .prop_map(|(id, path)| post(id, path)),
        (stream.clone(), any::<bool>(), 0..300usize).prop_map(|(id, ends, size)| f(
            DATA,
            u8::from(ends),
            id,
            &vec![1; size]
        )),
        (stream.clone(), any::<bool>()).prop_map(|(id, ends)| {
            f(
                HEADERS,
                END_HEADERS | u8::from(ends),
                id,
                &block(&[("a", "b")]),
            )
        }),
        stream.clone().prop_map(reset),
        (stream, 0..100_000u32).prop_map(|(id, increment)| update(id, increment)),
        (0..8u16, prop_oneof![0..200u32, any::<u32>()]).prop_map(|entry| settings(&[entry])),
        Just(f(PING, 0, 0, &[9; 8])),
    ]
}

#[test]
fn a_corpus_of_awkward_connections_ends_well() {
    let hello = settings(&[]);
    let corpus: [&[Vec<u8>]; 7] = [
        &[get(1, "/"), get(3, "/length/2000"), reset(3)],
        &[
            post(1, "/echo"),
            f(DATA, PADDED | END_STREAM, 1, b"\x04xx\0\0\0\0"),
            update(1, 0),
        ],
        &[
            f(HEADERS, 0, 1, b"\x82"),
            f(CONTINUATION, 0, 1, b"\x87"),
            f(CONTINUATION, END_HEADERS, 1, b"\x84"),
        ],
        &[
            settings(&[(4, 0)]),
            get(1, "/length/2000"),
            settings(&[(4, 0x7fff_ffff)]),
            update(1, 0x7fff_ffff),
        ],
        &[f(
            HEADERS,
            END_HEADERS,
            1,
            &[0x3f, 0xe1, 0x1f, 0x20, 0x3f, 0xe2, 0x1f],
        )],
        &[f(HEADERS, END_HEADERS, 1, &[0xff; 300])],
        &[vec![0xff; 4000]],
    ];
    for frames in corpus {
        for step in [1, 7, 100_000] {
            feed(&[hello.clone(), frames.concat()].concat(), step);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_octets_end_well(octets in proptest::collection::vec(any::<u8>(), 0..400), step in 1..400usize) {
        feed(&octets, step);
        feed(&[settings(&[]), octets].concat(), step);
    }

    #[test]
    fn any_frames_end_well(frames in proptest::collection::vec(any_frame(), 0..60), step in 1..3000usize) {
        feed(&[settings(&[]), frames.concat()].concat(), step);
    }
}
