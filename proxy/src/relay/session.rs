//! What is known of a connection, or of a session of datagrams, and told of it at its end.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openclaw_core::config;
use openclaw_core::reason::Reason;
use openclaw_core::trace;

use crate::exchange::connections::Cut;
use crate::exchange::context::{Accepted, Local};
use crate::telemetry::{LogFields, Record};
use crate::upstream::{Endpoint, Upstream};

/// Who came, and where.
#[derive(Clone, Debug)]
pub struct Inbound {
    pub listener: Rc<config::Listener>,
    pub slot: u32,
    pub accepted: Accepted,
    pub cut: Cut,
    /// The version where TLS ends here, or empty.
    pub tls: &'static str,
    /// The server name of that.
    pub host: String,
}

/// Whatever becomes of it, also when its task is dropped, it is counted and logged once.
#[derive(Debug)]
pub(super) struct Session {
    local: Rc<Local>,
    pub(super) inbound: Inbound,
    /// The server name that was asked for.
    pub(super) host: String,
    upstream: Option<(Arc<str>, u32)>,
    pub(super) endpoint: Option<Rc<Endpoint>>,
    /// How long it took to connect.
    pub(super) connected: Option<Duration>,
    pub(super) retries: u32,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    end: Option<Ending>,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
struct Ending {
    reason: Option<Reason>,
    detail: &'static str,
}

impl Session {
    pub(super) fn new(local: Rc<Local>, inbound: Inbound) -> Self {
        Self {
            local,
            host: inbound.host.clone(),
            inbound,
            upstream: None,
            endpoint: None,
            connected: None,
            retries: 0,
            bytes_in: 0,
            bytes_out: 0,
            end: None,
        }
    }

    pub(super) fn leads_to(&mut self, upstream: &Upstream) {
        self.upstream = Some((Arc::clone(&upstream.config.name), upstream.slot));
    }

    /// Both sides have ended; tells whether that was in good order.
    pub(super) fn finish(&mut self) -> bool {
        let (reason, detail) = (None, "");
        let end = self.end.get_or_insert(Ending { reason, detail });
        end.reason.is_none()
    }

    /// One side's connection broke off.
    pub(super) fn blame(&mut self, is_client: bool) {
        if is_client {
            let detail = "the client's connection broke off";
            self.fail(Reason::RelayAborted, detail);
        } else {
            let detail = "the endpoint's connection broke off";
            self.fail(Reason::UpstreamReset, detail);
        }
    }

    /// The endpoint has had the time to drain.
    pub(super) fn drained(&mut self) {
        let detail = "the endpoint was drained, and the time for that has passed";
        self.fail(Reason::UpstreamDrained, detail);
    }

    /// The first reason is the one that is told.
    pub(super) fn fail(&mut self, reason: Reason, detail: &'static str) {
        let reason = Some(reason);
        self.end.get_or_insert(Ending { reason, detail });
    }

    /// What came of it that nobody has said.
    fn cut_off(&self) -> Ending {
        let (reason, detail) = match self.inbound.cut.get() {
            Some(reason) => (
                reason,
                "the connection was closed when its peer was turned away",
            ),
            None => (
                Reason::Shutdown,
                "the proxy ended before the connection was over",
            ),
        };
        Ending {
            reason: Some(reason),
            detail,
        }
    }

    fn log_fields(&self, detail: &'static str) -> LogFields {
        let Inbound {
            listener, accepted, ..
        } = &self.inbound;
        let id = trace::request_id(self.local.random_u128());
        let endpoint = self.endpoint.as_ref();
        LogFields {
            id: id.as_str().to_owned(),
            listener: listener.name.to_string(),
            client: accepted.client().ip().to_canonical().to_string(),
            host: self.host.clone(),
            protocol: listener.mode.name().into(),
            tls: self.inbound.tls,
            upstream: self
                .upstream
                .as_ref()
                .map(|(name, _)| name.to_string())
                .unwrap_or_default(),
            endpoint: endpoint
                .map(|one| one.label.to_string())
                .unwrap_or_default(),
            detail,
            ..LogFields::default()
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Ending { reason, detail } = self.end.unwrap_or_else(|| self.cut_off());
        let recorder = &self.local.recorder;
        let wanted = recorder.wanted();
        let fields = wanted.fields.then(|| {
            Box::new(LogFields {
                is_left_out: !wanted.line,
                ..self.log_fields(detail)
            })
        });
        let record = Record {
            listener: self.inbound.slot,
            route: None,
            method: b"",
            status: 0,
            reason,
            started: self.inbound.accepted.at,
            ended: Instant::now(),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            upstream: self.upstream.as_ref().map(|(_, slot)| *slot),
            endpoint: self.endpoint.as_ref().map(|endpoint| endpoint.slot.get()),
            upstream_time: self.connected,
            retries: self.retries,
            waited: None,
            tries: &[],
            cache: None,
            ids: None,
        };
        recorder.connection(&record, fields, || self.log_fields(detail));
    }
}
