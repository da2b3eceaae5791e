//! Lists that come from elsewhere than a command: from the disk after a restart, and from those who keep them.

use openclaw_core::config::Prefix;

use super::{Addition, Now, Store};
use crate::shield::format::NewEntry;
use crate::shield::index::Record;
use crate::shield::lists::{Kind, Origin};
use crate::shield::prefix::AnyNet;
use crate::shield::rules::{ListError, Refusal};

impl Store {
    /// Makes a list follow a source.
    pub(in crate::shield) fn claim_feed(&mut self, kind: Kind, name: &str) {
        if let Some(list) = self.lists.find_or_make(kind, name, Origin::Feed) {
            self.lists.set_origin(list, Origin::Feed);
        }
    }

    /// Ends that, and empties the list.
    pub(in crate::shield) fn release_feed(&mut self, kind: Kind, name: &str) -> Vec<AnyNet> {
        let regions = self.empty_feed(kind, name);
        if let Some(list) = self.lists.find(kind, name) {
            self.lists.set_origin(list, Origin::Operator);
        }
        regions
    }

    pub(in crate::shield) fn empty_feed(&mut self, kind: Kind, name: &str) -> Vec<AnyNet> {
        let Some(list) = self.lists.find(kind, name) else {
            return Vec::new();
        };
        let nets: Vec<AnyNet> = self.lists.entries(list).map(|(net, _)| net).collect();
        for net in &nets {
            self.lists.remove(*net, list);
        }
        nets
    }

    /// Makes the list of a source hold what it says, as far as that may be listed.
    pub(in crate::shield) fn fill_feed(
        &mut self,
        kind: Kind,
        name: &str,
        entries: &[NewEntry],
        now: Now,
    ) -> Result<Addition, ListError> {
        let unknown = || ListError::TooMany;
        let list = self.lists.find(kind, name).ok_or_else(unknown)?;
        Ok(self.replace_in(kind, list, entries, now))
    }

    /// Takes ranges off the list of a source and puts others on it.
    pub(in crate::shield) fn change_feed(
        &mut self,
        kind: Kind,
        name: &str,
        deleted: &[Prefix],
        new: &[NewEntry],
        now: Now,
    ) -> Result<Addition, ListError> {
        let list = self.lists.find(kind, name).ok_or(ListError::TooMany)?;
        let mut gone = Vec::new();
        for prefix in deleted {
            let net = AnyNet::from(*prefix);
            if self.lists.remove(net, list).is_some() {
                gone.push(net);
            }
        }
        let mut added = self.add_to(kind, list, new, now);
        added.removed = gone.len();
        added.regions.extend(gone);
        Ok(added)
    }

    /// Begins the list of a source with what was kept of it, as far as that may be listed.
    pub(in crate::shield) fn restore_feed(
        &mut self,
        kind: Kind,
        name: &str,
        entries: Vec<(Prefix, Record)>,
    ) -> Vec<AnyNet> {
        let Some(list) = self.lists.find(kind, name) else {
            return Vec::new();
        };
        let entries = entries.into_iter().filter_map(|(prefix, record)| {
            let net = AnyNet::from(prefix);
            self.admit(kind, list, net, record.until_ns != 0).ok()?;
            let record = self.lists.owned(list, record);
            drop(self.lists.insert(net, list, record));
            Some(net)
        });
        entries.collect()
    }

    /// Puts back what was kept over a restart; what has come to be protected since is left out and reported. What has come to be
    /// allowed stays on its list, without effect for as long as it is.
    pub(in crate::shield) fn restore(
        &mut self,
        kind: Kind,
        name: &str,
        entries: Vec<(Prefix, Record)>,
    ) -> Vec<Refusal> {
        let mut refused = Vec::new();
        let Ok(list) = self.open(kind, name) else {
            return refused;
        };
        for (prefix, record) in entries {
            let net = AnyNet::from(prefix);
            match self.admit(kind, list, net, record.until_ns != 0) {
                Ok(()) | Err(Refusal::Allowed { .. }) => {
                    let record = self.lists.owned(list, record);
                    drop(self.lists.insert(net, list, record));
                }
                Err(refusal) => refused.push(refusal),
            }
        }
        refused
    }
}
