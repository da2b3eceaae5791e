//! Who may begin a QUIC connection: the shield, the listener's limits, and proof of the address when many handshakes are open.

use std::time::Instant;

use openclaw_core::reason::Reason;
use quinn_proto::{AcceptError, ConnectionHandle, Incoming};

use super::connection::Slot;
use super::connections::Core;
use super::face::Application;
use crate::exchange::connections::Stop;
use crate::exchange::context::Accepted;
use crate::listener::open::{Open, refused};

/// Handshakes of clients that may be under way in one worker before the next must show that it receives what is sent to its address
/// (RFC 9000 §8.1.2): a client that does not may be anybody.
const HALF_OPEN: usize = 128;

impl<A: Application> Core<A> {
    /// Lets a client in, or tells it why not.
    pub(super) fn admit(&mut self, incoming: Incoming, now: Instant) {
        let peer = incoming.remote_address();
        let address = peer.ip().to_canonical();
        let terms = self.listening.terms.borrow().clone();
        let accepted = Accepted {
            peer,
            at: now,
            announced: None,
        };
        if let Some(reason) = self.local.peers.check(address) {
            // As silent as the kernel program is. Only who has shown its address gets a line.
            if incoming.remote_address_validated() {
                refused(&self.local, &terms, accepted, reason, "");
            } else {
                self.local.recorder.count_refusal(reason);
            }
            self.endpoint.ignore(incoming);
            return;
        }
        if self.is_closed() {
            self.refuse(incoming);
            return;
        }
        if self.half_open >= HALF_OPEN && !incoming.remote_address_validated() {
            self.retry(incoming);
            return;
        }
        let config = &terms.config;
        let permit = terms.setup.permits.take(
            address,
            config.max_connections,
            config.max_connections_per_ip,
        );
        let Some(permit) = permit else {
            self.local.recorder.count_refusal(Reason::LimitConnections);
            self.refuse(incoming);
            return;
        };
        let mut answer = Vec::new();
        let is_proven = incoming.remote_address_validated();
        let setup = terms.setup.quic.clone();
        match self.endpoint.accept(incoming, now, &mut answer, setup) {
            Ok((ConnectionHandle(key), quic)) => {
                let waker = self.ready.waker(key);
                let open = Open::new(self.local.clone(), terms.slot, None, address);
                let stop = Stop::Wake(waker.clone());
                self.local.connections.served_by(open.key, stop);
                let slot = Slot::new(quic, waker, open, permit, terms, accepted, is_proven);
                self.insert(key, slot);
            }
            Err(AcceptError { cause, response }) => {
                tracing::debug!(%peer, %cause, "a QUIC connection did not begin");
                self.local.recorder.count_refusal(Reason::TlsHandshake);
                self.answers
                    .extend(response.map(|transmit| (transmit, answer)));
            }
        }
    }

    fn refuse(&mut self, incoming: Incoming) {
        let mut answer = Vec::new();
        let transmit = self.endpoint.refuse(incoming, &mut answer);
        self.answers.push((transmit, answer));
    }

    fn retry(&mut self, incoming: Incoming) {
        let mut answer = Vec::new();
        match self.endpoint.retry(incoming, &mut answer) {
            Ok(transmit) => self.answers.push((transmit, answer)),
            // It has been asked to before, which was looked at above.
            Err(error) => self.endpoint.ignore(error.into_incoming()),
        }
    }
}
