//! What is measured: the load of each scenario, and what the proxies must be set up for.

use clap::ValueEnum;

use super::template::{self, Kind};

/// Routes of the scenario that looks for one among many.
const MANY: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// HTTP/1.1 kept alive, 1 KiB, 64 connections
    #[value(name = "h1-1k")]
    Small,
    /// HTTP/1.1 kept alive, 100 KiB, 64 connections
    #[value(name = "h1-100k")]
    Large,
    /// HTTP/1.1 kept alive, 10 MiB, 8 connections
    #[value(name = "h1-10m")]
    Huge,
    /// The same as h1-1k over TLS 1.3 with AES-128-GCM
    #[value(name = "https-1k")]
    Https,
    /// A new TLS 1.3 connection for each 1 KiB, never resumed; P-256 certificate, X25519
    #[value(name = "tls-handshake")]
    Handshake,
    /// HTTP/2 over TLS 1.3, 1 KiB, 16 connections of 8 streams
    #[value(name = "h2-1k")]
    Http2,
    /// The same with 100 KiB
    #[value(name = "h2-100k")]
    LargeHttp2,
    /// HTTP/2 over TLS 1.3, each request reset at once, 190 on each new connection
    #[value(name = "h2-reset")]
    Resets,
    /// HTTP/3, 1 KiB, 16 connections of 8 streams
    #[value(name = "h3-1k")]
    Http3,
    /// HTTP/3, 100 KiB, 16 connections of 8 streams
    #[value(name = "h3-100k")]
    LargeHttp3,
    /// A new QUIC connection for each 1 KiB, never resumed; P-256 certificate, X25519
    #[value(name = "quic-handshake")]
    QuicHandshake,
    /// The same as h1-1k through one route by host
    #[value(name = "route-1")]
    OneRoute,
    /// The same as route-1, the last of 1000 routes
    #[value(name = "route-1000")]
    ManyRoutes,
    /// Exchanges of 1 KiB through connections that are forwarded unread, 64 of them
    #[value(name = "l4-1k")]
    Exchanges,
    /// 16 MiB at a time through connections that are forwarded unread, 64 of them
    #[value(name = "l4-bulk")]
    Bulk,
    /// The same as h1-1k, out of the cache
    #[value(name = "cache-1k")]
    Hit,
    /// The same as h1-100k, out of the cache
    #[value(name = "cache-100k")]
    LargeHit,
    /// The same as https-1k, out of the cache
    #[value(name = "cache-https-1k")]
    HttpsHit,
    /// The same as h2-1k, out of the cache
    #[value(name = "cache-h2-1k")]
    Http2Hit,
    /// The same as h1-1k with 32 KiB of JSON, put into gzip; nginx at level 4, which makes as few bytes (6.5 KB)
    #[value(name = "gzip-32k")]
    Coded,
    /// Resident memory of each of 8000 connections that made one request and wait
    #[value(name = "idle")]
    Idle,
}

/// Scenarios whose difference is of interest run in turns, as the proxies do.
pub(crate) const GROUPS: [&[Scenario]; 20] = [
    &[Scenario::Small],
    &[Scenario::Large],
    &[Scenario::Huge],
    &[Scenario::Https],
    &[Scenario::Handshake],
    &[Scenario::Http2],
    &[Scenario::LargeHttp2],
    &[Scenario::Resets],
    &[Scenario::Http3],
    &[Scenario::LargeHttp3],
    &[Scenario::QuicHandshake],
    &[Scenario::OneRoute, Scenario::ManyRoutes],
    &[Scenario::Exchanges],
    &[Scenario::Bulk],
    &[Scenario::Hit],
    &[Scenario::LargeHit],
    &[Scenario::HttpsHit],
    &[Scenario::Http2Hit],
    &[Scenario::Coded],
    &[Scenario::Idle],
];

/// The program that makes the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    Wrk,
    H2load { connections: u32, streams: u32 },
    Sink { connections: u32 },
    Handshake,
    Resets,
    Http3 { connections: u32, streams: u32 },
    QuicHandshake,
    Idle { connections: u32 },
}

impl Scenario {
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// One line for readers of a table.
    pub(crate) fn about(self) -> String {
        self.to_possible_value()
            .and_then(|value| Some(value.get_help()?.to_string()))
            .unwrap_or_default()
    }

    pub(crate) fn load(self) -> Load {
        match self {
            Self::Small
            | Self::Https
            | Self::OneRoute
            | Self::ManyRoutes
            | Self::Exchanges
            | Self::Hit
            | Self::HttpsHit
            | Self::Coded => Load::Wrk,
            Self::Large | Self::Bulk | Self::LargeHit => Load::Sink { connections: 64 },
            Self::Huge => Load::Sink { connections: 8 },
            Self::Handshake => Load::Handshake,
            Self::Http2 | Self::LargeHttp2 | Self::Http2Hit => Load::H2load {
                connections: 16,
                streams: 8,
            },
            Self::Resets => Load::Resets,
            Self::Http3 | Self::LargeHttp3 => Load::Http3 {
                connections: 16,
                streams: 8,
            },
            Self::QuicHandshake => Load::QuicHandshake,
            Self::Idle => Load::Idle { connections: 8000 },
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Small | Self::Large | Self::Idle => Kind::Plain,
            Self::Huge => Kind::Big,
            Self::Https | Self::Handshake | Self::Http2 | Self::LargeHttp2 | Self::Resets => {
                Kind::Tls
            }
            Self::Http3 | Self::LargeHttp3 | Self::QuicHandshake => Kind::Quic,
            Self::Exchanges | Self::Bulk => Kind::Relay,
            Self::OneRoute => Kind::Hosts(1),
            Self::ManyRoutes => Kind::Hosts(MANY),
            Self::Hit | Self::LargeHit => Kind::Stored,
            Self::HttpsHit | Self::Http2Hit => Kind::StoredTls,
            Self::Coded => Kind::Coded,
        }
    }

    /// The page of the origin that is asked for.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Large | Self::LargeHttp2 | Self::LargeHttp3 | Self::LargeHit => "/100k",
            Self::Huge => "/10m",
            Self::Bulk => "/16m",
            Self::Coded => "/json",
            Self::Small
            | Self::Https
            | Self::Handshake
            | Self::Http2
            | Self::Resets
            | Self::Http3
            | Self::QuicHandshake
            | Self::OneRoute
            | Self::ManyRoutes
            | Self::Exchanges
            | Self::Hit
            | Self::HttpsHit
            | Self::Http2Hit
            | Self::Idle => "/1k",
        }
    }

    /// The host that is asked for, where routes look at it.
    pub(crate) fn host(self) -> Option<String> {
        match self.kind() {
            Kind::Plain
            | Kind::Big
            | Kind::Tls
            | Kind::Quic
            | Kind::Relay
            | Kind::Stored
            | Kind::StoredTls
            | Kind::Coded => None,
            Kind::Hosts(count) => Some(template::host(count.saturating_sub(1))),
        }
    }
}
