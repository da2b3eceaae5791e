//! Writing the table of IPv4 bans, whose layout and rules stand in [`openclaw_common::ban`]. A change is a few stores, in an order in
//! which the kernel program never misses a ban that stays (on a machine that reorders loads, perhaps for one packet while a ban is
//! moved). Without a map, so that it can be tested over plain memory.

use std::{
    borrow::Borrow,
    collections::HashMap,
    sync::atomic::{
        AtomicU64,
        Ordering::{Relaxed, Release},
    },
};

use openclaw_common::ban::{self, Bucket, Keys, SLOTS, Slot};

/// How many bans may be moved, one making room for the next, before a table counts as full.
const MOVES: u32 = 3;

/// [`Slot`] as user space writes it.
#[repr(C)]
#[derive(Debug, Default)]
pub(in crate::shield) struct Cell {
    until_ns: AtomicU64,
    /// The address below the hits: the kernel program is a little-endian one.
    tag: AtomicU64,
}

impl Cell {
    pub(in crate::shield) fn load(&self) -> Slot {
        let until_ns = self.until_ns.load(Relaxed);
        let tag = self.tag.load(Relaxed);
        Slot {
            until_ns,
            address: tag as u32,
            hits: (tag >> 32) as u32,
        }
    }

    /// Address first, see [`openclaw_common::ban`].
    pub(in crate::shield) fn store(&self, slot: Slot) {
        let tag = u64::from(slot.hits) << 32 | u64::from(slot.address);
        self.tag.store(tag, Release);
        self.end(slot.until_ns);
    }

    /// The word that is an end elsewhere, set first if it is 0.
    pub(super) fn until_or_set(&self, value: u64) -> u64 {
        match self.until_ns.load(Relaxed) {
            0 => {
                self.end(value);
                value
            }
            there => there,
        }
    }

    fn end(&self, until_ns: u64) {
        self.until_ns.store(until_ns, Release);
    }
}

/// [`Bucket`] as user space writes it.
pub(in crate::shield) type Row = [Cell; SLOTS];

/// A bucket at a moment.
struct Seen {
    row: u32,
    bucket: Bucket,
}

impl Borrow<Bucket> for Seen {
    fn borrow(&self) -> &Bucket {
        &self.bucket
    }
}

/// What the one writer of a table knows of it besides.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::shield) struct Ledger {
    keys: Keys,
    bans: u32,
    capacity: u32,
    /// Bans of a bucket that are in second buckets, where there are any.
    spilled: HashMap<u32, u32>,
}

impl Ledger {
    /// Reads a table, and mends what a writer left that was stopped in the middle.
    pub(in crate::shield) fn read(rows: &[Row], keys: Keys, capacity: u32) -> Self {
        let mut ledger = Self {
            keys,
            bans: 0,
            capacity,
            spilled: HashMap::new(),
        };
        for (number, row) in (0..).zip(rows) {
            for cell in row {
                let slot = cell.load();
                if slot.is_taken() && !ledger.count(rows, number, slot.address) {
                    cell.store(ledger.empty(rows, number));
                }
            }
        }
        for (number, row) in (0..).zip(rows) {
            ledger.tidy(rows, number, row);
        }
        ledger
    }

    /// Counts a ban; false if it stands where it cannot be found, or a second time.
    fn count(&mut self, rows: &[Row], number: u32, address: u32) -> bool {
        let (first, second) = self.buckets(rows, address);
        if number != first {
            let in_first = cells(rows, first).any(|cell| {
                let slot = cell.load();
                slot.is_taken() && slot.address == address
            });
            if number != second || in_first {
                return false;
            }
            *self.spilled.entry(first).or_default() += 1;
        }
        self.bans += 1;
        true
    }

    /// Gives what is not taken in a bucket the end that its rules want.
    fn tidy(&self, rows: &[Row], number: u32, row: &Row) {
        let empty = self.empty(rows, number);
        for cell in row {
            let slot = cell.load();
            if !slot.is_taken() && slot != empty {
                cell.store(empty);
            }
        }
    }

    /// The ban of an address.
    pub(in crate::shield) fn get(&self, rows: &[Row], address: u32) -> Option<Slot> {
        self.place(rows, address).map(|(_, cell)| cell.load())
    }

    /// Adds a ban or changes its end; false if there is no room for it.
    pub(in crate::shield) fn put(&mut self, rows: &[Row], address: u32, until_ns: u64) -> bool {
        if let Some((_, cell)) = self.place(rows, address) {
            cell.end(until_ns);
            return true;
        }
        if self.bans >= self.capacity {
            return false;
        }
        let (first, second) = self.buckets(rows, address);
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
            until_ns,
            address,
            hits: 0,
        });
        self.bans += 1;
        true
    }

    /// Whether there was such a ban.
    pub(in crate::shield) fn remove(&mut self, rows: &[Row], address: u32) -> bool {
        let Some((number, cell)) = self.place(rows, address) else {
            return false;
        };
        cell.store(self.empty(rows, number));
        self.bans -= 1;
        let (first, _) = self.buckets(rows, address);
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

    /// A cell of a bucket that is not taken, made by moving up to `moves` bans if need be.
    fn room<'a>(&mut self, rows: &'a [Row], number: u32, moves: u32) -> Option<&'a Cell> {
        let free = || cells(rows, number).find(|cell| !cell.load().is_taken());
        if let Some(cell) = free() {
            return Some(cell);
        }
        let moves = moves.checked_sub(1)?;
        for cell in cells(rows, number) {
            let slot = cell.load();
            let (first, second) = self.buckets(rows, slot.address);
            // Only away from the first bucket: the kernel program looks there first, and must not find a ban in neither.
            if first != number {
                continue;
            }
            let Some(target) = self.room(rows, second, moves) else {
                continue;
            };
            // Making room there may have moved this very ban.
            if cell.load().address == slot.address {
                *self.spilled.entry(number).or_default() += 1;
                target.store(slot);
                cell.store(self.empty(rows, number));
                return Some(cell);
            }
        }
        free()
    }

    fn place<'a>(&self, rows: &'a [Row], address: u32) -> Option<(u32, &'a Cell)> {
        let bucket = |number: u32| {
            let row = rows.get(number as usize)?;
            Some(Seen {
                row: number,
                bucket: Bucket(row.each_ref().map(Cell::load)),
            })
        };
        let (seen, slot) = ban::find(address, self.buckets(rows, address), bucket)?;
        let cell = rows.get(seen.row as usize)?.get(slot)?;
        Some((seen.row, cell))
    }

    fn buckets(&self, rows: &[Row], address: u32) -> (u32, u32) {
        self.keys.buckets(address, rows.len() as u32 - 1)
    }

    /// What a cell of this bucket that is not taken says: an address that does not belong here, and the end by the bucket's rules.
    fn empty(&self, rows: &[Row], number: u32) -> Slot {
        let is_stranger = |address: &u32| {
            let (first, second) = self.buckets(rows, *address);
            number != first && number != second
        };
        let until_ns = if self.spilled.contains_key(&number) {
            Slot::GIVEN_UP
        } else {
            Slot::FREE
        };
        Slot {
            until_ns,
            address: (0..=u32::MAX).find(is_stranger).unwrap_or_default(),
            hits: 0,
        }
    }
}

fn cells(rows: &[Row], number: u32) -> std::slice::Iter<'_, Cell> {
    rows.get(number as usize)
        .map_or_else(Default::default, |row| row.iter())
}

/// Every ban in a table.
pub(in crate::shield) fn bans(rows: &[Row]) -> impl Iterator<Item = Slot> {
    let slots = rows.iter().flatten().map(Cell::load);
    slots.filter(Slot::is_taken)
}
