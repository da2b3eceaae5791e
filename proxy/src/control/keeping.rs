//! The sockets that the service manager keeps while this service is restarted (`FDSTORE=1` of `sd_notify(3)`): who connects meanwhile waits
//! in them, and is refused by nobody. The next process is given them ([`super::given`]). How many it keeps, and whether any, stands in
//! the unit (`FileDescriptorStoreMax=`).
//!
//! Not those of QUIC: which of them a datagram comes to goes by their order, and their connections end with this process anyway.

use std::collections::BTreeSet;

use super::notify::{forget, keep};
use super::sockets::{Bound, Group, Kind};
use super::state::Control;

/// Of every name, so that what was kept is told from what a socket unit gives.
const PREFIX: &str = "kept-";

/// Whether a socket of this name was kept for this service.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// What is kept now, by name.
#[derive(Debug, Default)]
pub(super) struct Keeping(BTreeSet<String>);

impl Keeping {
    /// What was kept before this process began.
    pub(super) fn knowing<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(str::to_owned).collect())
    }

    /// What the process before this one has had kept: the same sockets, which this one has not put to use yet.
    pub(super) fn inherited(bound: &Bound) -> Self {
        Self(bound.spares().filter_map(name).collect())
    }

    /// Has kept what listens now, and nothing else.
    pub(super) fn follow(&mut self, bound: &Bound) {
        let mut gone = std::mem::take(&mut self.0);
        for group in bound.groups() {
            let Some(name) = name(group) else { continue };
            if !gone.remove(&name) {
                keep(&name, &group.sockets);
            }
            self.0.insert(name);
        }
        for name in &gone {
            forget(name);
        }
    }

    /// Nobody comes after this process: who connects is to be refused.
    pub(super) fn end(&mut self) {
        let gone = std::mem::take(&mut self.0);
        for name in &gone {
            forget(name);
        }
    }
}

impl Control {
    /// Has kept what listens now.
    pub(super) fn keep(&self) {
        self.keeping.borrow_mut().follow(&self.bound.borrow());
    }
}

/// A name without a colon, which stands between names. None for what is not kept: the next process would choose another port for 0.
fn name(group: &Group) -> Option<String> {
    let kind = match group.kind {
        Kind::Tcp => "tcp",
        Kind::Udp => "udp",
        Kind::Quic => return None,
    };
    let address = group.real.to_string().replace(':', "_");
    (group.configured.port() != 0).then(|| format!("{PREFIX}{kind}-{address}"))
}
