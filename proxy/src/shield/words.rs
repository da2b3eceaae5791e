//! Class words of all IPv4 /24s in plain memory. Most chunks say the same of every word and take no room of their own.

use openclaw_common::abi::class::WORDS_PER_CHUNK;
use openclaw_common::maps::CLS4_CHUNKS;

use super::compile::Run;
use super::host::Placed;
use super::prefix::{Bits, Net};

/// Length of the range that one chunk covers.
const CHUNK_LENGTH: u8 = 12;
/// Bits of an address behind the index of its class word.
const GRAIN_SHIFT: u32 = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Chunk {
    /// Every word is this one.
    Same(u16),
    /// Not all words are the same.
    Each(Box<[u16]>),
}

/// Words of all /24s.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words4(Vec<Chunk>);

impl Default for Words4 {
    fn default() -> Self {
        Self(vec![Chunk::Same(0); CLS4_CHUNKS as usize])
    }
}

impl Words4 {
    pub(super) fn build(placed: &Placed<u32>) -> Self {
        let mut words = Self::default();
        words.update(placed, Net::new(0, 0), &mut Vec::new());
        words
    }

    pub(super) fn load(&self, index: u32) -> u16 {
        let index = index as usize;
        match self.0.get(index / WORDS_PER_CHUNK) {
            Some(Chunk::Same(word)) => *word,
            Some(Chunk::Each(words)) => words.get(index % WORDS_PER_CHUNK).copied().unwrap_or(0),
            None => 0,
        }
    }

    /// Every word, in runs, with neighbouring chunks that say the same not joined.
    pub(super) fn runs(&self) -> impl Iterator<Item = Run> {
        (0..)
            .step_by(WORDS_PER_CHUNK)
            .zip(&self.0)
            .flat_map(|(first, chunk)| {
                let mut runs = Vec::new();
                match chunk {
                    Chunk::Same(word) => runs.push(Run {
                        first,
                        count: WORDS_PER_CHUNK as u32,
                        word: *word,
                    }),
                    Chunk::Each(words) => {
                        for (index, word) in (first..).zip(words) {
                            extend(&mut runs, index, *word);
                        }
                    }
                }
                runs
            })
    }

    /// Computes the words of a region, at least a /24, from the compiled ranges.
    pub(super) fn update(&mut self, placed: &Placed<u32>, region: Net<u32>, runs: &mut Vec<Run>) {
        let piece = Net {
            first: region.first,
            length: region.length.max(CHUNK_LENGTH),
        };
        let pieces = 1_u32 << (piece.length - region.length);
        for number in 0..pieces {
            let first = piece.first
                | number
                    .checked_shl(32 - u32::from(piece.length))
                    .unwrap_or(0);
            self.update_piece(
                placed,
                Net {
                    first,
                    length: piece.length,
                },
                runs,
            );
        }
    }

    /// Computes the words of a part of one chunk.
    fn update_piece(&mut self, placed: &Placed<u32>, piece: Net<u32>, runs: &mut Vec<Run>) {
        let start = piece.first >> GRAIN_SHIFT;
        let around = placed.bits_around(piece);
        let Some(chunk) = self.0.get_mut(start as usize / WORDS_PER_CHUNK) else {
            return;
        };
        let mut inside = placed.inside(piece).peekable();
        let whole = inside
            .next_if(|(net, _)| *net == piece)
            .map_or(0, |(_, placement)| placement.place.bit());
        // The common case of a wide range: nothing finer, and nothing to spell out.
        if inside.peek().is_none()
            && piece.length == CHUNK_LENGTH
            && let Chunk::Same(old) = chunk
        {
            if *old != around | whole {
                *old = around | whole;
                runs.push(Run {
                    first: start,
                    count: WORDS_PER_CHUNK as u32,
                    word: *old,
                });
            }
            return;
        }
        let mut words = vec![around | whole; 1 << (u32::GRAIN - piece.length)];
        for (net, placement) in inside {
            let from = (net.first >> GRAIN_SHIFT) - start;
            let to = (net.last() >> GRAIN_SHIFT) - start;
            for word in words.iter_mut().take(to as usize + 1).skip(from as usize) {
                *word |= placement.place.bit();
            }
        }
        write(chunk, start as usize % WORDS_PER_CHUNK, start, &words, runs);
    }

    /// What turns these words into `new`.
    pub(super) fn difference(&self, new: &Self, runs: &mut Vec<Run>) {
        for (first, (old, new)) in (0..)
            .step_by(WORDS_PER_CHUNK)
            .zip(self.0.iter().zip(&new.0))
        {
            match (old, new) {
                (Chunk::Same(old), Chunk::Same(new)) => {
                    if old != new {
                        runs.push(Run {
                            first,
                            count: WORDS_PER_CHUNK as u32,
                            word: *new,
                        });
                    }
                }
                (old, new) => {
                    let (old, new) = (old.words(), new.words());
                    for (index, (old, new)) in (first..).zip(old.zip(new)) {
                        if old != new {
                            extend(runs, index, new);
                        }
                    }
                }
            }
        }
    }
}

impl Chunk {
    fn words(&self) -> impl Iterator<Item = u16> {
        let (same, each) = match self {
            Self::Same(word) => (Some(std::iter::repeat_n(*word, WORDS_PER_CHUNK)), None),
            Self::Each(words) => (None, Some(words.iter().copied())),
        };
        same.into_iter().flatten().chain(each.into_iter().flatten())
    }
}

/// Writes words into a chunk and notes those that changed.
fn write(chunk: &mut Chunk, offset: usize, start: u32, words: &[u16], runs: &mut Vec<Run>) {
    let old = chunk.words().skip(offset).take(words.len());
    let mut is_changed = false;
    for (index, (old, new)) in (start..).zip(old.zip(words)) {
        if old != *new {
            is_changed = true;
            extend(runs, index, *new);
        }
    }
    if !is_changed {
        return;
    }
    let mut each: Box<[u16]> = match std::mem::replace(chunk, Chunk::Same(0)) {
        Chunk::Same(word) => vec![word; WORDS_PER_CHUNK].into(),
        Chunk::Each(each) => each,
    };
    for (place, word) in each.iter_mut().skip(offset).zip(words) {
        *place = *word;
    }
    let first = each.first().copied().unwrap_or(0);
    *chunk = if each.iter().all(|word| *word == first) {
        Chunk::Same(first)
    } else {
        Chunk::Each(each)
    };
}

/// Adds a word to the last run, if it continues it.
fn extend(runs: &mut Vec<Run>, index: u32, word: u16) {
    match runs.last_mut() {
        Some(run) if run.first + run.count == index && run.word == word => run.count += 1,
        _ => runs.push(Run {
            first: index,
            count: 1,
            word,
        }),
    }
}
