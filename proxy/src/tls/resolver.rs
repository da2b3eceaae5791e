//! Which certificate a client gets: the one that bears the name it asked for, else one with a fitting wildcard, else the
//! first. A listener may hold an ECDSA and an RSA certificate for one name; the client's algorithms decide then.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Loaded;

type Keys = Vec<Arc<CertifiedKey>>;

#[derive(Debug)]
pub(super) struct ByName {
    exact: HashMap<Box<str>, Keys>,
    /// By what stands behind `*.`; a wildcard covers one label (RFC 9525 §6.3).
    wildcard: HashMap<Box<str>, Keys>,
    default: Keys,
}

impl ByName {
    pub(super) fn new(certificates: &[Arc<Loaded>]) -> Self {
        let mut exact: HashMap<Box<str>, Keys> = HashMap::new();
        let mut wildcard: HashMap<Box<str>, Keys> = HashMap::new();
        for certificate in certificates {
            for name in &certificate.facts.names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcard, parent),
                    None => (&mut exact, name.as_str()),
                };
                let keys = map.entry(name.into()).or_default();
                keys.push(Arc::clone(&certificate.key));
            }
        }
        // Its twins of another algorithm bear the same names.
        let first = certificates.first().map(|first| &first.facts.names);
        let default = certificates
            .iter()
            .filter(|one| Some(&one.facts.names) == first)
            .map(|one| Arc::clone(&one.key))
            .collect();
        Self {
            exact,
            wildcard,
            default,
        }
    }

    /// `name` is lower-case: rustls has seen to that.
    fn find(&self, name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let named = name.and_then(|name| {
            let parent = || name.split_once('.').map(|(_, parent)| parent);
            self.exact
                .get(name)
                .or_else(|| self.wildcard.get(parent()?))
        });
        named.unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = self.find(hello.server_name());
        Some(Arc::clone(choose(keys, hello.signature_schemes())?))
    }
}

/// The first key that can sign with an algorithm of the client; with none, the handshake says so itself.
fn choose<'a>(
    keys: &'a [Arc<CertifiedKey>],
    schemes: &[SignatureScheme],
) -> Option<&'a Arc<CertifiedKey>> {
    keys.iter()
        .find(|key| key.key.choose_scheme(schemes).is_some())
        .or(keys.first())
}
