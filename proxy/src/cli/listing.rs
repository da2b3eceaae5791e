//! What the shield answers, for people.

use std::fmt::Write;

use serde_json::json;

use super::output::{Outcome, table};
use super::standing;
use crate::shield::{
    Answer, Changed, EntryView, FeedStatus, Kind, MemoryStats, Problem, Problems, Stats, Tested,
    show_seconds,
};

pub(super) fn outcome(answer: Answer) -> Outcome {
    let json = serde_json::to_value(&answer).unwrap_or_default();
    match answer {
        Answer::Changed(changed) => {
            let mut outcome = Outcome::new(changed_text(&changed), json);
            outcome.warnings = remarks(&changed);
            let has_gone_in =
                changed.added + changed.updated + changed.removed + changed.confirmed > 0;
            let is_whole =
                changed.refused.count + changed.invalid.count == 0 && changed.missing.is_empty();
            // Of a file the good lines count; of a command line, every word.
            let is_file = changed
                .refused
                .first
                .iter()
                .chain(&changed.invalid.first)
                .any(|one| one.line > 0);
            let is_ok = is_whole || (is_file && has_gone_in);
            outcome.code = u8::from(!is_ok);
            if let Some(object) = outcome.json.as_object_mut() {
                object.insert("ok".to_owned(), is_ok.into());
                let error = (!is_ok).then(|| refusal(&changed));
                object.extend(error.map(|error| ("error".to_owned(), error.into())));
            }
            outcome
        }
        Answer::Entries {
            kind,
            entries,
            total,
        } => Outcome::new(entries_text(kind, &entries, total), json),
        Answer::Tested(tested) => {
            let is_yes = match tested.kind {
                Kind::Block => tested.blocked,
                Kind::Allow => tested.allowed,
            };
            Outcome {
                code: u8::from(!is_yes),
                ..Outcome::new(tested_text(&tested), json)
            }
        }
        Answer::Explained(explained) => Outcome::new(super::explain::text(&explained), json),
        Answer::Exported { text, .. } => {
            let entries = serde_json::from_str(&text).unwrap_or_else(|_| json!({ "text": text }));
            Outcome::new(text, entries)
        }
        Answer::Stats(stats) => Outcome::new(stats_text(&stats), json),
        Answer::Drops { drops } => Outcome::new(super::drops::text(&drops), json),
        Answer::Status(status) => Outcome {
            warnings: status
                .warnings
                .iter()
                .map(|warning| format!("warning: {warning}"))
                .collect(),
            ..Outcome::new(standing::text(&status), json)
        },
    }
}

fn changed_text(changed: &Changed) -> String {
    let mut parts = Vec::new();
    for (count, verb) in [
        (changed.added, "added"),
        (changed.updated, "updated"),
        (changed.removed, "removed"),
        (changed.confirmed, "confirmed"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {verb}"));
        }
    }
    if parts.is_empty() {
        parts.push("nothing changed".to_owned());
    }
    let lists = match &changed.list {
        Some(list) => format!("{} list `{list}`", changed.kind.word()),
        None => format!("{} lists", changed.kind.word()),
    };
    let would = if changed.dry_run { "dry run: " } else { "" };
    let mut text = format!("{would}{lists}: {}\n", parts.join(", "));
    if let Some(by) = &changed.confirm_by {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "it is taken back at {by} unless `openclaw {}list confirm` comes before",
            changed.kind.word()
        );
    }
    text
}

/// Why not all was done that was asked for, as the `error` of every verb has it.
fn refusal(changed: &Changed) -> String {
    let mut reasons = Vec::new();
    add_problems(&mut reasons, "not understood", &changed.invalid);
    add_problems(&mut reasons, "refused", &changed.refused);
    reasons.extend(changed.missing.iter().cloned());
    reasons.join("; ")
}

/// What went otherwise than asked, for stderr.
fn remarks(changed: &Changed) -> Vec<String> {
    let mut remarks = Vec::new();
    add_problems(&mut remarks, "not understood", &changed.invalid);
    add_problems(&mut remarks, "refused", &changed.refused);
    add_problems(&mut remarks, "note", &changed.normalised);
    remarks.extend(changed.missing.iter().cloned());
    remarks.extend(changed.notes.iter().map(|note| format!("note: {note}")));
    remarks.extend(
        changed
            .warnings
            .iter()
            .map(|warning| format!("warning: {warning}")),
    );
    remarks
}

fn add_problems(remarks: &mut Vec<String>, word: &str, problems: &Problems) {
    for Problem { line, message } in &problems.first {
        remarks.push(match line {
            0 => format!("{word}: {message}"),
            line => format!("line {line}: {word}: {message}"),
        });
    }
    let more = problems.count - problems.first.len().min(problems.count);
    if more > 0 {
        remarks.push(format!("{word}: and {more} more"));
    }
}

fn entries_text(kind: Kind, entries: &[EntryView], total: usize) -> String {
    let mut rows = vec![vec![
        "ADDRESS".into(),
        "LIST".into(),
        "ENDS".into(),
        "HITS".into(),
        "ADDED".into(),
        "REASON".into(),
    ]];
    rows.extend(entries.iter().map(|entry| {
        vec![
            entry.address.clone(),
            entry.list.clone(),
            entry.expires_in.map_or_else(
                || "never".into(),
                |left| {
                    let unless = entry
                        .confirm_by
                        .as_ref()
                        .map_or("", |_| " unless confirmed");
                    format!("in {}{unless}", show_seconds(left))
                },
            ),
            hits_text(entry.hits),
            entry.added.clone(),
            entry.reason.clone().unwrap_or_default(),
        ]
    }));
    let mut text = if entries.is_empty() {
        String::new()
    } else {
        table(&rows)
    };
    let more = total - entries.len().min(total);
    if total == 0 {
        text = format!("no {} entries\n", kind.word());
    } else if more > 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "… and {more} more (--limit shows them)");
    }
    text
}

fn tested_text(tested: &Tested) -> String {
    let address = &tested.address;
    let mut text = if tested.allowed {
        format!("{address} is allowed\n")
    } else if tested.blocked && tested.note.is_some() {
        format!("{address} is blocked\n")
    } else if tested.blocked && tested.reason.ends_with("ban") {
        format!("{address} is banned ({})\n", tested.reason)
    } else if tested.blocked {
        format!("{address} is blocked ({})\n", tested.reason)
    } else {
        format!("{address} is not {}\n", tested.kind.listed())
    };
    if let Some(country) = &tested.country {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  it is in {country}");
    }
    if !tested.blocked && tested.verdict == "drop" {
        let _ = writeln!(text, "  and is dropped all the same ({})", tested.reason);
    }
    if let Some(note) = &tested.note {
        let whose = if tested.blocked {
            ""
        } else {
            "its country is kept out, "
        };
        let _ = writeln!(text, "  {whose}but it passes: {note}");
    }
    for (entries, beaten) in [
        (&tested.entries, ""),
        (&tested.overruled, ", which the allow list overrules"),
    ] {
        for entry in entries {
            let ends = entry.expires.as_ref().zip(entry.expires_in);
            let ends = ends.map_or_else(
                || "no end".to_owned(),
                |(at, left)| format!("ends in {} ({at})", show_seconds(left)),
            );
            let reason = entry
                .reason
                .as_ref()
                .map(|reason| format!(": {reason}"))
                .unwrap_or_default();
            let _ = writeln!(
                text,
                "  {} on the list `{}`{beaten}, added {}, {ends}{reason}",
                entry.address, entry.list, entry.added
            );
        }
    }
    text
}

fn stats_text(stats: &Stats) -> String {
    let mut rows = vec![vec![
        "LIST".to_owned(),
        "IPV4".into(),
        "IPV6".into(),
        "HITS".into(),
    ]];
    rows.extend(stats.lists.iter().map(|list| {
        vec![
            list.name.clone(),
            list.ipv4.to_string(),
            list.ipv6.to_string(),
            hits_text(list.hits),
        ]
    }));
    let mut text = table(&rows);
    for list in &stats.lists {
        if let Some(feed) = &list.feed {
            text += &feed_text(&list.name, feed);
        }
    }
    if let Some(left) = stats.next_end_in {
        let _ = writeln!(text, "the next entry ends in {}", show_seconds(left));
    }
    let mut rows = vec![vec![
        "TABLE".to_owned(),
        "ENTRIES".into(),
        "CAPACITY".into(),
    ]];
    rows.extend(stats.tables.iter().map(|table| {
        vec![
            table.name.clone(),
            table.entries.to_string(),
            table.capacity.to_string(),
        ]
    }));
    text.push('\n');
    text += &table(&rows);
    let memory = |bytes: Option<u64>| {
        bytes.map_or_else(
            || "-".into(),
            |bytes| format!("{} KiB", bytes.div_ceil(1024)),
        )
    };
    let MemoryStats { kernel, process } = stats.memory;
    let _ = writeln!(
        text,
        "memory: maps in the kernel {}, process {}",
        memory(kernel),
        memory(process)
    );
    text
}

/// What is not counted entry by entry has a dash.
fn hits_text(hits: Option<u64>) -> String {
    hits.map_or_else(|| "-".into(), |hits| hits.to_string())
}

fn feed_text(name: &str, feed: &FeedStatus) -> String {
    let read = feed.last_success.as_ref();
    let read = read.map_or_else(|| "never read".to_owned(), |at| format!("read {at}"));
    let mut text = format!("`{name}` follows {}, {read}\n", feed.source);
    if feed.expired {
        text += "  it has been dead for too long; its entries have ended\n";
    }
    if let Some(error) = &feed.last_error {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {error}");
    }
    text
}
