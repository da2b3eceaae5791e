//! The kill switch: one bit in the configuration of the kernel program, which whoever has the pins may throw. It stays as it was thrown
//! over restarts, of which an incident has many: in the pins, and, for a host without them or that boots anew, in a file.

use std::fs::{self, File};
use std::io;

use openclaw_common::abi::{Config, flags};

use super::kernel::{KernelError, Maps, Pins};
use super::state::State;
use crate::telemetry::chain;

/// It is there while the shield is off.
const FILE: &str = "shield.off";

impl State {
    /// How the last proxy left it, as far as its file says.
    pub(super) fn recall_switch(&mut self) {
        self.is_on = !self.config.server.state_dir.join(FILE).exists();
    }

    /// How the pins have it. Maps that are new go by what a version with other maps has left attached, if there is one.
    pub(super) fn find_switch(&mut self, maps: &Maps) {
        match maps.config() {
            // Whoever has written it has written a limit, too.
            Ok(found) if found.syn.cost_ns != 0 => {
                self.is_on = found.flags & flags::ENABLED != 0;
                self.shared.set_rules(self.flags(), self.monitored());
            }
            Ok(_) | Err(_) => {
                self.inherit_switch();
                self.begin_switch(maps);
            }
        }
        self.keep_switch();
    }

    /// Has the switch in new maps before the lists, which take a while: it may be thrown meanwhile. Nothing is dropped yet.
    fn begin_switch(&mut self, maps: &Maps) {
        let config = self.kernel_config();
        let first = Config {
            flags: config.flags & flags::ENABLED,
            syn: config.syn,
            ..Config::OFF
        };
        if let Err(error) = maps.begin(&first) {
            self.warnings.push(chain(&error));
        }
    }

    fn inherit_switch(&mut self) {
        let pins = Pins::new(&self.config.shield.pin_dir);
        match pins.is_off_elsewhere() {
            Ok(false) => {}
            Ok(true) => {
                self.is_on = false;
                self.shared.set_rules(self.flags(), self.monitored());
                tracing::warn!(
                    "the kill switch was thrown on the maps of another version, and stays so"
                );
            }
            Err(error) => {
                tracing::warn!(%error, "the kill switch of another version cannot be read");
            }
        }
    }

    /// Has the next start find it as it is now.
    fn keep_switch(&mut self) {
        if !self.is_proxy {
            return;
        }
        let path = self.config.server.state_dir.join(FILE);
        let kept = if self.is_on {
            fs::remove_file(&path)
        } else {
            File::create(&path).map(drop)
        };
        if let Err(error) = kept
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "the next start may not know how the kill switch was thrown");
        }
    }

    /// The kill switch, thrown through this process.
    pub(super) fn switch(&mut self, is_on: bool) -> Result<(), KernelError> {
        self.is_on = is_on;
        self.shared.set_rules(self.flags(), self.monitored());
        self.keep_switch();
        let Some(maps) = &self.maps else {
            return Ok(());
        };
        maps.switch(is_on)
    }

    /// Has the kernel program go by what is configured now. The kill switch stays as it is on the pins.
    pub(super) fn configure(&mut self) -> Result<(), KernelError> {
        self.follow_switch();
        self.shared.set_rules(self.flags(), self.monitored());
        let Some(maps) = &self.maps else {
            return Ok(());
        };
        maps.set_config(&self.kernel_config())
    }

    /// Learns that the kill switch was thrown on the pinned maps, behind the back of this process.
    pub(super) fn follow_switch(&mut self) {
        if let Some(maps) = &self.maps
            && let Ok(found) = maps.config()
            && (found.flags & flags::ENABLED != 0) != self.is_on
        {
            self.is_on = !self.is_on;
            self.shared.set_tightened();
            self.shared.set_rules(self.flags(), self.monitored());
            self.keep_switch();
            tracing::warn!(
                on = self.is_on,
                "the kill switch was thrown on the pinned maps"
            );
        }
    }
}
