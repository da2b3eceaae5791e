//! Verbs that look at the lists and change nothing.

use std::net::IpAddr;

use openclaw_common::maps::{
    BAN4_ENTRIES, BAN6_ENTRIES, CLS6_ENTRIES, FINE4_ENTRIES, FINE6_ENTRIES,
};
use openclaw_common::verdict::{Reason, Verdict};
use openclaw_core::country::country_code;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::api::{Answer, ApiError, EntryView, ListStats, MemoryStats, Stats, TableStats, Tested};
use super::compile::Place;
use super::format::{self, Format, Problems};
use super::hits;
use super::index::{ListId, Record};
use super::lists::{Kind, Origin};
use super::prefix::{self, AnyNet, Family, show};
use super::rules::ListError;
use super::state::State;
use super::store::{Found, Now};
use super::verbs::{list_error, read};

/// Entries that `list` shows unless told otherwise.
pub(super) const SHOWN_ENTRIES: usize = 100;

impl State {
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
            ApiError::usage(&format!(
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
        let view = |found: &[Found]| -> Vec<EntryView> {
            found
                .iter()
                .map(|found| self.view(found.net, found.list, &found.record, now))
                .collect()
        };
        let decision = self.shared.decide(ip, now.mono_ns);
        let verdict = match decision.verdict {
            Verdict::Drop => "drop",
            // Lists answer nobody.
            Verdict::Pass | Verdict::Tx => "pass",
        };
        let kept_out = self.shared.decide_on(ip, now.mono_ns).verdict == Verdict::Drop;
        let note = ((blocked || decision.reason == Reason::Geo.monitored())
            && decision.verdict == Verdict::Pass)
            .then(|| self.why_passing(decision.reason).to_owned());
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
            country: self.country(net).map(str::to_owned),
            verdict: verdict.into(),
            reason: decision.reason.code().into(),
            kept_out,
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
            list.kind == kind && only.map_or(list.origin == Origin::Operator, |only| only == *id)
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

    pub(super) fn stats(&self, kind: Kind) -> (Stats, Vec<ListId>) {
        let lists = self.store.lists();
        let of_kind: Vec<_> = lists.all().filter(|(_, list)| list.kind == kind).collect();
        let per_list = of_kind.iter().map(|(_, list)| ListStats {
            name: list.name.clone(),
            ipv4: list.v4,
            ipv6: list.v6,
            hits: None,
            feed: self.feed_status(kind, &list.name),
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
        let (part4, part6) = tables.count(Place::Country);
        let table = |name: &str, entries, capacity: u32| TableStats {
            name: name.into(),
            entries,
            capacity: capacity as usize,
        };
        let stats = Stats {
            kind,
            lists: per_list.collect(),
            tables: vec![
                table("ban4", bans4, BAN4_ENTRIES),
                table("ban6", bans6, BAN6_ENTRIES),
                table("fine4", allow4 + block4 + part4, FINE4_ENTRIES),
                table("fine6", allow6 + block6 + part6, FINE6_ENTRIES),
                table("class6", tables.all_words6().count(), CLS6_ENTRIES),
            ],
            next_end_in: next_end.map(|until_ns| now.seconds_until(until_ns)),
            memory: MemoryStats::default(),
        };
        (stats, of_kind.iter().map(|(id, _)| *id).collect())
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
            .map_err(|error| list_error(&error))
    }

    /// The code of the country that an address is in, as far as the database knows.
    pub(super) fn country(&self, net: AnyNet) -> Option<&'static str> {
        country_code(self.store.lists().countries()?.country(net))
    }

    /// What the kernel counted for an entry, if that is the one that it has of this range.
    fn hits(&self, net: AnyNet, list: ListId) -> Option<u64> {
        let placement = self.shared.read().placement(net)?;
        let maps = self.maps.as_ref()?;
        let hits = hits::of_entry(maps, net, placement)?;
        (placement.rule == list.0).then_some(hits)
    }

    pub(super) fn view(&self, net: AnyNet, list: ListId, record: &Record, now: Now) -> EntryView {
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
            hits: self.hits(net, list),
            confirm_by: self.confirm_by(net, list),
        }
    }
}

pub(super) fn rfc3339(unix: u64) -> String {
    let time = i64::try_from(unix)
        .ok()
        .and_then(|unix| OffsetDateTime::from_unix_timestamp(unix).ok());
    time.and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}
