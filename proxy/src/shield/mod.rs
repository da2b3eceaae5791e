//! The shield: who is kept out before a connection costs anything. Lists, their compilation and the tables in plain memory are pure;
//! the kernel's maps, the files and the clock are at the edge. [`Shield`] is the one face for all others.
//!
//! An entry that ends: a block or ban ends by the kernel's clock, to the nanosecond; an allow entry, and everything that user space
//! shows, ends within a second, when [`Shield::tick`] takes it out. Single addresses and IPv6 /64s with an end are bans, found in a
//! hash; wider ranges with an end are in a trie.

pub mod kernel;

mod aftermath;
mod api;
mod ask;
mod audit;
pub mod autoban;
mod ban;
mod compile;
mod confirm;
mod doctor;
mod doubts;
mod drops;
mod explain;
mod feeds;
mod format;
mod geo;
mod hits;
mod host;
mod index;
mod journal;
mod killswitch;
mod limits;
mod lists;
mod lock;
mod look;
mod meanwhile;
mod metrics;
mod news;
mod operator;
mod own;
mod peers;
mod persist;
mod policy;
mod ports;
mod prefix;
mod raise;
mod rehearsal;
mod rules;
mod seen;
mod sink;
mod state;
mod status;
mod store;
mod survivors;
mod swap;
mod syn;
mod synchronise;
mod traffic;
mod trial;
mod verbs;
mod watch;
mod words;

#[cfg(test)]
mod property;

use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use openclaw_core::config::{Config, ShieldMode};
use tokio::sync::mpsc;

pub use self::api::{
    Answer, ApiError, Changed, EntryView, FeedStatus, Import, ListStats, MemoryStats, Request,
    Stats, TableStats, Tested,
};
use self::autoban::Pardons;
pub use self::ban::Banned;
pub use self::doctor::{Finding, Health, examine};
pub use self::doubts::{missing_interfaces, pointless_blocks, unpinnable};
use self::drops::DropLog;
pub use self::drops::DropView;
pub use self::explain::{Explained, KernelView, LimitView, RelayView};
pub use self::feeds::{Due, Fetched, MAX_FEED, Validators, check_list};
pub use self::format::ttl::show as show_seconds;
pub use self::format::{Format, Problem, Problems, SHOWN_PROBLEMS};
pub use self::geo::{GeoError, check_database};
use self::kernel::{KernelError, LogReader, Pins};
pub use self::limits::route_limit;
pub use self::lists::Kind;
pub use self::lock::{LockError, ProxyLock};
pub use self::metrics::Stage;
pub use self::news::{EventCounts, ListEvent};
pub use self::peers::PeerFilter;
use self::peers::Shared;
pub use self::persist::save_as;
pub use self::rehearsal::Rehearsal;
use self::seen::{Seen, Views};
use self::state::State;
pub use self::status::{GeoStatus, InterfaceStatus, Status};
pub use self::syn::SynStatus;
pub use self::traffic::Traffic;
use crate::privilege::Account;
use crate::telemetry::chain;

/// Does for the shield what takes all of root's rights, before a proxy gives them up: mounts the BPF file system, and makes the pins
/// `heir`'s, or root's own again.
///
/// # Errors
/// The system has no BPF file system, or not for this process; the shield works without, or says what is missing.
pub fn prepare(config: &Config, heir: Option<&Account>) -> Result<(), KernelError> {
    if config.shield.mode == ShieldMode::Off {
        return Ok(());
    }
    let pins = Pins::new(&config.shield.pin_dir);
    match heir {
        Some(heir) => pins.give(heir.uid, heir.gid),
        None => pins.mount_if_missing().and_then(|()| pins.take_over()),
    }
}

/// The shield of a process. Clones are the same shield. Calls may take milliseconds, an import of a large list seconds: not for the
/// thread of a worker.
#[derive(Clone, Debug)]
pub struct Shield {
    state: Arc<Mutex<State>>,
    shared: Arc<Shared>,
    views: Arc<Views>,
    pardons: Arc<Pardons>,
    drops: Arc<DropLog>,
    /// Held while the file is written, so that an older one never replaces a newer.
    saving: Arc<Mutex<()>>,
}

impl Shield {
    /// The shield of a proxy: reads the lists, loads and attaches the kernel program as far as that is possible. `no_shield` leaves the
    /// kernel alone; the lists apply where connections are accepted.
    pub fn start(config: &Config, no_shield: bool) -> (Self, Status) {
        let mut state = State::new(&adjusted(config, no_shield), true);
        state.take_off_left();
        state.raise();
        state.note_running();
        for warning in state.warnings() {
            tracing::warn!("{warning}");
        }
        if !state.is_on {
            tracing::warn!(
                "the shield is OFF, as it was before this start: everything passes; `openclaw shield on` ends that"
            );
        }
        let status = state.status();
        for (interface, why) in status.unattached() {
            tracing::warn!("the shield is NOT on {interface}: {why}");
        }
        (Self::of(state), status)
    }

    /// The shield without a proxy: the same lists, and the maps that are pinned. Waits for other command lines that do the same; the
    /// returned guard keeps them waiting.
    ///
    /// # Errors
    /// The state directory cannot be made or locked, or a proxy has it.
    pub fn offline(config: &Config) -> Result<(Self, File), LockError> {
        let lock = lock::offline(&config.server.state_dir)?;
        let mut state = State::new(config, false);
        state.open_pinned();
        Ok((Self::of(state), lock))
    }

    fn of(state: State) -> Self {
        let shared = Arc::clone(&state.shared);
        let pardons = Arc::clone(&state.pardons);
        Self {
            state: Arc::new(Mutex::new(state)),
            shared,
            views: Arc::default(),
            pardons,
            drops: Arc::default(),
            saving: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic leaves lists that are right, and tables that the next change to them repairs.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pardons(&self) -> &Pardons {
        &self.pardons
    }

    /// What a worker asks about every peer.
    pub fn peers(&self) -> PeerFilter {
        PeerFilter::new(Arc::clone(&self.shared))
    }

    /// To be called each second: takes out what has ended, attaches interfaces that have appeared, follows files that have changed,
    /// saves what has changed.
    pub fn tick(&self) {
        {
            let mut state = self.lock();
            if state.is_suspended {
                return;
            }
            state.follow_switch();
            state.follow_guards();
            state.reap();
            state.end_trials();
            state.look_after_interfaces();
        }
        self.follow_geo();
        self.follow_feeds();
        self.save(false);
    }

    /// To be called ten times a second: sees floods of SYNs begin and end.
    pub fn watch_syns(&self) {
        let mut state = self.lock();
        if !state.is_suspended {
            state.watch_syns(Instant::now());
        }
    }

    /// Saves what has changed, now.
    pub fn flush(&self) {
        self.save(true);
    }

    fn save(&self, is_urgent: bool) {
        let _alone = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.lock().is_save_due(is_urgent) {
            return;
        }
        let save = self.hold().take_save();
        let result = persist::save(&save.state_dir, &save.encoded);
        self.lock().saved(&save, &result);
    }

    /// Another process is about to write maps and lists: saves what this one knows, and touches neither from then on.
    pub fn suspend(&self) {
        self.lock().is_suspended = true;
        self.flush();
        self.keep_decisions();
        self.lock().note_end();
    }

    /// It does not, after all. What it may have written is put right.
    pub fn resume(&self) {
        let mut state = self.hold();
        state.is_suspended = false;
        state.recall_end();
        state.put_right();
        state.note_running();
    }

    /// Follows a new configuration; gives back what did not work.
    pub fn reload(&self, config: &Config, no_shield: bool) -> Vec<String> {
        self.hold().reload(&adjusted(config, no_shield))
    }

    /// The end of the proxy: saves the lists; detaches if `on_exit` says so, else the kernel goes on filtering.
    pub fn shutdown(&self) {
        self.flush();
        self.keep_decisions();
        let mut state = self.lock();
        state.stand_down();
        state.abandon_trials();
        state.lower();
        state.note_end();
    }

    pub fn status(&self) -> Status {
        self.look(|state| state.status(), Seen::status)
    }

    /// The log of the kernel program, once, to be forwarded on a runtime; nothing where there is none.
    pub fn log_reader(&self) -> Option<LogReader> {
        let mut state = self.lock();
        match state.kernel()?.log_reader() {
            Ok(reader) => Some(reader),
            Err(error) => {
                tracing::debug!("{}", chain(&error));
                None
            }
        }
    }

    /// To be called several times a second while [`Self::is_followed`], else once or twice: reads which packets were dropped.
    pub fn read_drops(&self) {
        let mut state = self.lock();
        if state.is_suspended {
            return;
        }
        let result = state.read_drops(&self.drops);
        drop(state);
        if let Err(error) = result {
            tracing::debug!(error = %chain(&error), "the kernel is not told how many drops to tell");
        }
    }

    /// Whether a flood of SYNs goes on.
    pub fn is_attack(&self) -> bool {
        self.look(|state| state.syn.is_attack(), |seen| seen.gauges.is_attack)
    }

    /// Whether somebody follows the drops.
    pub fn is_followed(&self) -> bool {
        self.drops.is_followed()
    }

    /// Drops from now on, as lines of JSON ([`DropView`]).
    ///
    /// # Errors
    /// Too many follow already.
    pub fn follow_drops(&self) -> Result<mpsc::Receiver<Arc<str>>, ApiError> {
        self.drops
            .follow()
            .ok_or_else(|| ApiError::failed(&"too many follow the drops already"))
    }
}

fn adjusted(config: &Config, no_shield: bool) -> Config {
    let mut config = config.clone();
    if no_shield {
        config.shield.mode = ShieldMode::Off;
    }
    config
}
