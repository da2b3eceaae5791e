//! Why a source gave no endpoints.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hickory_resolver::net::NetError;
use hyper::StatusCode;
use openclaw_core::discovery::file::FileError;
use openclaw_core::discovery::kubernetes::KubernetesError;
use openclaw_core::discovery::{InstanceError, Unusable};

use super::http::MAX_ANSWER;
use crate::control::fetch::FetchError;

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
    System {
        name: String,
        /// Name servers have said before that there is no such name.
        is_denied: bool,
        source: io::Error,
    },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is larger than {} MiB", path.display(), MAX_ANSWER >> 20)]
    Large { path: PathBuf },
    #[error("{}", path.display())]
    File { path: PathBuf, source: FileError },
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the answer has more than {} MiB in a line", MAX_ANSWER >> 20)]
    Line,
    #[error("the answer breaks off")]
    Body { source: hyper::Error },
    #[error("{host} answered {status}")]
    Status { host: String, status: StatusCode },
    #[error("Consul")]
    Consul(#[source] InstanceError),
    #[error("Kubernetes")]
    Kubernetes(#[from] KubernetesError),
    #[error("Eureka")]
    Eureka(#[source] InstanceError),
    #[error("the token in {} cannot stand in a header", path.display())]
    Token { path: PathBuf },
    #[error("{} holds no certificate that can be used", path.display())]
    Authorities { path: PathBuf },
    #[error("this is no pod of Kubernetes (KUBERNETES_SERVICE_HOST is not set); say `api`")]
    NoCluster,
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[error("no answer within {} s", .0.as_secs())]
    Slow(Duration),
}

impl DiscoverError {
    /// Whether name servers have answered: that there is nothing.
    pub(super) fn is_denial(&self) -> bool {
        matches!(
            self,
            Self::NoAddress { .. }
                | Self::NoService { .. }
                | Self::System {
                    is_denied: true,
                    ..
                }
        )
    }
}
