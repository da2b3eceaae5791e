//! HTTP/3 connections in a worker: the driver with the worker's exchange, clock and counters.

use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use openclaw_core::message::Version;
use openclaw_core::reason::Reason;
use quinn_proto::StreamEvent;

use super::code::Code;
use super::driver::Driver;
use super::face::{End, Pending, Quic, Wait};
use crate::exchange::context::{Downstream, Local};
use crate::serve::multiplexed::{FORGIVE, Limits, Requests};
use crate::time::Deadline;

/// How many round trips after the first GOAWAY the second follows.
const DRAIN_ROUND_TRIPS: u32 = 3;

/// How long a client that was asked to go may be silent before it confirms what it was sent last: most are gone, and said goodbye in a
/// datagram that was lost. Clients that are far away have so many round trips.
const PARTING: Duration = Duration::from_secs(5);
const PARTING_ROUND_TRIPS: u32 = 3;

/// What the connection is to be closed with (`CONNECTION_CLOSE`, RFC 9000 §20.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub code: Code,
    /// What was wrong, if anything was.
    pub detail: &'static str,
}

/// HTTP/3 over one QUIC connection.
pub struct Connection {
    requests: Requests,
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
        let limits = Limits::new(downstream.listener.max_header);
        let requests = Requests {
            local,
            downstream,
            version: Version::H3,
        };
        let wheel = &requests.local.wheel;
        let forgiveness = Deadline::new(wheel);
        forgiveness.arm(FORGIVE);
        Self {
            deadline: Deadline::new(wheel),
            forgiveness,
            timed: None,
            driver: Driver::new(quic, requests.clone(), limits),
            requests,
        }
    }

    /// The client's address is another; requests that have begun keep theirs.
    pub fn moved(&mut self, downstream: Rc<Downstream>) {
        self.requests.downstream = downstream;
        self.driver.replace(self.requests.clone());
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

    /// The client has gone; this is not to be polled again.
    pub fn lost(&mut self, cx: &mut Context<'_>) {
        self.driver.lost(cx);
    }

    /// Asks the client to go elsewhere; the end comes when the last exchange has ended and all was received.
    pub fn drain(&mut self) {
        self.driver.drain();
    }

    fn limit(&self, pending: Pending) -> Option<Duration> {
        let listener = &self.requests.downstream.listener;
        match pending {
            Pending::None => None,
            Pending::Head => Some(listener.header_timeout),
            Pending::Idle | Pending::Stalled => Some(listener.idle_timeout),
            Pending::Parting => {
                let far = PARTING_ROUND_TRIPS * self.driver.round_trip();
                Some(listener.idle_timeout.min(PARTING.max(far)))
            }
            Pending::Draining => Some(DRAIN_ROUND_TRIPS * self.driver.round_trip()),
        }
    }

    fn ended(&self, end: End) -> Ended {
        let requests = &self.requests;
        let timeout = |code, detail| {
            requests.connection_refused(Reason::Timeout, detail);
            Ended { code, detail }
        };
        match end {
            End::Violation(violation) => {
                let reason = violation.reason();
                requests.local.accuse(&requests.downstream, reason);
                requests.connection_refused(reason, violation.detail);
                tracing::debug!(peer = %requests.downstream.peer, ?violation, "an HTTP/3 connection was ended");
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
            End::Expired(Pending::None | Pending::Idle | Pending::Draining | Pending::Parting)
            | End::Closed => Ended {
                code: Code::NoError,
                detail: "",
            },
        }
    }
}
