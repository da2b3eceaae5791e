//! The kernel side of the shield's state: loading, attaching, the kill switch, and what the status says of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use openclaw_core::config::{Config, OnExit, ShieldMode};
use openclaw_core::country::country_code;

use super::doubts::kept_filters;
use super::kernel::{Attachment, Kernel, KernelError, Maps, Mode, interface_index};
use super::lists::{Kind, Origin};
use super::policy;
use super::ports::Ports;
use super::state::State;
use super::status::{CountryDrops, InterfaceStatus, Status};
use super::synchronise::synchronise;
use super::traffic::Traffic;
use super::trial::Way;
use super::watch::At;
use crate::privilege::Privileges;
use crate::telemetry::chain;

impl State {
    /// Loads the kernel program and attaches it as configured; what fails is kept for the status.
    pub(super) fn raise(&mut self) {
        self.load_and_attach();
        let wanted = match self.config.shield.mode {
            ShieldMode::Off => &[][..],
            ShieldMode::Auto | ShieldMode::Native | ShieldMode::Generic => {
                &self.config.shield.interfaces
            }
        };
        self.warnings.extend(kept_filters(&self.pins, wanted));
    }

    fn load_and_attach(&mut self) {
        let by_hand = self.attached_by_hand();
        if self.config.shield.mode == ShieldMode::Off {
            self.unavailable = Some("switched off by configuration or command line".into());
        } else if self.config.shield.interfaces.is_empty() && by_hand.is_empty() {
            self.unavailable = Some("`shield.interfaces` names none".into());
        } else {
            let mode = mode(self.config.shield.mode);
            let is_loaded = self.load().is_ok();
            for interface in self.config.shield.interfaces.clone() {
                if is_loaded {
                    // The error is kept as the note of the interface.
                    let _ = self.attach(&interface, mode);
                } else {
                    self.watch(&interface, mode, At::Gone);
                }
            }
            if is_loaded {
                // They stay as they are, with the program of this process.
                for interface in by_hand {
                    if let Err(error) = self.attach(&interface, Mode::Auto) {
                        tracing::warn!("{}", chain(&error));
                    }
                }
                return;
            }
        }
        // An earlier process may have left a program that still filters: it follows these lists, too.
        self.open_pinned();
    }

    /// Interfaces that an operator has attached to; the configuration does not name them.
    fn attached_by_hand(&self) -> Vec<String> {
        let attached = self.attached().into_iter().map(|one| one.interface);
        attached
            .filter(|name| !self.config.shield.interfaces.contains(name))
            .collect()
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

    /// Loads the kernel program if it is not yet; why it is not to be had is kept for the status.
    fn load(&mut self) -> Result<(), KernelError> {
        if self.kernel.is_some() {
            return Ok(());
        }
        match Kernel::load(&self.config.shield.pin_dir) {
            Ok(kernel) => {
                self.unavailable = None;
                let maps = kernel.maps();
                self.kernel = Some(kernel);
                self.adopt(maps);
                Ok(())
            }
            Err(error) => {
                self.unavailable = Some(chain(&error));
                Err(error)
            }
        }
    }

    /// Brings maps in line with the lists. The kill switch stays as it was found.
    fn adopt(&mut self, maps: Arc<Maps>) {
        self.find_switch(&maps);
        // Without a proxy the ports are those of the last one.
        if self.is_proxy
            && let Err(error) = Ports::of(&self.config).write(&maps)
        {
            self.warnings.push(chain(&error));
        }
        if self.is_proxy {
            self.arm(&maps);
        }
        self.adopt_survivors(&maps);
        let config = self.kernel_config();
        if let Err(error) = synchronise(&maps, &self.shared.read(), &config) {
            self.warnings.push(format!(
                "the kernel does not have all of the lists: {}",
                chain(&error)
            ));
        }
        self.maps = Some(maps);
        // It may have been thrown meanwhile.
        self.follow_switch();
    }

    /// Writes the maps anew where another process may have written something else.
    pub(super) fn put_right(&mut self) {
        if let Some(maps) = self.maps.clone() {
            self.adopt(maps);
        }
    }

    /// Attaches to an interface, and keeps it attached from now on if that worked or the configuration wants it.
    pub(super) fn attach(&mut self, interface: &str, mode: Mode) -> Result<(), KernelError> {
        self.attach_by(interface, mode, Kernel::attach)
    }

    /// The same in a way that displaces another's program, perhaps. That is for an operator's order.
    pub(super) fn attach_by(
        &mut self,
        interface: &str,
        mode: Mode,
        way: Way,
    ) -> Result<(), KernelError> {
        self.notes.retain(|(name, _)| name != interface);
        let result = self.attach_once(interface, mode, way);
        let configured = &self.config.shield.interfaces;
        let is_configured = configured.iter().any(|one| one == interface);
        let index = match &result {
            Ok(index) => *index,
            Err(_) => interface_index(interface),
        };
        // An attempt that nobody configured is over with its answer.
        if let Err(error) = &result
            && is_configured
        {
            self.notes.push((interface.to_owned(), chain(error)));
        }
        if result.is_ok() || is_configured {
            self.watch(interface, mode, At::after(&result, index));
        }
        // What is checked depends on whether the host talks to itself over it.
        if interface == policy::LOOPBACK
            && let Err(error) = self.configure()
        {
            tracing::warn!("{}", chain(&error));
        }
        result.map(drop)
    }

    /// The number of the interface.
    fn attach_once(
        &mut self,
        interface: &str,
        mode: Mode,
        way: Way,
    ) -> Result<Option<u32>, KernelError> {
        self.load().map_err(|error| error.on(interface))?;
        let Some(kernel) = &mut self.kernel else {
            return Ok(None);
        };
        let attached = way(kernel, interface, mode)?;
        let displaced = attached
            .displaced
            .map(|what| format!("took the place of {what}"));
        let notes: Vec<String> = displaced
            .into_iter()
            .chain(attached.fallback_reason)
            .collect();
        if !notes.is_empty() {
            self.notes.push((interface.to_owned(), notes.join("; ")));
        }
        Ok(Some(attached.index))
    }

    pub(super) fn detach(&mut self, interface: &str) -> Result<(), KernelError> {
        self.notes.retain(|(name, _)| name != interface);
        self.unwatch(interface);
        self.forget_trial(interface);
        self.pins.detach(interface)
    }

    /// Follows a new configuration.
    pub(super) fn reload(&mut self, config: &Config) -> Vec<String> {
        let old = std::mem::replace(&mut self.config, config.clone());
        let kept = &old.shield.pin_dir;
        let moved = (*kept != config.shield.pin_dir).then(|| {
            format!(
                "`shield.pin_dir` stays {} until the proxy is restarted",
                kept.display()
            )
        });
        self.config.shield.pin_dir.clone_from(kept);
        // The lock is on the old one.
        self.config
            .server
            .state_dir
            .clone_from(&old.server.state_dir);
        let now = self.now();
        let mut regions = self.set_lists(now);
        regions.extend(self.set_feeds());
        let mut warnings: Vec<String> = moved.into_iter().collect();
        warnings.extend(self.commit(&regions));
        warnings.extend(self.reload_geo());
        let written = self
            .maps
            .as_ref()
            .map(|maps| Ports::of(&self.config).write(maps));
        if let Some(Err(error)) = written {
            warnings.push(chain(&error));
        }
        if let Some(maps) = self.maps.clone() {
            self.arm(&maps);
        }
        if let Err(error) = self.configure() {
            warnings.push(chain(&error));
        }
        let wanted = |config: &Config| match config.shield.mode {
            ShieldMode::Off => Vec::new(),
            ShieldMode::Auto | ShieldMode::Native | ShieldMode::Generic => {
                config.shield.interfaces.clone()
            }
        };
        let (before, after) = (wanted(&old), wanted(config));
        for interface in before.iter().filter(|interface| !after.contains(interface)) {
            let was_missing = self.lacks(interface);
            if let Err(error) = self.detach(interface)
                && !was_missing
            {
                warnings.push(chain(&error));
            }
        }
        for interface in &after {
            // What an operator has detached by hand stays so.
            let is_new = !before.contains(interface) || old.shield.mode != config.shield.mode;
            if (is_new || self.lacks(interface))
                && let Err(error) = self.attach(interface, mode(config.shield.mode))
            {
                warnings.push(chain(&error));
            }
        }
        warnings
    }

    /// What the kernel keeps doing, or not, when the process has ended.
    pub(super) fn lower(&mut self) {
        // Nobody reads what the kernel program would tell.
        self.is_proxy = false;
        if let Err(error) = self.configure() {
            tracing::warn!("{}", chain(&error));
        }
        if self.config.shield.on_exit == OnExit::Keep {
            return;
        }
        for attached in self.attached() {
            if let Err(error) = self.pins.detach(&attached.interface) {
                tracing::warn!("{}", chain(&error));
            }
        }
    }

    /// The interfaces that are attached now.
    pub(super) fn attached(&self) -> Vec<Attachment> {
        let mut attachments = self.pins.attachments().unwrap_or_default();
        attachments.retain(|one| one.mode.is_some());
        attachments
    }

    /// Every interface that is attached or should be, and whether it is.
    pub(super) fn interfaces(&self, attached: &[Attachment]) -> BTreeMap<String, bool> {
        let watched = self.watched.iter().map(|one| one.interface.clone());
        let mut interfaces: BTreeMap<String, bool> = watched.map(|name| (name, false)).collect();
        interfaces.extend(attached.iter().map(|one| (one.interface.clone(), true)));
        interfaces
    }

    /// What there is to say of an attachment.
    fn note_of(&self, attachment: &Attachment) -> Option<String> {
        let name = &attachment.interface;
        if attachment.mode.is_none() {
            return Some("the interface is gone or in another network namespace".into());
        }
        let note = self.notes.iter().find(|(of, _)| of == name);
        let note = note.map(|(_, note)| note.clone());
        if self.config.shield.interfaces.contains(name) {
            return note;
        }
        let by_hand = "attached by hand: `shield.interfaces` does not name it";
        Some(note.map_or_else(|| by_hand.into(), |note| format!("{by_hand}; {note}")))
    }

    pub(super) fn status(&self) -> Status {
        let mut interfaces: Vec<InterfaceStatus> = Vec::new();
        for attachment in self.pins.attachments().unwrap_or_default() {
            let note = self.note_of(&attachment);
            let mode = attachment.mode.map(|mode| mode.name().to_owned());
            let maps = self.maps.as_deref().filter(|_| mode.is_some());
            let traffic = maps.and_then(|maps| Traffic::of(maps, &attachment));
            interfaces.push(InterfaceStatus {
                confirm_by: self.trial_end(&attachment.interface),
                name: attachment.interface,
                mode,
                note,
                traffic,
            });
        }
        for (name, note) in &self.notes {
            if !interfaces.iter().any(|interface| interface.name == *name) {
                interfaces.push(InterfaceStatus {
                    name: name.clone(),
                    mode: None,
                    note: Some(note.clone()),
                    traffic: None,
                    confirm_by: None,
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
            action: self.config.shield.action.word().into(),
            interfaces,
            other_interfaces: self.maps.as_deref().and_then(Traffic::of_others),
            unshielded: if is_attached {
                None
            } else {
                self.unavailable.clone().or(failed)
            },
            followed: self.sampling.is_followed(),
            countries: self.maps.as_deref().map(countries).unwrap_or_default(),
            proxy: self.is_proxy,
            syn: (self.is_proxy && self.kernel.is_some()).then(|| self.syn.status(&self.config)),
            privileges: self.is_proxy.then(Privileges::current),
            blocked: count(Kind::Block),
            allowed: count(Kind::Allow),
            geo: self.geo_status(),
            warnings: self.warnings.clone(),
        }
    }
}

/// What was dropped, by country, the most first.
pub(super) fn countries(maps: &Maps) -> Vec<CountryDrops> {
    let counted = maps.countries().unwrap_or_default();
    let mut countries: Vec<CountryDrops> = counted
        .into_iter()
        .filter_map(|(number, packets)| {
            let country = country_code(number)?.to_owned();
            Some(CountryDrops { country, packets })
        })
        .collect();
    countries.sort_by_key(|one| std::cmp::Reverse(one.packets));
    countries
}

fn mode(mode: ShieldMode) -> Mode {
    match mode {
        ShieldMode::Auto | ShieldMode::Off => Mode::Auto,
        ShieldMode::Native => Mode::Native,
        ShieldMode::Generic => Mode::Generic,
    }
}
