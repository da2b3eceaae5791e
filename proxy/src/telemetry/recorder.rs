//! The recorder of one worker: counters, and the buffer in which its log lines wait for the writer.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime};

use openclaw_core::coding::Coding;
use openclaw_core::config::{AccessFormat, AccessTarget};
use openclaw_core::reason::Reason;
use tokio::sync::oneshot;

use super::access::AccessLog;
use super::follow::{Follower, Followers};
use super::line::{self, Stamp};
use super::report::Report;
use super::ring::{Exchange, Recollection, Ring};
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
    /// Lines for refused connections that are left until the next tick.
    refused_left: Cell<u32>,
    /// Those beyond.
    refused_lost: Cell<u64>,
    slow: Cell<Duration>,
    ring: RefCell<Ring>,
    followers: RefCell<Followers>,
    is_followed: Cell<bool>,
}

#[derive(Debug)]
struct LogBuffer {
    writer: AccessLog,
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
        });
        Self {
            shard: RefCell::default(),
            wants_log: Cell::new(false),
            log,
            refused_left: Cell::new(REFUSED_LINES),
            refused_lost: Cell::new(0),
            slow: Cell::new(Duration::MAX),
            ring: RefCell::default(),
            followers: RefCell::default(),
            is_followed: Cell::new(false),
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
        self.slow.set(snapshot.config.log.slow);
        self.ring.borrow_mut().set_limit(snapshot.config.log.recent);
        self.shard.borrow_mut().adopt(snapshot)
    }

    /// Whether `LogFields` are wanted of every request.
    pub fn wants_fields(&self) -> bool {
        self.wants_log.get() || self.is_followed.get()
    }

    /// Counts and logs a finished exchange, and remembers it where somebody may ask. `fields` makes them where there are none and
    /// some are wanted.
    pub fn exchange(&self, record: &Record<'_>, fields: impl FnOnce() -> LogFields) {
        self.shard.borrow_mut().exchange(record);
        let slow = self.slow.get();
        let is_slow = record.patience().is_some_and(|waited| waited > slow);
        self.tell(record, is_slow || record.status >= 500, fields);
    }

    /// What is notable is remembered.
    fn tell(&self, record: &Record<'_>, is_notable: bool, fields: impl FnOnce() -> LogFields) {
        let is_notable = is_notable || record.reason.is_some();
        let made;
        let fields = match record.log {
            Some(fields) => fields,
            None if is_notable => {
                made = fields();
                &made
            }
            None => return,
        };
        self.write(record, fields);
        if is_notable {
            let exchange = Exchange::of(record, fields, SystemTime::now());
            self.ring.borrow_mut().push(exchange);
        }
    }

    /// To the log and to those who follow.
    fn write(&self, record: &Record<'_>, fields: &LogFields) {
        if let Some(log) = self.log.as_ref().filter(|_| self.wants_log.get()) {
            log.write(record, fields);
        }
        if self.is_followed.get() {
            self.followers.borrow_mut().tell(record, fields);
        }
    }

    /// Tells somebody of exchanges from now on, and says so.
    pub fn follow(&self, follower: Follower, begun: oneshot::Sender<()>) {
        self.followers.borrow_mut().add(follower);
        self.is_followed.set(true);
        // Whoever asked may have given up, which the next tick sees.
        let _ = begun.send(());
    }

    /// What is remembered of an id.
    pub fn recall(&self, id: &str) -> Recollection {
        self.ring.borrow().recall(id)
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

    /// Counts and logs a connection whose bytes were forwarded; as [`Self::exchange`].
    pub fn connection(&self, record: &Record<'_>, fields: impl FnOnce() -> LogFields) {
        self.shard.borrow_mut().connection(record);
        self.tell(record, false, fields);
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
        if !self.wants_fields() {
            return;
        }
        let Some(left) = self.refused_left.get().checked_sub(1) else {
            if self.wants_log.get() {
                self.refused_lost.set(self.refused_lost.get() + 1);
            }
            self.followers.borrow_mut().miss();
            return;
        };
        self.refused_left.set(left);
        self.write(&Record::of_connection(listener, reason, since), &fields());
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
        self.refused_left.set(REFUSED_LINES);
        if let Some(log) = &self.log {
            log.hand_over();
        }
        if self.is_followed.get() {
            let mut followers = self.followers.borrow_mut();
            followers.tick();
            self.is_followed.set(!followers.is_empty());
        }
    }

    /// A copy of everything counted so far.
    pub fn report(&self) -> Report {
        Report {
            counts: self.shard.borrow().counts.clone(),
            log_dropped: self.refused_lost.get() + self.log.as_ref().map_or(0, LogBuffer::dropped),
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
