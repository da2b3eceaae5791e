//! One QUIC connection of a worker, from the first Initial until nothing of it may still arrive.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use openclaw_core::reason::Reason;
use quinn_proto::crypto::rustls::HandshakeData;
use quinn_proto::{Connection, ConnectionError, ConnectionEvent, Dir, Event, StreamEvent, VarInt};

use super::super::Terms;
use super::super::open::{Open, refused};
use super::face::{Application, End, Quic};
use crate::exchange::context::{Accepted, Downstream, Local, TlsFacts};
use crate::snapshot::Permit;

/// `H3_NO_ERROR`: nobody did anything wrong.
pub(super) const NO_ERROR: u64 = 0x100;
/// What a client is told that was too slow with its handshake (RFC 9000 §20.1 has nothing for it).
const LATE: u64 = NO_ERROR;
/// TLS alerts as QUIC has them (RFC 9001 §4.8).
const ALERTS: std::ops::RangeInclusive<u64> = 0x100..=0x1ff;
const CERTIFICATE_REQUIRED: u64 = 0x100 + 116;

#[derive(Debug)]
pub(super) struct Slot<A> {
    pub(super) quic: Quic,
    pub(super) waker: Waker,
    pub(super) phase: Phase<A>,
    /// Until the handshake is complete: when it has to be.
    pub(super) complete_by: Option<Instant>,
    /// To be looked at in this turn.
    pub(super) is_touched: bool,
    /// It has something to send when the socket takes more.
    pub(super) is_waiting: bool,
    /// Where the client is, as it has shown.
    peer: SocketAddr,
    /// It had shown that before the handshake began.
    is_proven: bool,
    /// Where its last packets came from, if that is elsewhere, and how many challenges it had answered before. Somebody may have sent
    /// one of its packets from an address that is not its own (RFC 9000 §9.3), until it answers a challenge from there.
    moving: Option<(SocketAddr, u64)>,
    terms: Terms,
    accepted: Accepted,
    /// Held to the last: what still waits for packets takes a place, too.
    _permit: Permit,
}

#[derive(Debug)]
pub(super) enum Phase<A> {
    Handshake(Open),
    Serving {
        application: A,
        downstream: Rc<Downstream>,
        open: Open,
    },
    /// Said goodbye, or was told so: answers what is under way until the client must have understood (RFC 9000 §10.2).
    Closing,
}

impl<A: Application> Slot<A> {
    pub(super) fn new(
        quic: Connection,
        waker: Waker,
        open: Open,
        permit: Permit,
        terms: Terms,
        accepted: Accepted,
        is_proven: bool,
    ) -> Self {
        Self {
            complete_by: Some(accepted.at + terms.config.header_timeout),
            quic: Rc::new(RefCell::new(quic)),
            waker,
            phase: Phase::Handshake(open),
            is_touched: false,
            is_waiting: false,
            peer: accepted.peer,
            is_proven,
            moving: None,
            terms,
            accepted,
            _permit: permit,
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing)
    }

    /// Takes in what has happened and lets the application go on.
    pub(super) fn run(&mut self, local: &Rc<Local>, address: SocketAddr, is_draining: bool) {
        loop {
            let event = self.quic.borrow_mut().poll();
            match event {
                None => break,
                Some(Event::HandshakeDataReady) => {
                    // Early data of a client that may be anybody waits: what it asks for is counted for the address that it says.
                    if self.is_proven && self.quic.borrow().has_0rtt() {
                        self.begin(local, address, is_draining);
                    }
                }
                Some(Event::Connected) => {
                    self.complete_by = None;
                    self.begin(local, address, is_draining);
                    if let Phase::Serving { downstream, .. } = &self.phase {
                        downstream.early.set(false);
                    }
                }
                Some(Event::Stream(event)) => {
                    if let Phase::Serving { application, .. } = &mut self.phase {
                        application.event(&event);
                    }
                }
                Some(Event::ConnectionLost { reason }) => self.lost(local, &reason),
                Some(Event::DatagramReceived | Event::DatagramsUnblocked) => {}
            }
        }
        let (Phase::Handshake(open) | Phase::Serving { open, .. }) = &self.phase else {
            return;
        };
        if open.cut.get().is_some() {
            self.close(NO_ERROR, "");
            return;
        }
        let Phase::Serving { application, .. } = &mut self.phase else {
            return;
        };
        let mut cx = Context::from_waker(&self.waker);
        if let Poll::Ready(End { code, detail }) = application.poll(&mut cx) {
            self.close(code, detail);
        }
    }

    /// The application begins, unless it has.
    fn begin(&mut self, local: &Rc<Local>, address: SocketAddr, is_draining: bool) {
        let open = match std::mem::replace(&mut self.phase, Phase::Closing) {
            Phase::Handshake(open) => open,
            other @ (Phase::Serving { .. } | Phase::Closing) => {
                self.phase = other;
                return;
            }
        };
        let quic = self.quic.borrow();
        let data = quic.crypto_session().handshake_data();
        let data = data.and_then(|data| data.downcast::<HandshakeData>().ok());
        let facts = self.terms.setup.tls.as_ref().map(|tls| TlsFacts {
            version: "TLSv1.3",
            server_name: data.and_then(|data| data.server_name),
            names: tls.names.clone(),
        });
        let address = match quic.local_ip() {
            Some(ip) => SocketAddr::new(ip, address.port()),
            None => address,
        };
        let mut downstream = Downstream::new(
            self.terms.config.clone(),
            self.terms.slot,
            self.accepted,
            address,
            facts,
            open.cut.clone(),
        );
        downstream.alt_svc = None;
        downstream.early.set(quic.is_handshaking());
        drop(quic);
        let downstream = Rc::new(downstream);
        let mut application = A::new(local.clone(), downstream.clone(), self.quic.clone());
        // Streams of early data that had to wait were told of before.
        for dir in [Dir::Uni, Dir::Bi] {
            application.event(&StreamEvent::Opened { dir });
        }
        if is_draining {
            application.drain();
        }
        self.phase = Phase::Serving {
            application,
            downstream,
            open,
        };
    }

    /// The client has said goodbye, or nothing for `idle_timeout`: its goodbye is one datagram that nobody asks for again, so that of
    /// many who go some are heard of no more.
    fn lost(&mut self, local: &Local, reason: &ConnectionError) {
        tracing::debug!(peer = %self.peer, %reason, "a QUIC connection has ended");
        if matches!(self.phase, Phase::Handshake(_)) {
            self.refuse_handshake(local, reason);
        }
        self.complete_by = None;
        if let Phase::Serving { application, .. } = &mut self.phase {
            application.lost(&mut Context::from_waker(&self.waker));
        }
        self.phase = Phase::Closing;
    }

    fn refuse_handshake(&self, local: &Local, error: &ConnectionError) {
        let (reason, detail) = match error {
            ConnectionError::TransportError(error)
                if u64::from(error.code) == CERTIFICATE_REQUIRED =>
            {
                (
                    Reason::TlsNoCertificate,
                    "the client showed no certificate, and `client_ca` asks for one",
                )
            }
            ConnectionError::TransportError(error) if ALERTS.contains(&error.code.into()) => (
                Reason::TlsHandshake,
                "the client's handshake cannot be agreed to",
            ),
            ConnectionError::TransportError(_) => (
                Reason::TlsHandshake,
                "the client broke the rules of QUIC in the handshake",
            ),
            ConnectionError::ConnectionClosed(_) => (
                Reason::TlsHandshake,
                "the client broke the handshake off: perhaps it does not trust the certificate",
            ),
            ConnectionError::VersionMismatch
            | ConnectionError::ApplicationClosed(_)
            | ConnectionError::Reset
            | ConnectionError::TimedOut
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => (
                Reason::TlsHandshake,
                "the client went away in the handshake",
            ),
        };
        refused(local, &self.terms, self.accepted, reason, detail);
    }

    /// The handshake was not complete in time.
    pub(super) fn give_up(&mut self, local: &Local) {
        // Whoever has never answered may not even be there: such are counted and not written down one by one.
        local.recorder.count_refusal(Reason::TlsHandshake);
        self.close(LATE, "");
    }

    /// Tells the client and forgets what was served.
    pub(super) fn close(&mut self, code: u64, detail: &'static str) {
        self.complete_by = None;
        self.phase = Phase::Closing;
        let code = VarInt::from_u64(code).unwrap_or(VarInt::MAX);
        let detail = Bytes::from_static(detail.as_bytes());
        self.quic.borrow_mut().close(Instant::now(), code, detail);
    }

    pub(super) fn drain(&mut self) {
        if let Phase::Serving { application, .. } = &mut self.phase {
            application.drain();
        }
    }

    /// Takes in a datagram from that address.
    pub(super) fn take(&mut self, event: ConnectionEvent, from: SocketAddr) {
        let mut quic = self.quic.borrow_mut();
        quic.handle_event(event);
        let remote = quic.remote_address();
        if remote == self.peer {
            self.moving = None;
            return;
        }
        let answers = quic.stats().frame_rx.path_response;
        match self.moving {
            Some((to, before)) if to == remote => {
                if from == remote && answers > before {
                    self.peer = remote;
                    self.moving = None;
                }
            }
            Some(_) | None => self.moving = Some((remote, answers)),
        }
    }

    /// The client has shown that it is at another address: that is whose its requests are from now on. Tells whether it may stay.
    pub(super) fn settle_in(&mut self, local: &Local) -> bool {
        if self.peer == self.accepted.peer {
            return true;
        }
        self.accepted.peer = self.peer;
        let address = self.peer.ip().to_canonical();
        if let Phase::Handshake(open) | Phase::Serving { open, .. } = &self.phase {
            local.connections.moved(open.key, address);
        }
        if let Phase::Serving {
            application,
            downstream,
            ..
        } = &mut self.phase
        {
            *downstream = Rc::new(downstream.moved_to(self.peer));
            application.moved(downstream.clone());
        }
        local.peers.check(address).is_none()
    }
}
