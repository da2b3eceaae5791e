//! UDP listeners whose datagrams are forwarded: who may have a session, and which datagram belongs to whose.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use openclaw_core::config::Mode;

use super::Listening;
use super::open::{Open, permitted, refused};
use crate::exchange::connections::Stop;
use crate::exchange::context::{Accepted, Local};
use crate::net::datagrams::Batch;
use crate::relay::Inbound;
use crate::relay::udp::{Face, Flow, Opening};

/// Reads of one turn; each takes what GRO puts together.
const READS: usize = 16;

/// Sessions by their clients' addresses; their number is bounded by permits.
type Flows = Rc<RefCell<HashMap<Key, Rc<Flow>>>>;

/// A client, and which of our addresses it knows.
type Key = (SocketAddr, Option<IpAddr>);

/// Serves a UDP socket until its listener is closed and the last session has ended.
pub async fn serve(local: Rc<Local>, listening: Rc<Listening>, socket: UdpSocket) {
    let sessions = listening.terms.borrow().setup.sessions.clone();
    let face = match Face::new(socket, sessions) {
        Ok(face) => Rc::new(face),
        Err(error) => {
            let listener = listening.name();
            tracing::error!(%listener, %error, "the socket cannot be used");
            return;
        }
    };
    let driver = Driver {
        local,
        listening: Rc::clone(&listening),
        face,
        flows: Flows::default(),
    };
    let mut woken = Box::pin(listening.wake.notified());
    poll_fn(|cx| {
        while woken.as_mut().poll(cx).is_ready() {
            woken = Box::pin(listening.wake.notified());
            driver.look();
        }
        driver.receive(cx);
        if driver.face.is_closed.get() && driver.flows.borrow().is_empty() {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

struct Driver {
    local: Rc<Local>,
    listening: Rc<Listening>,
    face: Rc<Face>,
    flows: Flows,
}

impl Driver {
    /// Whether the listener has ended.
    fn look(&self) {
        if self.listening.closed.get() && !self.face.is_closed.replace(true) {
            self.flows
                .borrow()
                .values()
                .for_each(|flow| flow.end_soon());
        }
    }

    fn receive(&self, cx: &mut Context<'_>) {
        // Another process reads the socket: who sends more has a session there.
        if self.listening.is_left.get() {
            return;
        }
        for _ in 0..READS {
            let mut scratch = self.face.scratch.borrow_mut();
            match self.face.socket.poll_receive(cx, &mut scratch) {
                Poll::Pending => return,
                Poll::Ready(Ok(Some(batch))) => self.forward(batch),
                Poll::Ready(Ok(None)) => {}
                // Such as a port that is closed at the other end; the socket is none the worse.
                Poll::Ready(Err(error)) => tracing::debug!(%error, "a datagram was not read"),
            }
        }
        // More may be there: come again after the others had their turn.
        cx.waker().wake_by_ref();
    }

    fn forward(&self, batch: Batch<'_>) {
        let known = self.flows.borrow().get(&(batch.from, batch.to)).cloned();
        let known = known.filter(|flow| !flow.leaves());
        if let Some(flow) = known.or_else(|| self.admit(batch)) {
            flow.send(batch);
        }
    }

    /// Checks limits and shield, then gives the client a session with a task of its own.
    fn admit(&self, batch: Batch<'_>) -> Option<Rc<Flow>> {
        if self.face.is_closed.get() {
            return None;
        }
        let terms = self.listening.terms.borrow().clone();
        let Mode::Udp(targets) = &terms.config.mode else {
            return None;
        };
        let accepted = Accepted {
            announced: None,
            peer: batch.from,
            at: Instant::now(),
        };
        let permit = permitted(&self.local, &terms, accepted)
            .inspect_err(|(reason, detail)| {
                refused(&self.local, &terms, accepted, *reason, detail);
            })
            .ok()?;
        let address = batch.from.ip().to_canonical();
        let open = Open::new(self.local.clone(), terms.slot, Some(permit), address);
        let inbound = Inbound {
            listener: terms.config.clone(),
            slot: terms.slot,
            accepted,
            cut: open.cut.clone(),
            tls: "",
            host: String::new(),
        };
        let opening = Opening {
            local: &self.local,
            face: &self.face,
            inbound: &inbound,
            targets,
        };
        let flow = Flow::open(&opening, batch)?;
        self.flows
            .borrow_mut()
            .insert((batch.from, batch.to), Rc::clone(&flow));
        let member = Member {
            listening: Rc::clone(&self.listening),
            flows: Rc::clone(&self.flows),
            key: (batch.from, batch.to),
            flow: Rc::clone(&flow),
        };
        let key = open.key;
        let task = tokio::task::spawn_local(run(open, member));
        let stop = Stop::Task(task.abort_handle());
        self.local.connections.served_by(key, stop);
        Some(flow)
    }
}

/// The task of a session.
async fn run(open: Open, member: Member) {
    member.flow.run().await;
    drop((member, open));
}

/// A session's place in the table, until it is dropped.
struct Member {
    listening: Rc<Listening>,
    flows: Flows,
    key: Key,
    flow: Rc<Flow>,
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut flows = self.flows.borrow_mut();
        // Where an endpoint was left the client has another session by now.
        let is_own = flows.get(&self.key);
        if is_own.is_some_and(|flow| Rc::ptr_eq(flow, &self.flow)) {
            flows.remove(&self.key);
        }
        drop(flows);
        // Whoever waits for the last one.
        if self.listening.closed.get() {
            self.listening.wake.notify_one();
        }
    }
}
