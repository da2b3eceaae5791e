//! The driver over real sockets, with a client of QUIC in the same process.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod client;
mod stage;

use std::time::{Duration, Instant};

use openclaw_core::reason::Reason;
use quinn_proto::{ConnectionError, Event, VarInt};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use self::client::{Client, config, socket};
use self::stage::{Stage, moved, run, started};

/// The type of a packet with a long header, from its first byte.
const TYPE: u8 = 0x30;
const RETRY: u8 = 0x30;

async fn wait(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(15);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn what_streams_bring_comes_back() {
    run(async {
        let stage = Stage::new(1);
        let mut client = Client::connect(stage.address).await;
        assert_eq!(client.echo(b"hello").await, b"hello");
        let large: Vec<u8> = (0..3_000_000u32).map(|number| number as u8).collect();
        assert!(client.echo(&large).await == large);
        assert_eq!(stage.local.connections.count(), 1);
        client
            .quic
            .close(Instant::now(), VarInt::from_u32(0), [][..].into());
        client.flush().await;
        wait("the end", || stage.local.connections.count() == 0).await;
    });
}

#[test]
fn a_client_whose_address_changes_goes_on_at_its_worker() {
    run(async {
        let stage = Stage::new(2);
        let mut client = Client::connect(stage.address).await;
        for _ in 0..8 {
            client.socket = socket().await;
            assert_eq!(client.echo(b"again").await, b"again");
        }
        assert_eq!(started(), 1);
        let last = client.socket.local_addr().unwrap();
        client.until(|_| moved().last() == Some(&last)).await;
    });
}

#[test]
fn a_datagram_that_comes_to_the_wrong_worker_is_handed_on() {
    run(async {
        // Without the kernel's help, addresses decide.
        let stage = Stage::with(3, false, |_| {});
        let mut client = Client::connect(stage.address).await;
        for _ in 0..8 {
            client.socket = socket().await;
            assert_eq!(client.echo(b"again").await, b"again");
        }
        assert_eq!(started(), 1);
    });
}

/// Opens handshakes that it never goes on with.
async fn half_open(stage: &Stage, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = Client::new(stage.address, config()).await;
        client.flush().await;
        clients.push(client);
        if clients.len().is_multiple_of(16) {
            // So that nothing is lost in a socket that is full.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    clients
}

#[test]
fn with_many_handshakes_open_a_client_has_to_show_its_address() {
    run(async {
        let stage = Stage::new(1);
        let silent = half_open(&stage, 128).await;
        wait("half-open", || stage.local.connections.count() == 128).await;
        let mut client = Client::connect(stage.address).await;
        let first = client.heads[0];
        assert_eq!(first & (0x80 | TYPE), 0x80 | RETRY, "{first:#x}");
        assert_eq!(client.echo(b"all the same").await, b"all the same");
        assert_eq!(stage.local.connections.count(), 129);
        drop(silent);
    });
}

#[test]
fn a_handshake_that_does_not_go_on_is_given_up() {
    run(async {
        let stage = Stage::with(1, true, |listener| {
            listener.header_timeout = Duration::from_millis(200);
        });
        let _silent = half_open(&stage, 3).await;
        wait("half-open", || stage.local.connections.count() == 3).await;
        wait("the end", || stage.local.connections.count() == 0).await;
        assert_eq!(started(), 0);
    });
}

#[test]
fn a_client_too_many_is_refused() {
    run(async {
        let stage = Stage::with(1, true, |listener| listener.max_connections_per_ip = 1);
        let _first = Client::connect(stage.address).await;
        let mut second = Client::new(stage.address, config()).await;
        second.until(Client::is_lost).await;
        let refused = second.events.iter().any(|event| {
            let Event::ConnectionLost { reason } = event else {
                return false;
            };
            // CONNECTION_REFUSED (RFC 9000 §20.1).
            matches!(reason, ConnectionError::ConnectionClosed(close) if u64::from(close.error_code) == 2)
        });
        assert!(refused, "{:?}", second.events);
        assert_eq!(stage.local.connections.count(), 1);
    });
}

async fn answer(socket: &UdpSocket, wait: Duration) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 2000];
    let received = timeout(wait, socket.recv(&mut buffer)).await.ok()?;
    buffer.truncate(received.unwrap());
    Some(buffer)
}

#[test]
fn an_unknown_version_is_told_the_known_ones() {
    run(async {
        let stage = Stage::new(1);
        let socket = socket().await;
        socket.connect(stage.address).await.unwrap();
        let mut initial = b"\xc3\x5a\x5a\x5a\x5a\x08destinat\x08sourceid".to_vec();
        initial.resize(1200, 0);
        socket.send(&initial).await.unwrap();
        let answer = answer(&socket, Duration::from_secs(15)).await.unwrap();
        assert_eq!(answer[1..5], [0; 4], "version negotiation");
        let versions = &answer[5 + 1 + 8 + 1 + 8..];
        assert!(versions.chunks(4).any(|version| version == [0, 0, 0, 1]));
    });
}

#[test]
fn noise_changes_nothing() {
    run(async {
        let stage = Stage::new(2);
        let mut client = Client::connect(stage.address).await;
        let mut random = fastrand::Rng::with_seed(7);
        let initials = first_datagrams(&stage).await;
        for round in 0..2000usize {
            let socket = &client.socket;
            let mut noise: Vec<u8> = (0..random.usize(0..1400)).map(|_| random.u8(..)).collect();
            if round.is_multiple_of(4) {
                // Initials that are cut short, or changed somewhere.
                noise.clone_from(&initials[round % initials.len()]);
                noise.truncate(random.usize(0..noise.len()));
            }
            if round.is_multiple_of(2)
                && let Some(first) = noise.first_mut()
            {
                *first |= 0xc0;
            }
            // From the client's own address as well: nothing of it is authentic.
            socket.send_to(&noise, stage.address).await.unwrap();
            if round.is_multiple_of(64) {
                assert_eq!(client.echo(b"still there").await, b"still there");
            }
        }
        assert_eq!(client.echo(b"still there").await, b"still there");
        assert_eq!(stage.local.connections.count(), 1);
    });
}

/// First datagrams of clients, which were not sent.
async fn first_datagrams(stage: &Stage) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for _ in 0..4 {
        let mut client = Client::new(stage.address, config()).await;
        let mut out = Vec::new();
        let transmit = client.quic.poll_transmit(Instant::now(), 1, &mut out);
        assert!(transmit.is_some());
        all.push(out);
    }
    all
}

#[test]
fn a_closed_listener_lets_exchanges_end_and_takes_nobody() {
    run(async {
        let stage = Stage::new(1);
        let mut client = Client::connect(stage.address).await;
        let id = client.open();
        client.quic.send_stream(id).write(b"half").unwrap();
        client
            .until(|client| client.quic.stats().frame_rx.acks > 2)
            .await;
        stage.close();
        let mut other = Client::new(stage.address, config()).await;
        other.until(Client::is_lost).await;
        client.quic.send_stream(id).write(b" and half").unwrap();
        client.quic.send_stream(id).finish().unwrap();
        client.until(Client::is_lost).await;
        let mut input = client.quic.recv_stream(id);
        let mut chunks = input.read(true).unwrap();
        let mut received = Vec::new();
        while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
            received.extend_from_slice(&chunk.bytes);
        }
        assert_eq!(received, b"half and half");
        wait("the end", || stage.local.connections.count() == 0).await;
    });
}

#[test]
fn whoever_does_not_go_is_closed_when_the_grace_is_over() {
    run(async {
        let stage = Stage::with(1, true, |_| {});
        let mut client = Client::connect(stage.address).await;
        let id = client.open();
        client.quic.send_stream(id).write(b"half").unwrap();
        wait("the stream", || started() == 1).await;
        stage.close();
        client.until(Client::is_lost).await;
        wait("the end", || stage.local.connections.count() == 0).await;
    });
}

#[test]
fn a_peer_that_is_turned_away_is_closed() {
    run(async {
        let stage = Stage::new(1);
        let mut client = Client::connect(stage.address).await;
        let _silent = half_open(&stage, 1).await;
        wait("both", || stage.local.connections.count() == 2).await;
        let closed = stage.local.connections.close(|_| Some(Reason::ShieldBan));
        assert_eq!(closed, 2);
        client.until(Client::is_lost).await;
        wait("the end", || stage.local.connections.count() == 0).await;
    });
}

#[test]
fn a_worker_that_ends_tells_its_clients() {
    let (sender, receiver) = std::sync::mpsc::channel();
    run(async {
        let stage = Stage::new(1);
        let client = Client::connect(stage.address).await;
        sender.send(client.socket.into_std().unwrap()).unwrap();
    });
    // The runtime is gone, and the driver with it.
    let socket = receiver.recv().unwrap();
    socket.set_nonblocking(false).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(15)))
        .unwrap();
    let mut buffer = [0; 2000];
    assert!(socket.recv(&mut buffer).is_ok(), "a last word");
}
