//! The control plane: its own small runtime on the main thread. It loads configurations, starts, reloads and drains the
//! workers, and answers the operator; no request ever waits for it.

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use openclaw_core::config::{Loaded, Server};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::LocalSet;

use self::admin::AdminSocket;
pub use self::check::{Checked, check, check_text};
pub use self::error::{ControlError, Refused, Trouble};
use self::history::History;
pub use self::load::{Origin, load};
use self::log::LevelSwitch;
use self::notify::{State, notify};
pub use self::process::{fallback_socket, is_trusted};
pub(crate) use self::reload::confirm_within;
pub use self::state::{Control, Options};
use crate::shield::{LockError, ProxyLock};
use crate::telemetry::chain;

pub mod admin;
mod audit;
mod banner;
mod build;
mod cached;
mod change;
mod check;
mod demo;
mod discover;
mod drain;
mod endpoints;
mod error;
mod exchanges;
mod fetch;
mod history;
pub mod http;
mod kept;
mod limits;
mod listing;
mod load;
pub mod log;
mod logs;
mod metrics;
mod notify;
mod orders;
mod pages;
mod prepare;
mod privileges;
mod probe;
mod process;
mod reload;
mod shield;
mod slots;
mod sockets;
mod state;
mod sticky;
pub mod top;
mod workers;
mod written;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// What ran was finished, or its grace was over.
    Drained,
    /// A second signal did not want to wait.
    AtOnce,
}

/// Runs the proxy until it is told to stop.
///
/// # Errors
/// It cannot start.
pub fn run(options: Options, level: LevelSwitch) -> Result<Ended, ControlError> {
    process::raise_file_limit();
    let reading = load::read(&options.origin).map_err(ControlError::Refused)?;
    level.set(reading.loaded.config.log.level);
    // Before the first thread that would keep what it had.
    let reading = privileges::settle(&options, reading)?;
    let (reading, history) = History::begin(reading, options.origin.is_written());
    let loaded = reading.loaded;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| ControlError::Runtime { source })?;
    let ended = LocalSet::new().block_on(&runtime, live(options, loaded, history, level));
    // A name that is being resolved does not hold the end up.
    runtime.shutdown_background();
    ended
}

async fn live(
    options: Options,
    loaded: Loaded,
    history: History,
    level: LevelSwitch,
) -> Result<Ended, ControlError> {
    let mut signals = Signals::new().map_err(|source| ControlError::Runtime { source })?;
    // The sockets come first: a second process must not get as far as the listeners.
    let admin = &loaded.config.admin;
    let path = options.socket.as_ref().unwrap_or(&admin.socket);
    let socket = open_admin(&options, path).await?;
    let _state = lock_state(&loaded.config.server)?;
    let metrics = open_metrics(&options, admin.metrics).await?;
    let control = Control::start(options, loaded, history, level).await?;
    if let Some(socket) = &socket {
        *control.admin.borrow_mut() = Some(socket.path.clone());
    }
    if let Some(listener) = metrics {
        control.metrics.set(listener.local_addr().ok());
        tokio::task::spawn_local(metrics::serve(Rc::clone(&control), listener));
    }
    for warning in control.history.borrow().save() {
        tracing::warn!("{warning}");
    }
    shield::attend(&control);
    discover::attend(&control);
    logs::attend(&control);
    let listeners = control.snapshot().config.listeners.len();
    let room = process::share_files(listeners).inspect_err(|_| control.shield.shutdown())?;
    banner::print(&control, room);
    notify(State::Ready);
    let obey = obey(&control, &mut signals);
    let ended = match &socket {
        Some(socket) => tokio::select! {
            ended = obey => ended,
            () = admin::serve(Rc::clone(&control), &socket.listener) => Ended::AtOnce,
        },
        None => obey.await,
    };
    // What it has banned last is to be saved, too.
    drop(control.autoban.take());
    control.shield.shutdown();
    Ok(ended)
}

/// Without a written configuration the socket may be elsewhere, or missing: a first try needs no root.
async fn open_admin(options: &Options, path: &Path) -> Result<Option<AdminSocket>, ControlError> {
    let lenient = options.socket.is_none() && !options.origin.is_written();
    let first = match admin::open(path).await {
        Err(ControlError::AdminSocket { path, source }) if lenient => {
            ControlError::AdminSocket { path, source }
        }
        opened => return opened.map(Some),
    };
    match admin::open(&fallback_socket()).await {
        Ok(socket) => Ok(Some(socket)),
        Err(running @ ControlError::AlreadyRunning { .. }) => Err(running),
        Err(error) => {
            tracing::warn!("{}; and neither: {}", chain(&first), chain(&error));
            Ok(None)
        }
    }
}

/// A directory that cannot be used costs the lists their next start only; one that is in use would cost another proxy its lists.
/// With a user of its own that is a mistake in the installation, and nobody means to lose the lists by it.
fn lock_state(server: &Server) -> Result<Option<ProxyLock>, ControlError> {
    match ProxyLock::take(&server.state_dir) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if server.user.is_some() => Err(ControlError::StateDir(error)),
        Err(error @ LockError::InUse { .. }) => Err(ControlError::StateDir(error)),
        Err(error @ LockError::Unusable { .. }) => {
            tracing::warn!("{}", chain(&error));
            Ok(None)
        }
    }
}

async fn open_metrics(
    options: &Options,
    address: Option<SocketAddr>,
) -> Result<Option<TcpListener>, ControlError> {
    let Some(address) = address else {
        return Ok(None);
    };
    match metrics::open(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(source) => {
            let error = ControlError::Metrics { address, source };
            if options.origin.is_written() {
                return Err(error);
            }
            tracing::warn!("{}; going on without", chain(&error));
            Ok(None)
        }
    }
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    /// Open the logs anew, as nginx has it.
    user1: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user1: signal(SignalKind::user_defined1())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The main task: reloads at SIGHUP, drains at SIGTERM, SIGINT or the operator's `stop`.
async fn obey(control: &Rc<Control>, signals: &mut Signals) -> Ended {
    let grace: Duration = loop {
        tokio::select! {
            _ = signals.hangup.recv() => {
                let control = Rc::clone(control);
                // A signal to stop must not wait for a name server.
                tokio::task::spawn_local(async move { control.reload(None, None).await.is_ok() });
            }
            _ = signals.user1.recv() => match control.reopen_logs() {
                Ok(()) => tracing::info!("the files of the logs are opened anew"),
                Err(trouble) => tracing::error!("{}", chain(&trouble)),
            },
            _ = signals.terminate.recv() => break control.request_stop(None),
            _ = signals.interrupt.recv() => break control.request_stop(None),
            () = control.stop.notified() => {
                break control.draining.get().unwrap_or_default();
            }
        }
    };
    control.audit_own(
        "stop",
        &serde_json::json!({ "grace_seconds": grace.as_secs_f64() }),
    );
    tracing::info!(grace = ?grace, "draining; a second signal ends at once");
    tokio::select! {
        () = control.drain(grace) => Ended::Drained,
        () = signals.stop() => Ended::AtOnce,
    }
}
