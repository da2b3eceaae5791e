//! A connection whose bytes go to an endpoint as they come.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use openclaw_core::config::Target;
use openclaw_core::reason::Reason;
use openclaw_core::route::pick_for_client;
use socket2::SockRef;

use super::connect::{Onward, connect};
use super::direction::{Broken, Direction};
use super::end::End;
use super::session::{Inbound, Session};
use crate::exchange::context::Local;
use crate::exchange::serving::Serving;
use crate::time::Deadline;
use crate::upstream::Busy;

/// Forwards a connection until both sides have ended.
pub(super) async fn tcp(local: Rc<Local>, inbound: Inbound, targets: &[Target], client: Client) {
    let client_ip = inbound.accepted.client().ip().to_canonical();
    let index = pick_for_client(targets, client_ip);
    let session = Session::new(Rc::clone(&local), inbound.clone());
    let onwards = Onwards {
        serving: local.serving(),
        upstream: index,
    };
    forward(local, inbound, onwards, client, Vec::new(), session).await;
}

/// Where a connection goes.
pub(super) struct Onwards {
    pub(super) serving: Rc<Serving>,
    /// Index into its upstreams.
    pub(super) upstream: usize,
}

/// The same for one of which `early` was read already.
pub(super) async fn forward(
    local: Rc<Local>,
    inbound: Inbound,
    Onwards { serving, upstream }: Onwards,
    client: Client,
    early: Vec<u8>,
    mut session: Session,
) {
    let deadline = Deadline::new(&local.wheel);
    let Some(upstream) = serving.upstreams.get(upstream) else {
        return;
    };
    let accepted = inbound.accepted;
    let announces = upstream.config.send_proxy_protocol.is_some();
    let ends = announces
        .then(|| accepted.ends(client.end.local_addr()))
        .flatten();
    let onward = connect(&local, upstream, (accepted, ends), &deadline, &mut session).await;
    // A connection may go on for days: it must not keep a snapshot.
    drop(serving);
    let Some(Onward {
        connection,
        under_way,
        busy,
    }) = onward
    else {
        return;
    };
    let mut relay = Relay {
        local: &local,
        client,
        endpoint: connection.stream.into(),
        busy,
        up: Direction::new(early),
        down: Direction::new(Vec::new()),
        session,
        deadline,
        idle_timeout: inbound.listener.idle_timeout,
        timed: None,
    };
    poll_fn(|cx| relay.poll(cx)).await;
    drop(under_way);
}

/// The client's end. Unless both sides ended in good order its end is a reset, which nobody takes for the end of what was sent.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) end: End,
    pub(super) is_whole: bool,
}

impl Client {
    pub(super) fn new(end: End) -> Self {
        let is_whole = false;
        Self { end, is_whole }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if !self.is_whole {
            reset_on_close(&self.end);
        }
    }
}

fn reset_on_close(end: &End) {
    // Fails only for a socket that is gone already.
    let _ = SockRef::from(end.socket()).set_linger(Some(Duration::ZERO));
}

/// Two ends and what is on its way between them.
#[derive(Debug)]
struct Relay<'a> {
    local: &'a Local,
    client: Client,
    endpoint: End,
    busy: Busy,
    up: Direction,
    down: Direction,
    session: Session,
    deadline: Deadline,
    idle_timeout: Duration,
    /// What had moved when the deadline was set last.
    timed: Option<u64>,
}

impl Relay<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.busy.is_cut() {
            self.session.drained();
            return Poll::Ready(());
        }
        let (local, client, endpoint) = (self.local, &mut self.client.end, &mut self.endpoint);
        let up = self.up.poll(cx, local, client, endpoint);
        let down = self.down.poll(cx, local, endpoint, client);
        self.session.bytes_in = self.up.bytes;
        self.session.bytes_out = self.down.bytes;
        if let Poll::Ready(Err(broken)) = up {
            self.session.blame(broken == Broken::From);
            self.up.give_up(local);
        }
        if let Poll::Ready(Err(broken)) = down {
            self.session.blame(broken == Broken::Into);
            self.down.give_up(local);
        }
        // Who takes nothing any more may still have sent something; who is gone has not.
        let is_gone = [up, down].contains(&Poll::Ready(Err(Broken::From)));
        if is_gone || (self.up.is_over() && self.down.is_over()) {
            self.client.is_whole = self.session.finish();
            return Poll::Ready(());
        }
        self.watch(cx)
    }

    /// Silence of both sides has its bound.
    fn watch(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let moved = self.up.bytes + self.down.bytes;
        if self.timed != Some(moved) {
            self.timed = Some(moved);
            self.deadline.arm(self.idle_timeout);
        }
        if !self.deadline.poll_expired(cx) {
            return Poll::Pending;
        }
        let detail = "nothing was sent either way for idle_timeout";
        self.session.fail(Reason::RelayIdle, detail);
        Poll::Ready(())
    }
}

impl Drop for Relay<'_> {
    fn drop(&mut self) {
        if !self.client.is_whole {
            reset_on_close(&self.endpoint);
        }
        self.up.give_up(self.local);
        self.down.give_up(self.local);
    }
}
