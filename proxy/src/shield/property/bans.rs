//! The table of IPv4 bans against a map of them: small, so that buckets overflow and bans move.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use openclaw_common::ban::{self, Bucket, Keys, Slot};
use proptest::prelude::*;

use crate::shield::kernel::buckets::{Cell, Ledger, Row, bans};

const KEYS: Keys = Keys {
    first: 0x9e37_79b9_7f4a_7c15,
    second: 0xd6e8_feb8_6659_fd93,
};
const ROWS: usize = 8;

fn rows() -> Vec<Row> {
    (0..ROWS).map(|_| Row::default()).collect()
}

/// As the kernel program looks.
fn find(rows: &[Row], address: u32) -> Option<Slot> {
    let bucket = |number: u32| Some(Bucket(rows[number as usize].each_ref().map(Cell::load)));
    let buckets = KEYS.buckets(address, ROWS as u32 - 1);
    ban::find(address, buckets, bucket).map(|(bucket, slot)| bucket.0[slot])
}

fn check(rows: &[Row], model: &BTreeMap<u32, u64>) {
    for address in 0..64 {
        let found = find(rows, address).map(|slot| slot.until_ns);
        assert_eq!(found, model.get(&address).copied(), "{address}");
    }
    assert_eq!(bans(rows).count(), model.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_table_holds_what_was_put_and_a_new_reader_finds_it(
        steps in prop::collection::vec((0_u32..64, prop_oneof![3 => 2_u64..99, 1 => Just(Slot::FOREVER), 2 => Just(0)]), 1..200),
    ) {
        let rows = rows();
        let mut ledger = Ledger::read(&rows, KEYS, 1000);
        let mut model = BTreeMap::new();
        for (at, (address, until_ns)) in steps.into_iter().enumerate() {
            if until_ns == 0 {
                prop_assert_eq!(ledger.remove(&rows, address), model.remove(&address).is_some());
            } else if ledger.put(&rows, address, until_ns) {
                model.insert(address, until_ns);
            } else {
                // Half full is what a table is made for.
                prop_assert!(model.len() > ROWS * 2, "full with {}", model.len());
            }
            check(&rows, &model);
            if at % 16 == 0 {
                let anew = Ledger::read(&rows, KEYS, 1000);
                check(&rows, &model);
                prop_assert_eq!(&anew, &ledger);
            }
        }
    }
}

#[test]
fn a_table_at_its_capacity_takes_no_more_but_changes_what_it_has() {
    let rows = rows();
    let mut ledger = Ledger::read(&rows, KEYS, 2);
    assert!(ledger.put(&rows, 1, 10) && ledger.put(&rows, 2, 10));
    assert!(!ledger.put(&rows, 3, 10));
    assert!(ledger.put(&rows, 2, 11));
    assert!(ledger.remove(&rows, 1) && ledger.put(&rows, 3, 10));
    check(&rows, &BTreeMap::from([(2, 11), (3, 10)]));
}

#[test]
fn what_a_stopped_writer_left_is_mended() {
    let rows = rows();
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
        .flat_map(|(_, row)| row)
        .any(|cell| cell.load().address == 7);
    assert!(is_first, "the ban is to be in its first bucket here");
    let other = Ledger::read(&rows, KEYS, 1000);
    let spare = rows[second as usize]
        .iter()
        .find(|cell| !cell.load().is_taken())
        .unwrap();
    spare.store(Slot {
        until_ns: 50,
        address: 7,
        hits: 3,
    });
    let mut mended = Ledger::read(&rows, KEYS, 1000);
    assert_eq!(mended, other);
    assert!(mended.remove(&rows, 7));
    assert_eq!(find(&rows, 7), None);
}

#[test]
fn a_ban_that_stays_is_never_missed_while_others_come_and_go() {
    let rows = rows();
    let mut ledger = Ledger::read(&rows, KEYS, 1000);
    let stay: Vec<u32> = (100..112).collect();
    for address in &stay {
        assert!(ledger.put(&rows, *address, 50));
    }
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut rounds = 0_u32;
            while !is_done.load(Relaxed) || rounds == 0 {
                for address in &stay {
                    let slot = find(&rows, *address);
                    assert_eq!(slot.map(|slot| slot.until_ns), Some(50), "{address}");
                }
                rounds += 1;
            }
        });
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..50_000 {
            let address = random.u32(0..40);
            if !ledger.remove(&rows, address) {
                ledger.put(&rows, address, 60);
            }
        }
        is_done.store(true, Relaxed);
        reader.join().unwrap();
    });
}
