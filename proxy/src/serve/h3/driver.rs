//! One connection as whoever moves its packets sees it: events in, exchanges polled, an end.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use quinn_proto::StreamEvent;

use super::connection::{Life, State, number};
use super::face::{End, Pending, Quic, Wait};
use crate::serve::multiplexed::{Exchanges, Limits, Running};

/// One connection.
#[derive(Debug)]
pub struct Driver<X: Exchanges> {
    state: Rc<RefCell<State>>,
    running: Running<State, X>,
    expired: Option<Pending>,
    task: Option<Waker>,
}

impl<X: Exchanges> Driver<X> {
    /// From when the client's streams can be read and ours can be opened.
    pub fn new(quic: Quic, exchanges: X, limits: Limits) -> Self {
        let state = Rc::new(RefCell::new(State::new(quic, limits)));
        Self {
            running: Running::new(Rc::clone(&state), exchanges),
            state,
            expired: None,
            task: None,
        }
    }

    /// The client has gone: its exchanges learn of it.
    pub fn lost(&mut self, cx: &mut Context<'_>) {
        self.state.borrow_mut().cut_all();
        self.running.end(cx);
    }

    /// What makes the exchanges from now on.
    pub fn replace(&mut self, exchanges: X) {
        self.running.replace(exchanges);
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
        while self.state.borrow_mut().next_turn() {
            self.running.go_on(cx);
        }
        self.running.turn(cx);
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
        self.running.end(cx);
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
            (Pending::Head, number(*oldest))
        } else if !self.running.is_empty() {
            (Pending::None, 0)
        } else if state.unconfirmed() > 0 {
            let stats = state.quic.borrow().stats();
            if state.life == Life::Leaving {
                (Pending::Parting, stats.udp_rx.datagrams)
            } else {
                (Pending::Stalled, stats.frame_tx.stream)
            }
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
            Pending::Head | Pending::Idle | Pending::Stalled | Pending::Parting => {
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
}
