//! `mode = "tcp"` where TLS ends at the listener, begins towards the endpoint, or both.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConfig, ServerConnection, StreamOwned};

use super::Relay;
use crate::support::{Authority, Folder, PATIENCE, RawClient, believing};

const LISTENER: &str = "tls = { self_signed = [\"db.test\"] }";

/// One side of a connection, in the clear or not.
trait Side: Read + Write + Send {
    /// Ends its direction in good order.
    fn end(&mut self) -> io::Result<()>;
}

impl Side for TcpStream {
    fn end(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Side for StreamOwned<ClientConnection, TcpStream> {
    fn end(&mut self) -> io::Result<()> {
        self.conn.send_close_notify();
        self.flush()?;
        self.sock.shutdown(Shutdown::Write)
    }
}

impl Side for StreamOwned<ServerConnection, TcpStream> {
    fn end(&mut self) -> io::Result<()> {
        self.conn.send_close_notify();
        self.flush()?;
        self.sock.shutdown(Shutdown::Write)
    }
}

/// An endpoint that reads all that comes, tells how it ended, and answers with the same backwards.
struct Endpoint {
    at: SocketAddr,
    /// What came, or the error in place of a clean end.
    heard: Receiver<io::Result<Vec<u8>>>,
    offered: Receiver<bool>,
}

impl Endpoint {
    fn start(tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = listener.local_addr().unwrap();
        let (tell, heard) = channel();
        let (offers, offered) = channel();
        let tls = tls.map(Arc::new);
        thread::spawn(move || {
            for tcp in listener.incoming().map_while(Result::ok) {
                tcp.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut side: Box<dyn Side> = match &tls {
                    None => Box::new(tcp),
                    Some(tls) => {
                        let session = ServerConnection::new(Arc::clone(tls)).unwrap();
                        let mut stream = StreamOwned::new(session, tcp);
                        if stream.conn.complete_io(&mut stream.sock).is_err() {
                            continue;
                        }
                        // The test may not ask.
                        let _ = offers.send(stream.conn.alpn_protocol().is_some());
                        Box::new(stream)
                    }
                };
                let mut all = Vec::new();
                let came = side.read_to_end(&mut all);
                let backwards: Vec<u8> = all.iter().rev().copied().collect();
                if came.is_ok() {
                    side.write_all(&backwards).unwrap();
                    side.end().unwrap();
                }
                if tell.send(came.map(|_| all)).is_err() {
                    return;
                }
            }
        });
        Self { at, heard, offered }
    }

    fn heard(&self) -> io::Result<Vec<u8>> {
        self.heard.recv_timeout(PATIENCE).unwrap()
    }
}

fn plain(at: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(at).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp
}

fn secured(at: SocketAddr, alpn: &[&str]) -> StreamOwned<ClientConnection, TcpStream> {
    let config = Arc::new(believing(alpn, None).unwrap());
    let name = ServerName::try_from("db.test").unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(config, name).unwrap(), plain(at));
    stream.conn.complete_io(&mut stream.sock).unwrap();
    stream
}

/// The keys of an upstream whose endpoints this authority vouches for.
fn upstream(authority: &Authority) -> String {
    let file = authority.file.display();
    format!("tls = {{ ca = \"{file}\", server_name = \"app.internal\" }}\nconnect_timeout = \"5s\"")
}

fn exchange(mut client: impl Side, endpoint: &Endpoint, sent: &[u8]) {
    client.write_all(sent).unwrap();
    client.end().unwrap();
    assert!(endpoint.heard().unwrap() == sent, "{} bytes", sent.len());
    let mut back = Vec::new();
    client.read_to_end(&mut back).unwrap();
    back.reverse();
    assert!(back == sent, "{} bytes came back", back.len());
}

#[test]
fn bytes_go_through_whoever_speaks_tls_and_a_half_that_ended_leaves_the_other_open() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca.pem");
    let mut serving = authority.serving(&["app.internal"]);
    serving.alpn_protocols = vec![b"http/1.1".to_vec()];
    let bulk: Vec<u8> = (0..6 << 20_u32).map(|at: u32| (at >> 3) as u8).collect();
    for (listener, is_secured) in [("", false), (LISTENER, true), ("", true), (LISTENER, false)] {
        let endpoint = Endpoint::start(is_secured.then(|| serving.clone()));
        let keys = upstream(&authority);
        let keys = if is_secured { keys.as_str() } else { "" };
        let relay = Relay::start("tcp", &[endpoint.at], listener, keys);
        for sent in [&b"12345"[..], b"", &bulk] {
            if listener.is_empty() {
                exchange(plain(relay.at), &endpoint, sent);
            } else {
                exchange(secured(relay.at, &[]), &endpoint, sent);
            }
        }
        if is_secured {
            // Nobody here knows what the bytes mean.
            assert!(!endpoint.offered.recv().unwrap());
        }
        let line = relay
            .proxy
            .wait_for_access("\"bytes_in\":5,\"bytes_out\":5,");
        let tls = if listener.is_empty() {
            "\"host\":null,\"path\":null,\"protocol\":\"tcp\""
        } else {
            "\"tls\":\"TLSv1.3\""
        };
        assert!(
            line.contains(tls) && line.contains("\"reason\":null"),
            "{line}"
        );
    }
}

#[test]
fn an_end_without_a_word_is_not_passed_on_as_a_clean_one() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca.pem");
    let endpoint = Endpoint::start(Some(authority.serving(&["app.internal"])));
    let relay = Relay::start("tcp", &[endpoint.at], LISTENER, &upstream(&authority));
    let mut client = secured(relay.at, &[]);
    client.write_all(b"part").unwrap();
    client.flush().unwrap();
    client.sock.shutdown(Shutdown::Write).unwrap();
    let error = endpoint.heard().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_client_may_offer_what_it_likes_and_its_handshake_has_its_time() {
    let endpoint = Endpoint::start(None);
    let listener = format!("{LISTENER}\nheader_timeout = \"300ms\"");
    let relay = Relay::start("tcp", &[endpoint.at], &listener, "");
    let client = secured(relay.at, &["postgresql"]);
    assert_eq!(client.conn.alpn_protocol(), None);
    exchange(client, &endpoint, b"x");
    let line = relay.proxy.wait_for_access("\"host\":\"db.test\"");
    assert!(line.contains("\"listener\":\"db\""), "{line}");
    let mut silent = RawClient::connect(relay.at);
    silent.expect_closed();
    let line = relay.proxy.wait_for_access("\"reason\":\"tls.handshake\"");
    assert!(line.contains("within header_timeout"), "{line}");
}

#[test]
fn an_endpoint_that_nobody_vouches_for_gets_nothing() {
    let folder = Folder::new();
    let [ours, other] = ["ca.pem", "other.pem"].map(|name| Authority::new(&folder, name));
    let endpoint = Endpoint::start(Some(other.serving(&["app.internal"])));
    let relay = Relay::start("tcp", &[endpoint.at], "", &upstream(&ours));
    // The reset may come before the connection is known to be there.
    let read = TcpStream::connect(relay.at).and_then(|mut client| {
        client.set_read_timeout(Some(PATIENCE))?;
        client.read(&mut [0])
    });
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let line = relay.proxy.wait_for_access("\"reason\":\"upstream.tls\"");
    assert!(line.contains("not signed by an authority"), "{line}");
}
