//! Datagrams whose senders are anybody.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use super::config;
use crate::control::{address, answering, sample};
use crate::support::{Proxy, RawClient, wait_until};

#[test]
fn sessions_that_anybody_can_begin_leave_connections_room() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let relay = config("udp", &[silent.local_addr().unwrap()], "", "");
    let proxy = Proxy::start_with_files(&format!("{}{relay}", answering("hello")), 1024);
    let (web, relay) = (address(&proxy, "web"), address(&proxy, "db"));
    for number in 0..2000_u32 {
        // The address of each is its own, as those of forged ones are.
        let from = Ipv4Addr::from_bits(Ipv4Addr::new(127, 77, 0, 1).to_bits() + number);
        let sender = UdpSocket::bind((from, 0)).unwrap();
        sender.send_to(b"x", relay).unwrap();
        if number % 100 == 0 {
            // It has had time to read what was sent so far.
            get(web, 200);
        }
    }
    wait_until("sessions are refused", || {
        let name = "openclaw_refusals_total{reason=\"limit.connections\"}";
        sample(&proxy, name).is_some()
    });
    for last in 1..=100 {
        get(web, last);
    }
}

/// A client with an address of its own is served.
fn get(web: SocketAddr, last: u8) {
    let mut client = RawClient::try_connect_from([127, 9, 9, last].into(), web).unwrap();
    let answer = client.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.status(), 200, "127.9.9.{last}");
}
