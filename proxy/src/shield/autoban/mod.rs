//! From verdicts to bans. Workers tell of refusals through a queue that never makes them wait; one thread counts them, bans and
//! has the connections of the banned closed. What it knows of repeaters is kept over restarts.

mod figures;
mod kept;
mod pardon;

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use openclaw_core::autoban::{Convict, Kind, Ledger, Sentence};
use openclaw_core::config::{self, Prefix};
use openclaw_core::limit::network_of;
use openclaw_core::reason::Reason;

use self::figures::{Figures, Talk};
pub(super) use self::pardon::Pardons;
use super::{Banned, Shield, show_seconds};
use crate::telemetry::MetricsText;

/// Refusals that may wait to be counted; beyond it they are lost, which is counted.
const QUEUE: usize = 8192;
/// How often repeaters are saved, and what can never be banned is looked at.
const SAVE_EVERY: Duration = Duration::from_secs(5);
const GUARDS_FOR: Duration = Duration::from_secs(1);
/// How long the end of a save is waited for.
const SAVED_WITHIN: Duration = Duration::from_secs(2);

/// A refusal that may lead to a ban.
#[derive(Clone, Copy, Debug)]
struct Offence {
    peer: IpAddr,
    kind: Kind,
    reason: Reason,
    at: Instant,
}

/// What the thread hears.
#[derive(Debug)]
enum Word {
    Offence(Offence),
    /// Save what is known of repeaters, and say so.
    Save(SyncSender<()>),
    /// Look whether it is over.
    Wake,
}

/// The worker's end.
#[derive(Clone, Debug)]
pub struct Informer {
    queue: SyncSender<Word>,
    figures: Arc<Figures>,
}

impl Informer {
    /// Tells of a refusal, or counts that there was no room to. Never waits.
    pub fn tell(&self, peer: IpAddr, kind: Kind, reason: Reason) {
        let offence = Offence {
            peer: peer.to_canonical(),
            kind,
            reason,
            at: Instant::now(),
        };
        if self.queue.try_send(Word::Offence(offence)).is_err() {
            self.figures.lost();
        }
    }
}

/// What a ban leads to beyond the tables: open connections from the range are closed.
pub type OnBan = Box<dyn Fn(Prefix) + Send>;

/// The control plane's end.
#[derive(Debug)]
pub struct Autoban {
    terms: Arc<Mutex<config::Autoban>>,
    figures: Arc<Figures>,
    stop: Arc<AtomicBool>,
    queue: SyncSender<Word>,
    thread: Option<JoinHandle<()>>,
}

/// The queue before somebody reads it: the workers, who write, have to be there first.
#[derive(Debug)]
pub struct Queue {
    informer: Informer,
    offences: Receiver<Word>,
}

impl Default for Queue {
    fn default() -> Self {
        let (queue, offences) = mpsc::sync_channel(QUEUE);
        let figures = Arc::default();
        Self {
            informer: Informer { queue, figures },
            offences,
        }
    }
}

impl Queue {
    /// For each worker.
    pub fn informer(&self) -> Informer {
        self.informer.clone()
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// There can be no thread.
    pub fn attend(
        self,
        shield: Shield,
        config: &config::Config,
        on_ban: OnBan,
    ) -> io::Result<Autoban> {
        let terms = Arc::new(Mutex::new(config.autoban.clone()));
        let stop = Arc::new(AtomicBool::new(false));
        let Informer { queue, figures } = self.informer;
        let mut judge = Judge {
            shield,
            ledger: Ledger::default(),
            terms: Arc::clone(&terms),
            figures: Arc::clone(&figures),
            on_ban,
            state_dir: config.server.state_dir.clone(),
            began: Instant::now(),
            guards_read: None,
            talk: Talk::default(),
            is_dirty: false,
        };
        let (offences, stopped) = (self.offences, Arc::clone(&stop));
        let thread = thread::Builder::new()
            .name("autoban".into())
            .spawn(move || judge.sit(&offences, &stopped))?;
        Ok(Autoban {
            terms,
            figures,
            stop,
            queue,
            thread: Some(thread),
        })
    }
}

impl Autoban {
    /// Follows a new configuration.
    pub fn follow(&self, terms: &config::Autoban) {
        // A clone that panicked left the old one.
        let mut known = self.terms.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone_from(terms);
    }

    /// Has it on the disk what is known of repeaters, for another process; waits for that.
    pub fn flush(&self) {
        let (done, saved) = mpsc::sync_channel(1);
        if self.queue.send(Word::Save(done)).is_ok() {
            // A thread that has ended has saved before.
            let _ = saved.recv_timeout(SAVED_WITHIN);
        }
    }

    /// Adds its families to the metrics page.
    pub fn collect(&self, text: &mut MetricsText) {
        self.figures.collect(text);
    }
}

impl Drop for Autoban {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.queue.send(Word::Wake).is_ok()
            && let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that bans has panicked");
        }
    }
}

/// The thread's own.
struct Judge {
    shield: Shield,
    ledger: Ledger,
    terms: Arc<Mutex<config::Autoban>>,
    figures: Arc<Figures>,
    on_ban: OnBan,
    state_dir: PathBuf,
    began: Instant,
    guards_read: Option<Instant>,
    talk: Talk,
    is_dirty: bool,
}

impl Judge {
    fn sit(&mut self, offences: &Receiver<Word>, stopped: &AtomicBool) {
        for (peer, convict) in kept::load(&self.state_dir) {
            self.ledger.convict(peer, convict);
        }
        // What a killed process has banned last.
        for (peer, until) in self.shield.autobanned() {
            self.ledger.surmise(peer, until);
        }
        let mut saved = Instant::now();
        loop {
            let next = if self.is_dirty {
                offences.recv_timeout(SAVE_EVERY)
            } else {
                offences.recv().map_err(RecvTimeoutError::from)
            };
            match next {
                _ if stopped.load(Ordering::Relaxed) => break,
                Ok(Word::Offence(offence)) => self.judge(&offence),
                Ok(Word::Save(done)) => {
                    self.pardon();
                    self.save();
                    // Whoever asked may have given up.
                    let _ = done.send(());
                }
                Ok(Word::Wake) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.is_dirty && saved.elapsed() >= SAVE_EVERY {
                self.save();
                saved = Instant::now();
            }
        }
        self.pardon();
        self.save();
    }

    /// Forgets what an operator has taken back.
    fn pardon(&mut self) {
        for peer in self.shield.pardons().take() {
            self.ledger.forgive(peer);
            self.is_dirty = true;
        }
    }

    fn judge(&mut self, offence: &Offence) {
        self.pardon();
        let terms = {
            let terms = self.terms.lock();
            terms.unwrap_or_else(PoisonError::into_inner).clone()
        };
        let Offence {
            peer,
            kind,
            reason,
            at,
        } = *offence;
        // Early, so that a ban need not wait for it.
        if self
            .guards_read
            .is_none_or(|read| read.elapsed() >= GUARDS_FOR)
        {
            self.shield.refresh_guards();
            self.guards_read = Some(Instant::now());
        }
        let network = network_of(peer);
        let now_ns = at.saturating_duration_since(self.began).as_nanos() as u64;
        let Some(count) = self.ledger.note(&terms, network, kind, now_ns) else {
            return;
        };
        let now = unix();
        let Sentence { bans, ttl } = self.ledger.sentence(&terms, network, now);
        let code = reason.code();
        let times = if count == 1 {
            "once".to_owned()
        } else {
            format!("{count} times")
        };
        let why = format!("autoban: {code} {times}, ban {bans}");
        match self.shield.ban(peer, ttl, &why) {
            Banned::Now { prefix, warnings } => {
                self.figures.banned(at.elapsed());
                (self.on_ban)(prefix);
                let until = now.saturating_add(ttl.as_secs());
                self.ledger.convict(network, Convict { bans, until });
                self.is_dirty = true;
                if let Some(unsaid) = self.talk.may_speak() {
                    let ttl = show_seconds(ttl.as_secs());
                    tracing::info!(%peer, ttl, unsaid, "banned: {code} {times}, ban {bans}");
                }
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
            }
            Banned::Already => {}
            Banned::Refused(why) => {
                if let Some(unsaid) = self.talk.may_speak() {
                    tracing::info!(%peer, unsaid, "not banned for {code} {times}: {why}");
                }
            }
        }
    }

    fn save(&mut self) {
        if !std::mem::take(&mut self.is_dirty) {
            return;
        }
        if let Err(error) = kept::save(&self.state_dir, self.ledger.convicts(), unix()) {
            tracing::warn!(%error, "who was banned before is not saved, and forgotten at the next start");
        }
    }
}

fn unix() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}
