//! `shield.udp`: UDP packets to the ports that are served.

use super::keys::{self, Key};
use super::reader::Section;
use super::shield::ShieldAction;
use super::units::Rate;
use super::values;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Of one source; an IPv6 source is a /64. Where QUIC is spoken, only packets of connections that begin count.
    pub per_source: Rate,
    pub burst: u32,
    pub action: ShieldAction,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "shield.udp",
    doc: "UDP packets to the ports that are served: those of listeners that speak h3.",
    keys: &[
        Key::default(
            "per_source",
            "rate",
            "\"5k/s\"",
            "Packets of one source; where QUIC is spoken, only those of connections that begin.",
        ),
        Key::default(
            "burst",
            "integer",
            "10000",
            "How many may come at once before per_source counts.",
        ),
        Key::default(
            "action",
            "word",
            "\"enforce\"",
            "enforce drops what is above the rate; monitor only counts it.",
        )
        .words(&["enforce", "monitor"]),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Udp> {
    let per_source = section.value("per_source", values::rate);
    let burst = section.value("burst", values::count(1, 1_000_000));
    let action = section.value("action", ShieldAction::read);
    Some(Udp {
        per_source: per_source?,
        burst: burst?,
        action: action?,
    })
}
