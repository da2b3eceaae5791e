//! Decisions of a `CrowdSec` local API: all of them at first and after every failure, then what is new and what is withdrawn. Only bans of
//! addresses and ranges are taken. They are kept with their ends, for a start that finds no local API.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openclaw_core::config::{ListSource, Prefix, ShieldList};
use serde::Deserialize;

use super::super::Shield;
use super::super::format::{NewEntry, clean_reason, ttl};
use super::super::persist;
use super::super::prefix::{self, AnyNet};
use super::super::state::State;
use super::keep::{self, Note};
use super::state::failed;
use super::{Feed, Fetched, RETRY, Validators};

/// How often changed decisions are written to the disk.
const KEPT_EVERY: Duration = Duration::from_secs(10);

/// Decisions to be written to the disk.
struct Kept {
    list: ShieldList,
    bytes: Vec<u8>,
    note: Note,
}

impl Kept {
    fn save(&self, state_dir: &Path) {
        if let Err(error) = keep::save(state_dir, &self.list, &self.bytes, &self.note) {
            let list = &self.list.name;
            tracing::warn!(list, %error, "the decisions cannot be saved: they are missing after a restart until they are told again");
        }
    }
}

/// `GET /v1/decisions/stream`. Either part may be null, but not missing: another answer must not empty the list.
#[derive(Deserialize)]
struct Stream {
    #[serde(deserialize_with = "Option::deserialize")]
    new: Option<Vec<Decision>>,
    #[serde(deserialize_with = "Option::deserialize")]
    deleted: Option<Vec<Decision>>,
}

#[derive(Deserialize)]
struct Decision {
    #[serde(rename = "type")]
    action: String,
    scope: String,
    value: String,
    #[serde(default)]
    duration: String,
    #[serde(default)]
    scenario: String,
}

/// What the lists make of an answer.
#[derive(Debug, Default)]
pub(super) struct Decided {
    pub(super) new: Vec<NewEntry>,
    pub(super) deleted: Vec<Prefix>,
}

impl Decision {
    fn prefix(&self) -> Option<Prefix> {
        let is_range =
            self.scope.eq_ignore_ascii_case("ip") || self.scope.eq_ignore_ascii_case("range");
        if !is_range || !self.action.eq_ignore_ascii_case("ban") {
            return None;
        }
        prefix::read(&self.value).ok().map(|reading| reading.prefix)
    }

    /// What is left of it: `3h59m48.123s`; nothing if it has ended.
    fn ttl(&self) -> Option<Duration> {
        let mut is_fraction = false;
        let whole = self.duration.chars().filter(|c| {
            is_fraction = *c == '.' || (is_fraction && c.is_ascii_digit());
            !is_fraction
        });
        ttl::parse(&whole.collect::<String>()).ok()
    }

    fn entry(&self) -> Option<NewEntry> {
        Some(NewEntry {
            prefix: self.prefix()?,
            ttl: Some(self.ttl()?),
            reason: clean_reason(&self.scenario).map(Arc::from),
            list: None,
            line: 0,
        })
    }
}

pub(super) fn read(text: &str) -> Result<Decided, String> {
    let stream: Stream = serde_json::from_str(text)
        .map_err(|error| format!("this is no answer of a CrowdSec: {error}"))?;
    let (new, deleted) = (
        stream.new.unwrap_or_default(),
        stream.deleted.unwrap_or_default(),
    );
    let mut new: Vec<NewEntry> = new.iter().filter_map(Decision::entry).collect();
    // Of two decisions about the same range the later one counts, which is to be the longer.
    new.sort_by_key(|entry| entry.ttl);
    Ok(Decided {
        new,
        deleted: deleted.iter().filter_map(Decision::prefix).collect(),
    })
}

impl Shield {
    /// Takes what a `CrowdSec` said.
    pub(super) fn decided(&self, list: &ShieldList, result: &Result<Fetched, String>) {
        let ListSource::Crowdsec { every, .. } = &list.source else {
            return;
        };
        // Outside the lock: the first answer may be long.
        let read = match result {
            Ok(Fetched::Decisions { text, startup }) => read(text).map(|said| (said, *startup)),
            Ok(Fetched::Body { .. } | Fetched::Unchanged) => return,
            Err(error) => Err(error.clone()),
        };
        let mut copy = None;
        let mut state = self.hold();
        let state_dir = state.config.server.state_dir.clone();
        state.with_feed(list, |state, feed| {
            let unix = state.now().unix;
            let wait = if read.is_ok() {
                *every
            } else {
                RETRY.min(*every)
            };
            feed.next = unix.saturating_add(wait.as_secs().max(1));
            let filled =
                read.and_then(|(said, startup)| state.follow_decisions(feed, &said, startup));
            // After a failure it is not known what was missed.
            feed.is_warm = filled.is_ok();
            if filled.is_ok() && feed.kept.is_none_or(|kept| kept.elapsed() >= KEPT_EVERY) {
                copy = state.copy(feed);
            }
            filled.unwrap_or_else(|error| {
                failed(feed, &error);
                Vec::new()
            })
        });
        drop(state);
        if let Some(copy) = copy {
            copy.save(&state_dir);
        }
    }

    /// Has all decisions on the disk, for the next process.
    pub(in super::super) fn keep_decisions(&self) {
        let mut state = self.lock();
        let state_dir = state.config.server.state_dir.clone();
        let mut feeds = std::mem::take(&mut state.feeds);
        let copies = feeds.iter_mut().filter_map(|feed| state.copy(feed));
        let copies: Vec<Kept> = copies.collect();
        state.feeds = feeds;
        drop(state);
        for copy in copies {
            copy.save(&state_dir);
        }
    }
}

impl State {
    /// Begins with what was decided when it was last kept: everything is asked for at once, but may not be answered.
    pub(super) fn begin_decisions(&mut self, feed: &mut Feed, url: &str) -> Vec<AnyNet> {
        let (kind, name) = (feed.kind(), feed.list.name.clone());
        let lists = self.store.lists();
        let list = lists.find(kind, &name).and_then(|id| lists.list(id));
        if list.is_some_and(|list| list.v4 + list.v6 > 0) {
            // Only how it is asked has changed.
            return Vec::new();
        }
        let copy = keep::load(&self.config.server.state_dir, &feed.list, url);
        let Some((text, note)) = copy else {
            return Vec::new();
        };
        let Some(entries) = persist::decode_one(text.as_bytes(), self.now()) else {
            tracing::warn!(list = name, "the copy of the decisions is damaged");
            return Vec::new();
        };
        feed.last_success = Some(note.confirmed);
        self.store.restore_feed(kind, &name, entries)
    }

    /// What is to be kept of a source, if that has changed.
    fn copy(&self, feed: &mut Feed) -> Option<Kept> {
        let ListSource::Crowdsec { url, .. } = &feed.list.source else {
            return None;
        };
        if !std::mem::take(&mut feed.is_unkept) {
            return None;
        }
        feed.kept = Some(Instant::now());
        let (now, lists) = (self.now(), self.store.lists());
        let id = lists.find(feed.kind(), &feed.list.name)?;
        let entries: Vec<_> = lists.entries(id).collect();
        let bytes = persist::encode_one(&entries, now);
        let note = Note {
            url: url.clone(),
            confirmed: feed.last_success.unwrap_or(now.unix),
            validators: Validators::default(),
            bytes: bytes.len() as u64,
        };
        Some(Kept {
            list: feed.list.clone(),
            bytes,
            note,
        })
    }

    fn follow_decisions(
        &mut self,
        feed: &mut Feed,
        said: &Decided,
        startup: bool,
    ) -> Result<Vec<AnyNet>, String> {
        let (now, kind, name) = (self.now(), feed.kind(), feed.list.name.clone());
        let changed = if startup {
            self.store.fill_feed(kind, &name, &said.new, now)
        } else {
            self.store
                .change_feed(kind, &name, &said.deleted, &said.new, now)
        };
        let added = changed.map_err(|error| error.to_string())?;
        feed.last_success = Some(now.unix);
        feed.is_unkept |= startup || !added.regions.is_empty();
        let first = added.refused.first.first();
        feed.last_error = first.map(|first| {
            let count = added.refused.count;
            format!("{count} decisions left out: {}", first.message)
        });
        Ok(added.regions)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::super::super::prefix::tests::prefix;
    use super::*;

    fn decision(action: &str, scope: &str, value: &str, duration: &str) -> String {
        format!(
            r#"{{"duration":"{duration}","id":5,"origin":"crowdsec","scenario":"crowdsecurity/ssh-bf","scope":"{scope}","type":"{action}","uuid":"a","value":"{value}"}}"#
        )
    }

    #[test]
    fn bans_of_addresses_and_ranges_that_last_are_taken() {
        for (action, scope, value, duration, expected) in [
            ("ban", "Ip", "192.0.2.1", "3h59m48.123456789s", Some(14_388)),
            ("ban", "Range", "192.0.2.0/24", "167h0m1s", Some(601_201)),
            ("ban", "ip", "2001:db8::1", "1.9s", Some(1)),
            ("captcha", "Ip", "192.0.2.1", "4h", None),
            ("ban", "Country", "DE", "4h", None),
            ("ban", "Ip", "nonsense", "4h", None),
            ("ban", "Ip", "192.0.2.1", "-4h0m1s", None),
            ("ban", "Ip", "192.0.2.1", "0.5s", None),
        ] {
            let one = decision(action, scope, value, duration);
            let said = read(&format!(r#"{{"new":[{one}],"deleted":null}}"#)).unwrap();
            let found = said.new.first().map(|entry| entry.ttl.unwrap().as_secs());
            assert_eq!(found, expected, "{one}");
        }
    }

    #[test]
    fn a_withdrawn_decision_has_ended_and_counts_all_the_same() {
        let gone = decision("ban", "Ip", "192.0.2.1", "-1m0.5s");
        let said = read(&format!(r#"{{"deleted":[{gone}],"new":null}}"#)).unwrap();
        assert_eq!(said.deleted, [prefix("192.0.2.1")]);
        let longer = [
            decision("ban", "Ip", "192.0.2.1", "4h"),
            decision("ban", "Ip", "192.0.2.1", "1h"),
        ];
        let said = read(&format!(
            r#"{{"new":[{}],"deleted":null}}"#,
            longer.join(",")
        ))
        .unwrap();
        assert_eq!(said.new.last().unwrap().ttl, Some(Duration::from_hours(4)));
        assert!(read(r#"{"message":"access forbidden"}"#).is_err());
        assert!(read("<html>").is_err());
    }
}
