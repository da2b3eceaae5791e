//! What has come to the lists and gone from them since it was last asked, while somebody asks. It decides what is told one by one and
//! what only as figures, so that an import of a million lines is one line to who watches.

use std::collections::BTreeMap;

use super::index::{ListId, Record};
use super::prefix::AnyNet;

/// Changes of one operation that are told one by one; of more, only the figures.
pub(super) const EACH: usize = 100;

/// What happened to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    Added,
    Updated,
    Deleted,
    Expired,
}

/// One entry that came or went, as it is now or was last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) happening: Happening,
    pub(super) list: ListId,
    pub(super) net: AnyNet,
    pub(super) record: Record,
}

/// What happened to a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) added: usize,
    pub(super) updated: usize,
    pub(super) deleted: usize,
    pub(super) expired: usize,
}

/// What happened since the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// In order; [`EACH`] and one more at most.
    changes: Vec<Change>,
    pub(super) sums: BTreeMap<ListId, Sums>,
}

impl Account {
    /// One by one, unless it is too much.
    pub(super) fn each(&self) -> Option<&[Change]> {
        (self.changes.len() <= EACH).then_some(&*self.changes)
    }
}

/// Keeps account while it is on.
#[derive(Debug, Default)]
pub(super) struct Journal {
    is_on: bool,
    account: Account,
}

impl Journal {
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    pub(super) fn switch(&mut self, is_on: bool) {
        self.is_on = is_on;
        self.account = Account::default();
    }

    pub(super) fn note(&mut self, happening: Happening, list: ListId, net: AnyNet, record: Record) {
        let sums = self.account.sums.entry(list).or_default();
        match happening {
            Happening::Added => sums.added += 1,
            Happening::Updated => sums.updated += 1,
            Happening::Deleted => sums.deleted += 1,
            Happening::Expired => sums.expired += 1,
        }
        if self.account.changes.len() <= EACH {
            self.account.changes.push(Change {
                happening,
                list,
                net,
                record,
            });
        }
    }

    /// What happened; begins anew.
    pub(super) fn take(&mut self) -> Account {
        std::mem::take(&mut self.account)
    }
}
