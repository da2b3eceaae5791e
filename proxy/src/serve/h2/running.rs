//! An exchange inside its connection's task.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::connection::Connection;
use super::stream::{Cut, Stream};

pin_project_lite::pin_project! {
    /// Ends with its exchange, or right after the exchange was told that its stream is cut: an endpoint that answers
    /// slowly must not keep what no client waits for.
    #[derive(Debug)]
    pub(super) struct Running<F> {
        connection: Rc<RefCell<Connection>>,
        slot: u32,
        id: u32,
        #[pin]
        exchange: F,
    }
}

impl<F> Running<F> {
    pub(super) fn new(
        connection: Rc<RefCell<Connection>>,
        slot: u32,
        id: u32,
        exchange: F,
    ) -> Self {
        Self {
            connection,
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
        let is_cut = {
            let mut connection = this.connection.borrow_mut();
            let stream = connection
                .stream(*this.slot)
                .filter(|stream| stream.id == id);
            if let Some(stream) = stream {
                stream.register_first(cx);
                is_cut(stream)
            } else {
                false
            }
        };
        match this.exchange.poll(cx) {
            Poll::Pending if !is_cut => Poll::Pending,
            Poll::Pending | Poll::Ready(()) => Poll::Ready(()),
        }
    }
}

fn is_cut(stream: &Stream) -> bool {
    matches!(stream.cut, Cut::Gone | Cut::Fault(_))
}
