//! Which endpoint a session gets, and the socket to it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use openclaw_core::config::Target;
use openclaw_core::reason::Reason;
use openclaw_core::route::pick_for_client;
use socket2::{Domain, Protocol, Socket, Type};

use super::super::connect::{balance_key, told};
use super::super::session::Inbound;
use super::flow::Opening;
use crate::exchange::context::Local;
use crate::exchange::serving::Serving;
use crate::net::datagrams::Datagrams;
use crate::net::descriptors;
use crate::snapshot::{Client, Kept, Sessions};
use crate::upstream::{Choice, Chosen, Endpoint, NoPlace, Upstream};

/// Where a session goes.
pub(super) struct Way {
    /// Index into the upstreams.
    pub(super) upstream: usize,
    pub(super) chosen: Result<Chosen, (Reason, &'static str)>,
    /// By which ids of QUIC it is known.
    pub(super) ids: Vec<Box<[u8]>>,
}

/// The endpoint that the client of the first datagram had, while one of the upstreams has it and nothing is to end there;
/// else the balancer's choice.
pub(super) fn way(
    opening: &Opening<'_>,
    serving: &Serving,
    client: Client,
    first: &[u8],
) -> Option<Way> {
    let Opening {
        local,
        face,
        inbound,
        targets,
    } = opening;
    let known = had(&face.sessions, client, first).and_then(|had| {
        let (upstream, chosen) = known(serving, targets, had.endpoint)?;
        Some(Way {
            upstream,
            chosen: Ok(chosen),
            ids: had.ids,
        })
    });
    known.or_else(|| {
        let upstream = pick_for_client(targets, inbound.accepted.peer.ip().to_canonical());
        let of = serving.upstreams.get(upstream)?;
        Some(Way {
            upstream,
            chosen: choose(local, of, inbound, &[]),
            ids: Vec::new(),
        })
    })
}

/// What a client had that comes from another address, or that was the process's before this one.
fn had(sessions: &Arc<Sessions>, client: Client, first: &[u8]) -> Option<Kept> {
    if let Some((id, endpoint)) = sessions.ids.find(first) {
        let ids = vec![id.bytes().into()];
        return Some(Kept { endpoint, ids });
    }
    sessions.inherited(client, first, Instant::now())
}

/// The endpoint of that address.
fn known(serving: &Serving, targets: &[Target], address: SocketAddr) -> Option<(usize, Chosen)> {
    targets.iter().find_map(|target| {
        let upstream = serving.upstreams.get(target.upstream)?;
        let chosen = upstream.known(address)?;
        (!is_left(upstream, &chosen.endpoint)).then_some((target.upstream, chosen))
    })
}

/// Whether probes call the endpoint unwell and another one is there, so that nothing more goes to it.
pub(super) fn is_left(upstream: &Upstream, endpoint: &Endpoint) -> bool {
    !endpoint.is_well() && upstream.has_another(&[], endpoint, Instant::now())
}

/// A datagram does not wait for a place.
pub(super) fn choose(
    local: &Local,
    upstream: &Upstream,
    inbound: &Inbound,
    tried: &[SocketAddr],
) -> Result<Chosen, (Reason, &'static str)> {
    let key = balance_key(upstream.config.balance, inbound.accepted);
    let random = local.random.borrow_mut().u64(..);
    match upstream.choose(tried, (key, random), Instant::now()) {
        Choice::Endpoint(chosen) => Ok(chosen),
        Choice::Full => Err(told(NoPlace::Saturated)),
        Choice::Nobody => Err(told(NoPlace::Nobody)),
    }
}

pub(super) fn connected(address: SocketAddr) -> io::Result<Datagrams> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    let socket = descriptors::spend(socket)?;
    socket.connect(&address.into())?;
    Datagrams::new(socket.into())
}
