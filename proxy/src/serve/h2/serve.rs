//! HTTP/2 connections in a worker: the driver with the worker's exchange, clock and counters.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use openclaw_core::message::Version;
use openclaw_core::reason::Reason;

use super::driver::Driver;
use super::face::{End, Pending, Socket, Wait};
use crate::exchange::context::{Downstream, Local};
use crate::net::Io;
use crate::serve::multiplexed::{FORGIVE, Limits, Requests};
use crate::time::Deadline;

/// How long a client may take to close after our last frame.
const CLOSING: Duration = Duration::from_secs(2);

/// How long it may take to answer a PING.
const ANSWER: Duration = Duration::from_secs(20);

/// Serves a connection until either side ends it. `early`: what was read while looking for the preface.
pub async fn serve(local: Rc<Local>, downstream: Rc<Downstream>, io: Io, early: Vec<u8>) {
    let deadline = Deadline::new(&local.wheel);
    let requests = Requests {
        local: local.clone(),
        downstream: downstream.clone(),
        version: Version::H2,
    };
    let limits = Limits::new(downstream.listener.max_header);
    let mut driver = Driver::new(io, requests.clone(), limits, &early);
    local.buffers.give_back(early);
    let forgiveness = Deadline::new(&local.wheel);
    forgiveness.arm(FORGIVE);
    let mut timed: Option<Wait> = None;
    let mut draining = false;
    let mut told = false;
    let end = poll_fn(|cx| {
        if local.is_draining() && !draining {
            draining = true;
            driver.drain();
        }
        if forgiveness.poll_expired(cx) {
            driver.forgive();
            forgiveness.arm(FORGIVE);
        }
        loop {
            if let Poll::Ready(end) = Pin::new(&mut driver).poll(cx) {
                return Poll::Ready(end);
            }
            if !told && let Some(end) = driver.ending() {
                // Not only when the client has closed, which a hostile one is in no hurry to do.
                told = true;
                tell(&requests, end);
            }
            let wait = driver.pending_since();
            if timed != Some(wait) {
                timed = Some(wait);
                match limit(wait.pending, &downstream) {
                    Some(limit) => deadline.arm(limit),
                    None => deadline.disarm(),
                }
            }
            if !deadline.poll_expired(cx) {
                return Poll::Pending;
            }
            deadline.disarm();
            driver.expire();
            // A wait that goes on begins anew.
            timed = None;
        }
    })
    .await;
    if !told {
        tell(&requests, &end);
    }
}

/// Counts and logs a connection that was ended because of its client, and accuses a hostile one.
fn tell(requests: &Requests, end: &End) {
    match end {
        End::Violation(violation) => {
            let (local, downstream) = (&requests.local, &requests.downstream);
            local.accuse(downstream, violation.reason());
            requests.connection_refused(violation.reason(), violation.detail);
            tracing::debug!(peer = %downstream.peer, ?violation, "an HTTP/2 connection was ended");
        }
        End::Expired(Pending::HeaderBlock) => {
            let detail = "a header block was not complete within header_timeout";
            requests.connection_refused(Reason::Timeout, detail);
        }
        End::Expired(Pending::Stalled) => {
            let detail = "the client took nothing for idle_timeout";
            requests.connection_refused(Reason::Timeout, detail);
        }
        End::Expired(Pending::Pong) => {
            let detail = "the client is gone: no answer to a PING";
            requests.connection_refused(Reason::Timeout, detail);
        }
        End::Expired(Pending::None | Pending::Preface | Pending::Idle | Pending::Closing)
        | End::Gone
        | End::Closed
        | End::Socket(_) => {}
    }
}

fn limit(pending: Pending, downstream: &Downstream) -> Option<Duration> {
    let listener = &downstream.listener;
    match pending {
        Pending::None => listener.ping,
        Pending::Pong => listener.ping.map(|ping| ping.min(ANSWER)),
        Pending::Preface | Pending::HeaderBlock => Some(listener.header_timeout),
        Pending::Idle | Pending::Stalled => Some(listener.idle_timeout),
        Pending::Closing => Some(CLOSING),
    }
}

impl Socket for Io {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        Self::poll_read(self, cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Self::poll_write(self, cx, &[IoSlice::new(bytes)])
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_flush(self, cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_shutdown(self, cx)
    }
}
