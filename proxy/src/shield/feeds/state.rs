//! The feeds of a shield: which are due, and what their sources said.

use std::io;
use std::path::Path;

use openclaw_core::config::{ListSource, ShieldList};

use super::super::Shield;
use super::super::api::FeedStatus;
use super::super::format::{self, Format, Parsed};
use super::super::geo::Stamp;
use super::super::lists::Kind;
use super::super::look::rfc3339;
use super::super::prefix::AnyNet;
use super::super::state::State;
use super::keep::{self, Note};
use super::{Due, Feed, Fetched, MAX_FEED, RETRY, Validators, kind};
use crate::files;

impl State {
    /// Makes the lists of the configuration, and reads what is on the disk of them. Gives back the ranges that changed.
    pub(in super::super) fn set_feeds(&mut self) -> Vec<AnyNet> {
        let wanted = self.config.shield.lists.clone();
        let mut regions = Vec::new();
        let old = std::mem::take(&mut self.feeds);
        for feed in &old {
            let is_same =
                |list: &ShieldList| kind(list) == feed.kind() && list.name == feed.list.name;
            if !wanted.iter().any(is_same) {
                regions.extend(self.store.release_feed(feed.kind(), &feed.list.name));
            }
        }
        for list in wanted {
            let known = old.iter().find(|feed| feed.list == list);
            let is_new = known.is_none();
            let mut feed = known.cloned().unwrap_or_else(|| Feed::new(list));
            feed.read_again_if_lines_were_left_out();
            if is_new {
                self.store.claim_feed(feed.kind(), &feed.list.name);
                regions.extend(self.begin_feed(&mut feed));
                // What the list holds may be of another URL still, and ends as that would have.
                let is_its =
                    |old: &&Feed| old.kind() == feed.kind() && old.list.name == feed.list.name;
                let before = old.iter().find(is_its).and_then(|old| old.last_success);
                feed.last_success = feed.last_success.or(before);
            }
            self.feeds.push(feed);
        }
        regions
    }

    fn begin_feed(&mut self, feed: &mut Feed) -> Vec<AnyNet> {
        match &feed.list.source {
            ListSource::File(path) => {
                let stamp = Stamp::of(path);
                let parsed = read_file(path);
                feed.stamp = stamp;
                self.fill(feed, parsed, true)
            }
            ListSource::Url { url, .. } => {
                let Some((text, note)) = keep::load(&self.config.server.state_dir, &feed.list, url)
                else {
                    return Vec::new();
                };
                feed.last_success = Some(note.confirmed);
                if feed.is_dead(self.now().unix) {
                    feed.has_expired = true;
                    feed.last_error = Some("the copy of the last run is too old".into());
                    return self.store.empty_feed(feed.kind(), &feed.list.name);
                }
                let regions = self.fill_at(feed, Ok(parse(&text)), false, note.confirmed);
                // Of a copy that is damaged, a 304 would say that it is right.
                if feed.last_error.is_none() && text.len() as u64 == note.bytes {
                    feed.validators = note.validators;
                    feed.bytes = note.bytes;
                }
                regions
            }
            ListSource::Crowdsec { url, .. } => {
                let url = url.clone();
                self.begin_decisions(feed, &url)
            }
        }
    }

    fn fill(
        &mut self,
        feed: &mut Feed,
        parsed: Result<Parsed, String>,
        may_be_empty: bool,
    ) -> Vec<AnyNet> {
        let now = self.now().unix;
        self.fill_at(feed, parsed, may_be_empty, now)
    }

    /// Puts what was read in place of what the list held; what cannot be used leaves it as it is.
    fn fill_at(
        &mut self,
        feed: &mut Feed,
        parsed: Result<Parsed, String>,
        may_be_empty: bool,
        at: u64,
    ) -> Vec<AnyNet> {
        let usable = parsed.and_then(|parsed| self.usable(feed.kind(), parsed, may_be_empty));
        let result = usable.and_then(|parsed| {
            let now = self.now();
            let filled = self
                .store
                .fill_feed(feed.kind(), &feed.list.name, &parsed.entries, now);
            filled
                .map(|added| (parsed, added))
                .map_err(|error| error.to_string())
        });
        match result {
            Ok((parsed, added)) => {
                feed.last_success = Some(at);
                let known = feed.last_error.take();
                feed.has_expired = false;
                let skipped = parsed.problems.count + added.refused.count;
                feed.has_gaps = skipped > 0;
                let first = parsed
                    .problems
                    .first
                    .iter()
                    .chain(&added.refused.first)
                    .next();
                if let Some(first) = first {
                    let (line, message) = (first.line, &first.message);
                    let text = format!("{skipped} lines left out; line {line}: {message}");
                    if known.as_ref() != Some(&text) {
                        tracing::warn!(list = feed.list.name, "{text}");
                    }
                    feed.last_error = Some(text);
                }
                added.regions
            }
            Err(error) => {
                failed(feed, &error);
                Vec::new()
            }
        }
    }

    /// An error page or half a download in place of a feed must not empty the list.
    fn usable(&self, kind: Kind, parsed: Parsed, may_be_empty: bool) -> Result<Parsed, String> {
        if self.store.takes_any(kind, &parsed.entries)
            || (may_be_empty && parsed.entries.is_empty() && parsed.problems.count == 0)
        {
            return Ok(parsed);
        }
        let first = parsed.problems.first.first();
        let first = first.map_or_else(String::new, |one| {
            format!("; line {}: {}", one.line, one.message)
        });
        Err(format!("no line of it can be used{first}"))
    }

    /// The file lists whose file is another than the one that was read.
    fn files_to_read(&self) -> Vec<(ShieldList, Option<Stamp>)> {
        let files = self.feeds.iter().filter_map(|feed| {
            let stamp = Stamp::of(feed.file()?);
            (stamp != feed.stamp).then(|| (feed.list.clone(), stamp))
        });
        files.collect()
    }

    /// Runs on a feed that is still configured, and compiles what it changed.
    pub(super) fn with_feed(
        &mut self,
        list: &ShieldList,
        work: impl FnOnce(&mut Self, &mut Feed) -> Vec<AnyNet>,
    ) {
        let Some(index) = self.feeds.iter().position(|feed| feed.list == *list) else {
            // Reloaded meanwhile.
            return;
        };
        let mut feed = self.feeds.swap_remove(index);
        let regions = work(self, &mut feed);
        self.feeds.push(feed);
        let end = self.feeds.len() - 1;
        self.feeds.swap(index, end);
        if !regions.is_empty() {
            self.shared.set_tightened();
        }
        let is_dirty = self.is_dirty;
        for warning in self.commit(&regions) {
            tracing::warn!("{warning}");
        }
        // What a source has said is not the operator's to be saved.
        self.is_dirty = is_dirty;
    }

    fn dead_feeds(&self) -> impl Iterator<Item = &Feed> {
        let unix = self.now().unix;
        let feeds = self.feeds.iter();
        feeds.filter(move |feed| !feed.has_expired && feed.is_dead(unix))
    }

    fn has_dead_feeds(&self) -> bool {
        self.dead_feeds().next().is_some()
    }

    fn expire_feeds(&mut self) {
        let dead: Vec<ShieldList> = self.dead_feeds().map(|feed| feed.list.clone()).collect();
        for list in dead {
            self.with_feed(&list, |state, feed| {
                let name = &feed.list.name;
                tracing::warn!(
                    list = name,
                    url = feed.origin(),
                    "the feed is dead; its entries have ended"
                );
                feed.has_expired = true;
                // A 304 would say that what is no longer there is right.
                feed.validators = Validators::default();
                state.store.empty_feed(feed.kind(), name)
            });
        }
    }

    /// Figures of the source of a list.
    pub(in super::super) fn feed_status(&self, kind: Kind, name: &str) -> Option<FeedStatus> {
        let mut feeds = self.feeds.iter();
        let feed = feeds.find(|feed| feed.kind() == kind && feed.list.name == name)?;
        Some(feed.status())
    }

    pub(in super::super) fn feeds_status(&self) -> Vec<(Kind, String, FeedStatus)> {
        let feeds = self.feeds.iter();
        feeds
            .map(|feed| (feed.kind(), feed.list.name.clone(), feed.status()))
            .collect()
    }
}

impl Shield {
    /// Reads the files of lists again that have changed, and ends the lists of dead URLs.
    pub(in super::super) fn follow_feeds(&self) {
        let files = self.lock().files_to_read();
        for (list, stamp) in files {
            let ListSource::File(path) = &list.source else {
                continue;
            };
            let parsed = read_file(path);
            self.hold().with_feed(&list, |state, feed| {
                feed.stamp = stamp;
                state.fill(feed, parsed, true)
            });
        }
        if self.lock().has_dead_feeds() {
            self.hold().expire_feeds();
        }
    }

    /// The URLs whose time has come. Each is given out once, until [`Self::fetched`].
    pub fn due_feeds(&self) -> Vec<Due> {
        let mut state = self.lock();
        if state.is_suspended {
            return Vec::new();
        }
        let unix = state.now().unix;
        let due = state
            .feeds
            .iter_mut()
            .filter(|feed| feed.file().is_none() && feed.next <= unix);
        let due = due.map(|feed| {
            feed.next = u64::MAX;
            Due {
                list: feed.list.clone(),
                validators: feed.validators.clone(),
                startup: !feed.is_warm,
            }
        });
        due.collect()
    }

    /// Takes what came of fetching.
    pub fn fetched(&self, list: &ShieldList, result: &Result<Fetched, String>) {
        // Another process fetches its own.
        if self.lock().is_suspended {
            return;
        }
        let ListSource::Url { url, every, .. } = &list.source else {
            self.decided(list, result);
            return;
        };
        // Outside the lock: a million lines take a second.
        let parsed = match result {
            Ok(Fetched::Body { text, .. }) => Some(parse(text)),
            Ok(Fetched::Unchanged | Fetched::Decisions { .. }) | Err(_) => None,
        };
        let mut note = None;
        let mut state = self.hold();
        let state_dir = state.config.server.state_dir.clone();
        state.with_feed(list, |state, feed| {
            let unix = state.now().unix;
            // A tenth earlier or later, so that a fleet does not come at once.
            let jitter = 0.9 + fastrand::f64() / 5.0;
            feed.next = unix.saturating_add(every.mul_f64(jitter).as_secs().max(1));
            let regions = match (result, parsed) {
                (Ok(Fetched::Body { validators, text }), Some(parsed)) => {
                    feed.bytes = text.len() as u64;
                    let failures = feed.failures;
                    let regions = state.fill(feed, Ok(parsed), false);
                    if feed.failures == failures {
                        feed.validators = validators.clone();
                    }
                    regions
                }
                (Err(error), _) => {
                    failed(feed, error);
                    Vec::new()
                }
                _ => {
                    feed.last_success = Some(unix);
                    feed.last_error = None;
                    Vec::new()
                }
            };
            if feed.last_success == Some(unix) {
                note = Some(Note {
                    url: url.clone(),
                    confirmed: unix,
                    validators: feed.validators.clone(),
                    bytes: feed.bytes,
                });
            } else {
                feed.next = feed.next.min(unix + RETRY.as_secs());
            }
            regions
        });
        drop(state);
        let kept = match (result, &note) {
            (Ok(Fetched::Body { text, .. }), Some(note)) => {
                keep::save(&state_dir, list, text.as_bytes(), note)
            }
            (Ok(Fetched::Unchanged), Some(note)) => keep::confirm(&state_dir, list, note),
            _ => Ok(()),
        };
        if let Err(error) = kept {
            tracing::warn!(list = list.name, %error, "the copy of the feed cannot be saved");
        }
    }
}

impl Feed {
    fn status(&self) -> FeedStatus {
        FeedStatus {
            source: self.origin(),
            last_success: self.last_success.map(rfc3339),
            last_success_unix: self.last_success,
            last_error: self.last_error.clone(),
            failures: self.failures,
            expired: self.has_expired,
        }
    }
}

pub(super) fn failed(feed: &mut Feed, error: &str) {
    feed.failures += 1;
    if feed.last_error.as_deref() != Some(error) {
        tracing::warn!(
            list = feed.list.name,
            source = feed.origin(),
            "the list stays as it is: {error}"
        );
    }
    feed.last_error = Some(error.to_owned());
}

fn parse(text: &str) -> Parsed {
    format::parse(Format::detect(text), text)
}

pub(in super::super) fn read_file(path: &Path) -> Result<Parsed, String> {
    let read = || -> io::Result<String> {
        let bytes = files::read(path, MAX_FEED as u64)?;
        // A comment in another encoding is no reason to refuse a list.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match read() {
        Ok(text) => Ok(parse(&text)),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

/// Why the file of a list cannot be used, for `check`.
pub fn check_list(list: &ShieldList) -> Result<(), String> {
    match &list.source {
        ListSource::File(path) => read_file(path).map(drop),
        ListSource::Url { .. } | ListSource::Crowdsec { .. } => Ok(()),
    }
}
