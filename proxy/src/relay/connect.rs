//! An endpoint for a connection: the balancer's choice, and the next one where that does not take it.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use openclaw_core::balance::Key;
use openclaw_core::config::Balance;
use openclaw_core::proxy_protocol::Ends;
use openclaw_core::reason::Reason;

use super::session::Session;
use crate::exchange::context::{Accepted, Local};
use crate::exchange::{EXHAUSTED, connect_detail};
use crate::snapshot::UnderWay;
use crate::time::Deadline;
use crate::upstream::{
    Busy, Choice, Chosen, ConnectError, Connection, Endpoint, NoPlace, Upstream,
};

/// What a client's connection goes on over.
#[derive(Debug)]
pub(super) struct Onward {
    pub(super) connection: Connection,
    /// What the balancer counts, until it is over.
    pub(super) under_way: Option<UnderWay>,
    /// What a drain looks at.
    pub(super) busy: Busy,
}

/// Connects, within `connect_timeout` a try, `retries` and `retry_budget`; if that fails the session says why.
pub(super) async fn connect(
    local: &Local,
    upstream: &Upstream,
    (accepted, ends): (Accepted, Option<Ends>),
    deadline: &Deadline,
    session: &mut Session,
) -> Option<Onward> {
    session.leads_to(upstream);
    let key = balance_key(upstream.config.balance, accepted);
    upstream.will_ask();
    let mut tried = Vec::new();
    let mut counted = 0;
    let mut failure = None;
    loop {
        let random = local.random.borrow_mut().u64(..);
        let now = Instant::now();
        let choice = (key, random);
        let chosen = match upstream.choose(&tried, choice, now) {
            Choice::Endpoint(chosen) => Ok(chosen),
            Choice::Nobody => Err(NoPlace::Nobody),
            Choice::Full => {
                // A client that goes meanwhile is noticed when it is its turn.
                let stays = |_: &mut Context<'_>| Poll::Pending;
                Box::pin(upstream.wait_for_place(&tried, choice, deadline, stays)).await
            }
        };
        let Chosen {
            endpoint,
            under_way,
        } = match chosen {
            Ok(chosen) => chosen,
            Err(error) => {
                // What came before says more.
                let (reason, detail) = failure.unwrap_or(told(error));
                session.fail(reason, detail);
                return None;
            }
        };
        // Waiting is no time of the endpoint's.
        let now = Instant::now();
        session.endpoint = Some(Rc::clone(&endpoint));
        session.retries = u32::try_from(tried.len()).unwrap_or(u32::MAX);
        match try_once(local, upstream, &endpoint, ends, deadline).await {
            Ok(connection) => {
                session.connected = Some(now.elapsed());
                upstream.answered(&endpoint, now, Some(Instant::now()), 0);
                return Some(Onward {
                    connection,
                    under_way,
                    busy: endpoint.busy(),
                });
            }
            Err(error) => {
                let (reason, detail) = refused(&error);
                failure = Some((reason, detail));
                // What is short here is short for all of them.
                let more = error.is_of_endpoint().then(|| {
                    upstream.failed(&endpoint, now.elapsed(), detail);
                    upstream.may_connect_elsewhere(&tried, &endpoint, counted)
                });
                let Some(more) = more.flatten() else {
                    session.fail(reason, detail);
                    return None;
                };
                counted += more;
            }
        }
        tried.push(endpoint.address);
    }
}

/// What is said where an endpoint took no connection.
fn refused(error: &ConnectError) -> (Reason, &'static str) {
    match error {
        ConnectError::Exhausted(_) => (Reason::UpstreamConnect, EXHAUSTED),
        ConnectError::Connect(error) => (Reason::UpstreamConnect, connect_detail(error.kind())),
        ConnectError::Tls { fault, .. } => (Reason::UpstreamTls, fault.detail()),
    }
}

/// What is said where no endpoint is to be had.
pub(super) fn told(error: NoPlace) -> (Reason, &'static str) {
    match error {
        NoPlace::Nobody => (
            Reason::UpstreamUnhealthy,
            "the upstream has no endpoint to offer",
        ),
        NoPlace::Saturated | NoPlace::Gone => (
            Reason::UpstreamSaturated,
            "no endpoint had room within queue_timeout",
        ),
    }
}

async fn try_once(
    local: &Local,
    upstream: &Upstream,
    endpoint: &Rc<Endpoint>,
    ends: Option<Ends>,
    deadline: &Deadline,
) -> Result<Connection, ConnectError> {
    let mut connecting = Box::pin(endpoint.connect_unread(ends));
    let limit = upstream.config.connect_timeout;
    let result = deadline
        .within(limit, |cx| connecting.as_mut().poll(cx))
        .await
        .unwrap_or_else(|| Err(ConnectError::timed_out()));
    if result
        .as_ref()
        .err()
        .is_none_or(ConnectError::is_of_endpoint)
    {
        endpoint.was_tried(&local.recorder, result.is_ok());
        if let Err(error) = &result {
            endpoint.failed(Instant::now(), refused(error).1);
        }
    }
    result
}

/// Nothing is known of a connection but who has opened it.
pub(super) fn balance_key(balance: Balance, accepted: Accepted) -> Key {
    match balance {
        Balance::IpHash | Balance::Maglev | Balance::UrlHash => {
            Key::of_client(accepted.client().ip().to_canonical())
        }
        Balance::RoundRobin | Balance::LeastConnections | Balance::LeastTime | Balance::Random => {
            Key::default()
        }
    }
}
