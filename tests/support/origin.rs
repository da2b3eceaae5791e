//! An origin that answers what its script says, byte by byte, and remembers every byte it got.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use std::{iter, process};

use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};

use super::PATIENCE;
use super::wire::{Message, Wire};

/// A TCP listener on a port of its own; each connection runs the script in a thread.
pub struct Origin {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    stopped: AtomicBool,
    /// What each connection has brought, in the order of accepting.
    received: Mutex<Vec<Vec<u8>>>,
    requests: Mutex<Vec<Message>>,
    handshakes: Mutex<Vec<Handshake>>,
}

/// What came of TLS on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handshake {
    Full,
    Resumed,
    Failed,
}

/// The origin's side of one connection.
pub struct Peer {
    wire: Wire,
    number: usize,
    state: Arc<State>,
}

impl Origin {
    /// Runs `script` for each connection. What the script leaves open is closed at its end; an error ends it, too.
    pub fn start(script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::launch(None, script)
    }

    /// The same over TLS.
    pub fn secured(
        config: ServerConfig,
        script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::launch(Some(Arc::new(config)), script)
    }

    fn launch(
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        Self::serve(listener, tls, script)
    }

    /// The same on a listener of the test's own.
    pub fn listening(
        listener: TcpListener,
        script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(listener, None, script)
    }

    fn serve(
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(State::default());
        let own = Arc::clone(&state);
        let script = Arc::new(script);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if own.stopped.load(Ordering::Acquire) {
                    return;
                }
                let (own, script, tls) = (Arc::clone(&own), Arc::clone(&script), tls.clone());
                let number = own.connection();
                thread::spawn(move || {
                    let peer = match tls {
                        Some(tls) => Peer::secured(stream, tls, number, &own),
                        None => Ok(Peer::new(stream, number, &own)),
                    };
                    // The other side may well go away in the middle: that is what some tests are about.
                    drop(peer.and_then(|mut peer| script(&mut peer)));
                });
            }
        });
        Self { address, state }
    }

    /// Answers every request on every connection with these bytes, and keeps the connection.
    pub fn answering(response: impl Into<Vec<u8>>) -> Self {
        Self::start(repeating(response.into()))
    }

    /// The same over TLS with status 200 and this body.
    pub fn serving_secured(config: ServerConfig, body: &'static str) -> Self {
        Self::secured(config, move |peer| {
            while peer.request()?.is_some() {
                let length = body.len();
                peer.send(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
                ))?;
            }
            Ok(())
        })
    }

    /// Answers every request with status 200 and this body.
    pub fn serving(body: &str) -> Self {
        Self::answering(ok(body))
    }

    /// Origins of one port on addresses of their own, as a name has them that has no ports: each answers its number, from 0.
    pub fn siblings(count: u8) -> Vec<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // No two tests of this process share them, and hardly two processes.
        let [high, low] = NEXT.fetch_add(1, Ordering::AcqRel).to_be_bytes();
        let group = [
            127,
            process::id().to_be_bytes()[3] | 1,
            low.wrapping_add(high),
        ];
        let address = |host, port| {
            let [a, b, c] = group;
            SocketAddr::from(([a, b, c, host], port))
        };
        let listeners = (0..100).find_map(|_| {
            let first = TcpListener::bind(address(1, 0)).ok()?;
            let port = first.local_addr().ok()?.port();
            let others = (2..=count).map(|host| TcpListener::bind(address(host, port)).ok());
            let all = iter::once(Some(first)).chain(others);
            all.collect::<Option<Vec<_>>>()
        });
        let listeners = listeners.expect("a port is free on a few addresses");
        let numbered = (0..).zip(listeners);
        numbered
            .map(|(number, listener): (u8, _)| {
                Self::listening(listener, repeating(ok(&number.to_string()).into_bytes()))
            })
            .collect()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> usize {
        self.state.received.lock().unwrap().len()
    }

    /// Every byte each connection has brought so far, as far as its script has read.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.state.received.lock().unwrap().clone()
    }

    /// The requests that scripts have read with [`Peer::request`].
    pub fn requests(&self) -> Vec<Message> {
        self.state.requests.lock().unwrap().clone()
    }

    /// What came of TLS on each connection so far, in the order of their ends.
    pub fn handshakes(&self) -> Vec<Handshake> {
        self.state.handshakes.lock().unwrap().clone()
    }

    /// Waits for this many requests to have come.
    pub fn wait_for_requests(&self, count: usize) -> Vec<Message> {
        let end = Instant::now() + PATIENCE;
        loop {
            let requests = self.requests();
            if requests.len() >= count {
                return requests;
            }
            assert!(
                Instant::now() < end,
                "{} requests came, not {count}",
                requests.len()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn repeating(response: Vec<u8>) -> impl Fn(&mut Peer) -> io::Result<()> + Send + Sync + 'static {
    move |peer| {
        while peer.request()?.is_some() {
            peer.send(&response)?;
        }
        Ok(())
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Release);
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.address));
    }
}

impl State {
    /// One more; its number.
    fn connection(&self) -> usize {
        let mut received = self.received.lock().unwrap();
        received.push(Vec::new());
        received.len() - 1
    }
}

impl Peer {
    fn new(stream: TcpStream, number: usize, state: &Arc<State>) -> Self {
        stream.set_nodelay(true).expect("a TCP socket");
        let socket = stream.try_clone().expect("a descriptor is free");
        Self {
            wire: Wire::new(Box::new(stream), socket),
            number,
            state: Arc::clone(state),
        }
    }

    fn secured(
        mut stream: TcpStream,
        config: Arc<ServerConfig>,
        number: usize,
        state: &Arc<State>,
    ) -> io::Result<Self> {
        let mut tls = ServerConnection::new(config).expect("a configuration that serves");
        stream.set_read_timeout(Some(PATIENCE))?;
        while tls.is_handshaking() {
            if let Err(error) = tls.complete_io(&mut stream) {
                state.handshakes.lock().unwrap().push(Handshake::Failed);
                return Err(error);
            }
        }
        let came = match tls.handshake_kind() {
            Some(HandshakeKind::Resumed) => Handshake::Resumed,
            _ => Handshake::Full,
        };
        state.handshakes.lock().unwrap().push(came);
        let socket = stream.try_clone()?;
        Ok(Self {
            wire: Wire::new(Box::new(StreamOwned::new(tls, stream)), socket),
            number,
            state: Arc::clone(state),
        })
    }

    /// The number of this connection, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The next request with its body; none if the proxy has closed the connection instead.
    pub fn request(&mut self) -> io::Result<Option<Message>> {
        let request = self.wire.request();
        self.record();
        let request = request?;
        if let Some(request) = &request {
            self.state.requests.lock().unwrap().push(request.clone());
        }
        Ok(request)
    }

    /// Reads until `pattern` has come, and gives everything up to its end.
    pub fn read_until(&mut self, pattern: &[u8]) -> io::Result<Vec<u8>> {
        let read = self.wire.read_until(pattern);
        self.record();
        read
    }

    pub fn read_exact(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let read = self.wire.read_exact(count);
        self.record();
        read
    }

    /// What has come, at least one byte; nothing at the end.
    pub fn read_some(&mut self) -> io::Result<Vec<u8>> {
        let read = self.wire.read_some();
        self.record();
        read
    }

    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let read = self.wire.read_to_end();
        self.record();
        read
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.write(bytes.as_ref())
    }

    /// Closes for good with a reset, as a crashed host does.
    pub fn reset(&mut self) -> io::Result<()> {
        socket2::SockRef::from(self.wire.socket()).set_linger(Some(Duration::ZERO))?;
        // Closing with no time to linger sends the reset; a shutdown would send the polite end first.
        Err(io::ErrorKind::ConnectionReset.into())
    }

    /// Sends the end of the stream, and still reads.
    pub fn finish(&mut self) -> io::Result<()> {
        self.wire.socket().shutdown(Shutdown::Write)
    }

    fn record(&mut self) {
        if let Some(own) = self.state.received.lock().unwrap().get_mut(self.number) {
            own.clone_from(&self.wire.seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::RawClient;

    #[test]
    fn an_origin_remembers_what_it_got_and_answers_its_script() {
        let origin = Origin::serving("hello");
        let mut client = RawClient::connect(origin.address());
        for _ in 0..2 {
            client.send("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
            let response = client.response();
            assert_eq!((response.status(), response.text()), (200, "hello".into()));
        }
        let requests = origin.wait_for_requests(2);
        assert_eq!(requests[1].start, "POST /a HTTP/1.1");
        assert_eq!(requests[1].body, b"abc");
        assert_eq!(origin.connections(), 1);
        let twice = [&requests[0].raw[..], &requests[1].raw[..]].concat();
        assert_eq!(origin.received(), [twice]);
    }

    #[test]
    fn a_reset_is_a_reset_and_an_end_is_an_end() {
        let origin = Origin::start(|peer| {
            let head = peer.read_until(b"\n")?;
            if head == b"reset\n" {
                return peer.reset();
            }
            peer.send("bye")?;
            peer.finish()?;
            peer.read_to_end().map(drop)
        });
        let mut client = RawClient::connect(origin.address());
        client.send("reset\n");
        let error = client.try_read_to_end().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let mut client = RawClient::connect(origin.address());
        client.send("end\n");
        assert_eq!(client.read_to_end(), b"bye");
    }
}
