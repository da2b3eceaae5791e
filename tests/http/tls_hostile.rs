//! TLS from clients that break it, dawdle with it, or use it in ways that are rare and right.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::{GET, Stage, app, listeners};
use crate::control::sample;
use crate::support::{Origin, PATIENCE, RawClient, believing, wait_until};

/// A record: type, version and length, then this.
fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 3, 1, high, low], payload].concat()
}

#[test]
fn what_is_no_handshake_ends_with_a_reason_and_harms_nobody() {
    let origin = Origin::serving("still here");
    let stage = Stage::before(&origin);
    let mut neighbour = RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"]);
    let mut random = fastrand::Rng::with_seed(1);
    let noise: Vec<u8> = (0..4096).map(|_| random.u8(..)).collect();
    // A handshake message of 16 MiB, of which this is the beginning.
    let endless = record(22, &[&[1, 0xff, 0xff, 0xff][..], &[0; 16_000]].concat());
    let attacks: [(&str, Vec<u8>); 8] = [
        ("another protocol", GET.as_bytes().to_vec()),
        ("noise", noise),
        (
            "handshake records without anything",
            record(22, b"").repeat(2000),
        ),
        ("data before the handshake", record(23, b"").repeat(2000)),
        ("alerts that warn", record(21, &[1, 90]).repeat(2000)),
        ("changes of cipher", record(20, &[1]).repeat(2000)),
        ("a record larger than any", record(22, &vec![1; 60_000])),
        ("a hello without end", endless.repeat(8)),
    ];
    for (count, (what, octets)) in attacks.into_iter().enumerate() {
        let mut attacker = RawClient::connect(stage.webs);
        // It may be cut off before all of it is sent.
        drop(attacker.try_send(octets));
        attacker.finish();
        let end = attacker.try_read_to_end();
        assert!(
            !end.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut),
            "{what}"
        );
        assert_eq!(neighbour.exchange(GET).text(), "still here", "{what}");
        let name = "openclaw_refusals_total{reason=\"tls.handshake\"}";
        let told = (count + 1).to_string();
        wait_until(what, || {
            sample(&stage.proxy, name).as_deref() == Some(&*told)
        });
    }
}

#[test]
fn a_handshake_that_trickles_in_gains_no_time_by_it() {
    let config = listeners("header_timeout = \"400ms\"");
    let origin = Origin::serving("x");
    let stage = Stage::start(&(config + &app(origin.address(), "")));
    let mut silent = RawClient::connect(stage.webs);
    let mut slow = RawClient::connect(stage.webs);
    let begun = Instant::now();
    let mut hello = record(22, &[&[1, 0, 1, 0xfc, 3, 3][..], &[0; 500]].concat()).into_iter();
    while begun.elapsed() < Duration::from_millis(1500) {
        let byte = hello.next().expect("the hello is long enough");
        if slow.try_send([byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    silent.expect_closed();
    slow.expect_closed();
    assert!(begun.elapsed() < PATIENCE);
    stage
        .proxy
        .wait_for_access("not complete within header_timeout");
}

/// A socket that sends a byte at a time.
struct Crumbs(TcpStream);

impl Read for Crumbs {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Crumbs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

type Client = StreamOwned<ClientConnection, Crumbs>;

fn connect(stage: &Stage) -> Client {
    let name = ServerName::try_from("a.test").unwrap();
    let config = Arc::new(believing(&["http/1.1"], None).unwrap());
    let tcp = TcpStream::connect(stage.webs).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), Crumbs(tcp))
}

#[test]
fn records_and_segments_of_one_byte_are_a_request_as_well() {
    let origin = Origin::serving("hello");
    let stage = Stage::before(&origin);
    let mut client = connect(&stage);
    let body = "0123456789".repeat(20);
    let request = format!(
        "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for byte in request.bytes() {
        client.write_all(&[byte]).unwrap();
        client.flush().unwrap();
    }
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("hello"), "{answer}");
    assert_eq!(origin.requests()[0].text(), body);
}

#[test]
fn a_client_that_has_closed_its_direction_of_tls_gets_the_whole_answer() {
    let body = "0123456789abcdef".repeat(100_000);
    let origin = Origin::serving(&body);
    let stage = Stage::before(&origin);
    let mut client = connect(&stage);
    client.write_all(GET.as_bytes()).unwrap();
    client.conn.send_close_notify();
    client.flush().unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(rest == body, "{} bytes", rest.len());
}

#[test]
fn a_body_that_ends_early_with_its_direction_of_tls_is_no_body() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let origin = Origin::start(move |peer| {
        peer.read_until(b"\r\n\r\n")?;
        let whole = peer.read_exact(10).is_ok();
        tell.lock().unwrap().send(whole).ok();
        Ok(())
    });
    let stage = Stage::before(&origin);
    let mut client = connect(&stage);
    client
        .write_all(b"PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf")
        .unwrap();
    client.conn.send_close_notify();
    client.flush().unwrap();
    assert_eq!(told.recv_timeout(PATIENCE), Ok(false));
    stage.proxy.wait_for_access("http.client_aborted");
}

#[test]
fn http_on_a_port_of_tls_is_told_so() {
    let origin = Origin::serving("x");
    let stage = Stage::before(&origin);
    for request in [GET, "P", "OPTIONS * HTTP/1.1\r\n"] {
        let mut client = RawClient::connect(stage.webs);
        client.send(request);
        let refused = client.response();
        assert_eq!(refused.status(), 400, "{request}");
        assert_eq!(refused.header("connection"), Some("close"), "{request}");
        assert!(
            refused.text().contains("this port speaks HTTPS"),
            "{request}"
        );
        client.expect_closed();
    }
    stage
        .proxy
        .wait_for_access("the client speaks HTTP without TLS");
    assert_eq!(origin.requests().len(), 0);
    let mut client = RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"]);
    assert_eq!(client.exchange(GET).text(), "x");
}
