//! One client's session: a socket to an endpoint, what comes from there back to the client, and silence as its end.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use openclaw_core::config::Target;
use openclaw_core::reason::Reason;

use super::super::session::{Inbound, Session};
use super::choice::{Way, choose, connected, is_left, way};
use super::onward::{Onward, Unanswered};
use crate::exchange::context::Local;
use crate::exchange::{EXHAUSTED, connect_detail};
use crate::net::datagrams::{self, Batch, Datagrams};
use crate::net::descriptors;
use crate::snapshot::{Place, Sessions};
use crate::time::Deadline;
use crate::upstream::{Chosen, Endpoint};

/// A first datagram up to this size is kept until there is an answer, for another endpoint if one refuses it.
const FIRST: usize = 1500;
/// Reads of one turn; each takes what GRO puts together.
const READS: usize = 8;
/// Silence that ends a session once its listener has ended.
const LAST_SILENCE: Duration = Duration::from_secs(2);
/// Silence that ends a session which no endpoint has answered: anybody can begin those in the name of others.
const UNANSWERED_SILENCE: Duration = Duration::from_secs(30);

/// What one worker drives a listening socket with.
#[derive(Debug)]
pub struct Face {
    pub socket: Datagrams,
    /// Where datagrams are for the moment in which they pass.
    pub scratch: RefCell<Vec<u8>>,
    pub sessions: Arc<Sessions>,
    /// The listener has ended: sessions go on for as long as they are in use.
    pub is_closed: Cell<bool>,
}

/// See the module.
#[derive(Debug)]
pub struct Flow {
    local: Rc<Local>,
    face: Rc<Face>,
    client: SocketAddr,
    /// The address of ours that the client knows.
    ours: Option<IpAddr>,
    /// Among all sessions of the listener.
    place: Place,
    idle_timeout: Duration,
    deadline: Deadline,
    onward: RefCell<Onward>,
    session: RefCell<Session>,
    /// The name of the upstream.
    upstream: Arc<str>,
    /// An endpoint has refused what was sent, as the sender was told.
    is_refused: Cell<bool>,
    /// The client's next datagrams are another session's.
    is_left: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// What a session begins with.
#[derive(Debug)]
pub struct Opening<'a> {
    pub local: &'a Rc<Local>,
    pub face: &'a Rc<Face>,
    pub inbound: &'a Inbound,
    pub targets: &'a [Target],
}

/// What a session has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// What had come was sent back.
    Read,
    /// The endpoint is not there.
    Refused,
    /// Nobody has sent anything for long.
    Silent,
    /// What runs at the endpoint is to end.
    Drained,
    /// Probes call the endpoint unwell.
    Left,
}

impl Face {
    pub fn new(socket: std::net::UdpSocket, sessions: Arc<Sessions>) -> io::Result<Self> {
        Ok(Self {
            socket: Datagrams::new(socket)?,
            scratch: RefCell::new(vec![0; datagrams::MOST]),
            sessions,
            is_closed: Cell::new(false),
        })
    }
}

fn unconnected(error: &io::Error) -> &'static str {
    if descriptors::are_exhausted(error) {
        EXHAUSTED
    } else {
        connect_detail(error.kind())
    }
}

impl Flow {
    /// Finds an endpoint for the client of these datagrams; `None`: there is none, which was told.
    pub fn open(opening: &Opening<'_>, batch: Batch<'_>) -> Option<Rc<Self>> {
        let Opening {
            local,
            face,
            inbound,
            ..
        } = opening;
        let mut session = Session::new(Rc::clone(local), (*inbound).clone());
        let serving = local.serving();
        let first = batch.bytes.get(..batch.stride).unwrap_or(batch.bytes);
        let client = (batch.from, batch.to);
        let Way {
            upstream,
            chosen,
            ids,
        } = way(opening, &serving, client, first)?;
        let of = serving.upstreams.get(upstream)?;
        of.will_ask();
        session.leads_to(of.as_ref());
        let name = Arc::clone(&of.config.name);
        let chosen = chosen
            .map_err(|(reason, detail)| session.fail(reason, detail))
            .ok()?;
        let address = chosen.endpoint.address;
        session.endpoint = Some(Rc::clone(&chosen.endpoint));
        let socket = connected(address)
            .map_err(|error| session.fail(Reason::UpstreamConnect, unconnected(&error)))
            .ok()?;
        let kept = Some(first).filter(|first| first.len() <= FIRST);
        let place = face.sessions.begin(client, address);
        let unanswered = Unanswered {
            serving,
            upstream,
            since: Instant::now(),
            tried: Vec::new(),
            counted: 0,
            first: kept.unwrap_or_default().to_vec(),
        };
        let mut onward = Onward::new(chosen, socket, unanswered);
        for id in &ids {
            onward.is_called((&face.sessions.ids, &place), id);
        }
        Some(Rc::new(Self {
            local: Rc::clone(local),
            face: Rc::clone(face),
            client: batch.from,
            ours: batch.to,
            place,
            idle_timeout: inbound.listener.idle_timeout,
            upstream: name,
            deadline: Deadline::new(&local.wheel),
            onward: RefCell::new(onward),
            session: RefCell::new(session),
            is_refused: Cell::new(false),
            is_left: Cell::new(false),
            waker: RefCell::default(),
        }))
    }

    /// Whether probes call its endpoint unwell while others are there: the session ends, and what has come begins another.
    pub fn leaves(&self) -> bool {
        let endpoint = Rc::clone(&self.onward.borrow().endpoint);
        if endpoint.is_well() || self.face.is_closed.get() {
            return self.is_left.get();
        }
        let serving = self.local.serving();
        let mut upstreams = serving.upstreams.iter();
        let upstream = upstreams.find(|one| one.config.name == self.upstream);
        if upstream.is_some_and(|upstream| is_left(upstream, &endpoint)) {
            self.is_left.set(true);
            self.wake();
        }
        self.is_left.get()
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Sends what the client sent.
    pub fn send(&self, batch: Batch<'_>) {
        let (socket, address) = {
            let mut onward = self.onward.borrow_mut();
            onward.stop_waiting();
            (Rc::clone(&onward.socket), onward.endpoint.address)
        };
        self.session.borrow_mut().bytes_in += batch.bytes.len() as u64;
        self.heard();
        if let Err(error) = socket.send(batch, address, None)
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            self.is_refused.set(true);
            self.wake();
        }
    }

    /// Sends back what the endpoint sends, until the session's end.
    pub async fn run(&self) {
        loop {
            match self.turn().await {
                Turn::Read => {}
                Turn::Refused if self.turn_elsewhere() => {}
                Turn::Refused => return,
                Turn::Silent => {
                    self.session.borrow_mut().finish();
                    return;
                }
                Turn::Drained => return self.session.borrow_mut().drained(),
                Turn::Left => {
                    let detail = "probes call the endpoint unwell, and another one is there";
                    let mut session = self.session.borrow_mut();
                    return session.fail(Reason::UpstreamUnhealthy, detail);
                }
            }
        }
    }

    async fn turn(&self) -> Turn {
        let socket = Rc::clone(&self.onward.borrow().socket);
        let mut stirred = pin!(socket.stirred());
        let turn = poll_fn(|cx| {
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            if self.onward.borrow().busy.is_cut() {
                Poll::Ready(Turn::Drained)
            } else if self.is_left.get() {
                Poll::Ready(Turn::Left)
            } else if self.is_refused.take() {
                Poll::Ready(Turn::Refused)
            } else if stirred.as_mut().poll(cx).is_ready() {
                Poll::Ready(Turn::Read)
            } else if self.deadline.poll_expired(cx) {
                Poll::Ready(Turn::Silent)
            } else {
                Poll::Pending
            }
        })
        .await;
        if turn != Turn::Read {
            return turn;
        }
        for _ in 0..READS {
            let mut scratch = self.face.scratch.borrow_mut();
            match socket.receive_stirred(&mut scratch) {
                Ok(Some(batch)) => self.give_back(batch),
                Ok(None) => return Turn::Read,
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    return Turn::Refused;
                }
                // Others are of single datagrams, which may be lost.
                Err(error) => tracing::debug!(%error, "a datagram was not read"),
            }
        }
        // More may be there: come again after the others had their turn.
        tokio::task::yield_now().await;
        Turn::Read
    }

    /// It is in use.
    fn heard(&self) {
        let limit = if self.face.is_closed.get() {
            LAST_SILENCE
        } else if self.onward.borrow().unanswered.is_some() {
            UNANSWERED_SILENCE
        } else {
            self.idle_timeout
        };
        self.deadline.arm(self.idle_timeout.min(limit));
    }

    /// The listener has ended: what is silent from now on is over.
    pub fn end_soon(&self) {
        self.heard();
    }

    fn give_back(&self, batch: Batch<'_>) {
        self.session.borrow_mut().bytes_out += batch.bytes.len() as u64;
        let mut onward = self.onward.borrow_mut();
        if let Some(unanswered) = onward.unanswered.take() {
            unanswered.answered(
                &self.local,
                &onward.endpoint,
                &mut self.session.borrow_mut(),
            );
        }
        onward.learn((&self.face.sessions.ids, &self.place), batch);
        // What the client's side does not take is lost, as datagrams may be.
        let _ = self.face.socket.send(batch, self.client, self.ours);
        drop(onward);
        self.heard();
    }

    /// The endpoint is not there. One that has never answered is replaced by another, which gets what was first; false: there is none.
    fn turn_elsewhere(&self) -> bool {
        let mut onward = self.onward.borrow_mut();
        let mut session = self.session.borrow_mut();
        let now = Instant::now();
        let detail = connect_detail(io::ErrorKind::ConnectionRefused);
        onward.endpoint.failed(now, detail);
        onward.endpoint.was_tried(&self.local.recorder, false);
        let next = onward
            .unanswered
            .take()
            .and_then(|unanswered| self.next(unanswered, &onward.endpoint, &mut session));
        let Some((unanswered, chosen, socket)) = next else {
            session.fail(Reason::UpstreamConnect, detail);
            return false;
        };
        let address = chosen.endpoint.address;
        session.endpoint = Some(Rc::clone(&chosen.endpoint));
        let first = Batch {
            from: self.client,
            to: None,
            ecn: None,
            stride: unanswered.first.len().max(1),
            bytes: &unanswered.first,
        };
        // A refusal comes with the next read.
        let _ = socket.send(first, address, None);
        self.place.goes_to(address);
        *onward = Onward::new(chosen, socket, unanswered);
        true
    }

    /// Another endpoint, within `retries` and `retry_budget`.
    fn next(
        &self,
        mut unanswered: Unanswered,
        refused: &Endpoint,
        session: &mut Session,
    ) -> Option<(Unanswered, Chosen, Datagrams)> {
        let serving = Rc::clone(&unanswered.serving);
        let upstream = serving.upstreams.get(unanswered.upstream)?;
        let detail = connect_detail(io::ErrorKind::ConnectionRefused);
        upstream.failed(refused, unanswered.since.elapsed(), detail);
        if unanswered.first.is_empty() {
            return None;
        }
        let tried = &unanswered.tried;
        unanswered.counted += upstream.may_connect_elsewhere(tried, refused, unanswered.counted)?;
        session.retries += 1;
        unanswered.tried.push(refused.address);
        unanswered.since = Instant::now();
        let tried = &unanswered.tried;
        let chosen = choose(&self.local, upstream, &session.inbound, tried).ok()?;
        let socket = connected(chosen.endpoint.address).ok()?;
        Some((unanswered, chosen, socket))
    }
}
