//! `hedge` of an upstream: when a second endpoint is asked beside one that is slow.

use std::time::Duration;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::Section;
use super::values;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hedge {
    /// How long the first endpoint may take to begin its answer.
    pub after: Duration,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "upstream.hedge",
    doc: "Where an endpoint is slow, a second one is asked as well, whoever answers first serves, and the other one is let go. Of GET, HEAD, OPTIONS and TRACE without a body alone, once a request, and within `retry_budget`. An answer of 500 or more counts only when no other one can come.",
    keys: &[Key::required(
        "after",
        "duration",
        "\"50ms\"",
        "How long an endpoint may take to begin its answer before another one is asked; a time that nineteen answers in twenty keep is a good one.",
    )],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Hedge> {
    let after = section.value("after", values::duration);
    Some(Hedge { after: after? })
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
            ),
        );
    }
}
