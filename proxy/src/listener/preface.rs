//! Which version of HTTP a client speaks in the clear: HTTP/2 announces itself (RFC 9113 §3.3).

use std::future::poll_fn;
use std::task::Poll;

use crate::exchange::context::{Downstream, Local};
use crate::net::Io;
use crate::time::Deadline;

/// Reads until it is clear whether the first bytes are the preface of HTTP/2; `None` when they do not come.
pub(super) async fn has_preface(
    local: &Local,
    downstream: &Downstream,
    io: &mut Io,
    early: &mut Vec<u8>,
) -> Option<bool> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let deadline = Deadline::new(&local.wheel);
    deadline.arm(downstream.listener.header_timeout);
    while early.len() < PREFACE.len() && PREFACE.starts_with(early) {
        let more = poll_fn(|cx| {
            let readable = early.capacity() > 0 || io.poll_readable(cx).is_ready();
            if readable && early.capacity() == 0 {
                *early = local.buffers.head();
            }
            let read = if readable {
                io.poll_read(cx, early)
            } else {
                Poll::Pending
            };
            if read.is_pending() && early.is_empty() {
                // A client that has sent nothing holds no buffer.
                local.buffers.give_back(std::mem::take(early));
            }
            deadline.bound(cx, read)
        })
        .await;
        if !more.is_some_and(|read| read.is_ok_and(|count| count > 0)) {
            return None;
        }
    }
    Some(early.starts_with(PREFACE))
}
