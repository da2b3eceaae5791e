//! Steady load on a proxy, counted request by request, and endpoints that fail in the middle of it as they are told to.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::support::{Message, PATIENCE, RawClient, Wire, wait_until};

/// Clients that send GET and as many that send POST, each on a connection of its own.
pub const CLIENTS: usize = 4;

/// What an endpoint does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Answers,
    Closes,
    Resets,
    CutsHead,
    CutsBody,
    Garbage,
    Silent,
    /// Answers as it should, late.
    Slow,
}

/// How late whoever is slow answers.
const LATE: Duration = Duration::from_millis(80);

/// An endpoint that can be told how to fail, and killed and started again at its address.
pub struct Target {
    pub address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    manner: Mutex<Manner>,
    is_up: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
    served: AtomicUsize,
    /// Requests that were not answered as they should, by method.
    failed: Mutex<BTreeMap<String, usize>>,
    /// How often each request came, by method and path.
    came: Mutex<BTreeMap<String, usize>>,
}

impl Target {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let mut target = Self {
            address: listener.local_addr().expect("it is bound"),
            state: Arc::new(State {
                manner: Mutex::new(Manner::Answers),
                is_up: AtomicBool::new(true),
                open: Mutex::default(),
                served: AtomicUsize::new(0),
                failed: Mutex::default(),
                came: Mutex::default(),
            }),
            thread: None,
        };
        target.serve(listener);
        target
    }

    pub fn toml(&self) -> String {
        format!("\"{}\"", self.address)
    }

    pub fn is_now(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
    }

    /// As a process that is killed: nobody listens, and what was open is closed.
    pub fn die(&mut self) {
        self.state.is_up.store(false, Ordering::SeqCst);
        // Wakes the listener, which sees that it is over.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it only accepts");
        }
        for stream in self.state.open.lock().unwrap().drain(..) {
            // It may be closed already.
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    pub fn revive(&mut self) {
        self.is_now(Manner::Answers);
        let listener = TcpListener::bind(self.address).expect("the port is still ours");
        self.state.is_up.store(true, Ordering::SeqCst);
        self.serve(listener);
    }

    pub fn served(&self) -> usize {
        self.state.served.load(Ordering::SeqCst)
    }

    /// Requests of this method that it did not answer as it should.
    pub fn failed(&self, method: &str) -> usize {
        let failed = self.state.failed.lock().unwrap();
        failed.get(method).copied().unwrap_or_default()
    }

    pub fn wait_for_more(&self, count: usize) {
        let goal = self.served() + count;
        wait_until("an endpoint is given requests", || self.served() >= goal);
    }

    fn serve(&mut self, listener: TcpListener) {
        let state = Arc::clone(&self.state);
        self.thread = Some(thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if !state.is_up.load(Ordering::SeqCst) {
                    return;
                }
                let own = stream.try_clone().expect("a descriptor is free");
                state.open.lock().unwrap().push(own);
                let state = Arc::clone(&state);
                thread::spawn(move || {
                    // The connection goes when the endpoint is killed.
                    drop(state.answer(stream));
                });
            }
        }));
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.state.is_up.load(Ordering::SeqCst) {
            self.die();
        }
    }
}

impl State {
    fn answer(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let socket = stream.try_clone()?;
        let mut wire = Wire::new(Box::new(stream), socket);
        while let Some(request) = wire.request()? {
            let mut words = request.start.split(' ');
            let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            let what = format!("{method} {path}");
            *self.came.lock().unwrap().entry(what).or_default() += 1;
            let manner = *self.manner.lock().unwrap();
            if !matches!(manner, Manner::Answers | Manner::Slow) {
                let mut failed = self.failed.lock().unwrap();
                *failed.entry(method.to_owned()).or_default() += 1;
            }
            match manner {
                Manner::Answers | Manner::Slow => {
                    if manner == Manner::Slow {
                        thread::sleep(LATE);
                    }
                    self.served.fetch_add(1, Ordering::SeqCst);
                    wire.write(answer().as_bytes())?;
                    continue;
                }
                Manner::Closes => {}
                Manner::Resets => {
                    // A reset is what remains of a socket that does not linger.
                    socket2::SockRef::from(wire.socket()).set_linger(Some(Duration::ZERO))?;
                    self.open
                        .lock()
                        .unwrap()
                        .retain(|open| open.peer_addr().ok() != wire.socket().peer_addr().ok());
                    return Ok(());
                }
                Manner::CutsHead => wire.write(&answer().as_bytes()[..30])?,
                Manner::CutsBody => {
                    let whole = answer();
                    wire.write(&whole.as_bytes()[..whole.len() - 100])?;
                }
                Manner::Garbage => wire.write(b"\x16\x03\x01 this is not HTTP\r\n\r\n")?,
                Manner::Silent => {
                    wire.limit = PATIENCE;
                    wire.read_to_end()?;
                }
            }
            return wire.socket().shutdown(Shutdown::Both);
        }
        Ok(())
    }
}

fn answer() -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}",
        "x".repeat(1000)
    )
}

/// What became of the requests of one method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub served: usize,
    /// By status.
    pub refused: BTreeMap<u16, usize>,
    /// Answers that ended before they were whole, or never came.
    pub cut: usize,
}

impl Outcome {
    pub fn failed(&self) -> usize {
        self.refused.values().sum::<usize>() + self.cut
    }
}

/// GETs and POSTs on connections that are kept, one after the other, until told to stop.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    outcomes: [Mutex<Outcome>; 2],
}

const METHODS: [&str; 2] = ["GET", "POST"];

impl Load {
    pub fn on(web: SocketAddr) -> Self {
        let shared = Arc::<Shared>::default();
        let threads = (0..CLIENTS * 2).map(|number| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.ask(web, number))
        });
        let load = Self {
            threads: threads.collect(),
            shared,
        };
        load.wait_for_more(50);
        load
    }

    /// Waits until so many more requests of each method have been served.
    pub fn wait_for_more(&self, count: usize) {
        let served = || self.outcomes().map(|outcome| outcome.served);
        let before = served();
        wait_until("requests are served", || {
            let now = served();
            now.iter()
                .zip(before)
                .all(|(now, before)| *now >= before + count)
        });
    }

    /// Of GET and of POST so far.
    pub fn outcomes(&self) -> [Outcome; 2] {
        self.shared
            .outcomes
            .each_ref()
            .map(|outcome| outcome.lock().unwrap().clone())
    }

    /// Ends it; gives what became of GETs and of POSTs.
    pub fn stop(mut self) -> [Outcome; 2] {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.join().expect("a client counts whatever happens");
        }
        self.outcomes()
    }
}

impl Shared {
    fn ask(&self, web: SocketAddr, client: usize) {
        let (method, outcome) = (METHODS[client % 2], &self.outcomes[client % 2]);
        let mut connection = RawClient::connect(web);
        let mut number = 0;
        while !self.is_over.load(Ordering::SeqCst) {
            number += 1;
            let body = match method {
                "POST" => "Content-Length: 2\r\n\r\nab",
                _ => "\r\n",
            };
            let request = format!("{method} /{client}-{number} HTTP/1.1\r\nHost: a\r\n{body}");
            let sent = connection.try_send(request);
            let answer = sent.and_then(|()| connection.try_response(method));
            // The proxy closes where it has not taken the body, and says so.
            let closes = |response: &Message| response.header("connection") == Some("close");
            if answer.as_ref().map_or(true, closes) {
                connection = RawClient::connect(web);
            }
            let mut outcome = outcome.lock().unwrap();
            match answer {
                Ok(response) if response.status() == 200 => {
                    assert_eq!(response.body.len(), 1000);
                    outcome.served += 1;
                }
                Ok(response) => *outcome.refused.entry(response.status()).or_default() += 1,
                Err(error) => {
                    assert_ne!(error.kind(), io::ErrorKind::TimedOut, "{method}");
                    outcome.cut += 1;
                }
            }
        }
    }
}

/// How often each request of this method has come, at whichever endpoint.
fn came(targets: &[Target], method: &str) -> BTreeMap<String, usize> {
    let mut all = BTreeMap::new();
    for target in targets {
        for (what, count) in &*target.state.came.lock().unwrap() {
            if what.starts_with(method) {
                *all.entry(what.clone()).or_default() += count;
            }
        }
    }
    all
}

/// No POST has come twice, at whichever endpoint.
pub fn assert_posts_came_once(targets: &[Target]) {
    let all = came(targets, "POST");
    let twice: Vec<_> = all.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

/// How many GETs have come in all, and how many of these had come before, and to no more than one other endpoint.
pub fn gets_that_came_again(targets: &[Target]) -> (usize, usize) {
    let all = came(targets, "GET");
    assert!(all.values().all(|count| *count <= 2), "{all:?}");
    (all.values().sum(), all.values().sum::<usize>() - all.len())
}
