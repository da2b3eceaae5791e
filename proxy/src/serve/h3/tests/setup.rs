//! How both ends of a pair are set up.

use std::sync::Arc;

use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{ClientConfig, ServerConfig, TransportConfig, VarInt};
use rustls::RootCertStore;
use rustls::pki_types::PrivatePkcs8KeyDer;

/// What differs from the usual pair.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    /// What the client lets the server send on each stream.
    pub client: u32,
    /// What the server keeps for the client.
    pub sending: u64,
    pub receiving: u32,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            client: 1 << 20,
            sending: 1 << 20,
            receiving: 1 << 18,
        }
    }
}

/// What the server and the client go by.
pub(super) fn configs(setup: Setup) -> (ServerConfig, ClientConfig) {
    let key = rcgen::generate_simple_self_signed(["test".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let certificate = key.cert.der().clone();
    let private = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
    let mut server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], private.into())
        .unwrap();
    server.alpn_protocols = vec![b"h3".to_vec()];
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let mut client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"h3".to_vec()];
    let crypto = QuicServerConfig::try_from(server).unwrap();
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(128u32.into())
        .send_window(setup.sending)
        .stream_receive_window(setup.receiving.into());
    server.transport_config(Arc::new(transport));
    let crypto = QuicClientConfig::try_from(client).unwrap();
    let mut client = ClientConfig::new(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(VarInt::from_u32(setup.client));
    client.transport_config(Arc::new(transport));
    (server, client)
}
