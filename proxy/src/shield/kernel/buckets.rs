//! Writing the tables of bans and of class words, whose rules stand in [`openclaw_common::ban`]. A change is a few stores, in an order
//! in which the kernel program never misses what stays (on a machine that reorders loads, perhaps for one packet while it is moved).
//! Without a map, so that it can be tested over plain memory.

use std::{borrow::Borrow, collections::HashMap};

use openclaw_common::ban::{self, FREE, GIVEN_UP, Keys};

use super::rows::{Cell, Row, Slot};

/// How many slots may be moved, one making room for the next, before a table counts as full.
const MOVES: u32 = 3;

/// A bucket at a moment.
struct Seen<B> {
    row: u32,
    bucket: B,
}

impl<B> Borrow<B> for Seen<B> {
    fn borrow(&self) -> &B {
        &self.bucket
    }
}

/// What the one writer of a table knows of it besides.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::shield) struct Ledger {
    keys: Keys,
    taken: u32,
    capacity: u32,
    /// Slots of a bucket that are in second buckets, where there are any.
    spilled: HashMap<u32, u32>,
}

impl Ledger {
    /// Reads a table, and mends what a writer left that was stopped in the middle.
    pub(in crate::shield) fn read<R: Row>(rows: &[R], keys: Keys, capacity: u32) -> Self {
        let mut ledger = Self {
            keys,
            taken: 0,
            capacity,
            spilled: HashMap::new(),
        };
        for (number, row) in (0..).zip(rows) {
            for cell in Cell::all(row) {
                let kept = cell.load();
                if kept.is_taken() && !ledger.count(rows, number, kept.source) {
                    cell.store(ledger.empty(rows, number));
                }
            }
        }
        for (number, row) in (0..).zip(rows) {
            ledger.tidy(rows, number, row);
        }
        ledger
    }

    /// Counts what is kept of a source; false if it stands where it cannot be found, or a second time.
    fn count<R: Row>(&mut self, rows: &[R], number: u32, source: u64) -> bool {
        let (first, second) = self.buckets(rows, source);
        if number != first {
            let in_first = cells(rows, first).any(|cell| {
                let kept = cell.load();
                kept.is_taken() && kept.source == source
            });
            if number != second || in_first {
                return false;
            }
            *self.spilled.entry(first).or_default() += 1;
        }
        self.taken += 1;
        true
    }

    /// Gives what is not taken in a bucket the value that its rules want.
    fn tidy<R: Row>(&self, rows: &[R], number: u32, row: &R) {
        let empty = self.empty(rows, number);
        for cell in Cell::all(row) {
            let kept = cell.load();
            if !kept.is_taken() && kept != empty {
                cell.store(empty);
            }
        }
    }

    /// What is kept of a source.
    pub(in crate::shield) fn get<R: Row>(&self, rows: &[R], source: u64) -> Option<Slot> {
        self.place(rows, source).map(|(_, cell)| cell.load())
    }

    /// Keeps a value, not [`FREE`] nor [`GIVEN_UP`], of a source, or changes it; false if there is no room for it.
    pub(in crate::shield) fn put<R: Row>(&mut self, rows: &[R], source: u64, value: u64) -> bool {
        if let Some((_, cell)) = self.place(rows, source) {
            cell.set(value);
            return true;
        }
        if self.taken >= self.capacity {
            return false;
        }
        let (first, second) = self.buckets(rows, source);
        let (cell, is_spilled) = if let Some(cell) = self.room(rows, first, 0) {
            (cell, false)
        } else if let Some(cell) = self.room(rows, second, 0) {
            (cell, true)
        } else if let Some(cell) = self.room(rows, first, MOVES) {
            (cell, false)
        } else if let Some(cell) = self.room(rows, second, MOVES) {
            (cell, true)
        } else {
            return false;
        };
        if is_spilled {
            *self.spilled.entry(first).or_default() += 1;
        }
        cell.store(Slot {
            value,
            source,
            hits: 0,
        });
        self.taken += 1;
        true
    }

    /// Whether anything was kept of a source, which is forgotten.
    pub(in crate::shield) fn remove<R: Row>(&mut self, rows: &[R], source: u64) -> bool {
        let Some((number, cell)) = self.place(rows, source) else {
            return false;
        };
        cell.store(self.empty(rows, number));
        self.taken -= 1;
        let (first, _) = self.buckets(rows, source);
        if number != first
            && let Some(count) = self.spilled.get_mut(&first)
        {
            *count -= 1;
            if *count == 0 {
                self.spilled.remove(&first);
                if let Some(row) = rows.get(first as usize) {
                    self.tidy(rows, first, row);
                }
            }
        }
        true
    }

    /// A cell of a bucket that is not taken, made by moving up to `moves` others if need be.
    fn room<'a, R: Row>(&mut self, rows: &'a [R], number: u32, moves: u32) -> Option<Cell<'a, R>> {
        let free = || cells(rows, number).find(|cell| !cell.load().is_taken());
        if let Some(cell) = free() {
            return Some(cell);
        }
        let moves = moves.checked_sub(1)?;
        for cell in cells(rows, number) {
            let kept = cell.load();
            let (first, second) = self.buckets(rows, kept.source);
            // Only away from the first bucket: the kernel program looks there first, and must not find a source in neither.
            if first != number {
                continue;
            }
            let Some(target) = self.room(rows, second, moves) else {
                continue;
            };
            // Making room there may have moved this very one.
            if cell.load().source == kept.source {
                *self.spilled.entry(number).or_default() += 1;
                target.store(kept);
                cell.store(self.empty(rows, number));
                return Some(cell);
            }
        }
        free()
    }

    fn place<'a, R: Row>(&self, rows: &'a [R], source: u64) -> Option<(u32, Cell<'a, R>)> {
        let bucket = |number: u32| {
            let bucket = rows.get(number as usize)?.bucket();
            Some(Seen {
                row: number,
                bucket,
            })
        };
        let buckets = self.buckets(rows, source);
        let (seen, slot) = ban::find::<R::Bucket, _>(source, buckets, bucket)?;
        let row = rows.get(seen.row as usize)?;
        Some((seen.row, Cell { row, slot }))
    }

    fn buckets<R>(&self, rows: &[R], source: u64) -> (u32, u32) {
        self.keys.buckets(source, rows.len() as u32 - 1)
    }

    /// What a cell of this bucket that is not taken says: a source that does not belong here, and the value by the bucket's rules.
    fn empty<R>(&self, rows: &[R], number: u32) -> Slot {
        let is_stranger = |source: &u64| {
            let (first, second) = self.buckets(rows, *source);
            number != first && number != second
        };
        let value = if self.spilled.contains_key(&number) {
            GIVEN_UP
        } else {
            FREE
        };
        Slot {
            value,
            source: (0..=u64::MAX).find(is_stranger).unwrap_or_default(),
            hits: 0,
        }
    }
}

fn cells<R: Row>(rows: &[R], number: u32) -> impl Iterator<Item = Cell<'_, R>> {
    let row = rows.get(number as usize);
    row.into_iter().flat_map(Cell::all)
}

/// All that is kept in a table.
pub(in crate::shield) fn taken<R: Row>(rows: &[R]) -> impl Iterator<Item = Slot> {
    let cells = rows.iter().flat_map(Cell::all);
    cells.map(|cell| cell.load()).filter(Slot::is_taken)
}
