//! `hedge` of an upstream: when a second endpoint is asked beside one that is slow.

use std::time::Duration;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::Node;
use super::values;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    pub after: After,
}

/// How long the first endpoint may take to begin its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Time(Duration),
    /// As long as so many in a hundred lately took at most.
    Percent(u32),
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "upstream.hedge",
    doc: "Where an endpoint is slow, a second one is asked as well, whoever answers first serves, and the other one is let go. Of GET, HEAD, OPTIONS and TRACE without a body alone, once a request, and within `retry_budget`, of which five are left for retries. An answer of 500 or more counts only when no other one can come.",
    keys: &[Key::required(
        "after",
        "duration or percentile",
        "\"50ms\"",
        "How long an endpoint may take to begin its answer before another one is asked. \"p95\" (p50 to p99): as long as so many in a hundred of the upstream's answers took at most lately, by what each worker has seen; until it has seen a hundred, nobody else is asked.",
    )],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Hedge> {
    let after = section.value("after", after);
    Some(Hedge { after: after? })
}

fn after(node: &Node) -> Result<After, Unread> {
    let percent = values::string(node)
        .ok()
        .and_then(|text| text.strip_prefix('p'));
    let Some(percent) = percent else {
        return values::duration(node).map(After::Time);
    };
    // What is no number is out of range, too.
    let percent = percent.parse().ok().filter(|one| (50..=99).contains(one));
    percent.map(After::Percent).ok_or_else(|| {
        Complaint::new(format!(
            "`{}` is no percentile",
            values::string(node).unwrap_or_default()
        ))
        .hint("write one from \"p50\" to \"p99\", or a time such as \"50ms\"")
        .into()
    })
}

/// Says that two keys of an upstream do not go together.
pub(super) fn check(section: &Section<'_>) {
    if section.has("hedge") && section.has("sticky") {
        section.reader.conflict(
            section.place_of("hedge"),
            section.place_of("sticky"),
            &section.key_path("sticky"),
            Complaint::new(
                "`hedge` and `sticky` exclude each other: a client that stays with its endpoint has no second one",
            )
            .hint("leave one of them out"),
        );
    }
}
