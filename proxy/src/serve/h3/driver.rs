//! One connection as whoever moves its packets sees it: events in, exchanges polled, an end.
//!
//! Exchanges are polled here and not spawned: whatever wakes the connection in one turn of the event loop leaves in the same packets.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use openclaw_core::message::{Fault, Fields, Request, Version, request};
use quinn_proto::StreamEvent;

use super::connection::{Arrival, Life, State};
use super::face::{End, Exchanges, Limits, Pending, Quic, Wait};
use super::running::Running;
use super::wire::StreamWire;
use crate::serve::h2::spare;

/// One connection.
pub struct Driver<X: Exchanges> {
    exchanges: X,
    state: Rc<RefCell<State>>,
    running: FuturesUnordered<Running<X::Exchange>>,
    expired: Option<Pending>,
    task: Option<Waker>,
}

impl<X: Exchanges> fmt::Debug for Driver<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("state", &self.state)
            .field("running", &self.running.len())
            .finish_non_exhaustive()
    }
}

impl<X: Exchanges> Driver<X> {
    /// From when the client's streams can be read and ours can be opened.
    pub fn new(quic: Quic, exchanges: X, limits: Limits) -> Self {
        Self {
            exchanges,
            state: Rc::new(RefCell::new(State::new(quic, limits))),
            running: FuturesUnordered::new(),
            expired: None,
            task: None,
        }
    }

    /// Takes in what has happened to a stream.
    pub fn event(&mut self, event: &StreamEvent) {
        self.state.borrow_mut().event(event);
    }

    /// Begins with new requests and goes on with those that can. After its end it is not to be polled again.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        match &mut self.task {
            Some(task) => task.clone_from(cx.waker()),
            None => self.task = Some(cx.waker().clone()),
        }
        // With early data there may be no room for our control stream at first.
        self.state.borrow_mut().say();
        if std::mem::take(&mut self.state.borrow_mut().has_cut) {
            // Exchanges that are over let go of what they hold before others take it.
            self.poll_running(cx);
        }
        self.start();
        self.poll_running(cx);
        let mut state = self.state.borrow_mut();
        let end = match state.life {
            Life::Ended(violation) => match (violation, self.expired) {
                (Some(violation), _) => End::Violation(violation),
                (None, Some(pending)) => End::Expired(pending),
                (None, None) => End::Closed,
            },
            // What was sent last must have arrived, as closing a connection of QUIC drops it.
            Life::Leaving
                if self.running.is_empty()
                    && state.streams.is_empty()
                    && state.unconfirmed() == 0 =>
            {
                End::Closed
            }
            Life::Serving | Life::Draining | Life::Leaving => {
                if self.running.is_empty() {
                    state.shrink();
                }
                return Poll::Pending;
            }
        };
        state.cut_all();
        drop(state);
        self.poll_running(cx);
        self.running.clear();
        Poll::Ready(end)
    }

    /// Asks the client to go elsewhere; the end comes when the last exchange has ended and all was sent.
    pub fn drain(&mut self) {
        self.state.borrow_mut().drain();
        self.wake();
    }

    /// What the worker's clock should time.
    pub fn pending_since(&self) -> Wait {
        let state = self.state.borrow();
        let (pending, mark) = if state.life == Life::Draining {
            (Pending::Draining, 0)
        } else if let Some(oldest) = state.headless.first() {
            (Pending::Head, *oldest)
        } else if !self.running.is_empty() {
            (Pending::None, 0)
        } else if state.unconfirmed() > 0 {
            let sent = state.quic.borrow().stats().frame_tx.stream;
            (Pending::Stalled, sent)
        } else {
            (Pending::Idle, state.requests)
        };
        Wait { pending, mark }
    }

    /// The round trip to the client, as far as it is known.
    pub fn round_trip(&self) -> Duration {
        self.state.borrow().quic.borrow().rtt()
    }

    /// The wait that `pending_since` names has taken too long.
    pub fn expire(&mut self) {
        let pending = self.pending_since().pending;
        match pending {
            Pending::None => return,
            Pending::Draining => self.state.borrow_mut().leave(),
            Pending::Head | Pending::Idle | Pending::Stalled => {
                self.state.borrow_mut().end(None);
                self.expired.get_or_insert(pending);
            }
        }
        self.wake();
    }

    /// Makes good the useless frames so far. To be called now and then, at most once in ten seconds.
    pub fn forgive(&mut self) {
        self.state.borrow_mut().budget.forgive();
    }

    fn wake(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    /// Makes exchanges of the requests that the events of this turn have left alive.
    fn start(&mut self) {
        loop {
            let Some(arrival) = self.state.borrow_mut().next_arrival() else {
                return;
            };
            self.begin(&arrival);
            spare::give_list(arrival.list);
        }
    }

    fn begin(&mut self, arrival: &Arrival) {
        let slot = arrival.slot;
        let mut fields = Fields::new();
        let request = if arrival.too_large {
            Err(Fault::header_too_large(
                "a header list larger than `max_header`",
            ))
        } else {
            let ended = self.state.borrow_mut().has_only_head(slot);
            let request = request::from_list(&arrival.list, ended, &mut fields);
            request.map(|request| Request {
                version: Version::H3,
                ..request
            })
        };
        let admitted = self.state.borrow_mut().admit(slot, &request);
        match admitted {
            Ok(id) => {
                let wire = StreamWire::new(Rc::clone(&self.state), slot);
                let request = request.as_ref().map_err(|fault| *fault);
                let exchange = self.exchanges.start(request, wire);
                let running = Running::new(Rc::clone(&self.state), slot, id, exchange);
                self.running.push(running);
            }
            Err(fault) => self.exchanges.refused(fault),
        }
    }

    fn poll_running(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(())) = self.running.poll_next_unpin(cx) {}
    }
}
