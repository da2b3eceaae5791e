//! Attachments that are taken off again unless somebody confirms them in time: an operator who cuts off their own connection need only
//! wait. The running proxy does it, so there has to be one. What is on trial stands in a file, too: a proxy that ends or dies before
//! the confirmation leaves nothing attached that nobody has confirmed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::api::{Answer, ApiError};
use super::confirm;
use super::kernel::{Attached, Kernel, KernelError, Mode};
use super::look::rfc3339;
use super::persist;
use super::state::State;
use crate::files;
use crate::telemetry::chain;

const FILE: &str = "trials.json";
const SECOND: u64 = 1_000_000_000;

/// How to attach: [`Kernel::attach`] or [`Kernel::displace`].
pub(super) type Way = fn(&mut Kernel, &str, Mode) -> Result<Attached, KernelError>;

/// When an attachment is taken off.
#[derive(Clone, Copy, Debug)]
struct End {
    mono_ns: u64,
    /// Seconds since 1970, for people.
    unix: u64,
}

/// Interfaces that wait for a confirmation.
#[derive(Debug, Default)]
pub(super) struct Trials(BTreeMap<String, End>);

/// An order to attach, and what makes it safe.
#[derive(Debug)]
pub(super) struct Attaching<'a> {
    pub(super) interface: &'a str,
    pub(super) mode: Mode,
    pub(super) way: Way,
    /// Taken off after this, unless confirmed.
    pub(super) confirm: Option<&'a str>,
    /// Who asks: an attachment that would drop their packets is refused.
    pub(super) spare: Option<IpAddr>,
}

impl State {
    /// Attaches by an operator's order.
    pub(super) fn order_attach(&mut self, order: &Attaching<'_>) -> Result<Answer, ApiError> {
        let within = order.confirm.map(confirm::wait).transpose()?;
        let interface = order.interface;
        let mut attached = self.attached().into_iter();
        let is_attached = attached.any(|one| one.interface == interface);
        if within.is_some() {
            self.may_try(interface, is_attached)?;
        }
        if let Some(peer) = order.spare.filter(|_| !is_attached) {
            self.spare_on(interface, peer)?;
        }
        match within {
            // First of all it is written down, so that a proxy that dies leaves nothing on trial for good.
            Some(within) => self.try_out(interface, within)?,
            // An order without a limit is a confirmation.
            None => self.forget_trial(interface),
        }
        if let Err(error) = self.attach_by(interface, order.mode, order.way) {
            self.forget_trial(interface);
            return Err(ApiError::failed(&chain(&error)));
        }
        Ok(Answer::Status(self.status()))
    }

    fn may_try(&self, interface: &str, is_attached: bool) -> Result<(), ApiError> {
        if !self.is_proxy {
            return Err(ApiError::failed(
                &"--confirm takes a running proxy, which takes the program off again; none is running",
            ));
        }
        if is_attached {
            return Err(ApiError::failed(&format!(
                "the shield is on {interface} already; --confirm is for what is new"
            )));
        }
        Ok(())
    }

    fn try_out(&mut self, interface: &str, within: Duration) -> Result<(), ApiError> {
        let now = self.now();
        let end = End {
            mono_ns: now.mono_ns.saturating_add(within.as_secs() * SECOND),
            unix: now.unix.saturating_add(within.as_secs()),
        };
        self.trials.0.insert(interface.to_owned(), end);
        self.keep_trials().map_err(|error| {
            self.trials.0.remove(interface);
            ApiError::failed(&format!(
                "nothing is attached: what waits for a confirmation cannot be written to {}: {error}",
                self.config.server.state_dir.join(FILE).display()
            ))
        })
    }

    /// Keeps every attachment that waits.
    pub(super) fn confirm_attach(&mut self) -> Result<Answer, ApiError> {
        self.end_trials();
        if self.trials.0.is_empty() {
            return Err(ApiError::failed(
                &"no interface waits for a confirmation; what did is taken off",
            ));
        }
        self.trials.0.clear();
        self.keep_trials_or_warn();
        Ok(Answer::Status(self.status()))
    }

    /// When an interface is taken off unless confirmed; RFC 3339.
    pub(super) fn trial_end(&self, interface: &str) -> Option<String> {
        self.trials.0.get(interface).map(|end| rfc3339(end.unix))
    }

    pub(super) fn forget_trial(&mut self, interface: &str) {
        if self.trials.0.remove(interface).is_some() {
            self.keep_trials_or_warn();
        }
    }

    /// Takes off what nobody has confirmed in time; to be called each second.
    pub(super) fn end_trials(&mut self) {
        let now_ns = self.now().mono_ns;
        let ended = self
            .trials
            .0
            .iter()
            .filter(|(_, end)| end.mono_ns <= now_ns);
        let ended: Vec<String> = ended.map(|(interface, _)| interface.clone()).collect();
        self.take_off(&ended);
    }

    /// The end of the proxy: nobody would be left to take anything off.
    pub(super) fn abandon_trials(&mut self) {
        let all: Vec<String> = self.trials.0.keys().cloned().collect();
        self.take_off(&all);
    }

    /// What a proxy before has left on trial. What the configuration names is attached again in any case.
    pub(super) fn take_off_left(&mut self) {
        let left = match load(&self.config.server.state_dir) {
            Ok(left) => left,
            Err(error) => {
                self.warnings.push(format!(
                    "which interfaces wait for a confirmation is not known: {error}"
                ));
                return;
            }
        };
        if left.is_empty() {
            return;
        }
        let configured = &self.config.shield.interfaces;
        let unwanted = left.into_iter().filter(|one| !configured.contains(one));
        let unwanted: Vec<String> = unwanted.collect();
        self.take_off(&unwanted);
        self.keep_trials_or_warn();
    }

    fn take_off(&mut self, interfaces: &[String]) {
        for interface in interfaces {
            self.trials.0.remove(interface);
            match self.detach(interface) {
                Ok(()) => tracing::warn!(
                    interface,
                    "the shield is taken off again: nobody has confirmed it"
                ),
                // It may have gone by itself.
                Err(KernelError::NotAttached { .. }) => {}
                Err(error) => tracing::error!(
                    interface,
                    "the shield is not confirmed and cannot be taken off: {}",
                    chain(&error)
                ),
            }
        }
        if !interfaces.is_empty() {
            self.keep_trials_or_warn();
        }
    }

    fn keep_trials_or_warn(&self) {
        if let Err(error) = self.keep_trials() {
            tracing::warn!(%error, "what waits for a confirmation cannot be written");
        }
    }

    fn keep_trials(&self) -> io::Result<()> {
        let state_dir = &self.config.server.state_dir;
        if self.trials.0.is_empty() {
            return match fs::remove_file(state_dir.join(FILE)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let names: Vec<&String> = self.trials.0.keys().collect();
        let bytes = serde_json::to_vec(&names)?;
        persist::save_as(state_dir, FILE, &bytes)
    }
}

fn load(state_dir: &Path) -> io::Result<Vec<String>> {
    match files::read(&state_dir.join(FILE), files::KEPT) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
