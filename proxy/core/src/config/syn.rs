//! `shield.syn`: what happens to the first packet of a TCP connection.

use std::time::Duration;

use super::keys::{self, Key};
use super::reader::Section;
use super::shield::ShieldAction;
use super::units::Rate;
use super::values;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syn {
    pub mode: SynMode,
    /// New connections of one source while there is no attack; an IPv6 source is a /64.
    pub per_source: Rate,
    pub burst: u32,
    /// Above it an attack begins; it ends below half of it.
    pub enter: Rate,
    /// How long an attack lasts at least.
    pub hold: Duration,
    /// Answers in all that the kernel program sends.
    pub max_answers: Rate,
    pub variant: SynVariant,
    pub manage_sysctls: bool,
    pub action: ShieldAction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynMode {
    Auto,
    Off,
    Always,
}

/// How cookies are made under attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynVariant {
    /// The cheaper that the kernel and its settings allow.
    Auto,
    /// By the socket that listens.
    Socket,
    /// Without looking for a socket.
    Raw,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "shield.syn",
    doc: "Floods of new TCP connections.",
    keys: &[
        Key::default(
            "mode",
            "word",
            "\"auto\"",
            "auto answers SYN packets with cookies once a queue overflows or an attack has begun; always, each of them; off, none.",
        ).words(&["auto", "always", "off"]),
        Key::default(
            "per_source",
            "rate",
            "\"200/s\"",
            "New connections of one source while there is no attack.",
        ),
        Key::default(
            "burst",
            "integer",
            "400",
            "How many may come at once before per_source counts.",
        ),
        Key::default(
            "enter",
            "rate",
            "\"20k/s\"",
            "SYN packets from which on it is an attack; it ends below half of this.",
        ),
        Key::default(
            "hold",
            "duration",
            "\"60s\"",
            "How long an attack lasts at least.",
        ),
        Key::default(
            "max_answers",
            "rate",
            "\"2m/s\"",
            "Answers with cookies in all, so that this host is nobody's amplifier; more SYN packets are dropped.",
        ),
        Key::default(
            "variant",
            "word",
            "\"auto\"",
            "How cookies are made under attack: raw is cheaper and needs Linux 6.0, socket asks the listening socket; auto chooses.",
        ).words(&["auto", "raw", "socket"]),
        Key::default(
            "manage_sysctls",
            "boolean",
            "true",
            "Under attack sets net.ipv4.tcp_syncookies and tcp_timestamps to 2, afterwards back; raw cookies and TCP options need that.",
        ),
        Key::default(
            "action",
            "word",
            "\"enforce\"",
            "enforce answers with cookies and drops; monitor only counts what it would do.",
        ).words(&["enforce", "monitor"]),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Syn> {
    let mode = section.value(
        "mode",
        values::choice(&[
            ("auto", SynMode::Auto),
            ("off", SynMode::Off),
            ("always", SynMode::Always),
        ]),
    );
    let per_source = section.value("per_source", values::rate);
    let burst = section.value("burst", values::count(1, 1_000_000));
    let enter = section.value("enter", values::rate);
    let hold = section.value("hold", values::duration);
    let max_answers = section.value("max_answers", values::rate);
    let variant = section.value(
        "variant",
        values::choice(&[
            ("auto", SynVariant::Auto),
            ("socket", SynVariant::Socket),
            ("raw", SynVariant::Raw),
        ]),
    );
    let manage_sysctls = section.value("manage_sysctls", values::boolean);
    let action = section.value("action", ShieldAction::read);
    Some(Syn {
        mode: mode?,
        per_source: per_source?,
        burst: burst?,
        enter: enter?,
        hold: hold?,
        max_answers: max_answers?,
        variant: variant?,
        manage_sysctls: manage_sysctls?,
        action: action?,
    })
}
