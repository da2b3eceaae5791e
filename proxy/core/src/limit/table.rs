//! The TATs of all keys, shared by all workers without a lock, in memory that never grows.
//!
//! A set is a cache line: one word with the tags of four keys, and a word for each of the four with its TAT. A key comes in by one
//! exchange of the word of tags, so that it is never there twice; it is charged by one exchange of its own word, so that no request
//! is counted twice or lost. Four bits of a TAT's word name its owner: a worker that still believes in a key that was pushed out
//! meanwhile cannot charge its successor. Of a set that is full, the key goes whose TAT is the oldest; one whose TAT has passed
//! loses nothing by it.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Quota, Verdict};

const WAYS: usize = 4;
const TAG_BITS: u32 = 16;
const OWNER_BITS: u32 = 4;

/// See the module.
#[derive(Debug)]
pub struct Table {
    sets: Box<[Set]>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Set {
    /// A tag is never 0: that is an empty way.
    tags: AtomicU64,
    /// TAT and owner.
    words: [AtomicU64; WAYS],
}

/// Where a key is looked for, and how it is known there.
#[derive(Clone, Copy)]
struct Spot<'a> {
    set: &'a Set,
    tag: u64,
    owner: u64,
}

impl Table {
    /// Room for at least `keys`; 16 bytes each. `hasher` has to be random, or a client could choose whom to meet in a set.
    pub fn new(keys: usize, hasher: RandomState) -> Self {
        let sets = keys.div_ceil(WAYS).max(1).next_power_of_two();
        Self {
            sets: (0..sets).map(|_| Set::default()).collect(),
            hasher,
        }
    }

    /// The number by which a key is known.
    pub fn hash(&self, key: &impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Asks for one request of a key, and says what TAT that leaves.
    #[inline]
    pub fn ask(&self, hash: u64, quota: &Quota, now: u64) -> (Verdict, u64) {
        let Some(spot) = self.spot(hash) else {
            return (quota.ask(0, now), now);
        };
        loop {
            let tags = spot.set.tags.load(Ordering::Acquire);
            let way = spot.find(tags).or_else(|| spot.enter(tags));
            if let Some(answer) = way.and_then(|way| spot.charge(way, quota, now)) {
                return answer;
            }
        }
    }

    /// The TAT of a key; 0 if nothing is known of it.
    pub fn tat(&self, hash: u64) -> u64 {
        self.spot(hash)
            .and_then(|spot| {
                let way = spot.find(spot.set.tags.load(Ordering::Acquire))?;
                spot.tat(spot.word(way)?.load(Ordering::Acquire))
            })
            .unwrap_or(0)
    }

    /// Lets a key begin anew; says whether it was known.
    pub fn forget(&self, hash: u64) -> bool {
        self.spot(hash).is_some_and(|spot| spot.forget())
    }

    fn spot(&self, hash: u64) -> Option<Spot<'_>> {
        let index = hash as usize & (self.sets.len() - 1);
        Some(Spot {
            set: self.sets.get(index)?,
            tag: (hash >> (64 - TAG_BITS)).max(1),
            owner: (hash >> (64 - TAG_BITS - OWNER_BITS)) & ((1 << OWNER_BITS) - 1),
        })
    }
}

impl Spot<'_> {
    fn word(&self, way: usize) -> Option<&AtomicU64> {
        self.set.words.get(way)
    }

    fn find(&self, tags: u64) -> Option<usize> {
        (0..WAYS).find(|way| tag_at(tags, *way) == self.tag)
    }

    fn forget(&self) -> bool {
        let way = self.find(self.set.tags.load(Ordering::Acquire));
        let word = way.and_then(|way| self.word(way));
        let old = word.map(|word| word.swap(self.owner, Ordering::AcqRel));
        old.and_then(|old| self.tat(old)).is_some_and(|tat| tat > 0)
    }

    /// The TAT in a word, if it is this key's.
    fn tat(&self, word: u64) -> Option<u64> {
        (word & ((1 << OWNER_BITS) - 1) == self.owner).then_some(word >> OWNER_BITS)
    }

    /// Takes a way for the key; `None`: another worker has changed the set meanwhile.
    fn enter(&self, tags: u64) -> Option<usize> {
        let oldest = |way: &usize| {
            let word = self
                .word(*way)
                .map_or(u64::MAX, |word| word.load(Ordering::Acquire));
            (tag_at(tags, *way) != 0, word >> OWNER_BITS)
        };
        let way = (0..WAYS).min_by_key(oldest)?;
        let found = self.word(way)?.load(Ordering::Acquire);
        let shift = way as u32 * TAG_BITS;
        let mask = (1 << TAG_BITS) - 1;
        let entered = (tags & !(mask << shift)) | (self.tag << shift);
        self.set
            .tags
            .compare_exchange(tags, entered, Ordering::AcqRel, Ordering::Acquire)
            .ok()?;
        // Whoever else meets the new tag takes a stranger's word for none, too. If one has, this finds another word.
        let _ = self.word(way)?.compare_exchange(
            found,
            self.owner,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        Some(way)
    }

    /// Charges the key; `None`: it is not there any more.
    fn charge(&self, way: usize, quota: &Quota, now: u64) -> Option<(Verdict, u64)> {
        let cell = self.word(way)?;
        let mut word = cell.load(Ordering::Acquire);
        loop {
            let tat = match self.tat(word) {
                Some(tat) => tat,
                None if tag_at(self.set.tags.load(Ordering::Acquire), way) == self.tag => 0,
                None => return None,
            };
            let verdict = quota.ask(tat, now);
            let Verdict::Admit(next) = verdict else {
                return Some((verdict, tat));
            };
            let charged = (next << OWNER_BITS) | self.owner;
            match cell.compare_exchange_weak(word, charged, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some((verdict, next)),
                Err(changed) => word = changed,
            }
        }
    }
}

fn tag_at(tags: u64, way: usize) -> u64 {
    (tags >> (way as u32 * TAG_BITS)) & ((1 << TAG_BITS) - 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use std::sync::Barrier;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::config::units::Rate;

    const SECOND: u64 = 1_000_000_000;

    fn quota(count: u64, seconds: u64) -> Quota {
        let period = Duration::from_secs(seconds);
        Quota::new(Rate { count, period }, 0).unwrap()
    }

    fn passes(table: &Table, hash: u64, quota: &Quota, now: u64) -> bool {
        matches!(table.ask(hash, quota, now).0, Verdict::Admit(_))
    }

    /// A key of the only set of a small table.
    fn key(number: u64) -> u64 {
        (number + 1) << (64 - TAG_BITS) | number << (64 - TAG_BITS - OWNER_BITS)
    }

    #[test]
    fn keys_do_not_share_what_they_have() {
        // Large enough that no five of them meet in a set.
        let table = Table::new(1 << 16, RandomState::new());
        let quota = quota(2, 60);
        let keys: Vec<u64> = (0..100).map(|key| table.hash(&key)).collect();
        for _ in 0..2 {
            assert!(keys.iter().all(|key| passes(&table, *key, &quota, 5)));
        }
        assert!(!keys.iter().any(|key| passes(&table, *key, &quota, 5)));
        assert_eq!(table.tat(keys[0]), 5 + 60 * SECOND);
        assert_eq!(table.tat(table.hash(&"unknown")), 0);
    }

    #[test]
    fn a_full_set_gives_up_the_oldest_tat_and_no_other() {
        let table = Table::new(4, RandomState::new());
        let quota = quota(1, 60);
        for number in 0..4 {
            assert!(passes(&table, key(number), &quota, number));
        }
        let all = |count| (0..count).map(|number| table.tat(key(number)) > 0);
        assert!(all(4).all(|known| known));
        assert!(passes(&table, key(4), &quota, 10), "a newcomer gets in");
        let known: Vec<bool> = all(5).collect();
        assert_eq!(known, [false, true, true, true, true]);
        for number in 1..5 {
            assert!(!passes(&table, key(number), &quota, 10), "{number}");
        }
    }

    #[test]
    fn a_newcomer_owes_nothing_for_the_key_that_it_pushed_out() {
        // Sixteen apart, two keys have the same owner bits.
        let table = Table::new(4, RandomState::new());
        let quota = quota(1, 60);
        for number in 0..4 {
            assert!(passes(&table, key(number), &quota, number));
        }
        assert!(passes(&table, key(16), &quota, 5));
        assert!(!passes(&table, key(16), &quota, 5));
    }

    #[test]
    fn a_key_that_is_forgotten_begins_anew() {
        let table = Table::new(64, RandomState::new());
        let quota = quota(1, 60);
        let key = table.hash(&"key");
        assert!(passes(&table, key, &quota, 0));
        assert!(!passes(&table, key, &quota, 0));
        assert!(!table.forget(table.hash(&"another")));
        assert!(!passes(&table, key, &quota, 0));
        assert!(table.forget(key));
        assert!(!table.forget(key), "it is known no more");
        assert!(passes(&table, key, &quota, 0));
        assert!(!passes(&table, key, &quota, 0));
    }

    #[test]
    fn the_count_is_exact_over_threads() {
        const THREADS: usize = 4;
        const KEYS: u64 = 200;
        // Large enough that no key has to go.
        let table = Table::new(1 << 14, RandomState::new());
        let quota = quota(50, 3600);
        let barrier = Barrier::new(THREADS);
        let passed: Vec<Vec<u64>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        // All threads bring each key in at the same time, and go on in step.
                        let each = (0..KEYS).map(|key| {
                            barrier.wait();
                            let hash = table.hash(&key);
                            let asked = (0..40).filter(|_| passes(&table, hash, &quota, SECOND));
                            asked.count() as u64
                        });
                        each.collect()
                    })
                })
                .collect();
            threads.into_iter().map(|one| one.join().unwrap()).collect()
        });
        for key in 0..KEYS as usize {
            let total: u64 = passed.iter().map(|one| one[key]).sum();
            assert_eq!(total, 50, "key {key}");
        }
    }
}
