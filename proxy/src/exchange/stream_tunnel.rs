//! A stream that becomes a tunnel: an Upgrade, or a client's extended CONNECT, told to the endpoint as an extended CONNECT
//! (RFC 8441), and its success told back as what the client understands.

use openclaw_core::message::{Field, Fields, Kind, websocket};

use super::prepare::Outbound;
use super::stream_head;

/// What a client wants a tunnel for.
#[derive(Debug)]
pub(super) struct Tunnel {
    protocol: String,
    /// The answer to its challenge, where it speaks HTTP/1 and wants a WebSocket.
    accept: Option<[u8; 28]>,
    /// The endpoint has agreed.
    is_open: bool,
}

impl Tunnel {
    pub(super) fn new(outbound: &Outbound) -> Option<Self> {
        let protocol = str::from_utf8(&outbound.protocols).ok()?;
        let is_theirs = outbound.asked.websocket.is_none();
        let key = stream_head::value(&outbound.head, Kind::WebSocketKey).filter(|_| is_theirs);
        Some(Self {
            protocol: protocol.to_owned(),
            accept: key.map(websocket::accept),
            is_open: false,
        })
    }

    pub(super) fn protocol(&self) -> &str {
        &self.protocol
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether the endpoint agrees with this status; the tunnel is open then (RFC 9110 §9.3.6).
    pub(super) fn agrees(&mut self, status: u16) -> bool {
        self.is_open = (200..300).contains(&status);
        self.is_open
    }

    /// The head of a switch in place of the endpoint's, whose fields are handed in.
    pub(super) fn fields<'a>(&'a self, received: &[Field<'a>]) -> Fields<'a> {
        let mut fields: Fields<'a> = received.iter().copied().collect();
        let accept = self.accept.as_ref().map(<[u8; 28]>::as_slice);
        websocket::put_answer(&mut fields, self.protocol.as_bytes(), accept);
        fields
    }
}
