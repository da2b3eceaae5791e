//! What comes to an open UDP port.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::Stage;
use super::client::{Client, config, run};
use crate::support::{Origin, PATIENCE};

fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse().unwrap()
}

/// A datagram that looks like the first of a connection.
fn initial(random: &mut fastrand::Rng, length: usize) -> Vec<u8> {
    let mut datagram = vec![0xc3, 0, 0, 0, 1, 8];
    datagram.extend_from_slice(&random.u64(..).to_be_bytes());
    datagram.push(8);
    datagram.extend_from_slice(&random.u64(..).to_be_bytes());
    datagram.extend_from_slice(&[0, 0x44, 0xa0]);
    datagram.resize_with(length.max(datagram.len()), || random.u8(..));
    datagram
}

fn flood(server: SocketAddr, count: usize, mut next: impl FnMut() -> Vec<u8>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..count {
        socket.send_to(&next(), server).unwrap();
        if number % 64 == 63 {
            // So that the proxy sees them, and not only its socket's queue.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn noise_and_forged_beginnings_cost_no_memory_and_harm_nobody() {
    let origin = Origin::serving("still here");
    let stage = Stage::before(&origin);
    run(async {
        let mut client = Client::connect(stage.webs).await;
        assert_eq!(client.get("/").await.1, b"still here");
        let mut random = fastrand::Rng::with_seed(1);
        let mut noise = || {
            let length = random.usize(0..1500);
            match random.u8(0..4) {
                0 => (0..length).map(|_| random.u8(..)).collect(),
                1 => initial(&mut random, 1200),
                2 => initial(&mut random, 200),
                _ => {
                    let mut short = vec![0x41];
                    short.resize_with(length + 1, || random.u8(..));
                    short
                }
            }
        };
        flood(stage.webs, 2000, &mut noise);
        assert_eq!(client.get("/").await.1, b"still here");
        let before = memory(stage.proxy.pid());
        flood(stage.webs, 20_000, &mut noise);
        assert_eq!(client.get("/").await.1, b"still here");
        let grown = memory(stage.proxy.pid()).saturating_sub(before);
        assert!(grown < 8 * 1024, "{grown} KiB more");
        let mut other = Client::connect(stage.webs).await;
        assert_eq!(other.get("/").await.1, b"still here");
    });
}

#[test]
fn an_unknown_version_is_told_the_known_ones_and_a_short_one_nothing() {
    let stage = Stage::before(&Origin::serving(""));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut random = fastrand::Rng::with_seed(2);
    let mut unknown = initial(&mut random, 1200);
    unknown[1..5].copy_from_slice(&[0x5a; 4]);
    // Too short to be answered with something larger.
    socket.send_to(&unknown[..100], stage.webs).unwrap();
    socket.send_to(&unknown, stage.webs).unwrap();
    let mut buffer = [0; 2000];
    let length = socket.recv(&mut buffer).unwrap();
    let answer = &buffer[..length];
    assert_eq!(answer[1..5], [0; 4], "version negotiation");
    assert!(
        answer[23..]
            .chunks(4)
            .any(|version| version == [0, 0, 0, 1])
    );
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv(&mut buffer).is_err(), "one answer only");
}

#[test]
fn with_many_handshakes_open_a_client_has_to_show_its_address() {
    let origin = Origin::serving("all the same");
    let stage = Stage::before(&origin);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut endpoint = quinn_proto::Endpoint::new(
        quinn_proto::EndpointConfig::default().into(),
        None,
        true,
        None,
    );
    // Beginnings that nobody goes on with: all of one address go to one worker.
    let mut count = 0;
    let end = Instant::now() + PATIENCE;
    let is_retry = |head: u8| head & 0xb0 == 0xb0;
    let mut heads = Vec::new();
    while !heads.iter().copied().any(is_retry) {
        assert!(Instant::now() < end, "{count} handshakes, and no Retry");
        let now = Instant::now();
        let (_, mut quic) = endpoint
            .connect(now, config(), stage.webs, "a.test")
            .unwrap();
        let mut datagram = Vec::new();
        assert!(quic.poll_transmit(now, 1, &mut datagram).is_some());
        socket.send_to(&datagram, stage.webs).unwrap();
        count += 1;
        std::thread::sleep(Duration::from_millis(1));
        let mut buffer = [0; 2000];
        while socket.recv(&mut buffer).is_ok() {
            heads.push(buffer[0]);
        }
    }
    assert!(count > 64, "{count} handshakes are not many");
    run(async {
        for _ in 0..4 {
            // Some of these meet the same worker.
            let mut client = Client::connect(stage.webs).await;
            assert_eq!(client.get("/").await.1, b"all the same");
        }
    });
}
