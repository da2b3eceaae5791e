//! The file that a big list has for itself: one line an entry, so that it is read in one pass, and the number of entries at the end, so
//! that half a file is told from a whole one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use openclaw_core::config::Prefix;

use crate::shield::index::{ListId, Record};
use crate::shield::lists::{Kind, List, Lists};
use crate::shield::prefix::{self, AnyNet, shorten, show};
use crate::shield::store::Now;

use super::read::{Faults, restored};
use super::{Restored, moment};

/// From how many entries a list has a file of its own.
pub(super) const BIG: usize = 4096;
const HEAD: &str = "openclaw list 1";
const NEVER: &str = "-";

/// A file as it is known to be on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) name: String,
    /// What the list was when it was written; nothing if the list is not what the file says.
    pub(super) revision: Option<u64>,
}

/// The files of big lists as they are on the disk.
#[derive(Clone, Debug, Default)]
pub(in crate::shield) struct Files(pub(super) BTreeMap<ListId, Written>);

impl Files {
    /// Notes that a list came from its own file, and whether all of the file came to be on it.
    pub(in crate::shield) fn found(&mut self, lists: &Lists, kind: Kind, name: &str, whole: bool) {
        let Some(id) = lists.find(kind, name) else {
            return;
        };
        let revision = lists.list(id).map(|list| list.revision);
        let written = Written {
            name: file_name(kind, name),
            revision: revision.filter(|_| whole),
        };
        self.0.insert(id, written);
    }

    /// Forgets files that somebody has taken away, so that they are written again.
    pub(in crate::shield) fn look(&mut self, state_dir: &Path) {
        self.0
            .retain(|_, written| state_dir.join(&written.name).exists());
    }

    pub(super) fn holds(&self, id: ListId, list: &List) -> bool {
        let written = self.0.get(&id);
        written.is_some_and(|written| written.revision == Some(list.revision))
    }
}

/// Where a list goes; its name has been checked to be harmless in a path.
pub(super) fn file_name(kind: Kind, name: &str) -> String {
    format!("{}-{name}.list", kind.word())
}

pub(super) fn encode(entries: &[(AnyNet, &Record)], now: Now) -> Vec<u8> {
    let mut text = String::with_capacity(32 * entries.len());
    let _ = writeln!(text, "{HEAD}");
    for (net, record) in entries {
        let _ = write!(text, "{}\t{}\t", show(&net.to_prefix()), record.added);
        let _ = match moment(record, now) {
            Some(until) => write!(text, "{until}"),
            None => write!(text, "{NEVER}"),
        };
        // Reasons have no control characters: they are cleaned where they come in.
        let _ = match &record.reason {
            Some(reason) => writeln!(text, "\t{reason}"),
            None => writeln!(text),
        };
    }
    let _ = writeln!(text, "end {}", entries.len());
    text.into_bytes()
}

/// The entries that have not ended, and what cannot be used; else what is wrong with the whole.
pub(super) fn decode(bytes: &[u8], now: Now) -> Result<(Vec<Restored>, Faults), String> {
    let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return Err("it does not begin as such a list does".into());
    }
    let mut entries = Vec::new();
    let mut faults = Faults::default();
    let mut reason: Option<Arc<str>> = None;
    let mut count = 0;
    let mut last = None;
    for line in lines.by_ref() {
        if let Some(end) = line.strip_prefix("end ") {
            last = end.parse().ok();
            break;
        }
        count += 1;
        match entry(line, &mut reason) {
            Some((prefix, added, until)) => {
                entries.extend(restored(prefix, added, until, reason.clone(), now));
            }
            None => faults.add(format!("`{}`, entry {count}", shorten(line))),
        }
    }
    if last == Some(count) && lines.next().is_none() {
        Ok((entries, faults))
    } else {
        Err("it is not whole".into())
    }
}

/// Prefix, when it was added and when it ends. Entries of one import have one reason, and share it.
fn entry(line: &str, reason: &mut Option<Arc<str>>) -> Option<(Prefix, u64, Option<u64>)> {
    let mut fields = line.splitn(4, '\t');
    let (address, added, until) = (fields.next()?, fields.next()?, fields.next()?);
    let said = fields.next();
    if said != reason.as_deref() {
        *reason = said.map(Arc::from);
    }
    let until = match until {
        NEVER => None,
        until => Some(until.parse().ok()?),
    };
    let prefix = prefix::read(address).ok()?.prefix;
    Some((prefix, added.parse().ok()?, until))
}
