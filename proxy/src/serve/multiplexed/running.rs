//! The exchanges of a connection, from a request's arrival to the end of its response.
//!
//! They are polled by the connection's task and not spawned: whatever wakes it in one turn of the event loop leaves
//! together.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use openclaw_core::message::{Fault, Fields, Framing, Request, RequestLine, request};
use tokio::task::spawn_local;

use super::connection::Connection;
use super::exchanges::Exchanges;
use super::stream::Cut;
use super::streams::Arrival;
use super::wire::StreamWire;
use super::{WRONG_LENGTH, spare};

pub(in crate::serve) struct Running<C: Connection, X: Exchanges> {
    connection: Rc<RefCell<C>>,
    exchanges: X,
    attended: FuturesUnordered<Attended<C, X::Exchange>>,
}

impl<C: Connection, X: Exchanges> fmt::Debug for Running<C, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("attended", &self.attended.len())
            .finish_non_exhaustive()
    }
}

impl<C: Connection + 'static, X: Exchanges> Running<C, X> {
    pub(in crate::serve) fn new(connection: Rc<RefCell<C>>, exchanges: X) -> Self {
        Self {
            connection,
            exchanges,
            attended: FuturesUnordered::new(),
        }
    }

    /// What makes the exchanges from now on.
    pub(in crate::serve) fn replace(&mut self, exchanges: X) {
        self.exchanges = exchanges;
    }

    pub(in crate::serve) fn is_empty(&self) -> bool {
        self.attended.is_empty()
    }

    /// Begins with the requests that what was read has left alive, and goes on with all exchanges that can.
    pub(in crate::serve) fn turn(&mut self, cx: &mut Context<'_>) {
        if self.connection.borrow_mut().streams().take_cut() {
            // Exchanges that are over let go of what they hold before others take it.
            self.poll(cx);
        }
        loop {
            let Some(arrival) = self.connection.borrow_mut().streams().next_arrival() else {
                break;
            };
            self.begin(&arrival);
            spare::give_list(arrival.list);
        }
        self.poll(cx);
    }

    /// Goes on with the exchanges that were woken.
    pub(in crate::serve) fn go_on(&mut self, cx: &mut Context<'_>) {
        self.poll(cx);
    }

    /// The streams were cut: exchanges learn of it and are dropped.
    pub(in crate::serve) fn end(&mut self, cx: &mut Context<'_>) {
        self.poll(cx);
        self.attended.clear();
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(())) = self.attended.poll_next_unpin(cx) {}
    }

    fn begin(&mut self, arrival: &Arrival) {
        let slot = arrival.slot;
        let mut fields = Fields::new();
        let request = if arrival.too_large {
            Err(Fault::header_too_large(
                "a header list larger than `max_header`",
            ))
        } else {
            let mut connection = self.connection.borrow_mut();
            let stream = connection.streams().at(slot);
            let ended = stream.is_some_and(|stream| stream.has_only_head());
            let mut request = request::from_list(&arrival.list, ended, &mut fields);
            if let Ok(request) = &mut request {
                request.version = C::VERSION;
            }
            request
        };
        let asked = RequestLine::of_list(&arrival.list);
        let admitted = admit(&mut *self.connection.borrow_mut(), slot, &request);
        match admitted {
            Ok(id) => {
                let wire = StreamWire::new(Rc::clone(&self.connection), slot);
                let request = request.as_ref().map_err(|fault| (*fault, asked));
                self.attended.push(Attended {
                    connection: Rc::clone(&self.connection),
                    slot,
                    id,
                    exchange: Some(self.exchanges.start(request, wire)),
                });
            }
            Err(fault) => self.exchanges.refused(fault, asked),
        }
    }
}

/// Decides whether an arrival becomes an exchange. A malformed request is an error of the stream; other faults are
/// answered.
fn admit<C: Connection>(
    connection: &mut C,
    slot: u32,
    request: &Result<Request<'_>, Fault>,
) -> Result<C::Id, Fault> {
    let Some(stream) = connection.streams().at(slot) else {
        return Err(Fault::malformed("a stream that is gone"));
    };
    let fault = match request {
        Ok(request) => {
            if let Framing::Length(length) = request.framing {
                stream.declared = Some(length);
            }
            (!stream.fits_declared()).then_some(WRONG_LENGTH)
        }
        Err(fault) => Some(*fault).filter(|fault| fault.status == 400),
    };
    if let Some(fault) = fault {
        connection.refuse(slot, fault);
        return Err(fault);
    }
    stream.started = true;
    let id = stream.id;
    connection.begin(slot, request.as_ref().ok());
    Ok(id)
}

pin_project_lite::pin_project! {
    /// Ends with its exchange, or right after the exchange was told that its stream is cut: an endpoint that answers
    /// slowly must not keep what no client waits for. One that others wait for goes on by itself.
    #[derive(Debug)]
    struct Attended<C: Connection, F> {
        connection: Rc<RefCell<C>>,
        slot: u32,
        id: C::Id,
        exchange: Option<F>,
    }
}

impl<C: Connection, F: Future<Output = ()> + Unpin + 'static> Future for Attended<C, F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let id = *this.id;
        let mut connection = this.connection.borrow_mut();
        let stream = connection.streams().at(*this.slot);
        let is_cut = stream
            .filter(|stream| stream.id == id)
            .is_some_and(|stream| {
                stream.register_first(cx);
                matches!(stream.cut, Cut::Gone | Cut::Fault(_))
            });
        drop(connection);
        let polled = this
            .exchange
            .as_mut()
            .map(|exchange| exchange.poll_unpin(cx));
        if polled != Some(Poll::Pending) {
            return Poll::Ready(());
        }
        if !is_cut {
            return Poll::Pending;
        }
        let has_left = {
            let mut connection = this.connection.borrow_mut();
            let stream = connection.streams().at(*this.slot);
            stream.is_none_or(|stream| stream.id != id)
        };
        // One that is dropped lets go of its wire, which asks for the connection.
        match this.exchange.take() {
            Some(exchange) if has_left => drop(spawn_local(exchange)),
            Some(_) | None => {}
        }
        Poll::Ready(())
    }
}
