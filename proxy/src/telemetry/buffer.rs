//! The lines of one log on one worker, until there are enough to be handed to its writer.

use std::cell::{Cell, RefCell};
use std::time::SystemTime;

use openclaw_core::config::{AccessFormat, AccessTarget};

use super::access::AccessLog;
use super::line::{self, Stamp};
use super::{LogFields, Record, ecs};

/// A buffer of this size is handed over at once, a smaller one at the next tick.
pub(super) const FULL: usize = 32 * 1024;

#[derive(Debug)]
pub(super) struct LogBuffer {
    writer: AccessLog,
    is_on: Cell<bool>,
    lines: RefCell<Lines>,
    dropped: Cell<u64>,
}

#[derive(Debug)]
struct Lines {
    format: AccessFormat,
    stamp: Stamp,
    text: Vec<u8>,
    count: u64,
}

impl LogBuffer {
    pub(super) fn new(writer: AccessLog) -> Self {
        Self {
            writer,
            is_on: Cell::new(false),
            lines: RefCell::new(Lines {
                format: AccessFormat::Json,
                stamp: Stamp::default(),
                text: Vec::new(),
                count: 0,
            }),
            dropped: Cell::new(0),
        }
    }

    /// What a snapshot wants of the log.
    pub(super) fn adopt(&self, to: &AccessTarget, format: AccessFormat) {
        self.is_on.set(*to != AccessTarget::Off);
        self.lines.borrow_mut().format = format;
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on.get()
    }

    /// What the writer lost is counted by the worker that is asked first: all of them are added up.
    pub(super) fn dropped(&self) -> u64 {
        let dropped = self.dropped.get() + self.writer.take_lost();
        self.dropped.set(dropped);
        dropped
    }

    /// A line of the access log.
    pub(super) fn write(&self, record: &Record<'_>, fields: &LogFields) {
        self.add(|format, stamp, text| {
            let write = match format {
                AccessFormat::Json => line::json,
                AccessFormat::Combined => line::combined,
                AccessFormat::Ecs => ecs::access,
            };
            write(text, stamp, SystemTime::now(), record, fields);
        });
    }

    /// A line of the security log.
    pub(super) fn refusal(&self, record: &Record<'_>, fields: &LogFields) {
        self.add(|format, stamp, text| {
            let write = match format {
                AccessFormat::Json | AccessFormat::Combined => line::refusal,
                AccessFormat::Ecs => ecs::refusal,
            };
            write(text, stamp, SystemTime::now(), record, fields);
        });
    }

    fn add(&self, write: impl FnOnce(AccessFormat, &mut Stamp, &mut Vec<u8>)) {
        let mut lines = self.lines.borrow_mut();
        let Lines {
            format,
            stamp,
            text,
            count,
        } = &mut *lines;
        write(*format, stamp, text);
        *count += 1;
        let full = text.len() >= FULL;
        drop(lines);
        if full {
            self.hand_over();
        }
    }

    pub(super) fn hand_over(&self) {
        let mut lines = self.lines.borrow_mut();
        if lines.text.is_empty() {
            return;
        }
        let count = std::mem::take(&mut lines.count);
        let text = std::mem::take(&mut lines.text);
        match self.writer.offer(text) {
            // As much again will come before long.
            Ok(()) => lines.text.reserve(FULL),
            Err(mut refused) => {
                self.dropped.set(self.dropped.get() + count);
                refused.clear();
                lines.text = refused;
            }
        }
    }
}
