//! Where a session goes: the endpoint, the socket to it, and what it takes to turn to another one.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openclaw_core::quic;

use super::super::session::Session;
use crate::exchange::context::Local;
use crate::exchange::serving::Serving;
use crate::net::datagrams::{Batch, Datagrams};
use crate::snapshot::{Place, QuicId, QuicIds, UnderWay};
use crate::upstream::{Busy, Chosen, Endpoint};

/// Ids that a session learns: the one of its connection, and one before it that asked for proof of the address (Retry).
const IDS: usize = 2;
/// Whoever is not there has said so within this.
const REFUSED_WITHIN: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(super) struct Onward {
    pub(super) endpoint: Rc<Endpoint>,
    pub(super) socket: Rc<Datagrams>,
    /// A session may last for days, and must not keep a snapshot: only until there is an answer, or will be none.
    pub(super) unanswered: Option<Unanswered>,
    pub(super) ids: Vec<QuicId>,
    /// What the balancer counts, until it is over.
    _under_way: Option<UnderWay>,
    /// What a drain looks at.
    pub(super) busy: Busy,
}

/// What it takes to turn to another endpoint.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) serving: Rc<Serving>,
    /// Index into its upstreams.
    pub(super) upstream: usize,
    pub(super) since: Instant,
    pub(super) tried: Vec<SocketAddr>,
    /// How many of the retries count.
    pub(super) counted: u32,
    pub(super) first: Vec<u8>,
}

impl Unanswered {
    pub(super) fn answered(&self, local: &Local, endpoint: &Endpoint, session: &mut Session) {
        let now = Instant::now();
        session.connected = Some(now.duration_since(self.since));
        endpoint.was_tried(&local.recorder, true);
        if let Some(upstream) = self.serving.upstreams.get(self.upstream) {
            upstream.answered(endpoint, self.since, Some(now), 0);
            endpoint.takes_connections();
        }
    }
}

impl Onward {
    pub(super) fn new(chosen: Chosen, socket: Datagrams, unanswered: Unanswered) -> Self {
        let busy = chosen.endpoint.busy();
        Self {
            endpoint: chosen.endpoint,
            socket: Rc::new(socket),
            unanswered: Some(unanswered),
            ids: Vec::new(),
            _under_way: chosen.under_way,
            busy,
        }
    }

    /// A client that only sends, as logs do, gets no answer, and must not keep a snapshot for that.
    pub(super) fn stop_waiting(&mut self) {
        let waits = |one: &Unanswered| one.since.elapsed() < REFUSED_WITHIN;
        self.unanswered = self.unanswered.take().filter(waits);
    }

    /// Notes by which ids the endpoint wants to be called.
    pub(super) fn learn(&mut self, among: (&Arc<QuicIds>, &Place), batch: Batch<'_>) {
        if self.ids.len() >= IDS {
            return;
        }
        for id in batch.bytes.chunks(batch.stride).filter_map(quic::chosen_by) {
            self.is_called(among, id);
        }
    }

    /// The same of one id.
    pub(super) fn is_called(&mut self, (ids, place): (&Arc<QuicIds>, &Place), id: &[u8]) {
        let is_known = self.ids.iter().any(|known| known.bytes() == id);
        let learnt =
            (!is_known && self.ids.len() < IDS).then(|| ids.learn(id, self.endpoint.address));
        if let Some(learnt) = learnt.flatten() {
            place.is_called(id);
            self.ids.push(learnt);
        }
    }
}
