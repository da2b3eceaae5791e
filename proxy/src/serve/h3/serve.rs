//! HTTP/3 connections in a worker: the driver with the worker's exchange, clock and counters.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use openclaw_core::message::{Fault, Request, Version};
use openclaw_core::reason::Reason;
use quinn_proto::StreamEvent;

use super::budget::FORGIVE;
use super::code::Code;
use super::driver::Driver;
use super::face::{End, Exchanges, Limits, Pending, Quic, Wait};
use super::wire::StreamWire;
use crate::exchange::context::{Downstream, Local};
use crate::exchange::{self};
use crate::telemetry::LogFields;
use crate::time::Deadline;

/// How many round trips after the first GOAWAY the second follows.
const DRAIN_ROUND_TRIPS: u32 = 3;

/// What the connection is to be closed with (`CONNECTION_CLOSE`, RFC 9000 §20.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub code: Code,
    /// What was wrong, if anything was.
    pub detail: &'static str,
}

/// HTTP/3 over one QUIC connection.
pub struct Connection {
    local: Rc<Local>,
    downstream: Rc<Downstream>,
    driver: Driver<Requests>,
    deadline: Deadline,
    forgiveness: Deadline,
    timed: Option<Wait>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("driver", &self.driver)
            .field("timed", &self.timed)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// From the end of the handshake, or, with early data, from when that can be read. Opens our control stream. `quic` may not be
    /// borrowed during any call, and neither while this is dropped.
    pub fn new(local: Rc<Local>, downstream: Rc<Downstream>, quic: Quic) -> Self {
        let requests = Requests {
            local: Rc::clone(&local),
            downstream: Rc::clone(&downstream),
        };
        let limits = Limits::new(downstream.listener.max_header);
        let forgiveness = Deadline::new(&local.wheel);
        forgiveness.arm(FORGIVE);
        Self {
            driver: Driver::new(quic, requests, limits),
            deadline: Deadline::new(&local.wheel),
            forgiveness,
            timed: None,
            local,
            downstream,
        }
    }

    /// Takes in what has happened to a stream. Nothing begins or ends before the next [`poll`](Self::poll).
    pub fn event(&mut self, event: &StreamEvent) {
        self.driver.event(event);
    }

    /// Goes on after events, and when the waker of `cx` was woken. What was written to streams is to be sent afterwards. Ready: the
    /// connection is to be closed, and this not to be polled again.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        if self.forgiveness.poll_expired(cx) {
            self.driver.forgive();
            self.forgiveness.arm(FORGIVE);
        }
        loop {
            if let Poll::Ready(end) = self.driver.poll(cx) {
                return Poll::Ready(self.ended(end));
            }
            let wait = self.driver.pending_since();
            if self.timed != Some(wait) {
                self.timed = Some(wait);
                match self.limit(wait.pending) {
                    Some(limit) => self.deadline.arm(limit),
                    None => self.deadline.disarm(),
                }
            }
            if !self.deadline.poll_expired(cx) {
                return Poll::Pending;
            }
            self.deadline.disarm();
            self.timed = None;
            self.driver.expire();
        }
    }

    /// Asks the client to go elsewhere; the end comes when the last exchange has ended and all was received.
    pub fn drain(&mut self) {
        self.driver.drain();
    }

    fn limit(&self, pending: Pending) -> Option<Duration> {
        let listener = &self.downstream.listener;
        match pending {
            Pending::None => None,
            Pending::Head => Some(listener.header_timeout),
            Pending::Idle | Pending::Stalled => Some(listener.idle_timeout),
            Pending::Draining => Some(DRAIN_ROUND_TRIPS * self.driver.round_trip()),
        }
    }

    fn ended(&self, end: End) -> Ended {
        let timeout = |code, detail| {
            self.refused(Reason::Timeout, detail);
            Ended { code, detail }
        };
        match end {
            End::Violation(violation) => {
                let reason = violation.reason();
                self.local.accuse(&self.downstream, reason);
                self.refused(reason, violation.detail);
                tracing::debug!(peer = %self.downstream.peer, ?violation, "an HTTP/3 connection was ended");
                Ended {
                    code: violation.code,
                    detail: violation.detail,
                }
            }
            End::Expired(Pending::Head) => timeout(
                Code::ExcessiveLoad,
                "a request head was not complete within header_timeout",
            ),
            End::Expired(Pending::Stalled) => {
                timeout(Code::NoError, "the client took nothing for idle_timeout")
            }
            End::Expired(Pending::None | Pending::Idle | Pending::Draining) | End::Closed => {
                Ended {
                    code: Code::NoError,
                    detail: "",
                }
            }
        }
    }

    /// Counts and logs a connection that was ended as a whole; its exchanges have lines of their own.
    fn refused(&self, reason: Reason, detail: &'static str) {
        let downstream = &self.downstream;
        let fields = || LogFields {
            listener: downstream.listener.name.to_string(),
            client: downstream.peer_text.clone(),
            protocol: "HTTP/3",
            tls: downstream.tls.as_ref().map_or("", |tls| tls.version),
            detail,
            ..LogFields::default()
        };
        self.local.recorder.refused_connection(
            downstream.listener_slot,
            reason,
            downstream.accepted,
            fields,
        );
    }
}

/// Makes exchanges of a connection's requests.
struct Requests {
    local: Rc<Local>,
    downstream: Rc<Downstream>,
}

impl Exchanges for Requests {
    type Exchange = Pin<Box<dyn Future<Output = ()>>>;

    fn start(&self, request: Result<&Request<'_>, Fault>, mut wire: StreamWire) -> Self::Exchange {
        let (local, downstream) = (self.local.clone(), self.downstream.clone());
        let prepared = match request {
            Ok(request) => exchange::prepare(&local, &downstream, request),
            Err(fault) => exchange::refuse(&local, &downstream, fault, Version::H3, Instant::now()),
        };
        Box::pin(async move {
            let deadline = Deadline::new(&local.wheel);
            exchange::run(&local, &downstream, prepared, &mut wire, &deadline).await;
        })
    }

    fn refused(&self, fault: Fault) {
        let (local, downstream) = (&self.local, &self.downstream);
        let prepared = exchange::refuse(local, downstream, fault, Version::H3, Instant::now());
        exchange::record_refused(local, downstream, prepared, fault);
    }
}
