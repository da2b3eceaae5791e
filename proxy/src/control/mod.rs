//! The control plane: its own small runtime on the main thread. It loads configurations, starts, reloads and drains the
//! workers, and answers the operator; no request ever waits for it.

use std::rc::Rc;
use std::time::Duration;

use openclaw_core::config::Loaded;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{interval, sleep, timeout};

use self::admin::AdminSocket;
use self::audit::Came;
pub use self::check::{Checked, check, check_text};
pub use self::error::{ControlError, Refused, Trouble};
pub use self::given::{Given, GivenError};
use self::history::History;
pub use self::history::former_sockets;
pub use self::load::{Disk, MAX_FILE, Origin, load};
use self::log::LevelSwitch;
use self::logs::Caller;
use self::notify::{State, notify};
use self::opened::Opened;
pub use self::process::{fallback_socket, is_trusted};
pub(crate) use self::reload::confirm_within;
pub use self::state::{Control, Options};
pub use self::upgrade::{Heir, HeirError};
use crate::telemetry::chain;

pub mod admin;
mod audit;
mod banner;
mod bind;
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
mod first;
mod given;
mod gone;
mod history;
pub mod http;
mod keeping;
mod kept;
mod limits;
mod listing;
mod load;
pub mod log;
mod logs;
mod metrics;
mod not_taken;
mod notify;
mod opened;
mod orders;
mod pages;
mod prepare;
mod privileges;
mod probe;
mod process;
mod reload;
mod renew;
mod reset;
mod secured;
mod shield;
mod slots;
mod sockets;
mod state;
mod sticky;
pub mod top;
mod traces;
mod upgrade;
mod web;
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

/// What callers of the admin socket may take who have called this process before another one took over.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// Until the service manager has heard from the process before that this one is the service.
const TOLD_WITHIN: Duration = Duration::from_secs(2);
/// How often sockets are closed that nobody needs any more.
const SPARES_EVERY: Duration = Duration::from_secs(1);

/// Runs the proxy until it is told to stop. `heir`: it takes over from another process. `given`: sockets from the service manager.
///
/// # Errors
/// It cannot start.
pub fn run(
    options: Options,
    level: LevelSwitch,
    heir: Option<&mut Heir>,
    given: Given,
) -> Result<Ended, ControlError> {
    upgrade::remember_program();
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
    let alive = live(options, loaded, history, level, heir, given);
    let ended = LocalSet::new().block_on(&runtime, alive);
    // A name that is being resolved does not hold the end up.
    runtime.shutdown_background();
    ended
}

async fn live(
    options: Options,
    loaded: Loaded,
    history: History,
    level: LevelSwitch,
    mut heir: Option<&mut Heir>,
    mut given: Given,
) -> Result<Ended, ControlError> {
    let mut signals = Signals::new().map_err(|source| ControlError::Runtime { source })?;
    // The sockets come first: a second process must not get as far as the listeners.
    let opened = Opened::open(&options, &loaded.config, heir.as_deref_mut(), &mut given).await?;
    let heirlooms = opened.heirlooms();
    let Opened {
        admin: socket,
        metrics,
        web,
        mut lock,
        has_inherited,
    } = opened;
    let heirs = heir.as_deref_mut();
    let starting = Control::start(options, loaded, history, level, heirs, given);
    let control = tokio::select! {
        biased;
        started = starting => started?,
        // Names may be looked up for a while.
        () = signals.stop() => return Ok(Ended::Drained),
    };
    *control.heirlooms.borrow_mut() = heirlooms;
    if let Some(socket) = &socket {
        *control.admin.borrow_mut() = Some(socket.path.clone());
    }
    serve(&control, metrics, web);
    for warning in control.history.borrow().save() {
        tracing::warn!("{warning}");
    }
    attend(&control);
    let listeners = control.snapshot().config.listeners.len();
    let room = process::share_files(listeners).inspect_err(|_| {
        // The process before this one goes on with the shield.
        if heir.is_none() {
            control.shield.shutdown();
        }
    })?;
    banner::print(&control, room);
    announce(&control, heir, socket.as_ref().filter(|_| has_inherited)).await;
    if let Some(held) = &mut lock {
        held.lock.sign();
    }
    let obey = obey(&control, &mut signals);
    let ended = match &socket {
        Some(socket) => tokio::select! {
            ended = obey => ended,
            () = admin::serve(Rc::clone(&control), &socket.listener) => Ended::AtOnce,
        },
        None => obey.await,
    };
    if ended == Ended::Drained {
        control.traces.finish().await;
    }
    leave(&control, socket);
    Ok(ended)
}

/// Says that this process serves.
async fn announce(control: &Rc<Control>, heir: Option<&mut Heir>, inherited: Option<&AdminSocket>) {
    if let Some(heir) = heir {
        if let Some(socket) = inherited {
            socket.take();
        }
        control.attend_parent().await;
        // The service is told by the one before that there is another main process.
        heir.ready(inherited.is_some()).await;
        keep_later(control);
    } else {
        control.keep();
        notify(State::Ready);
    }
}

/// Takes down what does not end by itself.
fn leave(control: &Control, socket: Option<AdminSocket>) {
    if let Some(successor) = &*control.successor.borrow() {
        // The shield and the lists are the other process's.
        if let Some(socket) = socket.filter(|_| successor.has_admin) {
            socket.leave();
        }
        return;
    }
    // What it has banned last is to be saved, too.
    drop(control.autoban.take());
    control.shield.shutdown();
}

/// What is asked for over TCP.
fn serve(control: &Rc<Control>, metrics: Option<TcpListener>, web: Option<TcpListener>) {
    if let Some(listener) = metrics {
        control.metrics.set(listener.local_addr().ok());
        spawn_local(metrics::serve(Rc::clone(control), listener));
    }
    if let Some(listener) = web {
        control.web.set(listener.local_addr().ok());
        spawn_local(web::serve(Rc::clone(control), listener));
    }
}

/// What goes on beside everything else for as long as the proxy runs.
fn attend(control: &Rc<Control>) {
    shield::attend(control);
    attend_spares(control);
    discover::attend(control);
    logs::attend(control);
    traces::attend(control);
}

/// Sockets of QUIC listeners that are no more are kept for the connections that still end.
fn attend_spares(control: &Rc<Control>) {
    let control = Rc::clone(control);
    spawn_local(async move {
        let mut clock = interval(SPARES_EVERY);
        loop {
            clock.tick().await;
            control.bound.borrow_mut().expire();
        }
    });
}

/// The service manager listens to this process once the one before has told of it. The sockets of that one it has.
fn keep_later(control: &Rc<Control>) {
    let control = Rc::clone(control);
    spawn_local(async move {
        sleep(TOLD_WITHIN).await;
        control.keep();
    });
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    /// Open the logs anew, as nginx has it.
    user1: Signal,
    upgrade: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user1: signal(SignalKind::user_defined1())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The main task: reloads at SIGHUP, lets another process take over at SIGUSR2, drains at SIGTERM, SIGINT or the operator's `stop`.
async fn obey(control: &Rc<Control>, signals: &mut Signals) -> Ended {
    let mut upgrading: Option<JoinHandle<bool>> = None;
    let grace: Duration = loop {
        tokio::select! {
            _ = signals.hangup.recv() => {
                let control = Rc::clone(control);
                // A signal to stop must not wait for a name server.
                spawn_local(async move { control.reload(None, None, Caller::default()).await.is_ok() });
            }
            _ = signals.user1.recv() => match control.reopen_logs() {
                Ok(()) => tracing::info!("the files of the logs are opened anew"),
                Err(trouble) => tracing::error!("{}", chain(&trouble)),
            },
            // One that comes while an order is carried out asks for no other, and what is heard of it only afterwards came before.
            _ = signals.upgrade.recv() => if control.gone().is_none() && upgrading.as_ref().is_none_or(JoinHandle::is_finished) {
                let control = Rc::clone(control);
                upgrading = Some(spawn_local(async move { control.upgrade(None, Caller::default()).await.is_ok() }));
            },
            _ = signals.terminate.recv() => break control.request_stop(None),
            _ = signals.interrupt.recv() => break control.request_stop(None),
            () = control.stop.notified() => {
                break control.draining.get().unwrap_or_default();
            }
        }
    };
    let detail = serde_json::json!({ "grace_seconds": grace.as_secs_f64() });
    control.audit("stop", control.stopper.get(), Came::Done, &detail);
    tracing::info!(grace = ?grace, "draining; a second signal ends at once");
    let drained = async {
        if control.successor.borrow().is_some() {
            let answered = timeout(ANSWERED_WITHIN, control.calls.settled());
            // Who is silent for longer asks for nothing.
            let _ = tokio::join!(control.drain(grace), answered);
        } else {
            tokio::join!(control.drain(grace), control.settle_upgrade());
        }
    };
    tokio::select! {
        () = drained => Ended::Drained,
        () = signals.stop() => Ended::AtOnce,
    }
}
