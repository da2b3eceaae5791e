//! What goes in comes out again, however it is cut.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::Read;

use super::*;

fn text(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let words = [
        "alpha",
        "beta",
        "{\"id\":",
        "gamma",
        "</div>",
        "<p class=\"x\">",
    ];
    let mut text = Vec::new();
    while text.len() < length {
        text.extend_from_slice(words[random.usize(..words.len())].as_bytes());
        text.extend_from_slice(random.u16(..).to_string().as_bytes());
    }
    text.truncate(length);
    text
}

/// Reads as much as there is to be read.
fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        Coding::Br => {
            // Behind a flush the end is missing, which is an error of this reader.
            let _ = brotli::Decompressor::new(bytes, 4096).read_to_end(&mut plain);
        }
        Coding::Gzip => {
            let _ = flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain);
        }
        Coding::Zstd => {
            let mut context = zstd_safe::DCtx::create();
            let mut input = zstd_safe::InBuffer::around(bytes);
            loop {
                let mut piece = vec![0; 1 << 17];
                let mut out = zstd_safe::OutBuffer::around(&mut piece[..]);
                context.decompress_stream(&mut out, &mut input).unwrap();
                let written = out.pos();
                plain.extend_from_slice(&piece[..written]);
                if written == 0 && input.pos() == bytes.len() {
                    break;
                }
            }
        }
    }
    plain
}

/// Codes pieces with so little room that every step counts, and flushes between them.
fn coded(coder: &mut Coder<'_>, pieces: &[&[u8]], room: usize, flushes: bool) -> Vec<u8> {
    let mut all = Vec::new();
    let mut run = |mut input: &[u8], until: Until| {
        loop {
            let mut out = Vec::with_capacity(room);
            let step = coder.step(input, until, &mut out).unwrap();
            assert!(out.len() <= out.capacity());
            all.extend_from_slice(&out);
            assert!(all.len() < 1 << 20, "it never ends");
            input = &input[step.taken..];
            if step.is_done && input.is_empty() {
                return all.len();
            }
        }
    };
    let mut ends = Vec::new();
    for piece in pieces {
        run(piece, Until::Later);
        if flushes {
            ends.push(run(&[], Until::Flushed));
        }
    }
    run(&[], Until::Finished);
    let mut plain = 0;
    for (piece, end) in pieces.iter().zip(ends) {
        plain += piece.len();
        assert_eq!(decoded(coder.coding().unwrap(), &all[..end]).len(), plain);
    }
    all
}

const LEVELS: [(Coding, &[u8]); 3] = [
    (Coding::Br, &[0, 1, 2, 4, 5, 11]),
    (Coding::Zstd, &[1, 3, 19]),
    (Coding::Gzip, &[1, 2, 4, 6, 9]),
];

#[test]
fn what_goes_in_comes_out_again() {
    let coders = Coders::default();
    let plain = text(100_000);
    for (coding, levels) in LEVELS {
        for level in levels {
            for (length, room) in [(0, 100), (1, 100), (5000, 7), (100_000, 32 * 1024)] {
                // A text of some length takes the slowest levels too long here.
                let length = if *level > 9 { length.min(5000) } else { length };
                let plain = &plain[..length];
                for known in [None, Some(length as u64)] {
                    let kind = (coding, *level);
                    let mut coder = coders.coder(kind, known, 1).unwrap();
                    let pieces: Vec<&[u8]> = plain.chunks(60_000).collect();
                    let all = coded(&mut coder, &pieces, room, false);
                    assert!(decoded(coding, &all) == plain, "{kind:?} {length} {room}");
                    assert!(
                        length < 5000 || all.len() < length * 2 / 3,
                        "{kind:?} {}",
                        all.len()
                    );
                }
            }
        }
    }
}

#[test]
fn what_was_flushed_can_be_read() {
    let coders = Coders::default();
    let plain = text(200_000);
    let pieces: Vec<&[u8]> = [
        &plain[..1],
        &plain[1..30],
        &plain[30..70_000],
        &plain[70_000..],
    ]
    .to_vec();
    for (coding, levels) in LEVELS {
        for level in levels.iter().filter(|level| **level < 10) {
            for room in [13, 64 * 1024] {
                let mut coder = coders.coder((coding, *level), None, 1).unwrap();
                let all = coded(&mut coder, &pieces, room, true);
                assert!(decoded(coding, &all) == plain, "{coding:?} {level} {room}");
            }
        }
    }
}

#[test]
fn an_encoder_that_was_left_in_the_middle_begins_anew() {
    let coders = Coders::default();
    let plain = text(100_000);
    for coding in Coding::ALL {
        let mut left = coders.coder((coding, 3), Some(5), 1).unwrap();
        left.step(&plain[..5], Until::Later, &mut Vec::with_capacity(1000))
            .unwrap();
        drop(left);
        let mut coder = coders.coder((coding, 3), Some(100_000), 1).unwrap();
        let all = coded(&mut coder, &[&plain], 1000, false);
        assert!(decoded(coding, &all) == plain, "{coding:?}");
    }
}

#[test]
fn there_are_no_more_than_there_may_be() {
    let coders = Coders::default();
    let gzip = (Coding::Gzip, 1);
    let first = coders.coder(gzip, None, 2).unwrap();
    let second = coders.coder(gzip, None, 2).unwrap();
    assert!(coders.coder(gzip, None, 2).is_none());
    drop(first);
    assert!(coders.coder(gzip, None, 2).is_some());
    drop(second);
    let many: Vec<Coder<'_>> = (0..20)
        .map(|_| coders.coder(gzip, None, 20).unwrap())
        .collect();
    drop(many);
    assert_eq!(coders.idle.borrow().len(), KEPT);
}

/// Takes a body out of its coding, with as little at a time as that.
fn taken_out(coding: Coding, body: &[u8], (step, room): (usize, usize)) -> Result<Vec<u8>, Broken> {
    let coders = Coders::default();
    let mut coder = coders.decoder(coding, 1).unwrap();
    assert_eq!(coder.coding(), None);
    let mut plain = Vec::new();
    let mut run = |mut input: &[u8], until: Until| loop {
        let mut out = Vec::with_capacity(room);
        let step = coder.step(input, until, &mut out)?;
        assert!(out.len() <= out.capacity());
        plain.extend_from_slice(&out);
        input = &input[step.taken..];
        if step.is_done && input.is_empty() {
            return Ok(());
        }
    };
    for piece in body.chunks(step) {
        run(piece, Until::Later)?;
        run(&[], Until::Flushed)?;
    }
    run(&[], Until::Finished)?;
    Ok(plain)
}

#[test]
fn what_was_put_in_is_taken_out() {
    let coders = Coders::default();
    let plain = text(50_000);
    for coding in Coding::ALL {
        let mut coder = coders.coder((coding, 3), None, 1).unwrap();
        let body = coded(&mut coder, &[&plain], 32 * 1024, false);
        for cut in [(1, 100), (777, 5), (100_000, 64 * 1024)] {
            let out = taken_out(coding, &body, cut);
            assert!(out.is_ok_and(|out| out == plain), "{coding:?} {cut:?}");
        }
        // What has no end is not taken for a whole.
        let short = &body[..body.len() - 1];
        assert!(taken_out(coding, short, (500, 4096)).is_err(), "{coding:?}");
        assert!(taken_out(coding, b"no such thing", (500, 4096)).is_err());
        assert_eq!(taken_out(coding, b"", (500, 4096)), Ok(Vec::new()));
        if coding != Coding::Br {
            let twice = taken_out(coding, &[&*body, &body].concat(), (900, 4096));
            assert!(twice.is_ok_and(|twice| twice == [&*plain, &plain].concat()));
        }
    }
}

#[test]
fn a_decoder_counts_as_what_it_may_take() {
    let coders = Coders::default();
    let one = coders.decoder(Coding::Br, 1).unwrap();
    assert!(coders.decoder(Coding::Gzip, 16).is_none());
    let two = coders.decoder(Coding::Gzip, 17).unwrap();
    assert!(coders.coder((Coding::Gzip, 1), None, 17).is_none());
    drop((one, two));
    assert!(coders.coder((Coding::Gzip, 1), None, 1).is_some());
}
