#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use proptest::prelude::*;

use super::{DATA, Frames, HEADERS, Piece, head, headers, number};

/// Frames as they come out: type, payload, and whether it was whole.
fn taken_apart(input: &[u8], cuts: &[usize]) -> (Vec<(u64, Vec<u8>, bool)>, bool) {
    let mut frames = Frames::default();
    let mut found: Vec<(u64, Vec<u8>, bool)> = Vec::new();
    let mut start = 0;
    for cut in cuts.iter().copied().chain([input.len()]) {
        let end = cut.clamp(start, input.len());
        let mut part = &input[start..end];
        start = end;
        while let Some(piece) = frames.next(&mut part) {
            match piece {
                Piece::Head { kind, .. } => found.push((kind, Vec::new(), false)),
                Piece::Payload { octets, is_last } => {
                    assert!(is_last || !octets.is_empty());
                    let last = found.last_mut().unwrap();
                    assert!(!last.2, "behind the last of it");
                    last.1.extend_from_slice(octets);
                    last.2 = is_last;
                }
            }
        }
        assert!(part.is_empty());
    }
    (found, frames.is_between())
}

#[test]
fn a_stream_may_end_between_frames_and_nowhere_else() {
    let mut stream = Vec::new();
    headers(&mut stream, |out| out.extend_from_slice(b"section"));
    head(&mut stream, DATA, 300);
    stream.resize(stream.len() + 300, b'x');
    let whole = stream.len();
    let ends = [0, 5 + 7, whole];
    for end in 0..=whole {
        let (_, between) = taken_apart(&stream[..end], &[]);
        assert_eq!(between, ends.contains(&end), "{end}");
    }
    let (found, _) = taken_apart(&stream, &[]);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], (HEADERS, b"section".to_vec(), true));
    assert_eq!(
        (found[1].0, found[1].1.len(), found[1].2),
        (DATA, 300, true)
    );
}

#[test]
fn empty_frames_and_large_ones_are_told_at_their_head() {
    let mut stream = Vec::new();
    head(&mut stream, DATA, 0);
    head(&mut stream, 0x21, (1 << 62) - 1);
    let (found, between) = taken_apart(&stream, &[]);
    assert_eq!(found, [(DATA, vec![], true), (0x21, vec![], false)]);
    assert!(!between);
    let mut goaway = Vec::new();
    number(&mut goaway, 7, 16384);
    assert_eq!(goaway, [7, 4, 0x80, 0, 0x40, 0]);
}

proptest! {
    #[test]
    fn it_does_not_matter_where_a_stream_is_cut(
        frames in proptest::collection::vec((0u64..1 << 40, proptest::collection::vec(any::<u8>(), 0..40)), 0..6),
        mut cuts in proptest::collection::vec(0usize..300, 0..8),
    ) {
        let mut stream = Vec::new();
        for (kind, payload) in &frames {
            head(&mut stream, *kind, payload.len() as u64);
            stream.extend_from_slice(payload);
        }
        cuts.sort_unstable();
        let wanted: Vec<_> = frames.into_iter().map(|(kind, payload)| (kind, payload, true)).collect();
        prop_assert_eq!(taken_apart(&stream, &cuts), (wanted, true));
    }

    #[test]
    fn any_octets_are_taken(input in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..300) {
        prop_assert_eq!(taken_apart(&input, &[cut]), taken_apart(&input, &[]));
    }
}
