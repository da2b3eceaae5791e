//! Which certificate a client gets: by the name it asked for, and where a listener has an ECDSA and an RSA certificate for
//! one name, by the client's algorithms.

use std::sync::Arc;

use openclaw_core::certificates::ByName;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) names: Arc<ByName>,
    /// In the order that `names` counts in.
    pub(super) keys: Vec<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Lower-case: rustls has seen to that.
        let places = self.names.find(hello.server_name());
        let keys = places
            .iter()
            .filter_map(|place| self.keys.get(*place as usize));
        let schemes = hello.signature_schemes();
        let mut able = keys
            .clone()
            .filter(|key| key.key.choose_scheme(schemes).is_some());
        // With none that can sign as the client wants, the handshake says so itself.
        able.next().or_else(|| keys.clone().next()).cloned()
    }
}
