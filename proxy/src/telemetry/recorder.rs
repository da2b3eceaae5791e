//! The recorder of one worker: what it counts, logs, remembers and tells of.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime};

use openclaw_core::coding::Coding;
use openclaw_core::reason::Reason;
use openclaw_core::redact::Redact;
use tokio::sync::oneshot;

use super::access::AccessLog;
use super::buffer::LogBuffer;
use super::follow::{Follower, Followers};
use super::report::Report;
use super::ring::{Exchange, Recollection, Ring};
use super::shard::Shard;
use super::spans::{SpanQueue, Spans};
use super::{Hedged, LogFields, Mirrored, Record, Slots, Wanted};
use crate::snapshot::Snapshot;

/// How many refused connections are logged between two ticks: a flood of them must neither fill the disk nor cost more
/// than it has to. Those beyond are counted as lost lines.
pub(super) const REFUSED_LINES: u32 = 100;

/// One worker's own; see the module.
#[derive(Debug, Default)]
pub struct Recorder {
    shard: RefCell<Shard>,
    access: Option<LogBuffer>,
    security: Option<LogBuffer>,
    /// Which part of what goes well is logged.
    sample: Cell<f32>,
    random: RefCell<fastrand::Rng>,
    /// Nothing is left out.
    redact: RefCell<Option<Redact>>,
    /// Lines for refused connections that are left until the next tick.
    refused_left: Cell<u32>,
    /// Those beyond.
    refused_lost: Cell<u64>,
    slow: Cell<Duration>,
    ring: RefCell<Ring>,
    followers: RefCell<Followers>,
    is_followed: Cell<bool>,
    spans: Spans,
}

impl Recorder {
    /// Without `access_log` nothing is logged.
    pub fn new(access_log: Option<AccessLog>) -> Self {
        let mut recorder = Self::default();
        recorder.access = access_log.map(LogBuffer::new);
        recorder.sample.set(1.0);
        recorder.refused_left.set(REFUSED_LINES);
        recorder.slow.set(Duration::MAX);
        recorder
    }

    /// The same with a security log.
    #[must_use]
    pub fn with_security(mut self, log: Option<AccessLog>) -> Self {
        self.security = log.map(LogBuffer::new);
        self
    }

    /// The same with a way to the exporter of spans.
    #[must_use]
    pub fn with_spans(mut self, queue: Option<SpanQueue>) -> Self {
        self.spans = Spans::new(queue);
        self
    }

    /// Gives the names of a snapshot their slots, and takes its log settings.
    pub fn adopt(&self, snapshot: &Snapshot) -> Slots {
        let log = &snapshot.config.log;
        if let Some(access) = &self.access {
            access.adopt(&log.access.to, log.access.format);
        }
        if let Some(security) = &self.security {
            security.adopt(&log.security.to, log.security.format);
        }
        self.sample.set(log.access.sample);
        let redact = Some(&log.redact).filter(|redact| !redact.is_empty());
        *self.redact.borrow_mut() = redact.cloned();
        self.slow.set(log.slow);
        self.spans.set_limit(snapshot.config.trace.queue);
        self.ring.borrow_mut().set_limit(log.recent);
        self.shard.borrow_mut().adopt(snapshot)
    }

    /// What is wanted of a request; asked once for each.
    pub fn wanted(&self) -> Wanted {
        let is_on = self.access.as_ref().is_some_and(LogBuffer::is_on);
        let line = is_on && self.is_drawn();
        Wanted {
            fields: line || self.is_followed.get(),
            line,
        }
    }

    fn is_drawn(&self) -> bool {
        let sample = self.sample.get();
        sample >= 1.0 || self.random.borrow_mut().f32() < sample
    }

    /// Counts and logs a finished exchange, and remembers it where somebody may ask. `late` makes the fields where there are none
    /// and it turns out that some are wanted.
    pub fn exchange(
        &self,
        record: &Record<'_>,
        fields: Option<Box<LogFields>>,
        late: impl FnOnce() -> LogFields,
    ) {
        self.shard.borrow_mut().exchange(record);
        let slow = self.slow.get();
        let is_slow = record.patience().is_some_and(|waited| waited > slow);
        let is_notable = is_slow || record.status >= 500 || record.reason.is_some();
        self.tell(record, is_notable, fields, late);
    }

    /// What is notable is remembered.
    fn tell(
        &self,
        record: &Record<'_>,
        is_notable: bool,
        fields: Option<Box<LogFields>>,
        late: impl FnOnce() -> LogFields,
    ) {
        let mut fields = match fields {
            Some(fields) => fields,
            None if is_notable => Box::new(late()),
            None => return,
        };
        if let Some(redact) = &*self.redact.borrow() {
            fields.redact(redact);
        }
        self.write(record, is_notable, &fields);
        if let Some(ids) = record.ids {
            self.spans.push(record, &fields, ids);
        }
        if is_notable {
            let exchange = Exchange::of(record, *fields, SystemTime::now());
            self.ring.borrow_mut().push(exchange);
        }
    }

    /// To the logs and to those who follow.
    fn write(&self, record: &Record<'_>, is_notable: bool, fields: &LogFields) {
        if let Some(access) = self.access.as_ref().filter(|access| access.is_on())
            && (is_notable || !fields.is_left_out)
        {
            access.write(record, fields);
        }
        if let Some(security) = self.security.as_ref().filter(|security| security.is_on())
            && record.reason.is_some()
        {
            security.refusal(record, fields);
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

    /// Counts a second endpoint that was asked for an upstream.
    pub fn hedged(&self, upstream: u32, result: Hedged) {
        self.shard.borrow_mut().hedged(upstream, result);
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
    pub fn connection(
        &self,
        record: &Record<'_>,
        fields: Option<Box<LogFields>>,
        late: impl FnOnce() -> LogFields,
    ) {
        self.shard.borrow_mut().connection(record);
        self.tell(record, record.reason.is_some(), fields, late);
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
        if !self.may_tell_refused() {
            return;
        }
        let mut fields = fields();
        if let Some(redact) = &*self.redact.borrow() {
            fields.redact(redact);
        }
        let record = Record::of_connection(listener, reason, since);
        self.write(&record, true, &fields);
    }

    /// The same of one that was told why, with a status and so many bytes: its id may be asked for, so that it is remembered.
    pub fn answered_connection(
        &self,
        listener: u32,
        reason: Reason,
        since: Instant,
        (status, bytes_out): (u16, u64),
        mut fields: LogFields,
    ) {
        let record = Record {
            status,
            bytes_out,
            ..Record::of_connection(listener, reason, since)
        };
        if let Some(redact) = &*self.redact.borrow() {
            fields.redact(redact);
        }
        self.shard.borrow_mut().refusal(reason);
        if self.may_tell_refused() {
            self.write(&record, true, &fields);
        }
        let exchange = Exchange::of(&record, fields, SystemTime::now());
        self.ring.borrow_mut().push(exchange);
    }

    /// Whether a line for a refused connection is wanted by somebody, and one is left until the next tick.
    fn may_tell_refused(&self) -> bool {
        let is_on = |log: &Option<LogBuffer>| log.as_ref().is_some_and(LogBuffer::is_on);
        let is_logged = is_on(&self.access) || is_on(&self.security);
        if !is_logged && !self.is_followed.get() {
            return false;
        }
        let Some(left) = self.refused_left.get().checked_sub(1) else {
            if is_logged {
                self.refused_lost.set(self.refused_lost.get() + 1);
            }
            self.followers.borrow_mut().miss();
            return false;
        };
        self.refused_left.set(left);
        true
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

    /// An endpoint was asked, and another one in its place: it answered with this status, or 0.
    pub fn upstream_given_up(&self, endpoint: u32, status: u16) {
        self.shard.borrow_mut().answered(endpoint, status);
    }

    /// A connection to an endpoint was tried.
    pub fn upstream_connect(&self, endpoint: u32, success: bool) {
        self.shard.borrow_mut().connect(endpoint, success);
    }

    /// Called by the worker's 100 ms tick, and once at its end: hands what has gathered to the log writer.
    pub fn tick(&self) {
        self.refused_left.set(REFUSED_LINES);
        for log in [&self.access, &self.security].into_iter().flatten() {
            log.hand_over();
        }
        self.spans.hand_over();
        if self.is_followed.get() {
            let mut followers = self.followers.borrow_mut();
            followers.tick();
            self.is_followed.set(!followers.is_empty());
        }
    }

    /// A copy of everything counted so far.
    pub fn report(&self) -> Report {
        let dropped = |log: &Option<LogBuffer>| log.as_ref().map_or(0, LogBuffer::dropped);
        Report {
            counts: self.shard.borrow().counts.clone(),
            log_dropped: self.refused_lost.get() + dropped(&self.access),
            security_dropped: dropped(&self.security),
            spans_dropped: self.spans.dropped(),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.tick();
    }
}
