//! Each verb of the lists: from words to the store, and back to words.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use openclaw_common::maps::{
    BAN4_ENTRIES, BAN6_ENTRIES, CLS6_ENTRIES, FINE4_ENTRIES, FINE6_ENTRIES,
};
use openclaw_common::verdict::Verdict;
use openclaw_core::config::Prefix;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::api::{
    Answer, ApiError, Changed, EntryView, Import, ListStats, Stats, TableStats, Tested,
};
use super::compile::Place;
use super::format::{self, Format, NewEntry, Problems, clean_reason, ttl};
use super::kernel::KernelError;
use super::lists::{Kind, ListId, Record};
use super::prefix::{self, AnyNet, Family, show};
use super::state::State;
use super::store::{Added, Deleted, ListError, MANUAL, Now};

/// Entries that `list` shows unless told otherwise.
pub(super) const SHOWN_ENTRIES: usize = 100;

impl State {
    pub(super) fn add(
        &mut self,
        kind: Kind,
        addresses: &[String],
        ttl: Option<&str>,
        reason: Option<&str>,
        list: Option<String>,
    ) -> Result<Answer, ApiError> {
        let ttl = ttl.map(ttl::parse).transpose().map_err(ApiError::usage)?;
        let reason = reason.and_then(clean_reason).map(Arc::from);
        let mut normalised = Problems::default();
        let mut entries = Vec::with_capacity(addresses.len());
        for address in addresses {
            let prefix = read(address, &mut normalised)?;
            entries.push(NewEntry {
                prefix,
                ttl,
                reason: reason.clone(),
                line: 0,
            });
        }
        let list = list.unwrap_or_else(|| MANUAL.into());
        self.refresh_guards();
        let added = self
            .store
            .add(kind, &list, &entries, self.now())
            .map_err(list_error)?;
        let mut changed = self.finish(kind, Some(list), added);
        changed.normalised = normalised;
        Ok(Answer::Changed(changed))
    }

    pub(super) fn import(&mut self, import: Import) -> Result<Answer, ApiError> {
        let Import {
            kind,
            text,
            format,
            ttl,
            reason,
            list,
            replace,
            dry_run,
        } = import;
        let ttl: Option<Duration> = ttl
            .as_deref()
            .map(ttl::parse)
            .transpose()
            .map_err(ApiError::usage)?;
        let reason: Option<Arc<str>> = reason.as_deref().and_then(clean_reason).map(Arc::from);
        let list = list.unwrap_or_else(|| MANUAL.into());
        let mut parsed = format::parse(format, &text);
        drop(text);
        for entry in &mut parsed.entries {
            entry.ttl = entry.ttl.or(ttl);
            if entry.reason.is_none() {
                entry.reason.clone_from(&reason);
            }
        }
        self.refresh_guards();
        let entries = &parsed.entries;
        let mut changed = if dry_run {
            let added = self
                .store
                .rehearse(kind, &list, entries, replace)
                .map_err(list_error)?;
            Changed {
                dry_run,
                ..describe(kind, Some(list), added)
            }
        } else if replace && entries.is_empty() && parsed.problems.count > 0 {
            // An error page in place of a feed must not empty the list.
            let message = "no line of the file can be used; the list stays as it is";
            let first = parsed.problems.first.first().map_or_else(String::new, |p| {
                format!(" (line {}: {})", p.line, p.message)
            });
            return Err(ApiError::failed(format!("{message}{first}")));
        } else {
            let now = self.now();
            let added = if replace {
                self.store.replace(kind, &list, entries, now)
            } else {
                self.store.add(kind, &list, entries, now)
            };
            self.finish(kind, Some(list), added.map_err(list_error)?)
        };
        changed.invalid = parsed.problems;
        changed.normalised = parsed.normalised;
        Ok(Answer::Changed(changed))
    }

    pub(super) fn delete(
        &mut self,
        kind: Kind,
        addresses: &[String],
        list: Option<String>,
    ) -> Result<Answer, ApiError> {
        let mut normalised = Problems::default();
        let prefixes = addresses
            .iter()
            .map(|address| read(address, &mut normalised))
            .collect::<Result<Vec<_>, _>>()?;
        let deleted = self
            .store
            .delete(kind, list.as_deref(), &prefixes)
            .map_err(list_error)?;
        let mut changed = self.finish_delete(kind, list, deleted);
        changed.normalised = normalised;
        Ok(Answer::Changed(changed))
    }

    pub(super) fn flush(&mut self, kind: Kind, list: Option<String>) -> Result<Answer, ApiError> {
        let deleted = self
            .store
            .flush(kind, list.as_deref())
            .map_err(list_error)?;
        Ok(Answer::Changed(self.finish_delete(kind, list, deleted)))
    }

    fn finish(&mut self, kind: Kind, list: Option<String>, mut added: Added) -> Changed {
        let regions = std::mem::take(&mut added.regions);
        let warnings = self.commit(&regions);
        Changed {
            warnings,
            ..describe(kind, list, added)
        }
    }

    fn finish_delete(&mut self, kind: Kind, list: Option<String>, deleted: Deleted) -> Changed {
        let warnings = self.commit(&deleted.regions);
        let Deleted {
            removed, missing, ..
        } = deleted;
        Changed {
            removed,
            missing,
            warnings,
            ..Changed::new(kind, list)
        }
    }

    pub(super) fn list(
        &self,
        kind: Kind,
        containing: Option<&str>,
        list: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Answer, ApiError> {
        let limit = limit.unwrap_or(SHOWN_ENTRIES);
        let only = self.only(kind, list)?;
        let now = self.now();
        if let Some(containing) = containing {
            let net = AnyNet::from(read(containing, &mut Problems::default())?);
            let mut found = self.store.around(kind, net);
            found.retain(|found| only.is_none_or(|only| found.list == only));
            let total = found.len();
            let entries = found
                .iter()
                .take(limit)
                .map(|found| self.view(found.net, found.list, &found.record, now));
            return Ok(Answer::Entries {
                kind,
                entries: entries.collect(),
                total,
            });
        }
        let lists = self.store.lists();
        let wanted = lists
            .all()
            .filter(|(id, list)| list.kind == kind && only.is_none_or(|only| only == *id));
        let wanted: Vec<ListId> = wanted.map(|(id, _)| id).collect();
        let total = wanted
            .iter()
            .filter_map(|id| lists.list(*id))
            .map(|list| list.v4 + list.v6)
            .sum();
        let entries = wanted.iter().flat_map(|id| {
            lists
                .entries(*id)
                .map(move |(net, record)| (net, *id, record))
        });
        let entries = entries
            .take(limit)
            .map(|(net, id, record)| self.view(net, id, record, now));
        Ok(Answer::Entries {
            kind,
            entries: entries.collect(),
            total,
        })
    }

    pub(super) fn test(&self, kind: Kind, address: &str) -> Result<Answer, ApiError> {
        let not_one = || {
            ApiError::usage(format!(
                "`{}` is not a single address",
                prefix::shorten(address)
            ))
        };
        let ip: IpAddr = address.parse().ok().ok_or_else(not_one)?;
        let ip = ip.to_canonical();
        let net = AnyNet::from(ip);
        let now = self.now();
        let alive = |kind| {
            let mut found = self.store.around(kind, net);
            found.retain(|found| found.record.until_ns == 0 || found.record.until_ns > now.mono_ns);
            found
        };
        let (allow, block) = (alive(Kind::Allow), alive(Kind::Block));
        let allowed = !allow.is_empty();
        let blocked = !allowed && !block.is_empty();
        let view = |found: &[super::store::Found]| -> Vec<EntryView> {
            found
                .iter()
                .map(|found| self.view(found.net, found.list, &found.record, now))
                .collect()
        };
        let decision = self.shared.decide(ip, now.mono_ns);
        let verdict = match decision.verdict {
            Verdict::Drop => "drop",
            Verdict::Pass => "pass",
        };
        let note =
            (blocked && decision.verdict == Verdict::Pass).then(|| self.why_passing().to_owned());
        let (entries, overruled) = if allowed {
            (view(&allow), view(&block))
        } else {
            (view(&block), Vec::new())
        };
        Ok(Answer::Tested(Tested {
            kind,
            address: ip.to_string(),
            blocked,
            allowed,
            verdict: verdict.into(),
            reason: decision.reason.code().into(),
            entries,
            overruled,
            note,
        }))
    }

    pub(super) fn export(
        &self,
        kind: Kind,
        list: Option<&str>,
        format: Format,
    ) -> Result<Answer, ApiError> {
        let only = self.only(kind, list)?;
        let lists = self.store.lists();
        // Without a name, what a file could bring back: not what configuration and host make themselves.
        let wanted = lists.all().filter(|(id, list)| {
            list.kind == kind
                && only.map_or(list.origin == super::lists::Origin::Operator, |only| {
                    only == *id
                })
        });
        let now = self.now();
        let mut out = format::write::Writer::new(format);
        for (id, list) in wanted {
            for (net, record) in lists.entries(id) {
                let ttl = (record.until_ns != 0).then(|| now.seconds_until(record.until_ns));
                out.entry(
                    &show(&net.to_prefix()),
                    &list.name,
                    ttl,
                    record.reason.as_deref(),
                );
            }
        }
        let (text, entries) = out.finish();
        Ok(Answer::Exported { text, entries })
    }

    pub(super) fn stats(&self, kind: Kind) -> Answer {
        let lists = self.store.lists();
        let of_kind = lists.all().filter(|(_, list)| list.kind == kind);
        let per_list = of_kind.map(|(_, list)| ListStats {
            name: list.name.clone(),
            ipv4: list.v4,
            ipv6: list.v6,
        });
        let ends = [
            lists.kind::<u32>(kind).next_end(),
            lists.kind::<u128>(kind).next_end(),
        ];
        let next_end = ends.into_iter().flatten().min();
        let now = self.now();
        let tables = self.shared.read();
        let (bans4, bans6) = tables.count(Place::Ban);
        let (allow4, allow6) = tables.count(Place::AllowFine);
        let (block4, block6) = tables.count(Place::BlockFine);
        let table = |name: &str, entries, capacity: u32| TableStats {
            name: name.into(),
            entries,
            capacity: capacity as usize,
        };
        Answer::Stats(Stats {
            kind,
            lists: per_list.collect(),
            tables: vec![
                table("ban4", bans4, BAN4_ENTRIES),
                table("ban6", bans6, BAN6_ENTRIES),
                table("fine4", allow4 + block4, FINE4_ENTRIES),
                table("fine6", allow6 + block6, FINE6_ENTRIES),
                table("class6", tables.words6().len(), CLS6_ENTRIES),
            ],
            next_end_in: next_end.map(|until_ns| now.seconds_until(until_ns)),
        })
    }

    /// Entries over the lists of a kind, by list and family.
    pub(super) fn sizes(&self) -> Vec<(Kind, String, Family, usize)> {
        let lists = self.store.lists().all();
        lists
            .flat_map(|(_, list)| {
                [(Family::V4, list.v4), (Family::V6, list.v6)]
                    .map(|(family, count)| (list.kind, list.name.clone(), family, count))
            })
            .collect()
    }

    fn only(&self, kind: Kind, list: Option<&str>) -> Result<Option<ListId>, ApiError> {
        let Some(name) = list else { return Ok(None) };
        let unknown = || ListError::Unknown {
            kind: kind.word(),
            name: name.to_owned(),
        };
        self.store
            .lists()
            .find(kind, name)
            .map(Some)
            .ok_or_else(unknown)
            .map_err(list_error)
    }

    fn view(&self, net: AnyNet, list: ListId, record: &Record, now: Now) -> EntryView {
        let left = (record.until_ns != 0).then(|| now.seconds_until(record.until_ns));
        EntryView {
            address: show(&net.to_prefix()),
            list: self
                .store
                .lists()
                .list(list)
                .map_or_else(String::new, |list| list.name.clone()),
            reason: record.reason.as_deref().map(str::to_owned),
            added: rfc3339(record.added),
            expires: left.map(|left| rfc3339(now.unix.saturating_add(left))),
            expires_in: left,
        }
    }
}

fn describe(kind: Kind, list: Option<String>, added: Added) -> Changed {
    let Added {
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

fn read(address: &str, normalised: &mut Problems) -> Result<Prefix, ApiError> {
    let reading = prefix::read(address).map_err(ApiError::usage)?;
    if reading.had_host_bits {
        normalised.add(
            0,
            format!("{address} is taken as {}", show(&reading.prefix)),
        );
    }
    Ok(reading.prefix)
}

/// A wrong name is a wrong question; the rest is a no.
fn list_error(error: ListError) -> ApiError {
    match error {
        ListError::Name(_) => ApiError::usage(error),
        ListError::IsConfig { .. }
        | ListError::IsProtected
        | ListError::Unknown { .. }
        | ListError::TooMany => ApiError::failed(error),
    }
}

fn rfc3339(unix: u64) -> String {
    let time = i64::try_from(unix)
        .ok()
        .and_then(|unix| OffsetDateTime::from_unix_timestamp(unix).ok());
    time.and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// The whole chain, for one line.
pub(super) fn chain(error: &KernelError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text += &format!(": {source}");
        cause = source.source();
    }
    text
}
