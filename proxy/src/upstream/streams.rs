//! HTTP/2 connections to an endpoint: exchanges share one as far as the endpoint allows, and a worker opens few.
//!
//! The `h2` crate speaks the protocol; a task for each connection drives it. What is decided here is which connection
//! takes the next stream, when there is to be another one, and when one is not used any more.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::task::{AbortHandle, spawn_local};

use super::pings::Pings;
use super::{Connection, Endpoint};
use crate::net::Alert;
use crate::tls::TlsFault;

/// How many connections a worker has to one endpoint; when all are full, streams wait in them.
const MAX_CONNECTIONS: usize = 8;
/// What an endpoint may send ahead on one stream.
const STREAM_WINDOW: u32 = 128 * 1024;
/// The same on all streams of a connection: enough that slow clients do not hold up the others.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// What of a request's body waits for the socket.
const SEND_BUFFER: usize = 128 * 1024;
/// How many streams are opened before the endpoint has ever said how many it takes; those beyond are refused, and tried
/// again.
const FIRST_STREAMS: usize = 100;

/// The connections of one worker to one endpoint.
#[derive(Debug)]
pub(super) struct Streams {
    open: RefCell<Vec<Rc<Shared>>>,
    /// How many streams a connection of which nothing is known yet will take, as the one before had it.
    usual: Cell<usize>,
    /// An exchange is making a connection; others wait for it.
    connecting: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

/// One connection.
#[derive(Debug)]
struct Shared {
    send: SendRequest<Bytes>,
    active: Cell<usize>,
    has_served: Cell<bool>,
    /// Where there is TLS.
    alert: Option<Alert>,
    /// It takes no new streams; those that run go on as long as they can.
    is_over: Cell<bool>,
    /// Nobody answers any more.
    is_lost: Cell<bool>,
    idle_since: Cell<Instant>,
    pings: Pings,
    /// Who drives it.
    task: OnceCell<AbortHandle>,
}

/// What an exchange gets when it asks for a stream.
#[derive(Debug)]
pub enum Room {
    Stream(Lease),
    /// There is none: it is this exchange's turn to make a connection.
    Connect(Turn),
}

/// The duty to make a connection, for which others wait.
#[derive(Debug)]
pub struct Turn(Rc<Endpoint>);

/// The right to one stream.
#[derive(Debug)]
pub struct Lease {
    pub send: SendRequest<Bytes>,
    /// The connection has served before, so that the endpoint may be closing it.
    pub reused: bool,
    shared: Rc<Shared>,
    endpoint: Rc<Endpoint>,
}

impl Endpoint {
    /// Waits while another exchange makes a connection that both can use.
    pub fn poll_room(self: &Rc<Self>, cx: &mut Context<'_>) -> Poll<Room> {
        let streams = &self.streams;
        streams
            .open
            .borrow_mut()
            .retain(|shared| shared.is_usable(cx));
        let open = streams.open.borrow();
        let least = open.iter().min_by_key(|shared| shared.active.get());
        let free = open.iter().find(|shared| shared.has_room());
        if let Some(shared) = free.or(least.filter(|_| open.len() >= MAX_CONNECTIONS)) {
            return Poll::Ready(Room::Stream(Lease::new(shared, self)));
        }
        if streams.connecting.replace(true) {
            streams.wait(cx);
            return Poll::Pending;
        }
        Poll::Ready(Room::Connect(Turn(self.clone())))
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            open: RefCell::default(),
            usual: Cell::new(FIRST_STREAMS),
            connecting: Cell::new(false),
            waiting: RefCell::default(),
        }
    }
}

impl Streams {
    /// Closes connections that nobody uses, and that are not wanted. Others end with their last stream.
    pub(super) fn retain(&self, wanted: impl Fn(Instant) -> bool) {
        self.open
            .borrow_mut()
            .retain(|shared| shared.active.get() > 0 || wanted(shared.idle_since.get()));
    }

    /// Looks after connections with streams: who has not answered for `every`, and does not answer a PING either, is gone.
    /// How many are gone.
    pub(super) fn keep_alive(&self, now: Instant, every: Duration) -> usize {
        let mut open = self.open.borrow_mut();
        let before = open.len();
        open.retain(|shared| {
            let is_there = shared.active.get() == 0 || shared.pings.is_alive(now, every);
            if !is_there {
                shared.lose();
            }
            is_there
        });
        before - open.len()
    }

    /// Connections without a stream.
    pub(super) fn idle(&self) -> usize {
        let open = self.open.borrow();
        open.iter()
            .filter(|shared| shared.active.get() == 0)
            .count()
    }

    /// Takes no new streams on any connection; those that run go on.
    pub(super) fn leave(&self) {
        self.open.borrow_mut().clear();
    }

    /// Remembers an exchange once, however often its client has it polled meanwhile.
    fn wait(&self, cx: &Context<'_>) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|known| known.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
    }

    fn wake(&self) {
        for waker in self.waiting.take() {
            waker.wake();
        }
    }
}

impl Shared {
    /// Ends the connection, and all streams with it.
    fn lose(&self) {
        self.is_lost.set(true);
        self.is_over.set(true);
        self.pings.settle();
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    fn has_room(&self) -> bool {
        self.active.get() < self.send.current_max_send_streams()
    }

    /// Whether the endpoint has not said that it goes, nor gone.
    fn is_usable(&self, cx: &mut Context<'_>) -> bool {
        !self.is_over.get() && !matches!(self.send.clone().poll_ready(cx), Poll::Ready(Err(_)))
    }
}

impl Turn {
    /// Begins HTTP/2 on a new connection.
    ///
    /// # Errors
    /// The connection was lost again.
    pub async fn open(self, connection: Connection) -> Result<Lease, h2::Error> {
        let alert = connection.stream.alert();
        let (send, mut driver) = Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(SEND_BUFFER)
            .initial_max_send_streams(self.0.streams.usual.get())
            .handshake(connection.stream)
            .await?;
        let shared = Rc::new(Shared {
            send,
            active: Cell::new(0),
            has_served: Cell::new(false),
            alert,
            is_over: Cell::new(false),
            is_lost: Cell::new(false),
            idle_since: Cell::new(Instant::now()),
            pings: Pings::new(driver.ping_pong()),
            task: OnceCell::new(),
        });
        let watched = Rc::downgrade(&shared);
        let endpoint = self.0.clone();
        let task = spawn_local(async move {
            let ended = poll_fn(|cx| {
                let ended = Pin::new(&mut driver).poll(cx);
                if let Some(shared) = watched.upgrade() {
                    shared.pings.poll(cx);
                }
                ended
            });
            let ended = ended.await;
            tracing::debug!(endpoint = %endpoint.label, ?ended, "an HTTP/2 connection to an endpoint ended");
            if let Some(shared) = watched.upgrade() {
                shared.is_over.set(true);
                shared.pings.settle();
            }
        });
        // It is set here alone.
        let _ = shared.task.set(task.abort_handle());
        let lease = Lease::new(&shared, &self.0);
        self.0.streams.open.borrow_mut().push(shared);
        Ok(lease)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.streams.connecting.set(false);
        self.0.streams.wake();
    }
}

impl Lease {
    fn new(shared: &Rc<Shared>, endpoint: &Rc<Endpoint>) -> Self {
        shared.active.set(shared.active.get() + 1);
        Self {
            send: shared.send.clone(),
            reused: shared.has_served.get(),
            shared: shared.clone(),
            endpoint: endpoint.clone(),
        }
    }

    /// Whether the connection is over TLS.
    pub fn is_secured(&self) -> bool {
        self.endpoint.is_secured()
    }

    /// What the endpoint has against the proxy's certificate, if that is why it has never answered.
    pub fn refused(&self) -> Option<TlsFault> {
        let alert = *self.shared.alert.as_ref()?.get()?;
        let has_served = self.shared.has_served.get();
        TlsFault::of_alert(alert).filter(|_| !has_served)
    }

    /// Whether a stream may become a tunnel (RFC 8441 §3), as soon as that is known.
    pub fn poll_tunnels(&self, cx: &mut Context<'_>) -> Poll<bool> {
        if !self.send.is_extended_connect_protocol_enabled() {
            ready!(self.shared.pings.poll_settled(cx));
        }
        Poll::Ready(self.send.is_extended_connect_protocol_enabled())
    }

    /// Nobody has answered a PING, so that the connection was given up.
    pub fn is_lost(&self) -> bool {
        self.shared.is_lost.get()
    }

    /// The endpoint has answered on this connection.
    pub fn has_served(&self) {
        self.shared.has_served.set(true);
        self.shared.pings.settle();
        let takes = self.send.current_max_send_streams();
        self.endpoint
            .streams
            .usual
            .set(takes.clamp(1, FIRST_STREAMS));
    }

    /// The connection may be dead without anybody knowing: it gets no new streams.
    pub fn distrust(&self) {
        self.shared.is_over.set(true);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let active = self.shared.active.get() - 1;
        self.shared.active.set(active);
        if active == 0 {
            self.shared.idle_since.set(Instant::now());
            if self.endpoint.is_retired.get() {
                self.endpoint.streams.retain(|_since| false);
            }
        }
    }
}
