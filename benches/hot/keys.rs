//! QUIC without secrets: a handshake that carries nothing but what either end goes by, and packets whose seals say nothing. What is counted
//! is then the same on every processor, and is what this program's side of a packet takes, not a cipher.

use std::any::Any;
use std::sync::Arc;

use bytes::BytesMut;
use quinn_proto::crypto::{
    AeadKey, ClientConfig, CryptoError, ExportKeyingMaterialError, HandshakeTokenKey, HeaderKey,
    HmacKey, KeyPair, Keys, PacketKey, ServerConfig, Session, UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, ConnectionId, Side, TransportError};

/// As long as the seals of every cipher of TLS 1.3.
const SEAL: usize = 16;

#[derive(Clone, Copy)]
pub(crate) struct Open;

impl PacketKey for Open {
    fn encrypt(&self, _packet: u64, _buffer: &mut [u8], _header: usize) {}

    fn decrypt(
        &self,
        _packet: u64,
        _header: &[u8],
        payload: &mut BytesMut,
    ) -> Result<(), CryptoError> {
        let length = payload.len().checked_sub(SEAL).ok_or(CryptoError)?;
        payload.truncate(length);
        Ok(())
    }

    fn tag_len(&self) -> usize {
        SEAL
    }

    fn confidentiality_limit(&self) -> u64 {
        u64::MAX
    }

    fn integrity_limit(&self) -> u64 {
        u64::MAX
    }
}

impl HeaderKey for Open {
    fn decrypt(&self, _offset: usize, _packet: &mut [u8]) {}

    fn encrypt(&self, _offset: usize, _packet: &mut [u8]) {}

    fn sample_size(&self) -> usize {
        SEAL
    }
}

impl HmacKey for Open {
    fn sign(&self, _data: &[u8], out: &mut [u8]) {
        // Not what a seal that was left empty ends with, which would be a reset without state (RFC 9000 §10.3).
        out.fill(1);
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, _data: &[u8], _signature: &[u8]) -> Result<(), CryptoError> {
        Ok(())
    }
}

impl HandshakeTokenKey for Open {
    fn aead_from_hkdf(&self, _random: &[u8]) -> Box<dyn AeadKey> {
        Box::new(Self)
    }
}

impl AeadKey for Open {
    fn seal(&self, _data: &mut Vec<u8>, _beside: &[u8]) -> Result<(), CryptoError> {
        Ok(())
    }

    fn open<'a>(&self, data: &'a mut [u8], _beside: &[u8]) -> Result<&'a mut [u8], CryptoError> {
        Ok(data)
    }
}

fn keys() -> Keys {
    Keys {
        header: KeyPair {
            local: Box::new(Open),
            remote: Box::new(Open),
        },
        packet: KeyPair {
            local: Box::new(Open),
            remote: Box::new(Open),
        },
    }
}

/// What one end has still to say, and what the other one has said.
struct Handshake {
    side: Side,
    own: Vec<u8>,
    /// Flights of the other end so far, and of this one.
    heard: usize,
    said: usize,
    theirs: Option<TransportParameters>,
}

impl Handshake {
    fn begin(side: Side, own: &TransportParameters) -> Box<dyn Session> {
        let mut written = Vec::new();
        own.write(&mut written);
        Box::new(Self {
            side,
            own: written,
            heard: 0,
            said: 0,
            theirs: None,
        })
    }
}

impl Session for Handshake {
    fn initial_keys(&self, _id: &ConnectionId, _side: Side) -> Keys {
        keys()
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        // The server waits for the client's last word.
        self.heard < 2
    }

    fn read_handshake(&mut self, mut flight: &[u8]) -> Result<bool, TransportError> {
        self.heard += 1;
        // The server's first flight and the client's second say nothing.
        if flight.len() > 1 {
            let theirs = TransportParameters::read(self.side, &mut flight)?;
            self.theirs = Some(theirs);
        }
        Ok(self.heard == 1)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        Ok(self.theirs)
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        if self.side.is_client() {
            // First what it goes by; then, flight by flight of the server's, the next keys.
            match (self.said, self.heard) {
                (0, 0) => {
                    out.append(&mut self.own);
                    self.said = 1;
                    return None;
                }
                (1, 1..) => {}
                (2, 2..) => out.push(0),
                _ => return None,
            }
        } else {
            match (self.said, self.heard) {
                (0, 1..) => out.push(0),
                (1, 1..) => out.append(&mut self.own),
                _ => return None,
            }
        }
        self.said += 1;
        Some(keys())
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        Some(keys().packet)
    }

    fn is_valid_retry(&self, _id: &ConnectionId, _header: &[u8], _payload: &[u8]) -> bool {
        false
    }

    fn export_keying_material(
        &self,
        _out: &mut [u8],
        _label: &[u8],
        _context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        Err(ExportKeyingMaterialError)
    }
}

impl ClientConfig for Open {
    fn start_session(
        self: Arc<Self>,
        _version: u32,
        _name: &str,
        own: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        Ok(Handshake::begin(Side::Client, own))
    }
}

impl ServerConfig for Open {
    fn initial_keys(&self, _version: u32, _id: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        Ok(keys())
    }

    fn retry_tag(&self, _version: u32, _id: &ConnectionId, _packet: &[u8]) -> [u8; 16] {
        [0; 16]
    }

    fn start_session(
        self: Arc<Self>,
        _version: u32,
        own: &TransportParameters,
    ) -> Box<dyn Session> {
        Handshake::begin(Side::Server, own)
    }
}
