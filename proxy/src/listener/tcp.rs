//! TCP listeners: the accept loop and what a connection passes before the first request.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openclaw_core::reason::Reason;
use rustls::ServerConnection;
use tokio::net::{TcpListener, TcpStream};

use super::handshake::{HandshakeError, handshake};
use super::open::{Open, answered, permitted, refused};
use super::preface::has_preface;
use super::{Listening, Terms, curt, proxy_protocol};
use crate::exchange::connections::{Cut, Stop};
use crate::exchange::context::{Accepted, Downstream, Local, TlsFacts};
use crate::net::{Io, descriptors};
use crate::relay::{self, Inbound};
use crate::serve;
use crate::snapshot::TlsSetup;
use crate::time::Deadline;

/// How long accepting rests when the process is out of file descriptors, or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);
/// How often that is said.
const EXHAUSTED_REPEAT: Duration = Duration::from_mins(1);

/// No queue of the kernel is longer.
const MOST_WAITING: usize = 65_536;

/// Accepts until the listener is closed.
pub async fn accept(local: Rc<Local>, listening: Rc<Listening>, socket: TcpListener) {
    let mut told = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = listening.wake.notified() => None,
            accepted = socket.accept() => Some(accepted),
        };
        if listening.closed.get() {
            // At the end of the process the sockets may be kept for the next one, with who waits in them.
            if !(listening.is_left.get() || local.is_draining()) {
                take_waiting(&local, &listening, socket);
            }
            return;
        }
        match accepted {
            Some(Ok((tcp, peer))) => match descriptors::spend(tcp) {
                Ok(tcp) => admit(&local, &listening, tcp, peer),
                // Closed at once: better than a client that waits for an answer until its own patience ends.
                Err(error) => {
                    let terms = listening.terms.borrow().clone();
                    let accepted = Accepted {
                        peer,
                        at: Instant::now(),
                        announced: None,
                    };
                    let detail = "the process has as many open files as it may";
                    refused(&local, &terms, accepted, Reason::LimitConnections, detail);
                    tell(&mut told, &listening, &error);
                }
            },
            // The client was gone before it was accepted, or descriptors ran out: only the latter lasts.
            Some(Err(error)) if error.kind() != io::ErrorKind::ConnectionAborted => {
                tell(&mut told, &listening, &error);
                tokio::time::sleep(EXHAUSTED_PAUSE).await;
            }
            Some(Err(_)) | None => {}
        }
    }
}

/// Serves who is connected already: the kernel would reset them with the socket.
fn take_waiting(local: &Rc<Local>, listening: &Listening, socket: TcpListener) {
    let Ok(socket) = socket.into_std() else {
        return;
    };
    for _ in 0..MOST_WAITING {
        let taken = match socket.accept() {
            Ok((tcp, peer)) => tcp.set_nonblocking(true).map(|()| (tcp, peer)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(_) => return,
        };
        let taken = taken.and_then(|(tcp, peer)| {
            let tcp = descriptors::spend(TcpStream::from_std(tcp)?)?;
            Ok((tcp, peer))
        });
        if let Ok((tcp, peer)) = taken {
            admit(local, listening, tcp, peer);
        }
    }
}

/// Not for every connection: as long as some come and others go, each second one may find no descriptor.
fn tell(told: &mut Option<Instant>, listening: &Listening, error: &io::Error) {
    let now = Instant::now();
    if told.is_none_or(|told| now.duration_since(told) >= EXHAUSTED_REPEAT) {
        *told = Some(now);
        tracing::warn!(listener = %listening.name(), %error, "connections cannot be accepted; is the limit of open files high enough?");
    }
}

/// Checks limits and shield, then serves the connection in a task of its own.
fn admit(local: &Rc<Local>, listening: &Listening, tcp: TcpStream, peer: SocketAddr) {
    let terms = listening.terms.borrow().clone();
    let accepted = Accepted {
        peer,
        at: Instant::now(),
        announced: None,
    };
    let permit = match permitted(local, &terms, accepted) {
        Ok(permit) => permit,
        Err(why @ (Reason::LimitConnections, _)) if answers_in_cleartext(&terms) => {
            let told = curt::answer(local, &tcp, &curt::BUSY);
            return answered(local, &terms, accepted, why, &told);
        }
        // To who is kept out nothing is said, and TLS would cost a handshake.
        Err((reason, detail)) => return refused(local, &terms, accepted, reason, detail),
    };
    // Fails only on a socket that is dead already.
    let _ = tcp.set_nodelay(true);
    let open = Open::new(
        local.clone(),
        terms.slot,
        Some(permit),
        peer.ip().to_canonical(),
    );
    let key = open.key;
    let (cut, own) = (open.cut.clone(), local.clone());
    let known: Knowing = if proxy_protocol::is_due(&terms, accepted) {
        Box::pin(announced(own, cut, terms, tcp, accepted, key))
    } else {
        knowing(own, cut, terms, tcp, accepted)
    };
    let task = tokio::task::spawn_local(connection(open, known));
    let stop = Stop::Task(task.abort_handle());
    local.connections.served_by(key, stop);
}

fn answers_in_cleartext(terms: &Terms) -> bool {
    let Terms { config, setup, .. } = terms;
    config.mode.is_http() && setup.tls.is_none() && config.protocols.h1
}

/// A connection of which all is known that its wire has to know.
struct Known {
    io: Io,
    downstream: Rc<Downstream>,
    /// Read already.
    early: Vec<u8>,
    http2: bool,
}

/// Boxed, so that what it takes to find out is freed when it is over: a connection may idle for hours.
type Knowing = Pin<Box<dyn Future<Output = Option<Known>>>>;

impl Known {
    /// What the connection does from now on: until then no room was taken for it.
    fn serve(self, local: Rc<Local>) -> Pin<Box<dyn Future<Output = ()>>> {
        let Self {
            io,
            downstream,
            early,
            http2,
        } = self;
        if http2 {
            Box::pin(serve::h2::serve(local, downstream, io, early))
        } else {
            Box::pin(serve::h1::serve(local, downstream, io, early))
        }
    }
}

/// The task of a connection.
async fn connection(open: Open, known: Knowing) {
    let wire = match known.await {
        Some(known) => known.serve(open.local.clone()),
        None => return,
    };
    wire.await;
}

/// What is to be found out of a connection whose client is known.
fn knowing(
    local: Rc<Local>,
    cut: Cut,
    terms: Terms,
    tcp: TcpStream,
    accepted: Accepted,
) -> Knowing {
    let is_secured = terms.setup.tls.is_some();
    if !terms.config.mode.is_http() && is_secured {
        Box::pin(forward_secured(local, cut, terms, tcp, accepted))
    } else if !terms.config.mode.is_http() {
        Box::pin(forward(local, cut, terms, tcp, accepted))
    } else if is_secured {
        Box::pin(establish(local, cut, terms, tcp, accepted))
    } else {
        Box::pin(recognise(local, cut, terms, tcp, accepted))
    }
}

/// A connection whose client the peer has to announce first.
async fn announced(
    local: Rc<Local>,
    cut: Cut,
    terms: Terms,
    mut tcp: TcpStream,
    accepted: Accepted,
    key: usize,
) -> Option<Known> {
    let announced = proxy_protocol::announce(&local, &terms, accepted, &mut tcp, key).await?;
    knowing(local, cut, terms, tcp, announced).await
}

/// A connection whose bytes are not for us: there is no wire to be known.
async fn forward(
    local: Rc<Local>,
    cut: Cut,
    terms: Terms,
    tcp: TcpStream,
    accepted: Accepted,
) -> Option<Known> {
    relay::serve(local, inbound(terms, accepted, cut), tcp).await;
    None
}

/// The same where TLS ends here.
async fn forward_secured(
    local: Rc<Local>,
    cut: Cut,
    terms: Terms,
    tcp: TcpStream,
    accepted: Accepted,
) -> Option<Known> {
    let tls = terms.setup.tls.clone()?;
    let (tcp, session) = secured(&local, &terms, &tls, tcp, accepted).await?;
    let mut inbound = inbound(terms, accepted, cut.clone());
    inbound.tls = version(&session);
    inbound.host = session.server_name().unwrap_or_default().to_owned();
    relay::serve_secured(local, inbound, Io::tls(tcp, session, cut)).await;
    None
}

fn inbound(terms: Terms, accepted: Accepted, cut: Cut) -> Inbound {
    Inbound {
        listener: terms.config,
        slot: terms.slot,
        accepted,
        cut,
        tls: "",
        host: String::new(),
    }
}

/// A cleartext connection; where both versions are spoken, HTTP/2 announces itself by its preface (RFC 9113 §3.3).
async fn recognise(
    local: Rc<Local>,
    cut: Cut,
    terms: Terms,
    tcp: TcpStream,
    accepted: Accepted,
) -> Option<Known> {
    let protocols = terms.config.protocols;
    let downstream = Rc::new(Downstream::new(
        terms.config.clone(),
        terms.slot,
        accepted,
        tcp.local_addr().ok()?,
        None,
        cut.clone(),
    ));
    let mut io = Io::plain(tcp, cut);
    let mut early = Vec::new();
    let http2 = match (protocols.h1, protocols.h2) {
        (true, true) => match has_preface(&local, &downstream, &mut io, &mut early).await {
            Some(http2) => http2,
            None if early.is_empty() => return None,
            None => {
                let detail = "it did not become clear in time which version the client speaks";
                refused(&local, &terms, accepted, Reason::Timeout, detail);
                return None;
            }
        },
        (_, only) => only,
    };
    Some(Known {
        io,
        downstream,
        early,
        http2,
    })
}

/// A TLS connection: the handshake within `header_timeout`, then the wire that ALPN chose (RFC 7301).
async fn establish(
    local: Rc<Local>,
    cut: Cut,
    terms: Terms,
    tcp: TcpStream,
    accepted: Accepted,
) -> Option<Known> {
    let (tls, address) = (terms.setup.tls.clone()?, tcp.local_addr().ok()?);
    let (tcp, session) = secured(&local, &terms, &tls, tcp, accepted).await?;
    let protocols = terms.config.protocols;
    let http2 = session.alpn_protocol() == Some(b"h2") || (!protocols.h1 && protocols.h2);
    let facts = TlsFacts {
        version: version(&session),
        server_name: session.server_name().map(str::to_owned),
        names: tls.names,
    };
    let downstream = Downstream::new(
        terms.config,
        terms.slot,
        accepted,
        address,
        Some(facts),
        cut.clone(),
    );
    Some(Known {
        io: Io::tls(tcp, session, cut),
        downstream: Rc::new(downstream),
        early: Vec::new(),
        http2,
    })
}

/// The handshake within `header_timeout`; one that fails is told of.
async fn secured(
    local: &Local,
    terms: &Terms,
    tls: &TlsSetup,
    tcp: TcpStream,
    accepted: Accepted,
) -> Option<(TcpStream, ServerConnection)> {
    let deadline = Deadline::new(&local.wheel);
    let is_http = terms.config.mode.is_http();
    let mut handshake = pin!(async {
        if is_http && curt::speaks_cleartext(&tcp).await {
            let told = curt::answer(local, &tcp, &curt::CLEARTEXT);
            return Err(HandshakeError::Cleartext(told));
        }
        handshake(tcp, Arc::clone(&tls.config)).await
    });
    let result = deadline
        .within(terms.config.header_timeout, |cx| {
            handshake.as_mut().poll(cx)
        })
        .await
        .unwrap_or(Err(HandshakeError::Late));
    match result {
        Ok(stream) => Some(stream.into_inner()),
        Err(error) => {
            let why = (error.reason(), error.detail());
            if let HandshakeError::Cleartext(told) = &error {
                answered(local, terms, accepted, why, told);
            } else {
                refused(local, terms, accepted, why.0, why.1);
            }
            tracing::debug!(peer = %accepted.peer, %error, "TLS handshake failed");
            None
        }
    }
}

fn version(session: &ServerConnection) -> &'static str {
    match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    }
}

#[cfg(test)]
mod tests {
    use super::connection;

    /// Of what a function of two arguments gives.
    fn size<A, B, F>(_: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_task_of_a_connection_is_small() {
        assert!(size(connection) <= 192, "{} bytes", size(connection));
    }
}
