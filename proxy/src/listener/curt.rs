//! Fixed answers to connections that are not served: one write of what a fresh socket takes at once, and the end. They cost neither memory
//! nor time, however many come.

use std::mem::MaybeUninit;

use socket2::SockRef;
use tokio::net::TcpStream;

/// For whom there is no place among the connections of a listener.
pub(super) const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 42\r\n\
    Retry-After: 1\r\n\
    Cache-Control: no-store\r\n\
    Connection: close\r\n\
    \r\n\
    503 Service Unavailable\nlimit.connections\n";
/// For who speaks HTTP where TLS is spoken.
pub(super) const CLEARTEXT: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 80\r\n\
    Cache-Control: no-store\r\n\
    Connection: close\r\n\
    \r\n\
    400 Bad Request\ntls.handshake\nthis port speaks HTTPS, and HTTP came without TLS\n";
/// What of a client's bytes is thrown away.
const MOST: usize = 1 << 14;

/// Sends it; who does not take it at once goes without.
pub(super) fn answer(tcp: &TcpStream, words: &[u8]) {
    let socket = SockRef::from(tcp);
    let _ = socket.send(words);
    // A socket that is closed with bytes unread resets the connection, and the client may lose the answer. The kernel throws them away
    // without copying them.
    let mut nowhere = [MaybeUninit::uninit(); MOST];
    let _ = socket.recv_with_flags(&mut nowhere, libc::MSG_TRUNC | libc::MSG_DONTWAIT);
}

/// Whether the client speaks without TLS: a letter begins a method, and no record of TLS (RFC 8446 §5.1). Waits for its first byte.
pub(super) async fn speaks_cleartext(tcp: &TcpStream) -> bool {
    let mut first = [0];
    let peeked = tcp.peek(&mut first).await;
    peeked.is_ok_and(|count| count > 0) && first.iter().all(u8::is_ascii_uppercase)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{BUSY, CLEARTEXT};

    #[test]
    fn the_answers_are_whole() {
        for answer in [BUSY, CLEARTEXT] {
            let text = std::str::from_utf8(answer).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let length = format!("Content-Length: {}", body.len());
            assert!(head.contains(&length), "{head}: {}", body.len());
        }
    }
}
