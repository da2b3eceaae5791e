//! The recorder of one worker: counters, and the buffer in which its log lines wait for the writer.

use std::cell::{Cell, RefCell};
use std::time::{Instant, SystemTime};

use openclaw_core::coding::Coding;
use openclaw_core::config::{AccessFormat, AccessTarget};
use openclaw_core::reason::Reason;

use super::access::AccessLog;
use super::line::{self, Stamp};
use super::report::Report;
use super::shard::Shard;
use super::{LogFields, Mirrored, Record, Slots};
use crate::snapshot::Snapshot;

/// A buffer of this size is handed over at once, a smaller one at the next tick.
pub(super) const FULL: usize = 32 * 1024;
/// How many refused connections are logged between two ticks: a flood of them must neither fill the disk nor cost more
/// than it has to. Those beyond are counted as lost lines.
pub(super) const REFUSED_LINES: u32 = 100;

/// A worker's shard of all counters.
#[derive(Debug, Default)]
pub struct Recorder {
    shard: RefCell<Shard>,
    wants_log: Cell<bool>,
    log: Option<LogBuffer>,
}

#[derive(Debug)]
struct LogBuffer {
    writer: AccessLog,
    lines: RefCell<Lines>,
    dropped: Cell<u64>,
    /// Lines for refused connections that are left until the next tick.
    refused_left: Cell<u32>,
}

#[derive(Debug)]
struct Lines {
    format: AccessFormat,
    stamp: Stamp,
    text: Vec<u8>,
    count: u64,
}

impl Recorder {
    /// Without `access_log` only counters are kept.
    pub fn new(access_log: Option<AccessLog>) -> Self {
        let log = access_log.map(|writer| LogBuffer {
            writer,
            lines: RefCell::new(Lines {
                format: AccessFormat::Json,
                stamp: Stamp::default(),
                text: Vec::new(),
                count: 0,
            }),
            dropped: Cell::new(0),
            refused_left: Cell::new(REFUSED_LINES),
        });
        Self {
            shard: RefCell::default(),
            wants_log: Cell::new(false),
            log,
        }
    }

    /// Gives the names of a snapshot their slots, and takes its log settings.
    pub fn adopt(&self, snapshot: &Snapshot) -> Slots {
        let access = &snapshot.config.log.access;
        self.wants_log
            .set(self.log.is_some() && access.to != AccessTarget::Off);
        if let Some(log) = &self.log {
            log.lines.borrow_mut().format = access.format;
        }
        self.shard.borrow_mut().adopt(snapshot)
    }

    /// Whether `LogFields` are wanted.
    pub fn wants_log(&self) -> bool {
        self.wants_log.get()
    }

    /// Counts and logs a finished exchange.
    pub fn exchange(&self, record: &Record<'_>) {
        self.shard.borrow_mut().exchange(record);
        if let (Some(log), Some(fields)) = (&self.log, record.log) {
            log.write(record, fields);
        }
    }

    /// Counts what became of the copy of a request.
    pub fn mirrored(&self, route: u32, result: Mirrored) {
        self.shard.borrow_mut().mirrored(route, result);
    }

    /// Counts a response that was compressed, and its bytes before and after.
    pub fn coded(&self, coding: Coding, taken: u64, made: u64) {
        self.shard
            .borrow_mut()
            .counts
            .coded
            .count(coding, taken, made);
    }

    /// Counts and logs a connection whose bytes were forwarded.
    pub fn connection(&self, record: &Record<'_>) {
        self.shard.borrow_mut().connection(record);
        if let (Some(log), Some(fields)) = (&self.log, record.log) {
            log.write(record, fields);
        }
    }

    /// Counts a refusal of whom a line would say nothing: a sender whose address is not known to be its own.
    pub fn count_refusal(&self, reason: Reason) {
        self.shard.borrow_mut().refusal(reason);
    }

    /// Counts and logs a refusal without an exchange: at accept, in the TLS handshake, by an h2 budget. `fields` are made
    /// only where they are written.
    pub fn refused_connection(
        &self,
        listener: u32,
        reason: Reason,
        since: Instant,
        fields: impl FnOnce() -> LogFields,
    ) {
        self.shard.borrow_mut().refusal(reason);
        let Some(log) = self.log.as_ref().filter(|_| self.wants_log()) else {
            return;
        };
        let Some(left) = log.refused_left.get().checked_sub(1) else {
            log.dropped.set(log.dropped.get() + 1);
            return;
        };
        log.refused_left.set(left);
        log.write(&Record::of_connection(listener, reason, since), &fields());
    }

    pub fn connection_opened(&self, listener: u32) {
        if let Some(counts) = self.shard.borrow_mut().listener(listener) {
            counts.open += 1;
            counts.accepted += 1;
        }
    }

    pub fn connection_closed(&self, listener: u32) {
        if let Some(counts) = self.shard.borrow_mut().listener(listener) {
            counts.open -= 1;
        }
    }

    /// A connection to an endpoint was tried.
    pub fn upstream_connect(&self, endpoint: u32, success: bool) {
        self.shard.borrow_mut().connect(endpoint, success);
    }

    /// Called by the worker's 100 ms tick, and once at its end: hands what has gathered to the log writer.
    pub fn tick(&self) {
        if let Some(log) = &self.log {
            log.refused_left.set(REFUSED_LINES);
            log.hand_over();
        }
    }

    /// A copy of everything counted so far.
    pub fn report(&self) -> Report {
        Report {
            counts: self.shard.borrow().counts.clone(),
            log_dropped: self.log.as_ref().map_or(0, LogBuffer::dropped),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.tick();
    }
}

impl LogBuffer {
    /// What the writer lost is counted by the worker that is asked first: all of them are added up.
    fn dropped(&self) -> u64 {
        let dropped = self.dropped.get() + self.writer.take_lost();
        self.dropped.set(dropped);
        dropped
    }

    fn write(&self, record: &Record<'_>, fields: &LogFields) {
        let mut lines = self.lines.borrow_mut();
        let Lines {
            format,
            stamp,
            text,
            count,
        } = &mut *lines;
        let format = match format {
            AccessFormat::Json => line::json,
            AccessFormat::Combined => line::combined,
        };
        format(text, stamp, SystemTime::now(), record, fields);
        *count += 1;
        let full = text.len() >= FULL;
        drop(lines);
        if full {
            self.hand_over();
        }
    }

    fn hand_over(&self) {
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
