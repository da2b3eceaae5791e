//! Interfaces that come and go while the proxy runs: one that is missing at the start is attached when it appears, and one that is
//! deleted and made anew is attached again. Looked at with every tick of the shield.

use super::kernel::{KernelError, Mode, interface_index};
use super::state::State;
use crate::telemetry::chain;

/// Ticks between two attempts at an interface that refuses the program.
const REST: u32 = 60;

/// An interface that is to be attached.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) interface: String,
    pub(super) mode: Mode,
    pub(super) at: At,
}

/// How an interface was found last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// Attached to the interface of this number.
    Attached(u32),
    /// There is no such interface.
    Gone,
    /// The interface of this number does not take the program; tried again after so many ticks.
    Refused(u32, u32),
}

/// What is to be done about what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Attach,
    /// It went.
    Lost,
    /// It went, and another of its name is there already.
    Replaced,
}

impl At {
    /// What an attempt left.
    pub(super) fn after<T>(result: &Result<T, KernelError>, index: Option<u32>) -> Self {
        match (result, index) {
            (_, None) => Self::Gone,
            (Ok(_), Some(index)) => Self::Attached(index),
            (Err(_), Some(index)) => Self::Refused(index, REST),
        }
    }

    /// From one tick to the next; `found` is the number of the interface now.
    fn step(self, found: Option<u32>) -> (Self, Step) {
        match (self, found) {
            (Self::Attached(index), Some(found)) if index == found => (self, Step::Nothing),
            (Self::Attached(_), None) => (Self::Gone, Step::Lost),
            (Self::Attached(_), Some(_)) => (Self::Gone, Step::Replaced),
            (Self::Gone | Self::Refused(..), None) => (Self::Gone, Step::Nothing),
            (Self::Refused(index, rest @ 1..), Some(found)) if index == found => {
                (Self::Refused(index, rest - 1), Step::Nothing)
            }
            (Self::Gone | Self::Refused(..), Some(_)) => (self, Step::Attach),
        }
    }
}

impl State {
    /// Attaches what has appeared, and tells what has gone.
    pub(super) fn look_after_interfaces(&mut self) {
        if self.kernel.is_none() {
            return;
        }
        let mut due = Vec::new();
        for one in &mut self.watched {
            let (at, step) = one.at.step(interface_index(&one.interface));
            if matches!(step, Step::Lost | Step::Replaced) {
                let interface = one.interface.as_str();
                tracing::warn!(
                    interface,
                    "the interface is gone, and the shield with it; attached again when it is back"
                );
            }
            if matches!(step, Step::Attach | Step::Replaced) {
                due.push((one.interface.clone(), one.mode, at));
            }
            one.at = at;
        }
        if due.is_empty() {
            return;
        }
        // What came may have brought addresses, which must not be blocked.
        self.refresh_guards();
        for (interface, mode, before) in due {
            if let Err(error) = self.attach(&interface, mode)
                && !matches!(before, At::Refused(..))
            {
                let why = chain(&error);
                tracing::warn!("the shield is NOT on {interface}: {why}");
            }
        }
    }

    /// Whether an interface is to be attached and is not.
    pub(super) fn lacks(&self, interface: &str) -> bool {
        let mut watched = self.watched.iter();
        watched.any(|one| one.interface == interface && !matches!(one.at, At::Attached(_)))
    }

    /// Expects an interface to be attached from now on.
    pub(super) fn watch(&mut self, interface: &str, mode: Mode, at: At) {
        self.unwatch(interface);
        self.watched.push(Watched {
            interface: interface.to_owned(),
            mode,
            at,
        });
    }

    /// Leaves an interface alone from now on.
    pub(super) fn unwatch(&mut self, interface: &str) {
        self.watched.retain(|one| one.interface != interface);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_attached_when_it_appears_and_told_when_it_goes() {
        let (attached, gone) = (At::Attached(3), At::Gone);
        for (at, found, expected) in [
            (attached, Some(3), (attached, Step::Nothing)),
            (attached, None, (gone, Step::Lost)),
            (attached, Some(4), (gone, Step::Replaced)),
            (gone, None, (gone, Step::Nothing)),
            (gone, Some(4), (gone, Step::Attach)),
            (
                At::Refused(4, 2),
                Some(4),
                (At::Refused(4, 1), Step::Nothing),
            ),
            (
                At::Refused(4, 0),
                Some(4),
                (At::Refused(4, 0), Step::Attach),
            ),
            (
                At::Refused(4, 2),
                Some(5),
                (At::Refused(4, 2), Step::Attach),
            ),
            (At::Refused(4, 2), None, (gone, Step::Nothing)),
        ] {
            assert_eq!(at.step(found), expected, "{at:?} {found:?}");
        }
    }
}
