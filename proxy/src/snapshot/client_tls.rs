//! TLS as endpoints are met with it: what the control plane has made ready, and the name that is asked for.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

/// What connections to the endpoints of an upstream are secured with.
#[derive(Clone, Debug)]
pub struct ClientTls {
    pub config: Arc<ClientConfig>,
    /// The same, naming no protocol (ALPN).
    pub unread: Arc<ClientConfig>,
    /// Absent: each endpoint's own host.
    pub server_name: Option<ServerName<'static>>,
}

/// The same sessions and the same name: connections of one are as good as those of the other.
impl PartialEq for ClientTls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config) && self.server_name == other.server_name
    }
}

impl Eq for ClientTls {}

impl ClientTls {
    /// For bytes of which nobody here knows what they mean.
    #[must_use]
    pub fn unread(&self) -> Self {
        Self {
            config: Arc::clone(&self.unread),
            ..self.clone()
        }
    }

    /// What the certificate of an endpoint must bear, by its `host:port`; `None` if no certificate could bear that.
    pub fn name_of(&self, label: &str) -> Option<ServerName<'static>> {
        if self.server_name.is_some() {
            return self.server_name.clone();
        }
        let host = label.rsplit_once(':').map_or(label, |(host, _port)| host);
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        Self::name(bare.unwrap_or(host))
    }

    /// A host as certificates bear it: a name or an address.
    pub fn name(host: &str) -> Option<ServerName<'static>> {
        ServerName::try_from(host.to_owned()).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use rustls::RootCertStore;
    use rustls::crypto::aws_lc_rs;

    use super::*;

    #[test]
    fn the_name_is_the_configured_one_or_the_endpoints_host() {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions();
        let config = builder
            .unwrap()
            .with_root_certificates(RootCertStore::empty());
        let config = Arc::new(config.with_no_client_auth());
        let mut tls = ClientTls {
            config: Arc::clone(&config),
            unread: config,
            server_name: None,
        };
        for (label, expected) in [
            ("app.internal:443", "app.internal"),
            ("10.0.0.1:443", "10.0.0.1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
        ] {
            let name = tls.name_of(label).unwrap();
            assert_eq!(name.to_str(), expected, "{label}");
        }
        assert_eq!(tls.name_of("a b:443"), None);
        tls.server_name = ClientTls::name("other.test");
        let name = tls.name_of("10.0.0.1:443").unwrap();
        assert_eq!(name.to_str(), "other.test");
    }
}
