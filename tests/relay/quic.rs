//! QUIC through `mode = "udp"`, unread: real clients of HTTP/3, with endpoints that speak it.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::Relay;
use crate::control::{address, sample};
use crate::h3::client::{Client, run};
use crate::support::Proxy;

/// An endpoint that ends QUIC, and says which one it is.
fn site(name: &str) -> (Proxy, SocketAddr) {
    let proxy = Proxy::start(&format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\nprotocols = [\"h1\", \"h2\", \"h3\"]\ntls = {{ self_signed = [\"a.test\"] }}\n\
         [[route]]\nrespond = {{ body = \"{name}\" }}\n"
    ));
    let at = address(&proxy, "web");
    (proxy, at)
}

/// How many connections they have had.
fn connections(sites: &[(Proxy, SocketAddr)]) -> usize {
    let opened = sites.iter().map(|(proxy, _)| {
        let opened = sample(proxy, "openclaw_connections_total{listener=\"web\"}");
        opened.unwrap().parse::<usize>().unwrap()
    });
    opened.sum()
}

async fn name(client: &mut Client) -> Vec<u8> {
    let (head, body) = client.get("/").await;
    assert_eq!(head.status(), 200);
    body
}

/// What stands between a client and the world: it gives the client another address now and then, and the client never knows.
struct Nat {
    at: SocketAddr,
    outside: Arc<Mutex<Arc<UdpSocket>>>,
    is_over: Arc<AtomicBool>,
}

fn socket(address: Ipv4Addr) -> Arc<UdpSocket> {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    let soon = Duration::from_millis(20);
    socket.set_read_timeout(Some(soon)).unwrap();
    Arc::new(socket)
}

impl Nat {
    fn before(relay: SocketAddr) -> Self {
        let inside = socket(Ipv4Addr::LOCALHOST);
        let nat = Self {
            at: inside.local_addr().unwrap(),
            outside: Arc::new(Mutex::new(socket(Ipv4Addr::LOCALHOST))),
            is_over: Arc::default(),
        };
        let client = Arc::new(Mutex::new(None));
        let (own, outside, is_over) = (inside.clone(), nat.outside.clone(), nat.is_over.clone());
        let seen = client.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !is_over.load(Ordering::Acquire) {
                let Ok((length, from)) = own.recv_from(&mut buffer) else {
                    continue;
                };
                *seen.lock().unwrap() = Some(from);
                let outside = outside.lock().unwrap().clone();
                // What is lost is sent again.
                let _ = outside.send_to(&buffer[..length], relay);
            }
        });
        let (outside, is_over) = (nat.outside.clone(), nat.is_over.clone());
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !is_over.load(Ordering::Acquire) {
                let outside = outside.lock().unwrap().clone();
                if let Ok((length, _)) = outside.recv_from(&mut buffer)
                    && let Some(client) = *client.lock().unwrap()
                {
                    let _ = inside.send_to(&buffer[..length], client);
                }
            }
        });
        nat
    }

    fn move_to(&self, address: Ipv4Addr) {
        *self.outside.lock().unwrap() = socket(address);
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
    }
}

#[test]
fn a_client_keeps_its_endpoint_when_its_address_changes() {
    let sites = ["one", "two"].map(site);
    let endpoints = sites.each_ref().map(|(_, at)| *at);
    let relay = Relay::start("udp", &endpoints, "", "");
    let seen = run(async {
        let mut seen = HashSet::new();
        for _ in 0..4 {
            let nat = Nat::before(relay.at);
            let mut client = Client::connect(nat.at).await;
            let first = name(&mut client).await;
            // Another port, then other addresses: each a session of its own, perhaps of the other worker, and whoever is next in
            // turn would be the other endpoint.
            for address in [1, 2, 3, 4].map(|last| Ipv4Addr::new(127, 0, 0, last)) {
                nat.move_to(address);
                assert_eq!(name(&mut client).await, first);
            }
            seen.insert(first);
        }
        seen
    });
    assert_eq!(seen.len(), 2, "one endpoint got everybody");
    assert_eq!(connections(&sites), 4, "somebody connected anew");
}

/// A client that moves on purpose takes another id, which it was told in secret: only its address is left to go by.
#[test]
fn a_client_that_takes_another_id_is_known_by_its_address_where_the_balance_goes_by_that() {
    let sites = ["one", "two"].map(site);
    let endpoints = sites.each_ref().map(|(_, at)| *at);
    let relay = Relay::start("udp", &endpoints, "", "balance = \"ip_hash\"");
    run(async {
        let mut client = Client::connect(relay.at).await;
        let first = name(&mut client).await;
        for _ in 0..4 {
            client.move_away();
            assert_eq!(name(&mut client).await, first);
        }
    });
    assert_eq!(connections(&sites), 1);
}

#[test]
fn a_connection_goes_on_when_another_process_takes_over() {
    let sites = ["one", "two"].map(site);
    let endpoints = sites.each_ref().map(|(_, at)| *at);
    let relay = Relay::start("udp", &endpoints, "", "");
    let at = relay.at;
    run(async {
        let mut clients = Vec::new();
        for _ in 0..6 {
            let nat = Nat::before(at);
            let mut client = Client::connect(nat.at).await;
            let first = name(&mut client).await;
            clients.push((nat, client, first));
        }
        for last in [2, 3] {
            relay.proxy.upgrade(&[]);
            for (number, (nat, client, first)) in clients.iter_mut().enumerate() {
                // Some at the same address as before, some known by their ids alone.
                if number % 2 == 0 {
                    nat.move_to(Ipv4Addr::new(127, 0, 0, last));
                }
                assert_eq!(name(client).await, *first);
            }
        }
        for (nat, client, first) in &mut clients {
            nat.move_to(Ipv4Addr::new(127, 0, 0, 9));
            assert_eq!(name(client).await, *first);
        }
    });
    assert_eq!(connections(&sites), 6, "somebody connected anew");
}
