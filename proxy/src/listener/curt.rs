//! Fixed answers to connections that are not served: one write of what a fresh socket takes at once, and the end. Nothing of them is kept
//! but a line and what `explain id` tells, both bounded.

use std::mem::MaybeUninit;

use openclaw_core::message::phrase;
use openclaw_core::trace::{self, RequestId};
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::exchange::context::Local;

/// For whom there is no place among the connections of a listener.
pub(super) const BUSY: Answer = Answer {
    status: 503,
    fields: "Retry-After: 1\r\n",
    words: "limit.connections\n",
};
/// For who speaks HTTP where TLS is spoken.
pub(super) const CLEARTEXT: Answer = Answer {
    status: 400,
    fields: "",
    words: "tls.handshake\nthis port speaks HTTPS, and HTTP came without TLS\n",
};
/// What of a client's bytes is thrown away.
const MOST: usize = 1 << 14;

/// What is said, but for the id.
pub(super) struct Answer {
    status: u16,
    /// Beside those that each has.
    fields: &'static str,
    words: &'static str,
}

/// What a client was told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) id: RequestId,
    pub(super) status: u16,
    /// Of the body, as for every answer.
    pub(super) bytes: u64,
}

/// Sends it; who does not take it at once goes without.
pub(super) fn answer(local: &Local, tcp: &TcpStream, answer: &Answer) -> Told {
    let id = trace::request_id(local.random_u128());
    let (head, body) = answer.text(&id);
    let socket = SockRef::from(tcp);
    let sent = socket.send([&*head, &*body].concat().as_bytes());
    // A socket that is closed with bytes unread resets the connection, and the client may lose the answer. The kernel throws them away
    // without copying them.
    let mut nowhere = [MaybeUninit::uninit(); MOST];
    let _ = socket.recv_with_flags(&mut nowhere, libc::MSG_TRUNC | libc::MSG_DONTWAIT);
    Told {
        id,
        status: answer.status,
        bytes: sent.unwrap_or_default().saturating_sub(head.len()) as u64,
    }
}

impl Answer {
    /// Head and body.
    fn text(&self, id: &RequestId) -> (String, String) {
        let Self {
            status,
            fields,
            words,
        } = self;
        let body = format!("{status} {}\n{words}request id: {id}\n", phrase(*status));
        let head = format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nX-Request-Id: {id}\r\n\
            {fields}Cache-Control: no-store\r\nConnection: close\r\n\r\n",
            phrase(*status),
            body.len(),
        );
        (head, body)
    }
}

/// Whether the client speaks without TLS: a letter begins a method, and no record of TLS (RFC 8446 §5.1). Waits for its first byte.
pub(super) async fn speaks_cleartext(tcp: &TcpStream) -> bool {
    let mut first = [0];
    let peeked = tcp.peek(&mut first).await;
    peeked.is_ok_and(|count| count > 0) && first.iter().all(u8::is_ascii_uppercase)
}
