//! Spans of the exchanges that are recorded, in the collector's own format, until the exporter takes them. A collector that is behind
//! costs spans, which are counted, and never a request.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use openclaw_core::otlp::{self, Attribute, Kind, Value};
use openclaw_core::reason::Reason;
use openclaw_core::trace::Ids;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::{LogFields, Record};

/// The longest text of an attribute in bytes.
const LONGEST: usize = 1024;
/// A buffer of this size is handed over at once, a smaller one at the next tick.
const FULL: usize = 256 << 10;

/// Spans as [`otlp::request`] takes them.
#[derive(Debug, Default)]
pub struct SpanBatch {
    pub bytes: Vec<u8>,
    pub count: u64,
}

/// The way to the exporter.
pub type SpanQueue = mpsc::Sender<SpanBatch>;

/// One worker's own.
#[derive(Debug, Default)]
pub(super) struct Spans {
    queue: Option<SpanQueue>,
    /// How many may wait.
    limit: Cell<u64>,
    batch: RefCell<SpanBatch>,
    dropped: Cell<u64>,
    random: RefCell<fastrand::Rng>,
}

/// One endpoint that was asked.
struct Attempt<'a> {
    endpoint: &'a str,
    begun: Instant,
    ended: Instant,
    reason: Option<Reason>,
    status: u16,
    /// What it was told; `None`: what the first one is.
    span: Option<u64>,
}

impl Spans {
    pub(super) fn new(queue: Option<SpanQueue>) -> Self {
        Self {
            queue,
            ..Self::default()
        }
    }

    pub(super) fn set_limit(&self, limit: usize) {
        self.limit.set(limit as u64);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.get()
    }

    /// Adds the spans of an exchange: its own, and one for each attempt with an endpoint.
    pub(super) fn push(
        &self,
        record: &Record<'_>,
        fields: &LogFields,
        (ids, last): (&Ids, Option<u64>),
    ) {
        let attempts = attempts(record, fields, last);
        let mut batch = self.batch.borrow_mut();
        let count = 1 + attempts.len() as u64;
        if self.queue.is_none() || batch.count + count > self.limit.get() {
            self.dropped.set(self.dropped.get() + count);
            return;
        }
        batch.count += count;
        let clock = Clock::of(record.ended);
        // Where no endpoint was asked nobody was told of `ids.sent`, and the exchange may have it.
        let own = if attempts.is_empty() {
            ids.sent
        } else {
            ids.own
        };
        push_own(&mut batch.bytes, (record, fields), (ids, own), &clock);
        for (index, attempt) in attempts.iter().enumerate() {
            // Two that were told the same are two spans all the same: the operator has another field sent.
            let is_first = index == 0;
            let unnamed = || {
                if is_first {
                    ids.sent
                } else {
                    self.random.borrow_mut().u64(1..)
                }
            };
            let id = attempt.span.unwrap_or_else(unnamed);
            let place = (ids.trace, id, own);
            push_attempt(
                &mut batch.bytes,
                (index, attempt),
                place,
                record,
                fields,
                &clock,
            );
        }
        let is_full = batch.bytes.len() >= FULL;
        drop(batch);
        if is_full {
            self.hand_over();
        }
    }

    pub(super) fn hand_over(&self) {
        let mut batch = self.batch.borrow_mut();
        let Some(queue) = self.queue.as_ref().filter(|_| batch.count > 0) else {
            return;
        };
        match queue.try_send(std::mem::take(&mut batch)) {
            Ok(()) => {}
            // They wait here for as long as there is room.
            Err(TrySendError::Full(back)) => *batch = back,
            Err(TrySendError::Closed(lost)) => self.dropped.set(self.dropped.get() + lost.count),
        }
    }
}

/// From the clock that is measured with to the one that is told.
struct Clock {
    at: Instant,
    unix: Duration,
}

impl Clock {
    /// `now`: just now.
    fn of(now: Instant) -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            at: now,
            // A machine that believes in a time before 1970 has other worries.
            unix: unix.unwrap_or_default(),
        }
    }

    fn nanos(&self, instant: Instant) -> u64 {
        let ago = self.at.saturating_duration_since(instant);
        let unix = self.unix.saturating_sub(ago).as_nanos();
        u64::try_from(unix).unwrap_or(u64::MAX)
    }
}

/// Those that failed, then the one that did not, or that nobody has blamed.
fn attempts<'a>(
    record: &'a Record<'_>,
    fields: &'a LogFields,
    last: Option<u64>,
) -> Vec<Attempt<'a>> {
    let failed = record.tries.iter().map(|tried| Attempt {
        endpoint: &tried.endpoint,
        begun: tried.begun,
        ended: tried.begun + tried.took,
        reason: Some(tried.reason),
        status: 0,
        span: tried.span,
    });
    let mut attempts: Vec<Attempt<'_>> = failed.collect();
    let begun = record.waited.map(|waited| record.started + waited);
    let is_told = attempts.iter().any(|one| Some(one.begun) == begun);
    if let Some(begun) = begun
        && !is_told
        && !fields.endpoint.is_empty()
    {
        attempts.push(Attempt {
            endpoint: &fields.endpoint,
            begun,
            ended: record.ended,
            reason: record.reason,
            status: record.upstream_time.map_or(0, |_| record.status),
            span: last,
        });
    }
    attempts
}

/// By the semantic conventions of HTTP servers, and what only we know under a name of ours.
fn push_own(
    out: &mut Vec<u8>,
    (record, fields): (&Record<'_>, &LogFields),
    (ids, id): (&Ids, u64),
    clock: &Clock,
) {
    let status = record.status.to_string();
    let mut all = Attributes::default();
    let method = all.method(record, fields);
    let (path, query) = fields.path.split_once('?').unwrap_or((&fields.path, ""));
    let scheme = if fields.tls.is_empty() {
        "http"
    } else {
        "https"
    };
    let version = fields.protocol.strip_prefix("HTTP/").unwrap_or_default();
    let reason = record.reason.map_or("", Reason::code);
    all.text("url.scheme", scheme);
    all.text("url.path", path);
    all.text("url.query", query);
    all.place(&fields.host);
    all.text("client.address", &fields.client);
    all.text("user_agent.original", &fields.user_agent);
    all.text("network.protocol.name", "http");
    all.text("network.protocol.version", version);
    all.status(record.status);
    all.number("http.request.body.size", record.bytes_in);
    all.number("http.response.body.size", record.bytes_out);
    let is_error = record.status >= 500 || (record.status == 0 && record.reason.is_some());
    if is_error {
        all.text(
            "error.type",
            if reason.is_empty() { &status } else { reason },
        );
    }
    all.text("openclaw.listener", &fields.listener);
    all.text("openclaw.route", &fields.route);
    all.text("openclaw.upstream", &fields.upstream);
    all.text("openclaw.reason", reason);
    all.text(
        "openclaw.cache",
        record.cache.map_or("", super::Cache::word),
    );
    all.text("openclaw.request_id", &fields.id);
    let name = format!("{method} {}", fields.route);
    otlp::push_span(
        out,
        &otlp::Span {
            trace: ids.trace,
            id,
            parent: ids.parent,
            is_remote: ids.parent.is_some(),
            name: name.trim_end(),
            kind: Kind::Server,
            begun_ns: clock.nanos(record.started),
            ended_ns: clock.nanos(record.ended),
            attributes: &all.0,
            is_error,
        },
    );
}

/// By those of HTTP clients.
fn push_attempt(
    out: &mut Vec<u8>,
    (index, attempt): (usize, &Attempt<'_>),
    (trace, id, parent): (u128, u64, u64),
    record: &Record<'_>,
    fields: &LogFields,
    clock: &Clock,
) {
    let status = attempt.status.to_string();
    let mut all = Attributes::default();
    let method = all.method(record, fields);
    all.place(attempt.endpoint);
    all.status(attempt.status);
    if index > 0 {
        all.number("http.request.resend_count", index as u64);
    }
    let reason = attempt.reason.map_or("", Reason::code);
    let is_error = attempt.status >= 400 || attempt.reason.is_some();
    if is_error {
        all.text(
            "error.type",
            if reason.is_empty() { &status } else { reason },
        );
    }
    all.text("openclaw.upstream", &fields.upstream);
    all.text("openclaw.reason", reason);
    otlp::push_span(
        out,
        &otlp::Span {
            trace,
            id,
            parent: Some(parent),
            is_remote: false,
            name: method,
            kind: Kind::Client,
            begun_ns: clock.nanos(attempt.begun),
            ended_ns: clock.nanos(attempt.ended),
            attributes: &all.0,
            is_error,
        },
    );
}

/// Those that there are.
#[derive(Default)]
struct Attributes<'a>(Vec<Attribute<'a>>);

impl<'a> Attributes<'a> {
    fn text(&mut self, name: &'static str, text: &'a str) {
        if !text.is_empty() {
            let text = text.get(..text.floor_char_boundary(LONGEST));
            self.0.push((name, Value::Text(text.unwrap_or_default())));
        }
    }

    fn number(&mut self, name: &'static str, number: u64) {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.0.push((name, Value::Number(number)));
    }

    fn status(&mut self, status: u16) {
        if status > 0 {
            self.number("http.response.status_code", status.into());
        }
    }

    /// One that nobody knows is a name of few, and the other is told beside it.
    fn method(&mut self, record: &Record<'a>, fields: &'a LogFields) -> &'a str {
        let known = str::from_utf8(record.method).unwrap_or_default();
        if known == fields.method {
            self.text("http.request.method", known);
            return known;
        }
        self.text("http.request.method", "_OTHER");
        self.text("http.request.method_original", &fields.method);
        "HTTP"
    }

    /// A host with or without a port.
    fn place(&mut self, host: &'a str) {
        let (address, port) = match host.rsplit_once(':') {
            Some((address, port)) if !port.ends_with(']') => (address, port.parse::<u16>().ok()),
            _ => (host, None),
        };
        self.text("server.address", address);
        if let Some(port) = port {
            self.number("server.port", port.into());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use super::*;
    use crate::telemetry::Tried;

    fn record(tries: &[Tried]) -> Record<'_> {
        let started = Instant::now();
        Record {
            listener: 0,
            route: None,
            method: b"GET",
            status: 200,
            reason: None,
            started,
            ended: started + Duration::from_millis(9),
            bytes_in: 0,
            bytes_out: 0,
            upstream: None,
            endpoint: None,
            upstream_time: Some(Duration::from_millis(1)),
            retries: 0,
            waited: Some(Duration::from_millis(2)),
            tries,
            cache: None,
            ids: None,
        }
    }

    fn tried(begun: Instant) -> Tried {
        Tried {
            endpoint: Arc::from("127.0.0.1:1"),
            reason: Reason::UpstreamConnect,
            detail: "",
            begun,
            took: Duration::from_millis(1),
            span: None,
        }
    }

    #[test]
    fn the_last_attempt_is_told_once_whether_it_failed_or_not() {
        let fields = LogFields {
            endpoint: "127.0.0.1:2".into(),
            ..LogFields::default()
        };
        let reasons = |record: &Record<'_>, fields: &LogFields| -> Vec<bool> {
            let all = attempts(record, fields, None);
            all.iter().map(|one| one.reason.is_some()).collect()
        };
        assert_eq!(reasons(&record(&[]), &fields), [false]);
        let early = [tried(Instant::now())];
        assert_eq!(reasons(&record(&early), &fields), [true, false]);
        let mut last = record(&[]);
        let failed = [
            tried(last.started),
            tried(last.started + Duration::from_millis(2)),
        ];
        last.tries = &failed;
        assert_eq!(reasons(&last, &fields), [true, true]);
        // No endpoint was asked: the answer came from the cache.
        assert!(attempts(&record(&[]), &LogFields::default(), None).is_empty());
    }

    #[test]
    fn what_the_exporter_does_not_take_waits_up_to_the_bound() {
        let (queue, mut inbox) = mpsc::channel(1);
        let spans = Spans::new(Some(queue));
        spans.set_limit(4);
        let ids = Ids::new(None, 1, 2, 3);
        let exchange = || spans.push(&record(&[]), &LogFields::default(), (&ids, None));
        exchange();
        spans.hand_over();
        for _ in 0..6 {
            exchange();
            spans.hand_over();
        }
        assert_eq!(spans.dropped(), 2, "one is under way, four wait");
        assert_eq!(inbox.try_recv().unwrap().count, 1);
        spans.hand_over();
        assert_eq!(inbox.try_recv().unwrap().count, 4);
        drop(inbox);
        exchange();
        spans.hand_over();
        assert_eq!(spans.dropped(), 3);
    }

    #[test]
    fn a_place_is_an_address_and_perhaps_a_port() {
        for (host, address, port) in [
            ("a.test", "a.test", None),
            ("a.test:80", "a.test", Some(80)),
            ("[::1]:80", "[::1]", Some(80)),
            ("[::1]", "[::1]", None),
            ("a.test:x", "a.test", None),
        ] {
            let mut all = Attributes::default();
            all.place(host);
            let mut wanted = vec![("server.address", Value::Text(address))];
            wanted.extend(port.map(|port| ("server.port", Value::Number(port))));
            assert_eq!(all.0, wanted, "{host}");
        }
        let long = "é".repeat(LONGEST);
        let mut all = Attributes::default();
        all.text("x", &long);
        let Some((_, Value::Text(cut))) = all.0.first() else {
            unreachable!("a text stays a text");
        };
        assert_eq!(cut.len(), LONGEST);
    }
}
