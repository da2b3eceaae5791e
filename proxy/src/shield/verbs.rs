//! Verbs that change the lists: from words to the store, and back to words.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use openclaw_core::config::Prefix;

use super::api::{Answer, ApiError, Changed, Import};
use super::confirm::Wait;
use super::format::{self, Format, NewEntry, Parsed, Problems, clean_reason, ttl};
use super::lists::Kind;
use super::prefix::{self, show};
use super::rules::{ListError, check_name};
use super::state::State;
use super::store::{Addition, MANUAL, Removal};

impl State {
    pub(super) fn add(
        &mut self,
        kind: Kind,
        addresses: &[String],
        ttl: Option<&str>,
        reason: Option<&str>,
        list: Option<String>,
        confirm: Option<&str>,
    ) -> Result<Answer, ApiError> {
        let ttl = ttl
            .map(ttl::parse)
            .transpose()
            .map_err(|error| ApiError::usage(&error))?;
        let reason = reason.and_then(clean_reason).map(Arc::from);
        let mut normalised = Problems::default();
        let mut entries = Vec::with_capacity(addresses.len());
        for address in addresses {
            let prefix = read(address, &mut normalised)?;
            entries.push(NewEntry {
                prefix,
                ttl,
                reason: reason.clone(),
                list: None,
                line: 0,
            });
        }
        let list = list.unwrap_or_else(|| MANUAL.into());
        self.refresh_guards();
        let now = self.now();
        let mut wait = confirm.map(|within| Wait::new(within, now)).transpose()?;
        self.hold(&mut wait, kind, &list, &mut entries)?;
        let added = self
            .store
            .add(kind, &list, &entries, now)
            .map_err(|error| list_error(&error))?;
        let mut changed = self.finish(kind, Some(list), added);
        self.wait(wait, &mut changed);
        changed.normalised = normalised;
        Ok(Answer::Changed(changed))
    }

    /// Takes what [`Import::read`] has read.
    pub(super) fn import(
        &mut self,
        import: Import,
        mut parsed: Parsed,
    ) -> Result<Answer, ApiError> {
        let Import {
            kind,
            list,
            replace,
            dry_run,
            spare,
            confirm,
            ..
        } = import;
        if let Some(peer) = spare.filter(|_| kind == Kind::Block) {
            spare_operator(peer, &parsed.entries)?;
        }
        self.refresh_guards();
        if replace && !self.store.takes_any(kind, &parsed.entries) {
            return Err(unusable(&parsed.problems));
        }
        let now = self.now();
        let mut wait = confirm.map(|within| Wait::new(&within, now)).transpose()?;
        if replace && wait.is_some() {
            let message = "--replace cannot be taken back, so it goes without --confirm";
            return Err(ApiError::usage(&message));
        }
        let mut by_list = by_list(kind, list, std::mem::take(&mut parsed.entries));
        let name = match by_list.as_slice() {
            [(name, _)] => Some(name.clone()),
            _ => None,
        };
        let mut whole = Addition::default();
        for (list, entries) in by_list.iter_mut().filter(|_| !dry_run) {
            self.hold(&mut wait, kind, list, entries)?;
        }
        for (list, entries) in &by_list {
            let added = match (dry_run, replace) {
                (true, _) => self.store.rehearse(kind, list, entries, replace),
                (false, true) => self.store.replace(kind, list, entries, now),
                (false, false) => self.store.add(kind, list, entries, now),
            };
            match added {
                Ok(added) => whole.join(added),
                Err(error) => return Err(self.stopped(kind, whole, &error)),
            }
        }
        let mut changed = self.finish(kind, name, whole);
        if !dry_run {
            self.wait(wait, &mut changed);
        }
        changed.dry_run = dry_run;
        changed.invalid = parsed.problems;
        changed.normalised = parsed.normalised;
        Ok(Answer::Changed(changed))
    }

    pub(super) fn delete(
        &mut self,
        kind: Kind,
        addresses: &[String],
        list: Option<String>,
        spare: Option<IpAddr>,
    ) -> Result<Answer, ApiError> {
        let mut normalised = Problems::default();
        let prefixes = addresses
            .iter()
            .map(|address| read(address, &mut normalised))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(peer) = spare.filter(|_| kind == Kind::Allow) {
            self.spare_without(list.as_deref(), Some(&prefixes), peer)?;
        }
        let pardoned: Vec<Prefix> = prefixes
            .iter()
            .filter(|prefix| kind == Kind::Block && self.is_autobanned(**prefix))
            .copied()
            .collect();
        let deleted = self
            .store
            .delete(kind, list.as_deref(), &prefixes)
            .map_err(|error| list_error(&error))?;
        let mut changed = self.finish_delete(kind, list, deleted);
        let pardoned = pardoned.into_iter();
        // It may have been deleted from another list alone.
        changed.warnings.extend(self.pardon(pardoned));
        changed.normalised = normalised;
        Ok(Answer::Changed(changed))
    }

    pub(super) fn flush(
        &mut self,
        kind: Kind,
        list: Option<String>,
        spare: Option<IpAddr>,
    ) -> Result<Answer, ApiError> {
        if let Some(peer) = spare.filter(|_| kind == Kind::Allow) {
            self.spare_without(list.as_deref(), None, peer)?;
        }
        let deleted = self
            .store
            .flush(kind, list.as_deref())
            .map_err(|error| list_error(&error))?;
        Ok(Answer::Changed(self.finish_delete(kind, list, deleted)))
    }

    pub(super) fn finish(
        &mut self,
        kind: Kind,
        list: Option<String>,
        mut added: Addition,
    ) -> Changed {
        let regions = std::mem::take(&mut added.regions);
        let warnings = self.commit(&regions);
        Changed {
            warnings,
            ..describe(kind, list, added)
        }
    }

    /// A list takes nothing. What others have taken before it stays there, and has to hold.
    pub(super) fn stopped(&mut self, kind: Kind, added: Addition, error: &ListError) -> ApiError {
        drop(self.finish(kind, None, added));
        list_error(error)
    }

    fn finish_delete(&mut self, kind: Kind, list: Option<String>, deleted: Removal) -> Changed {
        if kind == Kind::Allow && !deleted.regions.is_empty() {
            self.has_disallowed();
        }
        let warnings = self.commit(&deleted.regions);
        let Removal {
            removed, missing, ..
        } = deleted;
        Changed {
            removed,
            missing,
            warnings,
            ..Changed::new(kind, list)
        }
    }
}

impl Import {
    /// Reads the entries out of the text, which is gone then.
    pub(super) fn read(&mut self) -> Result<Parsed, ApiError> {
        let ttl: Option<Duration> = self
            .ttl
            .as_deref()
            .map(ttl::parse)
            .transpose()
            .map_err(|error| ApiError::usage(&error))?;
        let reason = self.reason.as_deref().and_then(clean_reason);
        let reason: Option<Arc<str>> = reason.map(Arc::from);
        let text = std::mem::take(&mut self.text);
        let format = self.format.unwrap_or_else(|| Format::detect(&text));
        let mut parsed = format::parse(format, &text);
        for entry in &mut parsed.entries {
            entry.ttl = entry.ttl.or(ttl);
            if entry.reason.is_none() {
                entry.reason.clone_from(&reason);
            }
        }
        Ok(parsed)
    }
}

/// An error page or half a download in place of a feed must not empty the list.
fn unusable(problems: &Problems) -> ApiError {
    let first = problems.first.first();
    let first = first.map_or_else(String::new, |p| format!("; line {}: {}", p.line, p.message));
    ApiError::failed(&format!(
        "no line of the file can be used; the list stays as it is (`flush` empties it){first}"
    ))
}

/// Whoever works over SSH would cut the branch on which they sit.
fn spare_operator(peer: IpAddr, entries: &[NewEntry]) -> Result<(), ApiError> {
    let around = entries.iter().find(|entry| entry.prefix.contains(peer));
    around.map_or(Ok(()), |entry| {
        Err(ApiError::failed(&format!(
            "nothing is imported: line {} blocks {}, and you are logged in from {peer}, which would be cut off; --force blocks it \
             all the same",
            entry.line,
            show(&entry.prefix)
        )))
    })
}

/// The entries of a file by the list that they go to.
fn by_list(
    kind: Kind,
    list: Option<String>,
    entries: Vec<NewEntry>,
) -> Vec<(String, Vec<NewEntry>)> {
    if let Some(list) = list {
        return vec![(list, entries)];
    }
    let mut lists: Vec<(String, Vec<NewEntry>)> = Vec::new();
    for entry in entries {
        // Nobody can put anything on the lists of the configuration and of the host, though they can be exported.
        let named = entry.list.as_deref();
        let name = named
            .filter(|name| check_name(kind, name).is_ok())
            .unwrap_or(MANUAL);
        match lists.iter_mut().rev().find(|(list, _)| list == name) {
            Some((_, entries)) => entries.push(entry),
            None => lists.push((name.to_owned(), vec![entry])),
        }
    }
    if lists.is_empty() {
        lists.push((MANUAL.to_owned(), Vec::new()));
    }
    lists
}

fn describe(kind: Kind, list: Option<String>, added: Addition) -> Changed {
    let Addition {
        added,
        updated,
        removed,
        refused,
        notes,
        regions: _,
    } = added;
    Changed {
        added,
        updated,
        removed,
        refused,
        notes,
        ..Changed::new(kind, list)
    }
}

pub(super) fn read(address: &str, normalised: &mut Problems) -> Result<Prefix, ApiError> {
    let reading = prefix::read(address).map_err(|error| ApiError::usage(&error))?;
    if reading.had_host_bits {
        normalised.add(
            0,
            format!("{address} is taken as {}", show(&reading.prefix)),
        );
    }
    Ok(reading.prefix)
}

/// A wrong name is a wrong question; the rest is a no.
pub(super) fn list_error(error: &ListError) -> ApiError {
    match error {
        ListError::Name(_) => ApiError::usage(error),
        ListError::IsConfig { .. }
        | ListError::IsProtected
        | ListError::IsFeed(_)
        | ListError::Unknown { .. }
        | ListError::TooMany => ApiError::failed(error),
    }
}
