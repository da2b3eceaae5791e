//! A TLS connection that is forwarded untouched: its first message says which name the client wants, and that says where it goes.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use openclaw_core::config::ServerNames;
use openclaw_core::hello::{Hello, Reader};
use openclaw_core::reason::Reason;

use super::end::Read;
use super::session::{Inbound, Session};
use super::tcp::{Client, Onwards, forward};
use crate::exchange::context::Local;
use crate::time::Deadline;

/// What a client may send before it is clear where it goes: the largest message that is read, in records of a tenth of a segment.
const MAX_EARLY: usize = 32 * 1024;

/// Forwards a connection by the name and the protocols in its first message.
pub(super) async fn tls(
    local: Rc<Local>,
    inbound: Inbound,
    names: &ServerNames,
    mut client: Client,
) {
    // What the names lead to belongs to the snapshot that has them.
    let serving = local.serving();
    let mut session = Session::new(Rc::clone(&local), inbound.clone());
    let mut early = Vec::new();
    let limit = inbound.listener.header_timeout;
    let deadline = Deadline::new(&local.wheel);
    let mut reader = Reader::default();
    let hello = deadline
        .within(limit, |cx| {
            poll_hello(cx, &local, &mut client, &mut reader, &mut early)
        })
        .await
        .unwrap_or(Err(
            "the client's first TLS message was not whole within header_timeout",
        ));
    drop(deadline);
    let hello = match hello {
        Ok(hello) => hello,
        Err(detail) => {
            local.buffers.give_back(early);
            return session.fail(Reason::TlsHandshake, detail);
        }
    };
    let name = hello.server_name.as_deref();
    let offers = |protocol: &str| {
        let mut offered = hello.protocols.iter();
        offered.any(|one| one == protocol.as_bytes())
    };
    name.unwrap_or_default().clone_into(&mut session.host);
    let Some(upstream) = names.find(name, offers) else {
        local.buffers.give_back(early);
        let is_known = names.find(name, |_| true).is_some();
        return refuse(session, client, is_known).await;
    };
    let onwards = Onwards { serving, upstream };
    forward(local, inbound, onwards, client, early, session).await;
}

/// Reads until the first message is whole; what was read stays in `early`.
fn poll_hello(
    cx: &mut Context<'_>,
    local: &Local,
    client: &mut Client,
    reader: &mut Reader,
    early: &mut Vec<u8>,
) -> Poll<Result<Hello, &'static str>> {
    const GONE: &str = "the client went away before its first TLS message was whole";
    loop {
        ready!(client.end.poll_readable(cx)).map_err(|_error| GONE)?;
        // A client that has sent nothing holds no buffer.
        if early.capacity() == 0 {
            *early = local.buffers.head();
        }
        match ready!(client.end.poll_read(cx, early)).map_err(|_error| GONE)? {
            Read::Some(_) => {}
            Read::End | Read::Torn => return Poll::Ready(Err(GONE)),
        }
        match reader.read(early) {
            Ok(Some(hello)) => return Poll::Ready(Ok(hello)),
            Err(error) => return Poll::Ready(Err(error.0)),
            Ok(None) if early.len() >= MAX_EARLY => {
                return Poll::Ready(Err("the client's first TLS message is too long"));
            }
            Ok(None) => {}
        }
    }
}

/// Says so in TLS before it closes: a fatal alert in a record of its own (RFC 8446 §5.1, §6).
async fn refuse(mut session: Session, mut client: Client, is_known: bool) {
    const UNRECOGNIZED_NAME: u8 = 112;
    const NO_APPLICATION_PROTOCOL: u8 = 120;
    let (alert, detail) = if is_known {
        (
            NO_APPLICATION_PROTOCOL,
            "the client offers no protocol that `sni` has for this server name",
        )
    } else {
        (UNRECOGNIZED_NAME, "`sni` has no such server name")
    };
    session.fail(Reason::RouteNone, detail);
    // The client is refused, whether it takes the alert or not.
    let record = [21, 3, 3, 0, 2, 2, alert];
    // So few bytes fit into a socket to which nothing was written.
    let _ = poll_fn(|cx| client.end.poll_write(cx, &record)).await;
    let _ = poll_fn(|cx| client.end.poll_end(cx, false)).await;
    client.is_whole = true;
}
