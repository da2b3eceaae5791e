//! An HTTP/1 connection: one request after the other, pipelined ones included, in one task.

mod encode;
mod facts;
mod wire;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use openclaw_core::message::h1::parse_request;
use openclaw_core::message::{Fault, Fields, RequestLine, Version};

use self::facts::RequestFacts;
use self::wire::H1Wire;
use crate::exchange::context::{Downstream, Local};
use crate::exchange::{self, Prepared};
use crate::net::Io;
use crate::time::Deadline;

/// Who came this long before the worker drains is about to ask, and has not been told that it should not.
const NEWCOMER: Duration = Duration::from_secs(1);

/// Serves a connection until either side ends it. `early`: bytes that were read while looking for the protocol.
pub async fn serve(local: Rc<Local>, downstream: Rc<Downstream>, io: Io, early: Vec<u8>) {
    let deadline = Deadline::new(&local.wheel);
    let mut wire = H1Wire::new(local.clone(), io, early, downstream.listener.abort_on_close);
    let mut first = true;
    loop {
        // Boxed, so that a connection that idles holds no room for an exchange, which takes far more than the connection itself.
        let exchange = match next_request(&local, &downstream, &mut wire, &deadline, first).await {
            Some(prepared) => Box::pin(exchange::run(
                &local,
                &downstream,
                prepared,
                &mut wire,
                &deadline,
            )),
            None => break,
        };
        exchange.await;
        if !wire.end_exchange() {
            break;
        }
        first = false;
    }
    Box::pin(wire.close(&deadline)).await;
}

/// Waits for a whole head. `None`: the client is done, too slow between requests, or this worker drains.
async fn next_request(
    local: &Local,
    downstream: &Downstream,
    wire: &mut H1Wire,
    deadline: &Deadline,
    first: bool,
) -> Option<Prepared> {
    let listener = &downstream.listener;
    let mut looked_at = 0;
    // The first head is due from the moment the connection was accepted.
    deadline.arm(if first {
        listener.header_timeout
    } else {
        listener.idle_timeout
    });
    let mut began = first.then_some(downstream.accepted);
    loop {
        if looked_at == 0 {
            wire.skip_empty_lines();
        }
        if wire.has_line_beyond(looked_at) || wire.input().len() >= listener.max_header {
            looked_at = wire.input().len();
            if let Some(prepared) = parse(local, downstream, wire) {
                deadline.disarm();
                return Some(prepared);
            }
        }
        if began.is_none() && !wire.input().is_empty() {
            began = Some(Instant::now());
            deadline.arm(listener.header_timeout);
        }
        let idle = wire.input().is_empty();
        let filled = poll_fn(|cx| {
            let filled = match wire.poll_fill(cx) {
                // Only now: a request that has arrived already is served, with `Connection: close`.
                Poll::Pending if idle && local.closes_idle() => {
                    if first && downstream.accepted.elapsed() < NEWCOMER {
                        deadline.arm(NEWCOMER);
                        Poll::Pending
                    } else {
                        Poll::Ready(false)
                    }
                }
                filled @ (Poll::Ready(_) | Poll::Pending) => filled,
            };
            deadline.bound(cx, filled)
        })
        .await;
        match filled {
            Some(true) => {}
            None if !idle => {
                let began = began.unwrap_or_else(Instant::now);
                wire.begin_refusal();
                let asked = RequestLine::of_line(wire.input());
                return Some(exchange::refuse_late(
                    local,
                    downstream,
                    asked,
                    Version::H11,
                    began,
                ));
            }
            None | Some(false) => return None,
        }
    }
}

/// Reads a head from the input, if it is whole, and prepares its exchange.
fn parse(local: &Local, downstream: &Downstream, wire: &mut H1Wire) -> Option<Prepared> {
    let understood = {
        let mut fields = Fields::new();
        match parse_request(wire.input(), downstream.listener.max_header, &mut fields) {
            Ok(None) => return None,
            Ok(Some((request, length))) => Ok((
                exchange::prepare(local, downstream, &request),
                RequestFacts::of(&request),
                length,
            )),
            Err(fault) => Err(fault),
        }
    };
    Some(match understood {
        Ok((prepared, facts, length)) => {
            wire.begin(facts, length);
            prepared
        }
        Err(fault) => refuse(local, downstream, wire, fault),
    })
}

/// After this the connection cannot be understood any more, so it ends with the answer.
fn refuse(local: &Local, downstream: &Downstream, wire: &mut H1Wire, fault: Fault) -> Prepared {
    wire.begin_refusal();
    let said = (fault, RequestLine::of_line(wire.input()));
    exchange::refuse(local, downstream, said, Version::H11, Instant::now())
}

#[cfg(test)]
mod tests {
    use super::serve;

    /// Of what a function of four arguments gives.
    fn size<A, B, C, D, F>(_: impl Fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_that_idles_is_small() {
        assert!(size(serve) <= 512, "{} bytes", size(serve));
    }
}
