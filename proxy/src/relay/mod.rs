//! Listeners that forward bytes without reading them as HTTP: an endpoint is chosen for each connection, and what comes on one side
//! goes out on the other until both have ended. TLS of either side is its own.

mod connect;
mod direction;
mod end;
mod session;
mod tcp;
mod tls;
pub mod udp;

use std::rc::Rc;

use openclaw_core::config::Mode;
use tokio::net::TcpStream;

use self::end::End;
use self::tcp::Client;
use crate::exchange::context::Local;
use crate::net::Io;

pub use self::session::Inbound;

/// Forwards a connection as the listener's mode says.
pub async fn serve(local: Rc<Local>, inbound: Inbound, tcp: TcpStream) {
    let listener = Rc::clone(&inbound.listener);
    let client = Client::new(End::Bare(tcp));
    match &listener.mode {
        Mode::Tcp(targets) => tcp::tcp(local, inbound, targets, client).await,
        Mode::Tls(names) => tls::tls(local, inbound, names, client).await,
        // Requests are the exchange's, and datagrams do not come as connections.
        Mode::Http | Mode::Udp(_) => {}
    }
}

/// The same of one whose TLS ends here.
pub async fn serve_secured(local: Rc<Local>, inbound: Inbound, io: Io) {
    let listener = Rc::clone(&inbound.listener);
    let client = Client::new(End::Client(io));
    if let Mode::Tcp(targets) = &listener.mode {
        tcp::tcp(local, inbound, targets, client).await;
    }
}
