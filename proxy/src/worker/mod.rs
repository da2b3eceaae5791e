//! Workers: one thread per core, each with its sockets, its connections and its counters.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use tokio::runtime;
use tokio::sync::{mpsc, oneshot};

use crate::snapshot::Snapshot;
use crate::telemetry::{AccessLog, Recorder, Report};

/// A listening socket and whose it is.
#[derive(Debug)]
pub struct BoundSocket {
    /// Index in `config.listeners`.
    pub listener: usize,
    pub socket: TcpListener,
}

/// What a worker starts with.
#[derive(Debug)]
pub struct WorkerSeed {
    pub index: usize,
    pub snapshot: Arc<Snapshot>,
    pub sockets: Vec<BoundSocket>,
    pub access_log: Option<AccessLog>,
}

/// What the control plane tells a worker.
#[derive(Debug)]
pub enum Command {
    /// Serves from this snapshot from now on; `sockets` are the new ones, and listeners whose name and address are gone
    /// are closed.
    Adopt {
        snapshot: Arc<Snapshot>,
        sockets: Vec<BoundSocket>,
    },
    Report(oneshot::Sender<Report>),
    /// Accepts nothing more, finishes what runs, ends at the deadline at the latest.
    Drain {
        deadline: Instant,
    },
    Stop,
}

/// The control plane's hold on a worker.
#[derive(Debug)]
pub struct WorkerHandle {
    inbox: mpsc::UnboundedSender<Command>,
    thread: thread::JoinHandle<()>,
}

impl WorkerHandle {
    pub fn send(&self, command: Command) {
        // A worker that has ended needs no more commands.
        let _ = self.inbox.send(command);
    }

    /// Waits for the worker's end.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("a worker ended in a panic");
        }
    }
}

/// Starts a worker.
pub fn spawn(seed: WorkerSeed) -> io::Result<WorkerHandle> {
    let (inbox, commands) = mpsc::unbounded_channel();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = thread::Builder::new()
        .name(format!("worker-{}", seed.index))
        .spawn(move || runtime.block_on(obey(seed, commands)))?;
    Ok(WorkerHandle { inbox, thread })
}

async fn obey(seed: WorkerSeed, mut commands: mpsc::UnboundedReceiver<Command>) {
    let recorder = Recorder::new(seed.access_log);
    recorder.adopt(&seed.snapshot);
    let mut sockets = seed.sockets;
    while let Some(command) = commands.recv().await {
        match command {
            Command::Adopt {
                snapshot,
                sockets: new,
            } => {
                recorder.adopt(&snapshot);
                sockets.extend(new);
            }
            Command::Report(reply) => {
                let _ = reply.send(recorder.report());
            }
            Command::Drain { .. } | Command::Stop => return,
        }
    }
}
