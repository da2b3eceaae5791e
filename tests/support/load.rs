//! Clients of every wire that ask one thing after another, as fast as they are answered, and note what goes wrong.
//!
//! They do what HTTP asks of clients and no more: a connection that was asked to go is left, and the next request goes over another. A
//! request that was sent and not answered is a failure.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use hyper::Request;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{Origin, PATIENCE, RawClient};
use crate::h3::client::{Client, Sender};

/// Between two requests of a client: the proxy has other things to do, too.
const PAUSE: Duration = Duration::from_millis(2);

/// What one kind of clients has seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub answered: AtomicUsize,
    pub connections: AtomicUsize,
    pub failures: Mutex<Vec<String>>,
}

/// See the module.
#[derive(Debug)]
pub struct Load {
    /// Speaks all three wires.
    address: SocketAddr,
    body: String,
    is_over: AtomicBool,
    pub h1: Seen,
    pub h2: Seen,
    pub h3: Seen,
}

impl Load {
    pub fn new(address: SocketAddr, body: &str) -> Self {
        Self {
            address,
            body: body.to_owned(),
            is_over: AtomicBool::new(false),
            h1: Seen::default(),
            h2: Seen::default(),
            h3: Seen::default(),
        }
    }

    /// Has `each` clients of every wire come while something is done.
    pub fn during<T>(&self, each: usize, work: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            for _ in 0..each {
                scope.spawn(|| self.speak_h1());
                scope.spawn(|| run(self.speak_h2()));
                scope.spawn(|| run(self.speak_h3()));
            }
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            self.is_over.store(true, Ordering::Relaxed);
            outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Nothing failed, of each wire so much went through, and every request that the origin has seen was answered.
    pub fn assert_whole(&self, least: usize, origin: &Origin) {
        for (name, seen) in [("h1", &self.h1), ("h2", &self.h2), ("h3", &self.h3)] {
            let failures = seen.failures.lock().unwrap();
            let answered = seen.answered.load(Ordering::Relaxed);
            assert!(
                failures.is_empty(),
                "{name}: {} of {answered} failed: {failures:?}",
                failures.len()
            );
            assert!(answered >= least, "{name}: {answered} say little");
        }
        let answered: usize = self.answered().iter().sum();
        assert_eq!(origin.requests().len(), answered, "of all wires");
    }

    /// How many there were of each wire so far.
    pub fn answered(&self) -> [usize; 3] {
        [&self.h1, &self.h2, &self.h3].map(|seen| seen.answered.load(Ordering::Relaxed))
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    fn note(&self, seen: &Seen, outcome: io::Result<Vec<u8>>) -> bool {
        match outcome {
            Ok(body) if body == self.body.as_bytes() => {
                seen.answered.fetch_add(1, Ordering::Relaxed);
                return true;
            }
            Ok(body) => {
                let body = String::from_utf8_lossy(&body).into_owned();
                seen.failures.lock().unwrap().push(body);
            }
            Err(error) => seen.failures.lock().unwrap().push(error.to_string()),
        }
        false
    }

    fn speak_h1(&self) {
        while self.goes_on() {
            let client = RawClient::try_connect_tls(self.address, "a.test", &["http/1.1"]);
            let mut client = match client {
                Ok(client) => client,
                Err(error) => {
                    self.note(&self.h1, Err(error));
                    continue;
                }
            };
            self.h1.connections.fetch_add(1, Ordering::Relaxed);
            while self.goes_on() {
                let asked = client.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
                let answer = asked.and_then(|()| client.try_response("GET"));
                let is_last = match &answer {
                    Ok(answer) => answer.header("connection") == Some("close"),
                    Err(_) => true,
                };
                self.note(&self.h1, answer.map(|answer| answer.text().into_bytes()));
                if is_last {
                    break;
                }
                std::thread::sleep(PAUSE);
            }
        }
    }

    async fn speak_h2(&self) {
        while self.goes_on() {
            let io = match secure(self.address).await {
                Ok(io) => io,
                Err(error) => {
                    self.note(&self.h2, Err(error));
                    continue;
                }
            };
            let Ok((mut sender, connection)) = h2::client::handshake(io).await else {
                self.note(&self.h2, Err(io::Error::other("no handshake")));
                continue;
            };
            tokio::spawn(connection);
            self.h2.connections.fetch_add(1, Ordering::Relaxed);
            while self.goes_on() {
                // A connection that was asked to go takes no more.
                let Ok(ready) = sender.ready().await else {
                    break;
                };
                sender = ready;
                let Ok((response, _)) = sender.send_request(request(), true) else {
                    break;
                };
                let answer = timeout(PATIENCE, async {
                    let mut body = response.await?.into_body();
                    let mut whole = Vec::new();
                    while let Some(data) = body.data().await {
                        whole.extend_from_slice(&data?);
                    }
                    Ok::<_, h2::Error>(whole)
                });
                let answer = match answer.await {
                    // It waited in the client for its turn when the connection was asked to go: what the origin has seen is counted.
                    Ok(Err(error)) if is_asked_to_go(&error) => break,
                    Ok(answer) => answer.map_err(io::Error::other),
                    Err(late) => Err(late.into()),
                };
                if !self.note(&self.h2, answer) {
                    break;
                }
                sleep(PAUSE).await;
            }
        }
    }

    async fn speak_h3(&self) {
        while self.goes_on() {
            let endpoint = crate::h3::client::endpoint(crate::h3::client::config());
            let connecting = endpoint.connect(self.address, "a.test").unwrap();
            let quic = match connecting.await {
                Ok(quic) => quic,
                Err(error) => {
                    self.note(&self.h3, Err(io::Error::other(error)));
                    continue;
                }
            };
            let mut client = Client::over(endpoint, quic).await;
            self.h3.connections.fetch_add(1, Ordering::Relaxed);
            while self.goes_on() {
                let Some(answer) = self.ask_h3(&mut client.sender).await else {
                    break;
                };
                if !self.note(&self.h3, answer) {
                    break;
                }
                sleep(PAUSE).await;
            }
        }
    }

    /// `None`: the connection was asked to go, and the request was not sent.
    async fn ask_h3(&self, sender: &mut Sender) -> Option<io::Result<Vec<u8>>> {
        let mut stream = sender.send_request(request()).await.ok()?;
        let answer = timeout(PATIENCE, async {
            stream.finish().await?;
            stream.recv_response().await?;
            let mut whole = Vec::new();
            while let Some(mut data) = stream.recv_data().await? {
                let bytes: Bytes = data.copy_to_bytes(data.remaining());
                whole.extend_from_slice(&bytes);
            }
            Ok::<_, h3::error::StreamError>(whole)
        });
        let answer = answer.await.map_err(io::Error::other);
        Some(answer.and_then(|answer| answer.map_err(io::Error::other)))
    }
}

/// RFC 9113 §6.8: such a request was not looked at.
fn is_asked_to_go(error: &h2::Error) -> bool {
    error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
}

fn request() -> Request<()> {
    let request = Request::builder().uri("https://a.test/");
    request.body(()).expect("it is a request")
}

async fn secure(address: SocketAddr) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let config = super::believing(&["h2"], None)?;
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let name = rustls::pki_types::ServerName::try_from("a.test").map_err(io::Error::other)?;
    connector.connect(name, tcp).await
}

fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work);
}
