//! What is made of the files of certificates, keys and authorities: what listeners show, and what endpoints are met with.

use std::sync::Arc;

use openclaw_core::config::{Listener, Upstream};

use super::build::Builder;
use super::error::Trouble;
use crate::snapshot::{ClientTls, ListenerSetup, TlsSetup};
use crate::tls::CertificateFacts;

/// Of every listener, by its name.
pub(super) type Certificates = Vec<(Arc<str>, CertificateFacts)>;

/// What handshakes of a listener need; nothing where it has no TLS.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) tls: Option<TlsSetup>,
    pub(super) quic: Option<Arc<quinn_proto::ServerConfig>>,
}

impl Shown {
    /// A listener's setup with this in place of what it showed.
    pub(super) fn renew(self, setup: &ListenerSetup) -> ListenerSetup {
        ListenerSetup {
            tls: self.tls,
            quic: self.quic,
            ..setup.clone()
        }
    }
}

impl Builder {
    /// What listeners show, one after the other, and the certificates in it. What cannot be used is added to the troubles.
    pub(super) fn shown(
        &mut self,
        listeners: &[Listener],
        troubles: &mut Vec<Trouble>,
    ) -> (Vec<Shown>, Certificates) {
        let mut certificates = Vec::new();
        let each = listeners.iter().map(|listener| {
            let Some(tls) = &listener.tls else {
                return Shown::default();
            };
            match self.keeper.prepare(listener, tls) {
                Ok(ready) => {
                    let facts = ready.certificates.into_iter();
                    certificates.extend(facts.map(|facts| (Arc::clone(&listener.name), facts)));
                    let quic = ready.quic.map(|tls| self.quic.serving(listener, tls));
                    let tls = Some(TlsSetup {
                        config: ready.config,
                        names: ready.names,
                    });
                    Shown { tls, quic }
                }
                Err(errors) => {
                    troubles.extend(errors.into_iter().map(|(part, source)| Trouble::Tls {
                        listener: Arc::clone(&listener.name),
                        part,
                        source: Box::new(source),
                    }));
                    Shown::default()
                }
            }
        });
        let shown = each.collect();
        (shown, certificates)
    }

    /// What endpoints are met with, upstream by upstream.
    pub(super) fn secured(
        &mut self,
        upstreams: &[Upstream],
        troubles: &mut Vec<Trouble>,
    ) -> Vec<Option<ClientTls>> {
        let each = upstreams.iter().map(|upstream| {
            let ready = self.clients.prepare(upstream, upstream.tls.as_ref()?);
            ready
                .map_err(|errors| {
                    troubles.extend(errors.into_iter().map(|(part, source)| {
                        Trouble::UpstreamTls {
                            upstream: Arc::clone(&upstream.name),
                            part,
                            source: Box::new(source),
                        }
                    }));
                })
                .ok()
        });
        each.collect()
    }
}
