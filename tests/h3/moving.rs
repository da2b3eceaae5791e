//! Clients whose addresses change.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;

use super::client::{Client, answer, run};
use super::{Stage, echo};

#[test]
fn a_client_goes_on_from_another_address() {
    let origin = echo();
    let stage = Stage::before(&origin);
    run(async {
        let mut client = Client::connect(stage.webs).await;
        let mut stream = client.start(Method::POST, "/moving").await;
        stream.send_data(Bytes::from("one")).await.unwrap();
        for part in ["two", "three", "four", "five", "six"] {
            client.move_away();
            stream.send_data(Bytes::from(part)).await.unwrap();
            // The other worker would know nothing of this connection.
            let (head, _) = client.get("/beside").await;
            assert_eq!(head.status().as_u16(), 200);
        }
        stream.finish().await.unwrap();
        let (_, body) = answer(&mut stream).await;
        assert_eq!(body, b"onetwothreefourfivesix");
    });
}

#[test]
fn requests_from_another_address_are_that_clients() {
    let origin = echo();
    let stage = Stage::before(&origin);
    let names = |address: &str| {
        let requests = origin.requests();
        let last = requests.last().unwrap().header("x-forwarded-for");
        last == Some(address)
    };
    run(async {
        let mut client = Client::connect(stage.webs).await;
        client.get("/before").await;
        assert!(names("127.0.0.1"));
        client.move_to(Ipv4Addr::new(127, 0, 0, 2));
        // Until it has shown that it gets what is sent to its new address, it is known by the old one.
        let mut count = 0;
        while !names("127.0.0.2") {
            client.get(&format!("/moved/{count}")).await;
            count += 1;
        }
        client.get("/behind").await;
        assert!(names("127.0.0.2"));
    });
    let line = stage.proxy.wait_for_access("/behind");
    assert!(line.contains("\"client\":\"127.0.0.2\""), "{line}");
}

/// Passes datagrams of one client on, from its own address or from one that nobody listens at.
struct Forger {
    address: SocketAddr,
    forges: Arc<AtomicBool>,
}

impl Forger {
    fn before(server: SocketAddr) -> Self {
        let bind = |address: [u8; 4]| UdpSocket::bind((Ipv4Addr::from(address), 0)).unwrap();
        let (front, own, forged) = (
            bind([127, 0, 0, 1]),
            bind([127, 0, 0, 1]),
            bind([127, 0, 0, 3]),
        );
        let address = front.local_addr().unwrap();
        let forges = Arc::<AtomicBool>::default();
        let (flag, back) = (Arc::clone(&forges), own.try_clone().unwrap());
        let answers = front.try_clone().unwrap();
        let client = Arc::<Mutex<Option<SocketAddr>>>::default();
        let known = Arc::clone(&client);
        thread::spawn(move || {
            let mut buffer = [0; 2000];
            while let Ok((length, from)) = front.recv_from(&mut buffer) {
                if length == 0 {
                    return;
                }
                *known.lock().unwrap() = Some(from);
                let socket = if flag.load(Ordering::Acquire) {
                    &forged
                } else {
                    &own
                };
                socket.send_to(&buffer[..length], server).unwrap();
            }
        });
        thread::spawn(move || {
            let mut buffer = [0; 2000];
            while let Ok(length) = back.recv(&mut buffer) {
                let client = client.lock().unwrap().unwrap();
                // The client may be gone.
                if answers.send_to(&buffer[..length], client).is_err() {
                    return;
                }
            }
        });
        Self { address, forges }
    }
}

#[test]
fn an_address_that_somebody_forged_is_nobodys() {
    let origin = echo();
    let stage = Stage::before(&origin);
    let forger = Forger::before(stage.webs);
    run(async {
        let mut client = Client::connect(forger.address).await;
        client.get("/before").await;
        forger.forges.store(true, Ordering::Release);
        let mut stream = client.start(Method::GET, "/forged").await;
        stream.finish().await.unwrap();
        while origin.requests().len() < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        forger.forges.store(false, Ordering::Release);
        let (head, _) = answer(&mut stream).await;
        assert_eq!(head.status().as_u16(), 200);
    });
    let requests = origin.requests();
    assert_eq!(requests[1].start, "GET /forged HTTP/1.1");
    assert_eq!(requests[1].header("x-forwarded-for"), Some("127.0.0.1"));
}
