//! Instances of a service as registries have them: a host and a port that stand apart.

use super::Target;
use crate::config::{EndpointAddress, endpoint_address};

/// Why an answer is not taken.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// Not what the registry says.
    #[error("the answer is not understood")]
    Json {
        /// With its place.
        #[from]
        source: serde_json::Error,
    },
}

/// Where the instance is, if that is an address or a name.
pub(super) fn target(host: &str, port: u16) -> Option<Target> {
    let text = match host.parse::<std::net::Ipv6Addr>() {
        Ok(v6) => format!("[{v6}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    };
    match endpoint_address(&text).ok()? {
        EndpointAddress::Ip(address) => Some(Target::Ip(address)),
        EndpointAddress::Name { host, port } => Some(Target::Name { host, port }),
        EndpointAddress::Demo => None,
    }
}

/// What is said of an instance that is left out.
pub(super) fn no_address(id: &str) -> String {
    format!("the instance `{id}` has no address that can be used")
}
