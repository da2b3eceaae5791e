//! Who watches the lists, and what they are told: a line of JSON for each entry that comes or goes, one with figures for what comes or
//! goes by the hundred.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::Shield;
use super::api::{ApiError, Request};
use super::ban::AUTOBAN;
use super::index::ListId;
use super::journal::{Change, Happening, Sums};
use super::lists::Kind;
use super::look::rfc3339;
use super::prefix::show;
use super::state::State;
use super::store::Now;

/// Those who may watch at a time.
const WATCHERS: usize = 16;
/// Lines on their way to one of them; more are lost, counted and told.
const BACKLOG: usize = 1000;

/// Something that happened to a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListEvent {
    /// RFC 3339.
    pub time: String,
    /// `watch` (the first line), `add`, `update`, `delete`, `expire`, `autoban`; with figures
    /// also `import`, `flush`, `change`; `lost`.
    pub event: String,
    pub kind: Kind,
    pub list: Option<String>,
    /// Nothing for what is told in figures.
    pub prefix: Option<String>,
    /// Seconds; nothing is for good.
    pub ttl: Option<u64>,
    pub reason: Option<String>,
    /// Of what is told in figures.
    pub counts: Option<EventCounts>,
    /// Lines that were not told before this one, because the reader was too slow.
    pub lost: Option<u64>,
}

/// How many entries of a list it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCounts {
    pub added: usize,
    pub updated: usize,
    pub removed: usize,
}

/// What an operation was for, where the changes alone do not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Import,
    Flush,
}

impl Cause {
    /// Nothing where each change speaks for itself.
    pub(super) const fn of(request: &Request) -> Option<Self> {
        match request {
            Request::Import(_) => Some(Self::Import),
            Request::Flush { .. } => Some(Self::Flush),
            Request::Add { .. }
            | Request::Confirm { .. }
            | Request::Del { .. }
            | Request::List { .. }
            | Request::Test { .. }
            | Request::Explain { .. }
            | Request::Export { .. }
            | Request::Stats { .. }
            | Request::Status
            | Request::Drops { .. }
            | Request::Attach { .. }
            | Request::ConfirmAttach
            | Request::Detach { .. }
            | Request::Off
            | Request::On => None,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Flush => "flush",
        }
    }
}

#[derive(Debug)]
struct Watcher {
    kind: Kind,
    sender: mpsc::Sender<Arc<str>>,
    lost: u64,
}

impl Watcher {
    /// Whether it is still there.
    fn send(&mut self, line: &Arc<str>, now: Now) -> bool {
        self.remind(now)
            && match self.sender.try_send(Arc::clone(line)) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    self.lost += 1;
                    true
                }
                Err(TrySendError::Closed(_)) => false,
            }
    }

    /// Tells what was lost as soon as there is room.
    fn remind(&mut self, now: Now) -> bool {
        if self.lost > 0 {
            let lost = ListEvent {
                lost: Some(self.lost),
                ..ListEvent::new(self.kind, "lost", now)
            };
            if self.sender.try_send(lost.line()).is_ok() {
                self.lost = 0;
            }
        }
        !self.sender.is_closed()
    }
}

/// Who watches.
#[derive(Debug, Default)]
pub(super) struct News {
    watchers: Vec<Watcher>,
    pub(super) cause: Option<Cause>,
}

impl News {
    fn watch(&mut self, kind: Kind, now: Now) -> Option<mpsc::Receiver<Arc<str>>> {
        self.watchers.retain(|watcher| !watcher.sender.is_closed());
        if self.watchers.len() >= WATCHERS {
            return None;
        }
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let mut watcher = Watcher {
            kind,
            sender,
            lost: 0,
        };
        // Who reads it knows that nothing is missed from here on.
        watcher.send(&ListEvent::new(kind, "watch", now).line(), now);
        self.watchers.push(watcher);
        Some(receiver)
    }

    fn tell(&mut self, event: &ListEvent, now: Now) {
        let line = event.line();
        self.watchers
            .retain_mut(|watcher| watcher.kind != event.kind || watcher.send(&line, now));
    }

    /// Whether anybody watches; those who lost lines are told.
    fn attend(&mut self, now: Now) -> bool {
        self.watchers.retain_mut(|watcher| watcher.remind(now));
        !self.watchers.is_empty()
    }
}

impl ListEvent {
    fn new(kind: Kind, event: &str, now: Now) -> Self {
        Self {
            time: rfc3339(now.unix),
            event: event.into(),
            kind,
            list: None,
            prefix: None,
            ttl: None,
            reason: None,
            counts: None,
            lost: None,
        }
    }

    fn line(&self) -> Arc<str> {
        // Only a map with keys that are no strings could make an error.
        (serde_json::to_string(self).unwrap_or_default() + "\n").into()
    }
}

impl Shield {
    /// What comes to the lists of a kind and goes from them from now on, as lines of JSON ([`ListEvent`]).
    ///
    /// # Errors
    /// Too many watch already.
    pub fn watch_lists(&self, kind: Kind) -> Result<mpsc::Receiver<Arc<str>>, ApiError> {
        let mut state = self.lock();
        let now = state.now();
        let Some(lines) = state.news.watch(kind, now) else {
            return Err(ApiError::failed(&"too many watch the lists already"));
        };
        if !state.store.journal().is_on() {
            state.store.journal().switch(true);
        }
        Ok(lines)
    }
}

impl State {
    /// Tells those who watch what has happened to the lists.
    pub(super) fn tell(&mut self) {
        let cause = self.news.cause;
        if !self.store.journal().is_on() {
            return;
        }
        let account = self.store.journal().take();
        let now = self.now();
        let is_whole = cause.is_some();
        let each = account.each().filter(|_| !is_whole);
        let events: Vec<ListEvent> = if let Some(changes) = each {
            let events = changes.iter();
            events
                .filter_map(|one| self.single(one, cause, now))
                .collect()
        } else {
            let lists = account.sums.iter();
            lists
                .filter_map(|(list, sums)| self.figures(*list, *sums, cause, now))
                .collect()
        };
        for event in events {
            self.news.tell(&event, now);
        }
    }

    /// To be called each second.
    pub(super) fn attend_watchers(&mut self) {
        let now = self.now();
        if self.store.journal().is_on() && !self.news.attend(now) {
            self.store.journal().switch(false);
        }
    }

    fn single(&self, change: &Change, cause: Option<Cause>, now: Now) -> Option<ListEvent> {
        let list = self.store.lists().list(change.list)?;
        let word = match (cause, change.happening) {
            (Some(cause), _) => cause.word(),
            (None, Happening::Added | Happening::Updated) if list.name == AUTOBAN => "autoban",
            (None, Happening::Added) => "add",
            (None, Happening::Updated) => "update",
            (None, Happening::Deleted) => "delete",
            (None, Happening::Expired) => "expire",
        };
        let is_there = matches!(change.happening, Happening::Added | Happening::Updated);
        let until_ns = change.record.until_ns;
        Some(ListEvent {
            list: Some(list.name.clone()),
            prefix: Some(show(&change.net.to_prefix())),
            ttl: (is_there && until_ns != 0).then(|| now.seconds_until(until_ns)),
            reason: change.record.reason.as_deref().map(str::to_owned),
            ..ListEvent::new(list.kind, word, now)
        })
    }

    fn figures(
        &self,
        list: ListId,
        sums: Sums,
        cause: Option<Cause>,
        now: Now,
    ) -> Option<ListEvent> {
        let list = self.store.lists().list(list)?;
        Some(ListEvent {
            list: Some(list.name.clone()),
            counts: Some(sums.counts()),
            ..ListEvent::new(list.kind, sums.word(cause), now)
        })
    }
}

impl Sums {
    fn counts(self) -> EventCounts {
        EventCounts {
            added: self.added,
            updated: self.updated,
            removed: self.deleted + self.expired,
        }
    }

    fn word(self, cause: Option<Cause>) -> &'static str {
        if let Some(cause) = cause {
            return cause.word();
        }
        match (self.added, self.updated, self.deleted, self.expired) {
            (_, 0, 0, 0) => "add",
            (0, _, 0, 0) => "update",
            (0, 0, _, 0) => "delete",
            (0, 0, 0, _) => "expire",
            _ => "change",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const NOW: Now = Now {
        mono_ns: 1,
        unix: 1_700_000_000,
    };

    #[test]
    fn who_does_not_keep_up_is_told_how_much_was_lost() {
        let mut news = News::default();
        let mut lines = news.watch(Kind::Block, NOW).unwrap();
        let add = ListEvent::new(Kind::Block, "add", NOW);
        // The first line is there already.
        for _ in 0..BACKLOG + 6 {
            news.tell(&add, NOW);
        }
        news.tell(&ListEvent::new(Kind::Allow, "add", NOW), NOW);
        for event in ["watch", "add"] {
            let line = lines.try_recv().unwrap();
            assert!(line.contains(&format!("\"event\":\"{event}\"")), "{line}");
        }
        assert!(news.attend(NOW));
        let mut last = lines.try_recv().unwrap();
        while let Ok(line) = lines.try_recv() {
            last = line;
        }
        let last: ListEvent = serde_json::from_str(&last).unwrap();
        assert_eq!((last.event.as_str(), last.lost), ("lost", Some(7)));
        drop(lines);
        assert!(!news.attend(NOW));
        let all: Vec<_> = (0..=WATCHERS)
            .map(|_| news.watch(Kind::Block, NOW))
            .collect();
        assert_eq!(all.iter().flatten().count(), WATCHERS);
    }
}
