//! The task of one socket: datagrams in, timers, connections that something has happened to, datagrams out.
//!
//! All that arrives in a turn is taken in before the connections concerned go on, so that what a turn has to send leaves in few calls.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::BytesMut;
use quinn_proto::{EcnCodepoint, Endpoint, Transmit};
use tokio::time::Sleep;

use super::super::Listening;
use super::connection::{NO_ERROR, Phase};
use super::connections::Core;
use super::face::Application;
use super::mates::{Facts, Mates, Seat};
use super::socket::Socket;
use crate::exchange::context::Local;

/// Reads of one turn; each takes up to four times what GRO puts together.
const READS: usize = 4;
/// Datagrams of other workers in one turn.
const STRAYS: usize = 64;
/// Sends of one connection in one turn; each takes as many datagrams as GSO splits.
const SENDS: usize = 8;

/// Serves a UDP socket until its listener is closed and the last connection has ended.
pub async fn serve<A: Application>(local: Rc<Local>, listening: Rc<Listening>, seat: Seat) {
    let mut driver = match Driver::<A>::new(local, listening.clone(), seat) {
        Ok(driver) => driver,
        Err(error) => {
            let listener = listening.name();
            tracing::error!(%listener, %error, "the socket cannot be used");
            return;
        }
    };
    let mut woken = Box::pin(listening.wake.notified());
    std::future::poll_fn(|cx| {
        while woken.as_mut().poll(cx).is_ready() {
            woken = Box::pin(listening.wake.notified());
        }
        driver.look();
        driver.poll(cx)
    })
    .await;
    listening.ended.set(true);
}

/// The socket with everything that it serves.
struct Driver<A: Application> {
    core: Core<A>,
    socket: Socket,
    mates: Mates,
    /// For the earliest of the timers.
    sleep: Pin<Box<Sleep>>,
    sleeps_until: Option<Instant>,
    /// What the socket did not take, and who has more to send after it.
    kept: Option<(Transmit, Vec<u8>)>,
    waiting: Vec<usize>,
    /// Kept for its room.
    woken: Vec<usize>,
    out: Vec<u8>,
}

impl<A: Application> Driver<A> {
    fn new(local: Rc<Local>, listening: Rc<Listening>, seat: Seat) -> io::Result<Self> {
        let socket = Socket::new(seat.socket)?;
        let address = socket.local_addr()?;
        let config = listening.terms.borrow().setup.quic.clone();
        let endpoint = Endpoint::new(Arc::new(seat.endpoint), config, socket.finds_mtu(), None);
        let now = Instant::now();
        let core = Core::new(local, listening, endpoint, address, now);
        Ok(Self {
            core,
            socket,
            mates: seat.mates,
            sleep: Box::pin(tokio::time::sleep_until(now.into())),
            sleeps_until: None,
            kept: None,
            waiting: Vec::new(),
            woken: Vec::new(),
            out: Vec::new(),
        })
    }

    /// Whether the listener has ended, or begun anew before the last client went.
    fn look(&mut self) {
        let listening = &self.core.listening;
        if let Some(mates) = listening.renewed.take() {
            self.mates = mates;
        }
        match (self.core.is_closed(), listening.closed.get()) {
            (false, true) => self.core.close(),
            (true, false) => self.core.reopen(),
            (false, false) | (true, true) => {}
        }
    }

    /// One turn; ready when nobody is left to be served and nobody is let in any more.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        self.core.ready.register(cx.waker());
        self.receive(cx, now);
        self.take_strays(cx, now);
        self.core.expire(now);
        self.core.close_late(now);
        self.core.ready.take(&mut self.woken);
        if self.poll_kept(cx).is_ready() {
            for key in self.waiting.drain(..) {
                self.core.stop_waiting(key);
            }
        }
        for key in self.woken.drain(..) {
            self.core.touch(key);
        }
        for (transmit, bytes) in std::mem::take(&mut self.core.answers) {
            // One that does not fit is dropped: whoever asked will ask again.
            let _ = self.socket.poll_send(cx, &transmit, &bytes);
        }
        let mut touched = std::mem::take(&mut self.core.touched);
        for key in touched.drain(..) {
            self.core.run(key);
            self.core.settle(key);
            self.transmit(cx, key, now);
            self.core.settle(key);
        }
        // Those that have more to send are for the next turn.
        touched.append(&mut self.core.touched);
        self.core.touched = touched;
        if self.core.is_closed() && self.core.open == 0 && self.kept.is_none() {
            return Poll::Ready(());
        }
        self.sleep(cx);
        Poll::Pending
    }

    fn receive(&mut self, cx: &mut Context<'_>, now: Instant) {
        // Another process reads the socket, and hands over what is for this one.
        if self.core.listening.is_left.get() {
            return;
        }
        let (core, mates) = (&mut self.core, &self.mates);
        for _ in 0..READS {
            let received = self.socket.poll_receive(cx, |meta, bytes| {
                let facts = Facts {
                    from: meta.addr,
                    to: meta.dst_ip,
                    ecn: meta.ecn.and_then(|ecn| EcnCodepoint::from_bits(ecn as u8)),
                };
                let mut rest = BytesMut::from(bytes);
                while !rest.is_empty() {
                    let datagram = rest.split_to(meta.stride.clamp(1, rest.len()));
                    if !mates.pass_on(facts, &datagram) {
                        core.datagram(now, facts, datagram);
                    }
                }
            });
            match received {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => {}
                // Such as a port that is closed at the other end; the socket is none the worse.
                Poll::Ready(Err(error)) => tracing::debug!(%error, "a datagram was not read"),
            }
        }
        // More may be there: come again after the others had their turn.
        cx.waker().wake_by_ref();
    }

    fn take_strays(&mut self, cx: &mut Context<'_>, now: Instant) {
        for _ in 0..STRAYS {
            let Poll::Ready(Some((facts, bytes))) = self.mates.poll_stray(cx) else {
                return;
            };
            self.core.datagram(now, facts, (&*bytes).into());
        }
        cx.waker().wake_by_ref();
    }

    /// Sends what was kept; ready when nothing is.
    fn poll_kept(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some((transmit, bytes)) = &self.kept {
            std::task::ready!(self.socket.poll_send(cx, transmit, bytes));
            self.kept = None;
        }
        Poll::Ready(())
    }

    /// Sends what a connection has, up to its share of a turn.
    fn transmit(&mut self, cx: &mut Context<'_>, key: usize, now: Instant) {
        let Some(quic) = self.core.slot(key).map(|slot| slot.quic.clone()) else {
            return;
        };
        let mut quic = quic.borrow_mut();
        for _ in 0..SENDS {
            if self.kept.is_some() {
                if self.core.wait(key) {
                    self.waiting.push(key);
                }
                return;
            }
            self.out.clear();
            let segments = self.socket.segments();
            let Some(transmit) = quic.poll_transmit(now, segments, &mut self.out) else {
                return;
            };
            if self.socket.poll_send(cx, &transmit, &self.out).is_pending() {
                self.kept = Some((transmit, std::mem::take(&mut self.out)));
            }
        }
        self.core.touch(key);
        cx.waker().wake_by_ref();
    }

    /// Sleeps until the earliest timer. A sleep that ends too early costs less than setting it anew for every packet.
    fn sleep(&mut self, cx: &mut Context<'_>) {
        let closes = self.core.closes.filter(|_| self.core.open > 0);
        let next = self.core.timers.next().into_iter().chain(closes).min();
        let Some(next) = next else {
            return;
        };
        if self.sleeps_until.is_none_or(|until| next < until) {
            self.sleep.as_mut().reset(next.into());
            self.sleeps_until = Some(next);
        }
        if self.sleep.as_mut().poll(cx).is_ready() {
            self.sleeps_until = None;
            cx.waker().wake_by_ref();
        }
    }
}

/// The worker ends: clients are told, so that they need not find out.
impl<A: Application> Drop for Driver<A> {
    fn drop(&mut self) {
        let now = Instant::now();
        for slot in self.core.slots.iter_mut().flatten() {
            if matches!(slot.phase, Phase::Closing) {
                continue;
            }
            slot.close(NO_ERROR, "");
            self.out.clear();
            let transmit = slot.quic.borrow_mut().poll_transmit(now, 1, &mut self.out);
            if let Some(transmit) = transmit {
                // It was worth a try: without this word the client's patience ends later.
                let _ = self.socket.try_send(&transmit, &self.out);
            }
        }
    }
}
