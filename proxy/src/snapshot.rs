//! A configuration made ready to serve: compiled once by the control plane, immutable, shared by all workers.

use std::net::SocketAddr;
use std::sync::Arc;

use openclaw_core::config::Config;

/// What every worker serves from until the next one arrives.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts reloads, from 1.
    pub generation: u64,
    pub config: Config,
    pub router: openclaw_core::route::Router,
    /// Beside `config.listeners`.
    pub listeners: Vec<ListenerSetup>,
    /// Beside `config.upstreams`.
    pub upstreams: Vec<UpstreamSetup>,
}

/// What a listener needs beyond its configuration.
#[derive(Clone, Debug)]
pub struct ListenerSetup {
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// An upstream with its names resolved.
#[derive(Clone, Debug)]
pub struct UpstreamSetup {
    pub endpoints: Vec<ResolvedEndpoint>,
}

/// One address that connections are made to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedEndpoint {
    pub address: SocketAddr,
    pub weight: u32,
    /// As written in the configuration, for logs and metrics.
    pub label: Arc<str>,
}
