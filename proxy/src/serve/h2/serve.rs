//! HTTP/2 connections in a worker: the driver with the worker's exchange, clock and counters.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use openclaw_core::message::{Fault, Request, Version};
use openclaw_core::reason::Reason;

use super::budget::FORGIVE;
use super::driver::Driver;
use super::face::{End, Exchanges, Limits, Pending, Socket, Wait};
use super::wire::StreamWire;
use crate::exchange::context::{Downstream, Local};
use crate::exchange::{self};
use crate::net::Io;
use crate::telemetry::LogFields;
use crate::time::Deadline;

/// How long a client may take to close after our last frame.
const CLOSING: Duration = Duration::from_secs(2);

/// Serves a connection until either side ends it. `early`: what was read while looking for the preface.
pub async fn serve(local: Rc<Local>, downstream: Rc<Downstream>, io: Io, early: Vec<u8>) {
    let deadline = Deadline::new(&local.wheel);
    let requests = Requests {
        local: local.clone(),
        downstream: downstream.clone(),
    };
    let limits = Limits::new(downstream.listener.max_header);
    let mut driver = Driver::new(io, requests, limits, &early);
    local.buffers.give_back(early);
    let forgiveness = Deadline::new(&local.wheel);
    forgiveness.arm(FORGIVE);
    let mut timed: Option<Wait> = None;
    let mut draining = false;
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
        }
    })
    .await;
    match end {
        End::Violation(violation) => {
            local.accuse(&downstream, violation.reason());
            refused(&local, &downstream, violation.reason(), violation.detail);
            tracing::debug!(peer = %downstream.peer, ?violation, "an HTTP/2 connection was ended");
        }
        End::Expired(Pending::HeaderBlock) => {
            let detail = "a header block was not complete within header_timeout";
            refused(&local, &downstream, Reason::Timeout, detail);
        }
        End::Expired(Pending::Stalled) => {
            let detail = "the client took nothing for idle_timeout";
            refused(&local, &downstream, Reason::Timeout, detail);
        }
        End::Expired(Pending::None | Pending::Preface | Pending::Idle | Pending::Closing)
        | End::Gone
        | End::Closed
        | End::Socket(_) => {}
    }
}

/// Counts and logs a connection that was ended as a whole; its exchanges have lines of their own.
fn refused(local: &Local, downstream: &Downstream, reason: Reason, detail: &'static str) {
    let fields = || LogFields {
        listener: downstream.listener.name.to_string(),
        client: downstream.peer_text.clone(),
        protocol: "HTTP/2",
        tls: downstream.tls.as_ref().map_or("", |tls| tls.version),
        detail,
        ..LogFields::default()
    };
    local.recorder.refused_connection(
        downstream.listener_slot,
        reason,
        downstream.accepted,
        fields,
    );
}

fn limit(pending: Pending, downstream: &Downstream) -> Option<Duration> {
    let listener = &downstream.listener;
    match pending {
        Pending::None => None,
        Pending::Preface | Pending::HeaderBlock => Some(listener.header_timeout),
        Pending::Idle | Pending::Stalled => Some(listener.idle_timeout),
        Pending::Closing => Some(CLOSING),
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
            Err(fault) => exchange::refuse(&local, &downstream, fault, Version::H2, Instant::now()),
        };
        Box::pin(async move {
            let deadline = Deadline::new(&local.wheel);
            exchange::run(&local, &downstream, prepared, &mut wire, &deadline).await;
        })
    }

    fn refused(&self, fault: Fault) {
        let prepared = exchange::refuse(
            &self.local,
            &self.downstream,
            fault,
            Version::H2,
            Instant::now(),
        );
        exchange::record_refused(&self.local, &self.downstream, prepared, fault);
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
