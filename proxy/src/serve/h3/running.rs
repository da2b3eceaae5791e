//! An exchange inside its connection.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use quinn_proto::StreamId;

use super::connection::State;
use super::stream::Cut;

pin_project_lite::pin_project! {
    /// Ends with its exchange, or right after the exchange was told that its stream is cut: an endpoint that answers
    /// slowly must not keep what no client waits for.
    #[derive(Debug)]
    pub(super) struct Running<F> {
        state: Rc<RefCell<State>>,
        slot: u32,
        id: StreamId,
        #[pin]
        exchange: F,
    }
}

impl<F> Running<F> {
    pub(super) fn new(state: Rc<RefCell<State>>, slot: u32, id: StreamId, exchange: F) -> Self {
        Self {
            state,
            slot,
            id,
            exchange,
        }
    }
}

impl<F: Future<Output = ()>> Future for Running<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let id = *this.id;
        let mut state = this.state.borrow_mut();
        let stream = state.stream(*this.slot).filter(|stream| stream.id == id);
        let is_cut = stream.is_some_and(|stream| {
            stream.register_first(cx);
            matches!(stream.cut, Cut::Gone | Cut::Fault(_))
        });
        drop(state);
        match this.exchange.poll(cx) {
            Poll::Pending if !is_cut => Poll::Pending,
            Poll::Pending | Poll::Ready(()) => Poll::Ready(()),
        }
    }
}
