//! PING on an HTTP/2 connection to an endpoint: whether somebody is still there, and whether his SETTINGS have come, which
//! go ahead of every answer to a PING.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use h2::{Ping, PingPong};

/// The longest wait for the answer to a PING.
const ANSWER: Duration = Duration::from_secs(20);

/// One at a time.
#[derive(Debug)]
pub(super) struct Pings {
    way: RefCell<Option<PingPong>>,
    /// When the one was sent that is not answered yet.
    sent: Cell<Option<Instant>>,
    /// When the last one was answered, or the connection made.
    heard: Cell<Instant>,
    /// The endpoint's SETTINGS have come, or never will.
    is_settled: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Pings {
    pub(super) fn new(way: Option<PingPong>) -> Self {
        Self {
            way: RefCell::new(way),
            sent: Cell::new(None),
            heard: Cell::new(Instant::now()),
            is_settled: Cell::new(false),
            waiting: RefCell::default(),
        }
    }

    /// Takes the answer, if it has come. To be called by whoever drives the connection, each time that he did.
    pub(super) fn poll(&self, cx: &mut Context<'_>) {
        if self.sent.get().is_none() {
            return;
        }
        let mut way = self.way.borrow_mut();
        let answered = way.as_mut().map(|way| way.poll_pong(cx));
        drop(way);
        if matches!(answered, Some(Poll::Ready(Ok(_)))) {
            self.sent.set(None);
            self.heard.set(Instant::now());
            self.settle();
        }
    }

    /// The SETTINGS have come: something came behind them, or nothing comes any more.
    pub(super) fn settle(&self) {
        if !self.is_settled.replace(true) {
            for waker in self.waiting.take() {
                waker.wake();
            }
        }
    }

    /// Ready when the endpoint's SETTINGS have come; asks for a sign of that.
    pub(super) fn poll_settled(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_settled.get() {
            return Poll::Ready(());
        }
        if self.sent.get().is_none() {
            self.send(Instant::now());
        }
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|known| known.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Sends one when the last sign of life is `every` ago; false if the answer to the last one is overdue.
    pub(super) fn is_alive(&self, now: Instant, every: Duration) -> bool {
        if let Some(sent) = self.sent.get() {
            return now.saturating_duration_since(sent) < every.min(ANSWER);
        }
        if now.saturating_duration_since(self.heard.get()) >= every {
            self.send(now);
        }
        true
    }

    fn send(&self, now: Instant) {
        let mut way = self.way.borrow_mut();
        let sent = way.as_mut().map(|way| way.send_ping(Ping::opaque()));
        // A connection that takes none any more ends by itself.
        if matches!(sent, Some(Ok(()))) {
            self.sent.set(Some(now));
        }
    }
}
