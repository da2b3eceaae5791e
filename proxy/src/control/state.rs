//! The control plane's hold on everything: the snapshot that serves, the workers, the log, and what may be done to them.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use openclaw_core::config::{Loaded, Prefix};
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::time::timeout;

use super::build::Builder;
use super::discover::Discovery;
use super::drain::Drains;
use super::endpoints::Beside;
use super::error::ControlError;
use super::first::First;
use super::given::Given;
use super::history::History;
use super::keeping::Keeping;
use super::load::Origin;
use super::log::LevelSwitch;
use super::logs::{Caller, Logs};
use super::notify::{State, notify};
use super::prepare::waiting_at_start;
use super::probe::Probes;
use super::reload::Unconfirmed;
use super::slots::Slots;
use super::sockets::Bound;
use super::traces::Traces;
use super::upgrade::{Heir, Heirlooms, Leash, Successor};
use super::workers::spawn;
use crate::shield::Shield;
use crate::shield::autoban::Autoban;
use crate::snapshot::Snapshot;
use crate::telemetry::{Report, Sift};
use crate::tls::CertificateFacts;
use crate::worker::{Adoption, BoundSocket, Command, WorkerHandle};

/// A worker that does not answer within this is left out of the figures.
const REPORT_WITHIN: Duration = Duration::from_secs(1);

/// A worker that does not serve from a new snapshot within this is told of.
const ADOPT_WITHIN: Duration = Duration::from_secs(2);

/// How `openclaw run` was called.
#[derive(Clone, Debug)]
pub struct Options {
    pub origin: Origin,
    /// `--no-shield`.
    pub shield: bool,
    /// `--socket`; wins over the configuration.
    pub socket: Option<PathBuf>,
}

/// The end of the last attempt to load a configuration.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) at: SystemTime,
    /// What was wrong, as JSON; `None`: it serves.
    pub(super) problems: Option<serde_json::Value>,
}

impl Attempt {
    /// One that went well.
    fn taken(at: SystemTime) -> Self {
        let problems = None;
        Self { at, problems }
    }
}

/// Everything that lives as long as the process; on the control thread only.
pub struct Control {
    pub(super) options: Options,
    pub(super) started: SystemTime,
    pub(super) level: LevelSwitch,
    pub(super) history: RefCell<History>,
    /// What waits for its confirmation.
    pub(super) unconfirmed: RefCell<Option<Unconfirmed>>,
    pub(super) builder: Mutex<Builder>,
    pub(super) snapshot: RefCell<Arc<Snapshot>>,
    pub(super) certificates: RefCell<Vec<(Arc<str>, CertificateFacts)>>,
    pub(super) bound: RefCell<Bound>,
    /// What of it the service manager keeps over a restart.
    pub(super) keeping: RefCell<Keeping>,
    pub(super) attempt: RefCell<Attempt>,
    /// Keys of the configuration that only a restart takes as they are written.
    pub(super) waiting: RefCell<Vec<&'static str>>,
    workers: RefCell<Vec<WorkerHandle>>,
    pub(super) worker_count: usize,
    pub(super) logs: RefCell<Option<Logs>>,
    /// News of the lists, for the security log where it is on.
    pub(super) bans: RefCell<Option<mpsc::Receiver<Arc<str>>>>,
    pub(super) draining: Cell<Option<Duration>>,
    /// Another process is started.
    pub(super) is_upgrading: Cell<bool>,
    /// What holds it until it serves.
    pub(super) leash: Leash,
    /// Callers of the admin socket.
    pub(super) calls: Slots,
    pub(super) discovery: Discovery,
    /// What serves beside the file.
    pub(super) beside: RefCell<Beside>,
    /// Endpoints that drain, each with its clock.
    pub(super) drains: RefCell<Drains>,
    /// What those who follow exchanges want to see.
    pub(super) followers: RefCell<Vec<Weak<Sift>>>,
    /// What is open beside the listeners' sockets, for a process that takes over.
    pub(super) heirlooms: RefCell<Heirlooms>,
    /// The process that has taken over, and the word that it has.
    pub(super) successor: RefCell<Option<Successor>>,
    pub(super) left: Notify,
    /// Wakes the main task when a stop is asked for.
    pub(super) stop: Notify,
    /// Who has asked for it.
    pub(super) stopper: Cell<Caller>,
    pub(super) shield: Shield,
    pub(super) probes: RefCell<Probes>,
    /// Until the end, which saves what it knows.
    pub(super) autoban: RefCell<Option<Autoban>>,
    pub(super) traces: Traces,
    /// Where the admin socket, the metrics and the page are, once they are open.
    pub(super) admin: RefCell<Option<PathBuf>>,
    pub(super) metrics: Cell<Option<SocketAddr>>,
    pub(super) web: Cell<Option<SocketAddr>>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Control")
            .field("options", &self.options)
            .field("snapshot", &self.snapshot)
            .finish_non_exhaustive()
    }
}

impl Control {
    /// Loads the configuration, binds its listeners and starts the workers.
    pub(super) async fn start(
        options: Options,
        loaded: Loaded,
        history: History,
        level: LevelSwitch,
        mut heir: Option<&mut Heir>,
        given: Given,
    ) -> Result<Rc<Self>, ControlError> {
        let First {
            builder,
            beside,
            bound,
            keeping,
            sockets,
            snapshot,
            certificates,
            logs,
        } = First::prepare(&options, loaded, heir.as_deref_mut(), given).await?;
        let discovery = builder.discovery.clone();
        let worker_count = sockets.len();
        if let Some(heir) = heir {
            // What both processes write is the other one's until then.
            snapshot.inherit(heir.checked()?);
        }
        let (shield, _) = Shield::start(&snapshot.config, !options.shield);
        let (traces, spans) = Traces::new();
        let (workers, autoban) = spawn(&snapshot, sockets, (&logs, &spans), &shield)?;
        let mut probes = Probes::default();
        probes.follow(&snapshot);
        let waiting = waiting_at_start(&snapshot.config, worker_count);
        let now = SystemTime::now();
        Ok(Rc::new(Self {
            options,
            started: now,
            history: RefCell::new(history),
            unconfirmed: RefCell::default(),
            level,
            builder: Mutex::new(builder),
            snapshot: RefCell::new(snapshot),
            certificates: RefCell::new(certificates),
            bound: RefCell::new(bound),
            keeping: RefCell::new(keeping),
            attempt: RefCell::new(Attempt::taken(now)),
            waiting: RefCell::new(waiting),
            workers: RefCell::new(workers),
            worker_count,
            logs: RefCell::new(Some(logs)),
            bans: RefCell::default(),
            draining: Cell::new(None),
            is_upgrading: Cell::new(false),
            leash: Leash::default(),
            calls: Slots::default(),
            discovery,
            beside: RefCell::new(beside),
            drains: RefCell::default(),
            followers: RefCell::default(),
            heirlooms: RefCell::default(),
            successor: RefCell::default(),
            left: Notify::new(),
            stop: Notify::new(),
            stopper: Cell::default(),
            shield,
            probes: RefCell::new(probes),
            autoban: RefCell::new(Some(autoban)),
            traces,
            admin: RefCell::new(None),
            metrics: Cell::new(None),
            web: Cell::new(None),
        }))
    }

    /// Gives a snapshot to every worker and waits until they serve from it; tells who does not.
    pub(super) async fn hand_over(
        &self,
        snapshot: &Arc<Snapshot>,
        sockets: Vec<Vec<BoundSocket>>,
    ) -> Vec<String> {
        self.probes.borrow_mut().follow(snapshot);
        let mut given = Vec::new();
        for (worker, sockets) in self.workers.borrow().iter().zip(sockets) {
            let snapshot = Arc::clone(snapshot);
            given.push(worker.adopt(Adoption { snapshot, sockets }));
        }
        let deadline = Instant::now() + ADOPT_WITHIN;
        let mut late = Vec::new();
        for (index, taken) in given.into_iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, taken.wait()).await {
                Ok(true) => {}
                Ok(false) => late.push(format!(
                    "worker {index} has ended and does not take the configuration; restart the proxy"
                )),
                Err(_) => late.push(format!(
                    "worker {index} is busy and does not serve the new configuration yet"
                )),
            }
        }
        late
    }

    /// Asks the main task to drain; `None`: within the configured grace.
    pub fn request_stop(&self, grace: Option<Duration>) -> Duration {
        let configured = self.snapshot.borrow().config.server.shutdown_grace;
        let grace = grace.unwrap_or(configured);
        self.draining.set(Some(grace));
        if self.successor.borrow().is_none() {
            // Who would take over is to stop as well.
            self.leash.end();
        }
        self.stop.notify_one();
        grace
    }

    /// Returns when another process answers calls.
    pub(super) async fn is_left(&self) {
        let left = self.left.notified();
        if self.successor.borrow().is_none() {
            left.await;
        }
    }

    /// Lets the workers finish, and waits for them and for the log.
    pub(super) async fn drain(&self, grace: Duration) {
        self.draining.set(Some(grace));
        let is_left = self.successor.borrow().is_some();
        if !is_left {
            notify(State::Stopping);
        }
        // Our copies would keep sockets open that nobody reads.
        drop(self.bound.take());
        let deadline = Instant::now() + grace;
        let workers = self.workers.take();
        let full: Vec<usize> = (0..)
            .zip(&workers)
            .filter_map(|(index, worker)| {
                (!worker.send(Command::Drain { deadline, is_left })).then_some(index)
            })
            .collect();
        let (done, ended) = oneshot::channel();
        let logs = self.logs.take();
        // Joining blocks; the control plane answers until the end.
        let joining = thread::Builder::new().spawn(move || {
            for worker in full.into_iter().filter_map(|index| workers.get(index)) {
                worker.insist(Command::Drain { deadline, is_left });
            }
            workers.into_iter().for_each(WorkerHandle::join);
            if let Some(logs) = logs {
                logs.close();
            }
            // The control plane may have given up.
            let _ = done.send(());
        });
        if let Err(error) = joining {
            tracing::error!(%error, "nobody waits for the workers");
            return;
        }
        // Workers end at the deadline; the rest is for the log.
        if timeout(grace + Duration::from_secs(3), ended)
            .await
            .is_err()
        {
            tracing::error!("a worker did not end in time");
        }
    }

    /// What each worker has counted so far.
    pub async fn reports(&self) -> Vec<Report> {
        self.ask_workers(Command::Report).await
    }

    /// The answers of those workers that answer in time.
    pub(super) async fn ask_workers<T>(
        &self,
        command: impl Fn(oneshot::Sender<T>) -> Command,
    ) -> Vec<T> {
        let asked: Vec<_> = self
            .workers
            .borrow()
            .iter()
            .map(|worker| {
                let (reply, answer) = oneshot::channel();
                worker.send(command(reply));
                answer
            })
            .collect();
        let mut answers = Vec::with_capacity(asked.len());
        let deadline = Instant::now() + REPORT_WITHIN;
        for answer in asked {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Ok(Ok(answer)) = timeout(left, answer).await {
                answers.push(answer);
            }
        }
        answers
    }

    /// Says something to every worker that has room for it.
    pub(super) fn tell_workers(&self, command: impl Fn() -> Command) {
        for worker in &*self.workers.borrow() {
            if !worker.send(command()) {
                tracing::warn!("a worker is too busy to be told something");
            }
        }
    }

    /// Has the connections of peers closed that are turned away now: those inside the range, or all.
    pub(super) fn close(&self, range: Option<Prefix>) {
        for worker in &*self.workers.borrow() {
            worker.closer().close(range);
        }
    }

    /// The snapshot that new requests are served from.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }
}
