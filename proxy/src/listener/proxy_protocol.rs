//! Connections of peers that announce their clients: the PROXY header ahead of everything else.

use std::io;
use std::rc::Rc;

use openclaw_core::proxy_protocol::{Announced, LONGEST, read};
use openclaw_core::reason::Reason;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::Terms;
use super::open::refused;
use crate::exchange::context::{Accepted, Local};
use crate::time::Deadline;

/// Whether the peer is one of those.
pub(super) fn is_due(terms: &Terms, accepted: Accepted) -> bool {
    let peer = accepted.peer.ip().to_canonical();
    let announcing = &terms.config.proxy_protocol;
    announcing.iter().any(|prefix| prefix.contains(peer))
}

/// Takes the header off the connection within `header_timeout`, and holds the client that it names against lists and limits as
/// if it had connected itself. `None`: it is refused, and that is told. `key` is that of the connection in its worker.
pub(super) async fn announce(
    local: &Rc<Local>,
    terms: &Terms,
    accepted: Accepted,
    tcp: &mut TcpStream,
    key: usize,
) -> Option<Accepted> {
    let deadline = Deadline::new(&local.wheel);
    let mut header = Box::pin(header(local, tcp));
    let read = deadline
        .within(terms.config.header_timeout, |cx| header.as_mut().poll(cx))
        .await;
    let announced = match read {
        Some(Ok(announced)) => announced,
        Some(Err(detail)) => {
            refused(local, terms, accepted, Reason::ProxyProtocol, detail);
            return None;
        }
        None => {
            let detail = "no whole PROXY header within header_timeout";
            refused(local, terms, accepted, Reason::ProxyProtocol, detail);
            return None;
        }
    };
    let Announced::Client(ends) = announced else {
        return Some(accepted);
    };
    let accepted = Accepted {
        announced: Some(ends),
        ..accepted
    };
    let client = ends.source.ip().to_canonical();
    if let Some(reason) = local.peers.check(client) {
        refused(local, terms, accepted, reason, "");
        return None;
    }
    let most = terms.config.max_connections_per_ip;
    if !local.connections.pass_to(key, client, most) {
        refused(local, terms, accepted, Reason::LimitConnections, "");
        return None;
    }
    Some(accepted)
}

/// Reads the header and not an octet more: what follows may be for TLS, or go on as it is.
async fn header(local: &Local, tcp: &mut TcpStream) -> Result<Announced, &'static str> {
    let mut seen = local.buffers.head();
    let read = read_into(&mut seen, tcp).await;
    local.buffers.give_back(seen);
    read
}

async fn read_into(seen: &mut Vec<u8>, tcp: &mut TcpStream) -> Result<Announced, &'static str> {
    let gone = |_error: io::Error| "the peer went away in the PROXY header";
    loop {
        let taken = seen.len();
        seen.resize(LONGEST, 0);
        let ahead = seen.get_mut(taken..).unwrap_or_default();
        let count = tcp.peek(ahead).await.map_err(gone)?;
        seen.truncate(taken + count);
        if count == 0 {
            return Err("the peer went away in the PROXY header");
        }
        let found = read(seen).map_err(|malformed| malformed.0)?;
        // As long as it is not whole, all that has come is of the header.
        let length = found.map_or(seen.len(), |(_, length)| length);
        let arrived = seen.get_mut(taken..length).unwrap_or_default();
        tcp.read_exact(arrived).await.map_err(gone)?;
        if let Some((announced, _)) = found {
            return Ok(announced);
        }
    }
}
