//! The kernel side of the shield's state: loading, attaching, the kill switch, and what the status says of it.

use std::sync::Arc;

use openclaw_common::abi::flags;
use openclaw_core::config::{Config, OnExit, ShieldAction, ShieldMode};

use super::kernel::{Kernel, KernelError, Maps, Mode};
use super::lists::{Kind, Origin};
use super::sink::synchronise;
use super::state::State;
use super::status::{InterfaceStatus, Status};
use super::verbs::chain;

impl State {
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
            self.shared.set_rules(self.flags(), self.monitored());
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
                // An attempt that nobody configured is over with its answer.
                if self
                    .config
                    .shield
                    .interfaces
                    .iter()
                    .any(|one| one == interface)
                {
                    self.notes.push((interface.to_owned(), why.clone()));
                }
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
        self.shared.set_rules(self.flags(), self.monitored());
        let Some(maps) = &self.maps else {
            return Ok(());
        };
        maps.set_config(&self.kernel_config())
            .map_err(|error| chain(&error))
    }

    /// Follows a new configuration.
    pub(super) fn reload(&mut self, config: &Config) -> Vec<String> {
        let old = std::mem::replace(&mut self.config, config.clone());
        // The lock is on the old one.
        self.config
            .server
            .state_dir
            .clone_from(&old.server.state_dir);
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

    /// Names of the interfaces that are attached now.
    pub(super) fn attached(&self) -> Vec<String> {
        let attachments = self.pins.attachments().unwrap_or_default();
        attachments
            .into_iter()
            .filter(|one| one.mode.is_some())
            .map(|one| one.interface)
            .collect()
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
}

fn mode(mode: ShieldMode) -> Mode {
    match mode {
        ShieldMode::Auto | ShieldMode::Off => Mode::Auto,
        ShieldMode::Native => Mode::Native,
        ShieldMode::Generic => Mode::Generic,
    }
}
