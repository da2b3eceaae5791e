//! What sources are called: by operators, in logs, on the disk. No token is in any of it.

use openclaw_core::config::{Consul, EndpointAddress, Kubernetes, Registry};
use openclaw_core::discovery::Target;

/// The word for a kind of source.
pub(super) fn kind_of(source: &Registry) -> &'static str {
    match source {
        Registry::Dns { .. } => "dns",
        Registry::Srv { .. } => "srv",
        Registry::File { .. } => "file",
        Registry::Consul(_) => "consul",
        Registry::Kubernetes(_) => "kubernetes",
        Registry::Eureka { .. } => "eureka",
    }
}

/// What a source is called in logs.
pub(super) fn name_of(source: &Registry) -> String {
    let kind = kind_of(source);
    match source {
        Registry::Dns { host, port, .. } => format!("{kind} {host}:{port}"),
        Registry::Srv { name, .. } => format!("{kind} {name}"),
        Registry::File { path } => format!("{kind} {}", path.display()),
        Registry::Consul(Consul { url, service, .. }) => format!("{kind} {service} at {url}"),
        Registry::Kubernetes(Kubernetes {
            service, namespace, ..
        }) => format!("{kind} {namespace}/{service}"),
        Registry::Eureka { url, app } => format!("{kind} {app} at {url}"),
    }
}

/// What tells a source from all others, on the disk.
pub(super) fn key_of(source: &Registry) -> String {
    let name = name_of(source);
    match source {
        Registry::Dns { resolver, .. } | Registry::Srv { resolver, .. } => match resolver {
            Some(resolver) => format!("{name} at {resolver}"),
            None => name,
        },
        Registry::File { .. } | Registry::Eureka { .. } => name,
        Registry::Consul(Consul {
            tag, datacenter, ..
        }) => {
            let [tag, datacenter] = [tag, datacenter].map(|word| word.as_deref().unwrap_or("-"));
            format!("{name} tag {tag} datacenter {datacenter}")
        }
        Registry::Kubernetes(Kubernetes { port, api, .. }) => {
            let [port, api] = [port, api].map(|word| word.as_deref().unwrap_or("-"));
            format!("{name} port {port} api {api}")
        }
    }
}

/// A name that is written down, as a source.
pub(in crate::control) fn named(address: &EndpointAddress) -> Option<Registry> {
    match address {
        EndpointAddress::Name { host, port } => Some(Registry::Dns {
            host: host.clone(),
            port: *port,
            resolver: None,
        }),
        EndpointAddress::Ip(_) | EndpointAddress::Demo => None,
    }
}

/// The name in an answer as a source of its own; SRV records are asked for at a name server that knows their targets, too.
pub(super) fn name_within(source: &Registry, target: &Target) -> Option<Registry> {
    let Target::Name { host, port } = target else {
        return None;
    };
    let resolver = match source {
        // Its answers are addresses.
        Registry::Dns { .. } => return None,
        Registry::Srv { resolver, .. } => *resolver,
        Registry::File { .. }
        | Registry::Consul(_)
        | Registry::Kubernetes(_)
        | Registry::Eureka { .. } => None,
    };
    Some(Registry::Dns {
        host: host.clone(),
        port: *port,
        resolver,
    })
}
