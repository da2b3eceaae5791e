//! What happened: counters, histograms and the access log. Each worker owns a [`Recorder`]; the control plane asks for
//! reports and merges them, so that counting takes no atomic and no lock.

use std::time::{Duration, Instant};

use openclaw_core::reason::Reason;

use crate::snapshot::Snapshot;

/// Where the listeners, routes and upstreams of one snapshot are counted. Names keep their slots over reloads.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    pub listeners: Vec<u32>,
    pub routes: Vec<u32>,
    pub upstreams: Vec<u32>,
    /// Per upstream, per endpoint.
    pub endpoints: Vec<Vec<u32>>,
}

/// One finished exchange. Indexes are slots.
#[derive(Debug)]
pub struct Record<'a> {
    pub listener: u32,
    pub route: Option<u32>,
    pub method: &'a [u8],
    pub status: u16,
    pub reason: Option<Reason>,
    pub started: Instant,
    pub ended: Instant,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub upstream: Option<u32>,
    pub endpoint: Option<u32>,
    /// From the request being sent to the response head.
    pub upstream_time: Option<Duration>,
    pub retries: u32,
    /// Present when the access log is on.
    pub log: Option<&'a LogFields>,
}

/// What only the access log wants to know of a request; made when it is on.
#[derive(Clone, Debug, Default)]
pub struct LogFields {
    pub id: String,
    pub listener: String,
    pub route: String,
    pub client: String,
    pub method: String,
    pub host: String,
    /// Path and query as received.
    pub path: String,
    /// `HTTP/1.1`, `HTTP/2`.
    pub protocol: &'static str,
    pub upstream: String,
    pub endpoint: String,
    /// `TLSv1.3`, or empty.
    pub tls: &'static str,
    pub user_agent: String,
    pub referer: String,
    /// What is wrong, when the request was refused.
    pub detail: &'static str,
}

/// A worker's shard of all counters.
#[derive(Debug, Default)]
pub struct Recorder {}

impl Recorder {
    /// Gives the names of a snapshot their slots.
    pub fn adopt(&self, _snapshot: &Snapshot) -> Slots {
        Slots::default()
    }

    /// Whether `LogFields` are wanted.
    pub fn wants_log(&self) -> bool {
        false
    }

    /// Counts and logs a finished exchange.
    pub fn exchange(&self, _record: &Record<'_>) {}

    /// A refusal without an exchange: at accept, in the TLS handshake, by an h2 budget.
    pub fn refusal(&self, _listener: u32, _reason: Reason) {}

    pub fn connection_opened(&self, _listener: u32) {}

    pub fn connection_closed(&self, _listener: u32) {}

    /// A connection to an endpoint was tried.
    pub fn upstream_connect(&self, _endpoint: u32, _success: bool) {}

    /// Called by the worker's 100 ms tick: hands full buffers to the log writer.
    pub fn tick(&self) {}
}
