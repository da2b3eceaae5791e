//! Everything that the shield holds, behind one lock: lists, the tables that follow them, the kernel program and the file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use openclaw_common::abi::{self, flags};
use openclaw_core::config::{Config, Level, OnExit, Prefix, ShieldAction, ShieldMode};

use super::host::HostTables;
use super::kernel::{Kernel, KernelError, Maps, Mode, Pins, monotonic_ns};
use super::lists::{Kind, Origin};
use super::peers::Shared;
use super::persist::{self, PersistError};
use super::prefix::AnyNet;
use super::sink::{KernelSink, synchronise};
use super::status::{InterfaceStatus, Status};
use super::store::{CONFIG, Guard, Now, PROTECTED, Store};
use super::verbs::chain;
use super::{compile, own};

/// Ranges compiled in one go, so that accepts never wait long for the tables.
const REGIONS_AT_ONCE: usize = 512;
/// Changed ranges from which compiling everything is considered.
const REBUILD_FROM: usize = 4096;
/// Saving takes at most this share of the time: a save that took a second is followed by ten without.
const SAVE_REST: u32 = 10;

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
    config: Config,
    pins: Pins,
    kernel: Option<Kernel>,
    maps: Option<Arc<Maps>>,
    /// Why the kernel program is not to be had.
    unavailable: Option<String>,
    /// Interfaces that could not be attached, and those in the slower mode, each with why.
    notes: Vec<(String, String)>,
    warnings: Vec<String>,
    is_on: bool,
    is_proxy: bool,
    is_dirty: bool,
    next_save: Instant,
}

/// What has to be written to the disk, taken under the lock and written without it.
#[derive(Debug)]
pub(super) struct Save {
    pub(super) state_dir: PathBuf,
    pub(super) bytes: Vec<u8>,
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
            notes: Vec::new(),
            warnings: Vec::new(),
            is_on: true,
            is_proxy,
            is_dirty: false,
            next_save: Instant::now(),
        };
        let now = state.now();
        state.set_lists(now);
        match persist::load(&config.server.state_dir, now) {
            Ok(kept) => {
                for list in kept {
                    for refusal in state.store.restore(list.kind, &list.name, list.entries) {
                        state
                            .warnings
                            .push(format!("left out of the list `{}`: {refusal}", list.name));
                    }
                }
            }
            Err(error) => state.warnings.push(describe(&error)),
        }
        state.warnings.truncate(20);
        state.shared = Shared::new(HostTables::build(state.store.lists()), state.flags());
        state
    }

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

    /// Loads the kernel program and attaches it as configured; what fails is kept for the status.
    pub(super) fn raise(&mut self) {
        if self.config.shield.mode == ShieldMode::Off {
            self.unavailable = Some("switched off by configuration or command line".into());
        } else if self.config.shield.interfaces.is_empty() {
            self.unavailable = Some("`shield.interfaces` names none".into());
        } else if self.load() {
            let mode = mode(self.config.shield.mode);
            for interface in self.config.shield.interfaces.clone() {
                // The error is kept as the note of the interface.
                let _ = self.attach(&interface, mode);
            }
            return;
        }
        // An earlier process may have left a program that still filters: it follows these lists, too.
        self.open_pinned();
    }

    /// Opens the maps that another process pinned; false if there are none.
    pub(super) fn open_pinned(&mut self) -> bool {
        if self.maps.is_none() {
            match Maps::open(&self.pins) {
                Ok(maps) => self.adopt(Arc::new(maps)),
                Err(KernelError::NotLoaded { .. }) => {}
                Err(error) => self.unavailable = Some(chain(&error)),
            }
        }
        self.maps.is_some()
    }

    /// Loads the kernel program if it is not yet; false if it is not to be had.
    fn load(&mut self) -> bool {
        if self.kernel.is_some() {
            return true;
        }
        match Kernel::load(&self.config.shield.pin_dir) {
            Ok(kernel) => {
                self.unavailable = None;
                let maps = kernel.maps();
                self.kernel = Some(kernel);
                self.adopt(maps);
                true
            }
            Err(error) => {
                self.unavailable = Some(chain(&error));
                false
            }
        }
    }

    /// Brings maps in line with the lists. Without a proxy the kill switch stays as it was found.
    fn adopt(&mut self, maps: Arc<Maps>) {
        if !self.is_proxy
            && self.kernel.is_none()
            && let Ok(found) = maps.config()
        {
            self.is_on = found.flags & flags::ENABLED != 0;
            self.shared.set_flags(self.flags());
        }
        let config = self.kernel_config();
        if let Err(error) = synchronise(&maps, &self.shared.read(), &config) {
            self.warnings.push(format!(
                "the kernel does not have all of the lists: {}",
                chain(&error)
            ));
        }
        self.maps = Some(maps);
    }

    /// Attaches to an interface.
    pub(super) fn attach(&mut self, interface: &str, mode: Mode) -> Result<(), String> {
        self.notes.retain(|(name, _)| name != interface);
        if !self.load() {
            return Err(self.unavailable.clone().unwrap_or_default());
        }
        let Some(kernel) = &mut self.kernel else {
            return Ok(());
        };
        match kernel.attach(interface, mode) {
            Ok(attached) => {
                if let Some(reason) = attached.fallback_reason {
                    self.notes.push((interface.to_owned(), reason));
                }
                Ok(())
            }
            Err(error) => {
                let why = chain(&error);
                self.notes.push((interface.to_owned(), why.clone()));
                Err(why)
            }
        }
    }

    pub(super) fn detach(&mut self, interface: &str) -> Result<(), String> {
        self.notes.retain(|(name, _)| name != interface);
        self.pins.detach(interface).map_err(|error| chain(&error))
    }

    /// The kill switch.
    pub(super) fn switch(&mut self, is_on: bool) -> Result<(), String> {
        self.is_on = is_on;
        self.shared.set_flags(self.flags());
        let Some(maps) = &self.maps else {
            return Ok(());
        };
        maps.set_config(&self.kernel_config())
            .map_err(|error| chain(&error))
    }

    /// Follows a new configuration.
    pub(super) fn reload(&mut self, config: &Config) -> Vec<String> {
        let old = std::mem::replace(&mut self.config, config.clone());
        let now = self.now();
        let regions = self.set_lists(now);
        let mut warnings = self.commit(&regions);
        if let Err(error) = self.switch(self.is_on) {
            warnings.push(error);
        }
        let wanted = |config: &Config| match config.shield.mode {
            ShieldMode::Off => Vec::new(),
            ShieldMode::Auto | ShieldMode::Native | ShieldMode::Generic => {
                config.shield.interfaces.clone()
            }
        };
        let (before, after) = (wanted(&old), wanted(config));
        for interface in before.iter().filter(|interface| !after.contains(interface)) {
            if let Err(error) = self.detach(interface) {
                warnings.push(error);
            }
        }
        for interface in &after {
            if (!before.contains(interface) || old.shield.mode != config.shield.mode)
                && let Err(error) = self.attach(interface, mode(config.shield.mode))
            {
                warnings.push(error);
            }
        }
        warnings
    }

    /// What the kernel keeps doing, or not, when the process has ended.
    pub(super) fn lower(&mut self) {
        if self.config.shield.on_exit == OnExit::Keep {
            return;
        }
        for interface in self.attached() {
            if let Err(error) = self.pins.detach(&interface) {
                tracing::warn!("{}", chain(&error));
            }
        }
    }

    /// Lists of the configuration and of the host.
    fn set_lists(&mut self, now: Now) -> Vec<AnyNet> {
        let plain = |prefixes: &[Prefix]| -> Vec<Guard> {
            prefixes
                .iter()
                .map(|prefix| Guard {
                    prefix: *prefix,
                    why: String::new(),
                })
                .collect()
        };
        let (allow, block) = (
            plain(&self.config.shield.allow),
            plain(&self.config.shield.block),
        );
        let guards = own::guards(&self.config);
        let mut regions = self
            .store
            .set(Kind::Allow, PROTECTED, Origin::Protected, &guards, now);
        regions.extend(
            self.store
                .set(Kind::Allow, CONFIG, Origin::Config, &allow, now),
        );
        regions.extend(
            self.store
                .set(Kind::Block, CONFIG, Origin::Config, &block, now),
        );
        regions
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
        let is_dirty = self.is_dirty;
        for warning in self.commit(&regions) {
            tracing::warn!("{warning}");
        }
        self.is_dirty = is_dirty;
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
        self.write(&changes)
    }

    fn write(&self, changes: &[compile::Changes]) -> Vec<String> {
        let Some(maps) = &self.maps else {
            return Vec::new();
        };
        let mut sink = KernelSink {
            maps,
            config: self.kernel_config(),
        };
        let mut warnings = Vec::new();
        for changes in changes {
            let failures = changes.apply(&mut sink);
            if let Some(first) = failures.first {
                warnings.push(format!(
                    "{} changes did not reach the kernel: {}",
                    failures.count,
                    chain(&first)
                ));
            }
        }
        warnings
    }

    /// Takes out what has ended.
    pub(super) fn reap(&mut self) {
        let regions = self.store.reap(self.now());
        for warning in self.commit(&regions) {
            tracing::warn!("{warning}");
        }
    }

    /// What has to be saved, if anything and if it is time.
    pub(super) fn take_save(&mut self, is_urgent: bool) -> Option<Save> {
        if !self.is_dirty || (!is_urgent && Instant::now() < self.next_save) {
            return None;
        }
        self.is_dirty = false;
        let started = Instant::now();
        let bytes = persist::encode(self.store.lists(), self.now());
        Some(Save {
            state_dir: self.config.server.state_dir.clone(),
            bytes,
            started,
        })
    }

    /// Learns how saving went.
    pub(super) fn saved(&mut self, save: &Save, result: &Result<(), PersistError>) {
        let took = save.started.elapsed().max(Duration::from_millis(100));
        self.next_save = Instant::now() + took * SAVE_REST;
        let saving = "cannot save the lists";
        let known = self
            .warnings
            .iter()
            .any(|warning| warning.starts_with(saving));
        self.warnings.retain(|warning| !warning.starts_with(saving));
        if let Err(error) = result {
            self.is_dirty = true;
            let warning = describe(error);
            if !known {
                tracing::warn!("{warning}");
            }
            self.warnings.push(warning);
        }
    }

    pub(super) fn status(&self) -> Status {
        let mut interfaces: Vec<InterfaceStatus> = Vec::new();
        for attachment in self.pins.attachments().unwrap_or_default() {
            let note = self
                .notes
                .iter()
                .find(|(name, _)| *name == attachment.interface);
            let mut note = note.map(|(_, note)| note.clone());
            if attachment.mode.is_none() {
                note = Some("the interface is gone or in another network namespace".into());
            }
            let mode = attachment.mode.map(|mode| mode.name().to_owned());
            interfaces.push(InterfaceStatus {
                name: attachment.interface,
                mode,
                note,
            });
        }
        for (name, note) in &self.notes {
            if !interfaces.iter().any(|interface| interface.name == *name) {
                interfaces.push(InterfaceStatus {
                    name: name.clone(),
                    mode: None,
                    note: Some(note.clone()),
                });
            }
        }
        let is_attached = interfaces.iter().any(|interface| interface.mode.is_some());
        let failed = interfaces
            .iter()
            .find_map(|interface| interface.note.clone());
        // What protects the host is not what anybody allowed.
        let count = |kind| {
            let lists = self.store.lists().all();
            let of_kind =
                lists.filter(|(_, list)| list.kind == kind && list.origin != Origin::Protected);
            of_kind.map(|(_, list)| list.v4 + list.v6).sum()
        };
        Status {
            on: self.is_on,
            action: match self.config.shield.action {
                ShieldAction::Enforce => "enforce".into(),
                ShieldAction::Monitor => "monitor".into(),
            },
            interfaces,
            unshielded: if is_attached {
                None
            } else {
                self.unavailable.clone().or(failed)
            },
            proxy: self.is_proxy,
            blocked: count(Kind::Block),
            allowed: count(Kind::Allow),
            warnings: self.warnings.clone(),
        }
    }

    /// Names of the interfaces that are attached now.
    pub(super) fn attached(&self) -> Vec<String> {
        let attachments = self.pins.attachments().unwrap_or_default();
        attachments
            .into_iter()
            .filter(|one| one.mode.is_some())
            .map(|one| one.interface)
            .collect()
    }

    /// Why a blocked address passes all the same.
    pub(super) fn why_passing(&self) -> &'static str {
        if !self.is_on {
            "the shield is switched off (`openclaw shield on` ends that)"
        } else if self.config.shield.action == ShieldAction::Monitor {
            "`shield.action` is monitor: it is counted, not dropped"
        } else {
            "this address can never be dropped"
        }
    }

    fn flags(&self) -> u32 {
        let mut set = 0;
        if self.is_on {
            set |= flags::ENABLED;
        }
        if self.config.shield.action == ShieldAction::Monitor {
            set |= flags::MONITOR;
        }
        if self.is_proxy && matches!(self.config.log.level, Level::Debug | Level::Trace) {
            set |= flags::DEBUG;
        }
        set
    }

    fn kernel_config(&self) -> abi::Config {
        let default6 = self.shared.read().default6();
        abi::Config {
            flags: self.flags(),
            default6,
            ..abi::Config::OFF
        }
    }
}

fn mode(mode: ShieldMode) -> Mode {
    match mode {
        ShieldMode::Auto | ShieldMode::Off => Mode::Auto,
        ShieldMode::Native => Mode::Native,
        ShieldMode::Generic => Mode::Generic,
    }
}

fn describe(error: &PersistError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
