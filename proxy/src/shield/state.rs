//! Everything that the shield holds, behind one lock: lists, the tables that follow them, the kernel program and the file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use openclaw_common::abi::{self, checks, flags};
use openclaw_common::verdict::Reason;
use openclaw_core::config::{Config, Level, Prefix, ShieldAction};

use super::autoban::Pardons;
use super::confirm::Unconfirmed;
use super::drops::Sampling;
use super::feeds::Feed;
use super::geo::Attention;
use super::host::HostTables;
use super::kernel::{Kernel, Maps, Pins, monotonic_ns};
use super::lists::{Kind, Origin};
use super::news::News;
use super::peers::Shared;
use super::persist::{self, Encoded, Files, Loaded, PersistError};
use super::prefix::AnyNet;
use super::store::{CONFIG, Guard, Now, PROTECTED, Store};
use super::syn::SynWatch;
use super::trial::Trials;
use super::watch::Watched;
use super::{own, policy};
use crate::telemetry::chain;

/// Ranges compiled in one go, so that accepts never wait long for the tables.
const REGIONS_AT_ONCE: usize = 512;
/// Changed ranges from which compiling everything is considered.
const REBUILD_FROM: usize = 4096;
/// How often the host's own addresses and gateways are looked at.
const GUARDS_EVERY: Duration = Duration::from_secs(5);
/// Saving takes at most this share of the time: a save that took a second is followed by ten without.
const SAVE_REST: u32 = 10;

/// How the warning begins that the lists could not be saved.
const UNSAVED: &str = "cannot save the lists";

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
    pub(super) config: Config,
    pub(super) pins: Pins,
    pub(super) kernel: Option<Kernel>,
    pub(super) maps: Option<Arc<Maps>>,
    /// Why the kernel program is not to be had.
    pub(super) unavailable: Option<String>,
    /// Interfaces that are to be attached, by the configuration or by hand.
    pub(super) watched: Vec<Watched>,
    /// Interfaces that could not be attached, and those in the slower mode, each with why.
    pub(super) notes: Vec<(String, String)>,
    pub(super) warnings: Vec<String>,
    pub(super) news: News,
    pub(super) unconfirmed: Unconfirmed,
    pub(super) trials: Trials,
    pub(super) pardons: Arc<Pardons>,
    pub(super) geo: Attention,
    pub(super) feeds: Vec<Feed>,
    pub(super) is_on: bool,
    pub(super) is_proxy: bool,
    pub(super) is_dirty: bool,
    /// Another process writes maps and lists.
    pub(super) is_suspended: bool,
    /// The process before this one was killed, and what it banned last is in the maps alone.
    pub(super) is_orphaned: bool,
    pub(super) sampling: Sampling,
    pub(super) syn: SynWatch,
    pub(super) next_save: Instant,
    pub(super) files: Files,
    next_guards: Instant,
}

/// What has to be written to the disk, taken under the lock and written without it.
#[derive(Debug)]
pub(super) struct Save {
    pub(super) state_dir: PathBuf,
    pub(super) encoded: Encoded,
    started: Instant,
}

impl State {
    /// Reads lists and host; compiles. Touches no kernel map.
    pub(super) fn new(config: &Config, is_proxy: bool) -> Self {
        let mut state = Self {
            store: Store::default(),
            shared: Arc::default(),
            config: config.clone(),
            pins: Pins::new(&config.shield.pin_dir),
            kernel: None,
            maps: None,
            unavailable: None,
            watched: Vec::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
            news: News::default(),
            unconfirmed: Unconfirmed::default(),
            trials: Trials::default(),
            pardons: Arc::default(),
            geo: Attention::default(),
            feeds: Vec::new(),
            is_on: true,
            is_proxy,
            is_dirty: false,
            is_suspended: false,
            is_orphaned: false,
            sampling: Sampling::default(),
            syn: SynWatch::default(),
            next_save: Instant::now(),
            files: Files::default(),
            next_guards: Instant::now(),
        };
        state.recall_switch();
        state.recall_end();
        let now = state.now();
        state.set_lists(now);
        state.set_feeds();
        match persist::load(&config.server.state_dir, now) {
            Ok(loaded) => state.restore(loaded),
            Err(error) => state.warnings.push(chain(&error)),
        }
        state.restore_unconfirmed(now);
        state.warnings.truncate(20);
        state.begin_geo();
        state.shared = Shared::new(
            HostTables::build(state.store.lists()),
            state.flags(),
            state.monitored(),
        );
        state
    }

    fn restore(&mut self, loaded: Loaded) {
        self.warnings
            .extend(loaded.problems.iter().map(|error| chain(error)));
        for list in loaded.lists {
            let refused = self.store.restore(list.kind, &list.name, list.entries);
            let is_whole = refused.is_empty() && list.is_whole;
            if list.is_own {
                let lists = self.store.lists();
                self.files.found(lists, list.kind, &list.name, is_whole);
            }
            for refusal in refused {
                self.warnings
                    .push(format!("left out of the list `{}`: {refusal}", list.name));
            }
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "the clock of this shield, wherever it comes from"
    )]
    pub(super) fn now(&self) -> Now {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        Now {
            mono_ns: monotonic_ns(),
            unix,
        }
    }

    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(super) fn kernel(&mut self) -> Option<&mut Kernel> {
        self.kernel.as_mut()
    }

    pub(super) fn maps(&self) -> Option<Arc<Maps>> {
        self.maps.clone()
    }

    /// Lists of the configuration and of the host.
    pub(super) fn set_lists(&mut self, now: Now) -> Vec<AnyNet> {
        let guards = own::guards(&self.config);
        set_lists(&mut self.store, &self.config, &guards, now)
    }

    /// What the host has been given since must not stay blocked.
    pub(super) fn follow_guards(&mut self) {
        let start = Instant::now();
        if start < self.next_guards {
            return;
        }
        self.refresh_guards();
        // A router's tables take a while to read.
        self.next_guards = start + GUARDS_EVERY.max(start.elapsed() * 100);
    }

    /// Addresses come and go (DHCP, a new interface): looked at again before anything is blocked.
    pub(super) fn refresh_guards(&mut self) {
        let guards = own::guards(&self.config);
        let regions = self.store.set(
            Kind::Allow,
            PROTECTED,
            Origin::Protected,
            &guards,
            self.now(),
        );
        if !regions.is_empty() {
            self.has_disallowed();
        }
        // Whatever is being done, this is no part of it.
        let (is_dirty, cause) = (self.is_dirty, self.news.cause.take());
        for warning in self.commit(&regions) {
            tracing::warn!("{warning}");
        }
        (self.is_dirty, self.news.cause) = (is_dirty, cause);
    }

    /// Compiles changed ranges into the tables of both sides. What fails is told: the lists stay right.
    pub(super) fn commit(&mut self, regions: &[AnyNet]) -> Vec<String> {
        if regions.is_empty() {
            return Vec::new();
        }
        self.is_dirty = true;
        let lists = self.store.lists();
        let mut changes = Vec::new();
        if regions.len() >= REBUILD_FROM && regions.len() > lists.len() / 8 {
            let new = HostTables::build(lists);
            changes.push(self.shared.read().difference(&new));
            // The old tables are freed outside the lock.
            drop(self.shared.change(|tables| std::mem::replace(tables, new)));
        } else {
            for regions in regions.chunks(REGIONS_AT_ONCE) {
                changes.push(self.shared.change(|tables| tables.update(lists, regions)));
            }
        }
        let warnings = self.write_or_swap(&changes);
        self.tell();
        warnings
    }

    /// Takes out what has ended, and tells who watches.
    pub(super) fn reap(&mut self) {
        let allowed = self.allowed();
        let regions = self.store.reap(self.now());
        if self.allowed() < allowed {
            self.has_disallowed();
        }
        for warning in self.commit(&regions) {
            tracing::warn!("{warning}");
        }
        self.forget_unconfirmed();
        self.attend_watchers();
    }

    /// Whether anything has to be saved, and it is time.
    pub(super) fn is_save_due(&self, is_urgent: bool) -> bool {
        self.is_dirty && (is_urgent || Instant::now() >= self.next_save)
    }

    /// What has to be saved.
    pub(super) fn take_save(&mut self) -> Save {
        self.is_dirty = false;
        let started = Instant::now();
        self.files.look(&self.config.server.state_dir);
        let encoded = persist::encode(self.store.lists(), &self.files, self.now());
        Save {
            state_dir: self.config.server.state_dir.clone(),
            encoded,
            started,
        }
    }

    /// Learns how saving went.
    pub(super) fn saved(&mut self, save: &Save, result: &Result<(), PersistError>) {
        if result.is_ok() {
            self.files.clone_from(&save.encoded.files);
        }
        let took = save.started.elapsed().max(Duration::from_millis(100));
        self.next_save = Instant::now() + took * SAVE_REST;
        let known = self.unsaved().is_some();
        self.warnings
            .retain(|warning| !warning.starts_with(UNSAVED));
        if let Err(error) = result {
            self.is_dirty = true;
            let warning = chain(error);
            if !known {
                tracing::warn!("{warning}");
            }
            self.warnings.push(warning);
        }
    }

    /// Why the lists are not on the disk, if they are not.
    pub(super) fn unsaved(&self) -> Option<String> {
        let mut warnings = self.warnings.iter();
        warnings
            .find(|warning| warning.starts_with(UNSAVED))
            .cloned()
    }

    /// Why an address passes that is to be kept out, with what the decision about it says.
    pub(super) fn why_passing(&self, reason: Reason) -> &'static str {
        if !self.is_on {
            "the shield is switched off (`openclaw shield on` ends that)"
        } else if self.config.shield.action == ShieldAction::Monitor {
            "`shield.action` is monitor: it is counted, not dropped"
        } else if reason == Reason::Geo.monitored() {
            "`shield.geo.action` is monitor: it is counted, not dropped"
        } else if self.config.shield.block_action == ShieldAction::Monitor {
            "`shield.block_action` is monitor: it is counted, not dropped"
        } else {
            "this address can never be dropped"
        }
    }

    pub(super) fn flags(&self) -> u32 {
        let mut set = 0;
        if self.is_on {
            set |= flags::ENABLED;
        }
        if self.is_proxy && self.sampling.is_on(self.config.shield.sample) {
            set |= flags::EVENTS;
        }
        if self.is_proxy && matches!(self.config.log.level, Level::Debug | Level::Trace) {
            set |= flags::DEBUG;
        }
        set
    }

    /// The rules that only count what they would drop.
    pub(super) fn monitored(&self) -> u64 {
        policy::monitored(&self.config.shield)
    }

    pub(super) fn kernel_config(&self) -> abi::Config {
        let shield = &self.config.shield;
        let decided = policy::decided(&self.config, &self.shared.read());
        let is_looped = self
            .watched
            .iter()
            .any(|one| one.interface == policy::LOOPBACK);
        let left_out = if is_looped { checks::LAND } else { 0 };
        abi::Config {
            checks: decided.checks & !left_out,
            flags: self.flags(),
            sample_mask: self.sampling.mask(shield.sample),
            attack: u32::from(self.syn.is_attack()),
            cookies: self.syn.cookies(&self.config),
            ..decided
        }
    }
}

/// Puts what the configuration says and what can never be blocked on their lists; gives back what has changed.
pub(super) fn set_lists(
    store: &mut Store,
    config: &Config,
    guards: &[Guard],
    now: Now,
) -> Vec<AnyNet> {
    let plain = |prefixes: &[Prefix]| -> Vec<Guard> {
        let plain = prefixes.iter().map(|prefix| Guard {
            prefix: *prefix,
            why: String::new(),
        });
        plain.collect()
    };
    let shield = &config.shield;
    let (allow, block) = (plain(&shield.allow), plain(&shield.block));
    let mut regions = store.set(Kind::Allow, PROTECTED, Origin::Protected, guards, now);
    regions.extend(store.set(Kind::Allow, CONFIG, Origin::Config, &allow, now));
    regions.extend(store.set(Kind::Block, CONFIG, Origin::Config, &block, now));
    regions
}
