//! A worker: one thread, one single-threaded runtime, its own listening sockets, pools, buffers and counters. It shares
//! nothing with the others on the request path; the control plane talks to it by messages.

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use openclaw_core::config::Prefix;
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, oneshot};

pub use self::latest::{Adoption, Taken};
use self::latest::{Giver, Taker};
use self::listeners::Listeners;
use crate::exchange::context::Local;
use crate::exchange::mirror;
use crate::exchange::serving::Refused;
use crate::listener::quic;
use crate::shield::PeerFilter;
use crate::shield::autoban::Informer;
use crate::snapshot::Snapshot;
use crate::telemetry::{AccessLog, Follower, Recollection, Recorder, Report, SpanQueue};
use crate::time::TICK;
use crate::upstream::Figures;

mod latest;
mod listeners;

/// Messages that may wait for a worker; the control plane sends few.
const INBOX: usize = 64;
/// How often idle upstream connections are looked over, in ticks.
const SWEEP_TICKS: u64 = 10;

/// What a worker starts from.
#[derive(Debug)]
pub struct WorkerSeed {
    pub index: usize,
    /// How many there are.
    pub workers: usize,
    pub snapshot: Arc<Snapshot>,
    pub sockets: Vec<BoundSocket>,
    pub access_log: Option<AccessLog>,
    pub security_log: Option<AccessLog>,
    /// Where what it records for traces goes.
    pub spans: Option<SpanQueue>,
    /// Who is turned away before anything is read.
    pub peers: PeerFilter,
    /// Whom it tells of refusals.
    pub informer: Informer,
}

/// A listening socket of this worker alone (`SO_REUSEPORT`).
#[derive(Debug)]
pub struct BoundSocket {
    /// Its name.
    pub listener: Arc<str>,
    pub socket: Bind,
}

/// What a socket listens for.
#[derive(Debug)]
pub enum Bind {
    Tcp(TcpListener),
    /// HTTP/3.
    Quic(Box<quic::Seat>),
    /// Datagrams that are forwarded.
    Udp(UdpSocket),
}

impl Bind {
    pub fn quic(seat: quic::Seat) -> Self {
        Self::Quic(Box::new(seat))
    }
}

/// What the control plane asks of a worker, besides a new snapshot.
#[derive(Debug)]
pub enum Command {
    Report(oneshot::Sender<Report>),
    /// What is known of endpoints.
    Endpoints(oneshot::Sender<Vec<Figures>>),
    /// Whoever waits looks at the world anew: an endpoint's exchanges are to end.
    Wake,
    /// Who was refused by a limit, route by route.
    Limits(oneshot::Sender<Vec<Refused>>),
    /// What is remembered of a request id.
    Recall(Arc<str>, oneshot::Sender<Recollection>),
    /// Tell somebody of exchanges as they end.
    Follow(Follower, oneshot::Sender<()>),
    /// Close the connections of peers that are turned away now: those inside the range, or all.
    Close(Option<Prefix>),
    /// Accept no more, let exchanges end; the worker ends when it has no connection left, or at the deadline.
    Drain {
        deadline: Instant,
        /// Another process goes on with the sockets, so nobody is in a hurry.
        is_left: bool,
    },
}

/// The control plane's end.
#[derive(Debug)]
pub struct WorkerHandle {
    inbox: mpsc::Sender<Command>,
    /// Set when there was no room for an order to close: the worker looks at all of its connections then.
    missed: Arc<AtomicBool>,
    latest: Giver,
    thread: thread::JoinHandle<()>,
}

/// Has connections of a worker closed, from any thread.
#[derive(Clone, Debug)]
pub struct Closer {
    inbox: mpsc::Sender<Command>,
    missed: Arc<AtomicBool>,
}

impl Closer {
    /// Looks at the connections from inside a range, or at all.
    pub fn close(&self, range: Option<Prefix>) {
        if self.inbox.try_send(Command::Close(range)).is_err() {
            self.missed.store(true, Ordering::Relaxed);
        }
    }
}

impl WorkerHandle {
    pub fn closer(&self) -> Closer {
        Closer {
            inbox: self.inbox.clone(),
            missed: self.missed.clone(),
        }
    }

    /// Whether the worker took the message; it does not when it has ended or its inbox is full.
    pub fn send(&self, command: Command) -> bool {
        self.inbox.try_send(command).is_ok()
    }

    /// Waits for room in the inbox; for a thread that may block.
    pub fn insist(&self, command: Command) {
        // It has ended: there is nothing to be done.
        let _ = self.inbox.blocking_send(command);
    }

    /// Has the worker serve from a snapshot, whatever waits in its inbox; listeners whose name or address is gone are closed.
    pub fn adopt(&self, adoption: Adoption) -> Taken {
        self.latest.give(adoption)
    }

    /// Waits for the thread to end.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("a worker thread panicked");
        }
    }
}

/// Starts a worker thread.
///
/// # Errors
/// When the thread or its runtime cannot be made.
pub fn spawn(seed: WorkerSeed) -> io::Result<WorkerHandle> {
    let (inbox, commands) = mpsc::channel(INBOX);
    let missed = Arc::new(AtomicBool::new(false));
    let missed_here = missed.clone();
    let (latest, adoptions) = latest::pair();
    let (begun, start) = std::sync::mpsc::sync_channel(1);
    let thread = thread::Builder::new()
        .name(format!("worker-{}", seed.index))
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => {
                    // Whoever started the thread waits for this word.
                    let _ = begun.send(Ok(()));
                    runtime.block_on(run(seed, commands, adoptions, &missed_here));
                }
                Err(error) => {
                    let _ = begun.send(Err(error));
                }
            }
        })?;
    start
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("the thread ended at its start")))?;
    Ok(WorkerHandle {
        inbox,
        missed,
        latest,
        thread,
    })
}

async fn run(
    seed: WorkerSeed,
    mut commands: mpsc::Receiver<Command>,
    mut adoptions: Taker,
    missed: &AtomicBool,
) {
    // Each route bounds what of it is under way.
    let (copies, copied) = mpsc::unbounded_channel();
    let local = Rc::new(Local::new(
        seed.snapshot.clone(),
        Recorder::new(seed.access_log)
            .with_security(seed.security_log)
            .with_spans(seed.spans),
        seed.peers,
        seed.informer,
        copies,
        (seed.index, seed.workers),
    ));
    tokio::task::spawn_local(mirror::serve(local.clone(), copied));
    let mut listeners = Listeners::new(local.clone());
    listeners.open(&seed.snapshot, seed.sockets);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut drain: Option<Instant> = None;
    let mut count = 0u64;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                count += 1;
                local.wheel.tick();
                local.recorder.tick();
                if missed.swap(false, Ordering::Relaxed) {
                    close(&local, None);
                }
                if count.is_multiple_of(SWEEP_TICKS) {
                    local.sweep();
                }
                let over = drain.is_some_and(|deadline| local.connections.count() == 0 || Instant::now() >= deadline);
                if over {
                    break;
                }
            }
            Adoption { snapshot, sockets } = adoptions.take() => {
                // Who drains accepts no more.
                if drain.is_none() {
                    listeners.adopt(&snapshot, sockets);
                }
                adoptions.done();
            }
            command = commands.recv() => match command {
                Some(Command::Drain { deadline, is_left }) => {
                    drain = Some(deadline);
                    listeners.close_all(is_left);
                    local.start_draining(is_left);
                }
                Some(command) => obey(&local, command),
                None => break,
            },
        }
    }
    // Exchanges that are cut off now, when the runtime drops their tasks, still leave their lines.
    local.start_ending();
    local.recorder.tick();
}

/// All but the end.
fn obey(local: &Local, command: Command) {
    // Whoever asked may have given up.
    match command {
        Command::Report(reply) => drop(reply.send(local.recorder.report())),
        Command::Endpoints(reply) => drop(reply.send(local.serving().figures())),
        Command::Limits(reply) => drop(reply.send(local.serving().refused())),
        Command::Recall(id, reply) => drop(reply.send(local.recorder.recall(&id))),
        Command::Close(range) => close(local, range),
        Command::Wake => local.wheel.wake_all(),
        Command::Follow(follower, begun) => local.recorder.follow(follower, begun),
        // The end is the loop's own.
        Command::Drain { .. } => {}
    }
}

/// Closes the connections of those who would not be let in any more.
fn close(local: &Local, range: Option<Prefix>) {
    let closed = local.connections.close(|peer| {
        let inside = range.is_none_or(|range| range.contains(peer));
        inside.then(|| local.peers.check(peer)).flatten()
    });
    if closed > 0 {
        tracing::debug!(
            closed,
            "connections of peers that are turned away now were closed"
        );
    }
}
