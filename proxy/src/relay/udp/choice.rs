//! Which endpoint a session gets, and the socket to it.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use openclaw_core::config::Target;
use openclaw_core::reason::Reason;
use socket2::{Domain, Protocol, Socket, Type};

use super::super::connect::{balance_key, told};
use super::super::session::Inbound;
use crate::exchange::context::Local;
use crate::exchange::serving::Serving;
use crate::net::datagrams::Datagrams;
use crate::net::descriptors;
use crate::snapshot::{Client, Kept, Sessions};
use crate::upstream::{Choice, Chosen, Endpoint, NoPlace, Upstream};

/// What a client had that comes from another address, or that was the process's before this one.
pub(super) fn had(sessions: &Arc<Sessions>, client: Client, first: &[u8]) -> Option<Kept> {
    if let Some((id, endpoint)) = sessions.ids.find(first) {
        let ids = vec![id.bytes().into()];
        return Some(Kept { endpoint, ids });
    }
    sessions.inherited(client, first, Instant::now())
}

/// The endpoint of that address, while one of the upstreams has it.
pub(super) fn known(
    serving: &Serving,
    targets: &[Target],
    address: SocketAddr,
) -> Option<(usize, Rc<Endpoint>)> {
    targets.iter().find_map(|target| {
        let upstream = serving.upstreams.get(target.upstream)?;
        let mut endpoints = upstream.endpoints.iter();
        let endpoint = endpoints.find(|endpoint| endpoint.address == address)?;
        Some((target.upstream, Rc::clone(endpoint)))
    })
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
