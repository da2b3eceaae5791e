//! Address tokens (RFC 9000 §8.1.3): whoever was here before is believed with its first datagram.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use quinn_proto::{Endpoint, EndpointConfig, TokenStore};

use super::Stage;
use super::client::{Client, config, endpoint, run};
use crate::support::{Origin, PATIENCE, wait_until};

/// Keeps what servers give, and shows the same again and again.
#[derive(Default)]
struct Kept(Mutex<Option<Bytes>>);

impl TokenStore for Kept {
    fn insert(&self, _: &str, token: Bytes) {
        *self.0.lock().unwrap() = Some(token);
    }

    fn take(&self, _: &str) -> Option<Bytes> {
        self.0.lock().unwrap().clone()
    }
}

/// Begins a handshake from this address and tells whether it is asked to show that it is there.
fn is_doubted(server: SocketAddr, own: Ipv4Addr, store: &Arc<Kept>) -> bool {
    let socket = UdpSocket::bind((own, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut endpoint = Endpoint::new(EndpointConfig::default().into(), None, true, None);
    let mut config = config();
    config.token_store(Arc::clone(store) as _);
    let now = Instant::now();
    let (_, mut quic) = endpoint.connect(now, config, server, "a.test").unwrap();
    let mut datagram = Vec::new();
    assert!(quic.poll_transmit(now, 1, &mut datagram).is_some());
    socket.send_to(&datagram, server).unwrap();
    let mut answer = [0; 2000];
    assert!(socket.recv(&mut answer).unwrap() > 0);
    answer[0] & 0xb0 == 0xb0
}

#[test]
fn a_client_that_was_here_before_is_spared_the_retry_once() {
    let origin = Origin::serving("hello");
    let stage = Stage::of_one_worker(&origin);
    let nobody = Arc::new(Kept::default());
    let known = Arc::new(Kept::default());
    run(async {
        let mut config = config();
        config.token_store(Arc::clone(&known) as _);
        let endpoint = endpoint(config);
        let quic = endpoint.connect(stage.webs, "a.test").unwrap();
        let mut client = Client::over(endpoint.clone(), quic.await.unwrap()).await;
        assert_eq!(client.get("/").await.1, b"hello");
        wait_until("a token", || client.quic.stats().frame_rx.new_token > 0);
    });
    // Nobody goes on with any of these.
    let started = Instant::now();
    while !is_doubted(stage.webs, Ipv4Addr::LOCALHOST, &nobody) {
        assert!(
            started.elapsed() < PATIENCE,
            "many handshakes, and no Retry"
        );
    }
    let other = Ipv4Addr::new(127, 0, 0, 2);
    assert!(is_doubted(stage.webs, other, &known), "not its address");
    assert!(!is_doubted(stage.webs, Ipv4Addr::LOCALHOST, &known));
    assert!(
        is_doubted(stage.webs, Ipv4Addr::LOCALHOST, &known),
        "it was shown before"
    );
    *known.0.lock().unwrap() = Some(Bytes::from_static(&[7; 60]));
    assert!(
        is_doubted(stage.webs, Ipv4Addr::LOCALHOST, &known),
        "none of ours"
    );
}
