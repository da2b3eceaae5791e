//! Additions that are taken back unless somebody confirms them in time. Until then an entry is one with an end like any other, so that
//! the kernel's clock takes a block back even when nobody is left to do it. What it is to be afterwards is kept here, and in a file
//! of its own over restarts; without that file, too, the entry ends.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::api::{Answer, ApiError, Changed};
use super::format::{NewEntry, ttl};
use super::index::ListId;
use super::lists::Kind;
use super::look::rfc3339;
use super::persist;
use super::prefix::{self, AnyNet, show};
use super::state::State;
use super::store::{Addition, Now};
use crate::files;

const FILE: &str = "unconfirmed.json";
/// Entries that may wait at a time.
const MOST: usize = 100_000;
/// The longest wait.
const LONGEST: Duration = Duration::from_hours(24);

/// What an entry is to be once it is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wanted {
    kind: Kind,
    list: String,
    address: String,
    /// When it is taken back; seconds since 1970, as [`Self::until`].
    by: u64,
    /// Nothing is for good.
    until: Option<u64>,
}

/// What waits for a confirmation.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed(BTreeMap<(ListId, AnyNet), Wanted>);

/// Additions that are to be confirmed.
#[derive(Debug)]
pub(super) struct Wait {
    within: Duration,
    now: Now,
    wanted: Vec<(AnyNet, Wanted)>,
}

/// The time that `--confirm` names.
pub(super) fn wait(text: &str) -> Result<Duration, ApiError> {
    let within = ttl::parse(text).map_err(|error| ApiError::usage(&error))?;
    if within < Duration::from_secs(1) || within > LONGEST {
        return Err(ApiError::usage(
            &"--confirm takes a time from one second to a day",
        ));
    }
    Ok(within)
}

impl Wait {
    pub(super) fn new(within: &str, now: Now) -> Result<Self, ApiError> {
        Ok(Self {
            within: wait(within)?,
            now,
            wanted: Vec::new(),
        })
    }

    fn end(&self) -> u64 {
        self.now.unix.saturating_add(self.within.as_secs())
    }

    /// Gives entries the end that they have unless confirmed. What ends before by itself need not be.
    fn hold(&mut self, kind: Kind, list: &str, entries: &mut [NewEntry]) {
        for entry in entries {
            if entry.ttl.is_some_and(|ttl| ttl <= self.within) {
                continue;
            }
            let until = entry.ttl.replace(self.within);
            let wanted = Wanted {
                kind,
                list: list.to_owned(),
                address: show(&entry.prefix),
                by: self.end(),
                until: until.map(|ttl| self.now.unix.saturating_add(ttl.as_secs())),
            };
            self.wanted.push((AnyNet::from(entry.prefix), wanted));
        }
    }
}

impl State {
    /// Prepares entries that are about to be added: those that have to be confirmed, and those that need it no more.
    pub(super) fn hold(
        &mut self,
        wait: &mut Option<Wait>,
        kind: Kind,
        list: &str,
        entries: &mut [NewEntry],
    ) -> Result<(), ApiError> {
        let lists = self.store.lists();
        let id = lists.find(kind, list);
        let Some(wait) = wait else {
            if let Some(id) = id.filter(|_| !self.unconfirmed.0.is_empty()) {
                for entry in entries {
                    let net = AnyNet::from(entry.prefix);
                    self.unconfirmed.0.remove(&(id, net));
                }
            }
            return Ok(());
        };
        if self.unconfirmed.0.len() + wait.wanted.len() + entries.len() > MOST {
            return Err(ApiError::failed(&format!(
                "no more than {MOST} entries can wait for a confirmation"
            )));
        }
        // It would lose the end that it has.
        let is_known = |net: &AnyNet| id.is_some_and(|id| lists.get(*net, id).is_some());
        let mut nets = entries.iter().map(|entry| AnyNet::from(entry.prefix));
        if let Some(net) = nets.find(is_known) {
            return Err(ApiError::failed(&format!(
                "{} is on the list `{list}` already; --confirm is for what is new",
                show(&net.to_prefix())
            )));
        }
        wait.hold(kind, list, entries);
        Ok(())
    }

    /// Begins to wait for what was taken.
    pub(super) fn wait(&mut self, wait: Option<Wait>, changed: &mut Changed) {
        let Some(wait) = wait else {
            return;
        };
        let by = rfc3339(wait.end());
        for (net, wanted) in wait.wanted {
            let lists = self.store.lists();
            if let Some(id) = lists.find(wanted.kind, &wanted.list)
                && lists.get(net, id).is_some()
            {
                self.unconfirmed.0.insert((id, net), wanted);
                changed.confirm_by = Some(by.clone());
            }
        }
        changed.warnings.extend(self.keep_unconfirmed());
    }

    /// Until when an entry has to be confirmed; RFC 3339.
    pub(super) fn confirm_by(&self, net: AnyNet, list: ListId) -> Option<String> {
        let wanted = self.unconfirmed.0.get(&(list, net))?;
        Some(rfc3339(wanted.by))
    }

    /// Makes every entry of a kind that waits what it was asked to be.
    pub(super) fn confirm(&mut self, kind: Kind) -> Result<Answer, ApiError> {
        self.reap();
        let now = self.now();
        let mut lists: BTreeMap<String, Vec<NewEntry>> = BTreeMap::new();
        let waiting = std::mem::take(&mut self.unconfirmed.0);
        for ((id, net), wanted) in waiting {
            if wanted.kind != kind {
                self.unconfirmed.0.insert((id, net), wanted);
            } else if let Some(record) = self.store.lists().get(net, id)
                && wanted.is_alive(now)
            {
                let left = wanted.until.map(|until| until.saturating_sub(now.unix));
                lists.entry(wanted.list).or_default().push(NewEntry {
                    prefix: net.to_prefix(),
                    ttl: left.map(|left| Duration::from_secs(left.max(1))),
                    reason: record.reason.clone(),
                    list: None,
                    line: 0,
                });
            }
        }
        if lists.is_empty() {
            return Err(ApiError::failed(&format!(
                "nothing on the {} lists waits for a confirmation; what did is taken back",
                kind.word()
            )));
        }
        let name = lists.keys().next().filter(|_| lists.len() == 1).cloned();
        let mut whole = Addition::default();
        for (list, entries) in &lists {
            let added = self.store.add(kind, list, entries, now);
            match added {
                Ok(added) => whole.join(added),
                Err(error) => return Err(self.stopped(kind, whole, &error)),
            }
        }
        let confirmed = whole.updated;
        whole.updated = 0;
        let mut changed = Changed {
            confirmed,
            ..self.finish(kind, name, whole)
        };
        changed.warnings.extend(self.keep_unconfirmed());
        Ok(Answer::Changed(changed))
    }

    /// Forgets what was taken back; to be called each second.
    pub(super) fn forget_unconfirmed(&mut self) {
        if self.unconfirmed.0.is_empty() {
            return;
        }
        let lists = self.store.lists();
        let before = self.unconfirmed.0.len();
        self.unconfirmed
            .0
            .retain(|(id, net), _| lists.get(*net, *id).is_some());
        if self.unconfirmed.0.len() < before {
            for warning in self.keep_unconfirmed() {
                tracing::warn!("{warning}");
            }
        }
    }

    fn keep_unconfirmed(&self) -> Vec<String> {
        let all: Vec<&Wanted> = self.unconfirmed.0.values().collect();
        let bytes = serde_json::to_vec(&all).unwrap_or_default();
        let state_dir = &self.config.server.state_dir;
        let saved = persist::save_as(state_dir, FILE, &bytes);
        let failed = |error| {
            format!(
                "cannot save what waits for a confirmation to {}: {error}; a restart takes it back",
                state_dir.join(FILE).display()
            )
        };
        saved.err().map(failed).into_iter().collect()
    }

    /// What waited before a restart.
    pub(super) fn restore_unconfirmed(&mut self, now: Now) {
        let all = load(&self.config.server.state_dir).unwrap_or_else(|error| {
            let warning = format!("what waited for a confirmation is not known, and ends: {error}");
            self.warnings.push(warning);
            Vec::new()
        });
        for wanted in all.into_iter().filter(|wanted| now.unix < wanted.by) {
            let lists = self.store.lists();
            if let Some(id) = lists.find(wanted.kind, &wanted.list)
                && let Ok(reading) = prefix::read(&wanted.address)
            {
                let net = AnyNet::from(reading.prefix);
                if lists.get(net, id).is_some() {
                    self.unconfirmed.0.insert((id, net), wanted);
                }
            }
        }
    }
}

impl Wanted {
    fn is_alive(&self, now: Now) -> bool {
        now.unix < self.by && self.until.is_none_or(|until| now.unix < until)
    }
}

fn load(state_dir: &Path) -> io::Result<Vec<Wanted>> {
    match files::read(&state_dir.join(FILE), files::KEPT) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
