//! Why a source gave no endpoints.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::net::NetError;
use openclaw_core::discovery::TooMany;
use openclaw_core::discovery::dns::ServiceError;

/// Why there is no new answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiscoverError {
    #[error("the question to {server} cannot be put")]
    Server {
        server: SocketAddr,
        source: NetError,
    },
    #[error("no name server answers the question for {name}")]
    Dns { name: String, source: NetError },
    #[error("{name} has no addresses")]
    NoAddress { name: String },
    #[error("{name} has no SRV records")]
    NoService { name: String },
    #[error("the system does not know {name}")]
    System { name: String, source: io::Error },
    #[error("the SRV records of {name}")]
    Service { name: String, source: ServiceError },
    #[error(transparent)]
    TooMany(#[from] TooMany),
    #[error("no answer within {} s", .0.as_secs())]
    Slow(Duration),
}
