//! The tables of bans and of class words against a map of them: small, so that buckets overflow and slots move.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Relaxed, SeqCst},
};

use openclaw_common::abi::class;
use openclaw_common::ban::{self, FOREVER, Keys};
use openclaw_common::words;
use proptest::prelude::*;

use crate::shield::kernel::buckets::{Ledger, taken};
use crate::shield::kernel::rows::{Cell, Row, Row4, Row6, RowOfWords, Slot};

const KEYS: Keys = Keys {
    first: 0x9e37_79b9_7f4a_7c15,
    second: 0xd6e8_feb8_6659_fd93,
};
const ROWS: usize = 8;

fn rows<R: Default>() -> Vec<R> {
    (0..ROWS).map(|_| R::default()).collect()
}

/// As the kernel program looks: the bucket is read as it finds it.
fn find<R: Row>(rows: &[R], source: u64) -> Option<u64> {
    let bucket = |number: u32| Some((number, rows[number as usize].bucket()));
    let buckets = KEYS.buckets(source, ROWS as u32 - 1);
    loop {
        let (found, slot) =
            ban::find::<R::Bucket, _>(source, buckets, |number| bucket(number).map(Numbered))?;
        let kept = rows[found.0.0 as usize].load(slot);
        // Another may be there by now, where a thread was stopped between the two.
        if kept.source == source {
            return Some(kept.value);
        }
    }
}

struct Numbered<B>((u32, B));

impl<B> Borrow<B> for Numbered<B> {
    fn borrow(&self) -> &B {
        &self.0.1
    }
}

fn check<R: Row>(rows: &[R], model: &BTreeMap<u64, u64>) {
    for source in 0..64 {
        assert_eq!(find(rows, source), model.get(&source).copied(), "{source}");
    }
    assert_eq!(taken(rows).count(), model.len());
}

/// Puts and removes, and reads anew every now and then.
fn follow<R: Row + Default>(steps: &[(u64, u64)]) -> Result<(), TestCaseError> {
    let rows = rows::<R>();
    let mut ledger = Ledger::read(&rows, KEYS, 1000);
    let mut model = BTreeMap::new();
    for (at, (source, until_ns)) in steps.iter().copied().enumerate() {
        if until_ns == 0 {
            prop_assert_eq!(
                ledger.remove(&rows, source),
                model.remove(&source).is_some()
            );
        } else if ledger.put(&rows, source, until_ns) {
            model.insert(source, until_ns);
        } else {
            // Half full is what a table is made for.
            let half = ROWS * R::SLOTS / 2;
            prop_assert!(model.len() > half, "full with {}", model.len());
        }
        check(&rows, &model);
        if at % 16 == 0 {
            let anew = Ledger::read(&rows, KEYS, 1000);
            check(&rows, &model);
            prop_assert_eq!(&anew, &ledger);
        }
    }
    Ok(())
}

/// The same steps with class words.
fn as_words(steps: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let word = |step: u64| (step as u16) & (class::LISTED | class::COUNTRY);
    let value = |step| words::value(word(step));
    steps
        .iter()
        .map(|(key, step)| (*key, value(*step)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_table_holds_what_was_put_and_a_new_reader_finds_it(
        steps in prop::collection::vec((0_u64..64, prop_oneof![3 => 2_u64..99, 1 => Just(FOREVER), 2 => Just(0)]), 1..200),
    ) {
        follow::<Row4>(&steps)?;
        follow::<Row6>(&steps)?;
        follow::<RowOfWords>(&as_words(&steps))?;
    }
}

#[test]
fn a_table_at_its_capacity_takes_no_more_but_changes_what_it_has() {
    let rows = rows::<Row6>();
    let mut ledger = Ledger::read(&rows, KEYS, 2);
    assert!(ledger.put(&rows, 1, 10) && ledger.put(&rows, 2, 10));
    assert!(!ledger.put(&rows, 3, 10));
    assert!(ledger.put(&rows, 2, 11));
    assert!(ledger.remove(&rows, 1) && ledger.put(&rows, 3, 10));
    check(&rows, &BTreeMap::from([(2, 11), (3, 10)]));
}

#[test]
fn what_a_stopped_writer_left_is_mended() {
    let rows = rows::<Row4>();
    let mut ledger = Ledger::read(&rows, KEYS, 1000);
    for address in 0..20 {
        assert!(ledger.put(&rows, address, 50));
    }
    // A ban that was being moved is in both of its buckets.
    let (_, second) = KEYS.buckets(7, ROWS as u32 - 1);
    let others = rows
        .iter()
        .enumerate()
        .filter(|(number, _)| *number != second as usize);
    let is_first = others
        .flat_map(|(_, row)| Cell::all(row))
        .any(|cell| cell.load().source == 7);
    assert!(is_first, "the ban is to be in its first bucket here");
    let other = Ledger::read(&rows, KEYS, 1000);
    let spare = Cell::all(&rows[second as usize])
        .find(|cell| !cell.load().is_taken())
        .unwrap();
    spare.store(Slot {
        value: 50,
        source: 7,
        hits: 3,
    });
    let mut mended = Ledger::read(&rows, KEYS, 1000);
    assert_eq!(mended, other);
    assert!(mended.remove(&rows, 7));
    assert_eq!(find(&rows, 7), None);
}

#[test]
fn a_ban_that_stays_is_never_missed_while_others_come_and_go() {
    let rows = rows::<Row6>();
    let mut ledger = Ledger::read(&rows, KEYS, 1000);
    let stay: Vec<u64> = (100..112).collect();
    for address in &stay {
        assert!(ledger.put(&rows, *address, 50));
    }
    let (is_done, changes) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut rounds = 0_u32;
            while !is_done.load(Relaxed) || rounds == 0 {
                for address in &stay {
                    let begun = changes.load(SeqCst);
                    let found = find(&rows, *address);
                    // Nobody stops the kernel program in the middle of a line, as a thread may be, for several changes.
                    if changes.load(SeqCst) == begun {
                        assert_eq!(found, Some(50), "{address}");
                    }
                }
                rounds += 1;
            }
        });
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..50_000 {
            changes.fetch_add(1, SeqCst);
            let address = random.u64(0..40);
            if !ledger.remove(&rows, address) {
                ledger.put(&rows, address, 60);
            }
        }
        is_done.store(true, Relaxed);
        reader.join().unwrap();
    });
}
