//! What the QUIC side of all listeners shares, and what a listener's connections get.

use std::sync::Arc;
use std::time::Duration;

use ::aws_lc_rs::{hkdf, hmac};
use openclaw_core::config::Listener;
use quinn_proto::{EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt, crypto};
use rustls::crypto::aws_lc_rs;
use serde::{Deserialize, Serialize};

use super::elders::{Elders, Younger};
use super::ids::{GENERATIONS, IdKey, fill};
use super::tokens;

/// What a client may send on one stream before it is taken: an upload of 1 MiB a round trip.
const STREAM_WINDOW: u32 = 1 << 20;
/// The same for all streams of a connection, which bounds what one connection can have waiting here.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// What of responses waits to be acknowledged, for all streams of a connection: 1 MiB a round trip, too. A client that takes responses and
/// acknowledges nothing has so much held here, and `max_connections` of them that many times as much.
const SEND_WINDOW: u64 = 1 << 20;
/// Requests at one time, as with HTTP/2.
const STREAMS: u32 = 128;
/// A control stream, two of QPACK, and room for some that nobody knows (RFC 9114 §6.2).
const UNI_STREAMS: u32 = 16;
/// What of a first flight may arrive before its connection is made, which is at once.
const INCOMING: u64 = 64 << 10;

/// Bytes that keys are made of.
const SECRET: usize = 64;

/// What a process leaves to the one that goes on with its sockets.
#[derive(Clone, Serialize, Deserialize)]
pub struct Legacy {
    ids: [u32; 4],
    secret: Vec<u8>,
    /// Of the process that leaves it.
    generation: u16,
}

impl std::fmt::Debug for Legacy {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Legacy of {}", self.generation)
    }
}

/// Keys that live as long as the sockets, over processes.
#[derive(Clone, Debug)]
pub struct Settings {
    pub ids: IdKey,
    /// How many processes had the sockets before this one, as far as ids tell.
    pub(super) generation: u16,
    pub elders: Elders,
    pub younger: Younger,
    legacy: Legacy,
    /// With the key of stateless resets.
    pub(super) endpoint: EndpointConfig,
    /// With the key of tokens and what is known of those that were shown, once there is a first listener.
    template: Option<ServerConfig>,
}

impl Default for Settings {
    fn default() -> Self {
        let mut secret = vec![0; SECRET];
        fill(aws_lc_rs::default_provider().secure_random, &mut secret);
        Self::with(
            Legacy {
                ids: IdKey::random().to_words(),
                secret,
                generation: 0,
            },
            Elders::default(),
        )
    }
}

impl Settings {
    /// Those of a process that goes on with the sockets of others.
    pub fn inherited(mut legacy: Legacy, elders: Elders) -> Self {
        legacy.generation = (legacy.generation + 1) % GENERATIONS;
        Self::with(legacy, elders)
    }

    fn with(legacy: Legacy, elders: Elders) -> Self {
        let resets = hmac::Key::new(hmac::HMAC_SHA256, &legacy.secret);
        Self {
            ids: IdKey::from_words(legacy.ids),
            generation: legacy.generation,
            elders,
            younger: Younger::default(),
            endpoint: EndpointConfig::new(Arc::new(resets)),
            legacy,
            template: None,
        }
    }

    /// For the next process.
    pub fn legacy(&self) -> Legacy {
        self.legacy.clone()
    }

    /// The number that marks the connections of this process.
    pub fn generation(&self) -> u16 {
        self.generation
    }

    /// The same of the next process.
    pub fn next_generation(&self) -> u16 {
        (self.generation + 1) % GENERATIONS
    }

    /// What new connections of a listener get.
    pub fn serving(
        &mut self,
        listener: &Listener,
        tls: Arc<dyn crypto::ServerConfig>,
    ) -> Arc<ServerConfig> {
        let template = self.template.get_or_insert_with(|| {
            let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"tokens");
            let key = salt.extract(&self.legacy.secret);
            let mut template = ServerConfig::new(Arc::clone(&tls), Arc::new(key));
            template.validation_token_config(tokens::config());
            template
        });
        let mut config = template.clone();
        config.crypto = tls;
        config
            .transport_config(Arc::new(transport(listener)))
            .incoming_buffer_size(INCOMING)
            .incoming_buffer_size_total(INCOMING);
        Arc::new(config)
    }
}

fn transport(listener: &Listener) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(CONNECTION_WINDOW.into())
        .send_window(SEND_WINDOW)
        .max_concurrent_bidi_streams(STREAMS.into())
        .max_concurrent_uni_streams(UNI_STREAMS.into())
        // Nobody here asks for unreliable datagrams.
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(idle(listener.idle_timeout)))
        // A client that waits for a slow endpoint is silent, and gone no sooner than this finds out.
        .keep_alive_interval(Some(listener.idle_timeout / 3));
    transport
}

fn idle(timeout: Duration) -> IdleTimeout {
    // Longer than this is for ever.
    IdleTimeout::try_from(timeout).unwrap_or_else(|_| VarInt::MAX.into())
}
