//! `[autoban]`: when an HTTP verdict becomes a ban.

use std::time::Duration;

use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::{Node, Value};
use super::values;

/// When peers are banned for what they send, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Autoban {
    pub after: Thresholds,
    pub window: Duration,
    pub ttl: Duration,
    /// What the TTL is multiplied with for each ban more; at least 1.
    pub grow: f64,
    pub max_ttl: Duration,
}

/// So many verdicts of a kind within the window; `None`: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    pub waf: Option<u32>,
    pub auth: Option<u32>,
    pub limit: Option<u32>,
    pub protocol: Option<u32>,
}

impl Thresholds {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "autoban",
    doc: "Bans the peer whose requests are refused too often: its packets are dropped by the shield, and its open connections are closed. A peer is banned only if it is the client itself: not a trusted proxy, not an allowed or own address, not a gateway. IPv6 bans cover the /64.",
    keys: &[
        Key::default(
            "after",
            "table",
            "{}",
            "How many refusals of a kind within `window` lead to a ban. Empty: nobody is banned.",
        )
        .example("{ limit = 20, protocol = 1 }")
        .fields(&AFTER),
        Key::default(
            "window",
            "duration",
            "\"1m\"",
            "Refusals are counted for so long, from the first one on.",
        ),
        Key::default(
            "ttl",
            "duration",
            "\"10m\"",
            "How long the first ban lasts.",
        ),
        Key::default(
            "grow",
            "number",
            "4.0",
            "Each further ban of the same peer lasts so many times as long.",
        ),
        Key::default(
            "max_ttl",
            "duration",
            "\"24h\"",
            "The longest ban. A peer that stays out of trouble for so long after a ban begins anew.",
        ),
    ],
    later: &[],
};

static AFTER: keys::Section = keys::Section {
    name: "autoban.after",
    doc: "How many refusals of each kind.",
    keys: &[
        Key::optional(
            "waf",
            "number",
            "3",
            "waf.*: taken, but nothing gives such a verdict yet.",
        ),
        Key::optional(
            "auth",
            "number",
            "10",
            "auth.*: taken, but nothing gives such a verdict yet.",
        ),
        Key::optional(
            "limit",
            "number",
            "20",
            "limit.rate: a route's `limit` was exceeded.",
        ),
        Key::optional(
            "protocol",
            "number",
            "1",
            "What no honest client sends: http.smuggling (ambiguous framing), h2.abuse (floods of resets or useless frames).",
        ),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Autoban> {
    let after = section
        .section("after")
        .and_then(|section| thresholds(&section));
    let window = section.value("window", values::duration);
    let ttl = section.value("ttl", ban_duration);
    let grow = section.value("grow", factor);
    let max_ttl = section.value("max_ttl", ban_duration);
    if let (Some(ttl), Some(max)) = (ttl, max_ttl)
        && max < ttl
    {
        let complaint = Complaint::new("`max_ttl` is shorter than `ttl`");
        let key = if section.has("max_ttl") {
            "max_ttl"
        } else {
            "ttl"
        };
        section.complain(
            key,
            complaint.hint("`max_ttl` bounds what `ttl` and `grow` come to"),
        );
    }
    Some(Autoban {
        after: after?,
        window: window?,
        ttl: ttl?,
        grow: grow?,
        max_ttl: max_ttl?,
    })
}

fn thresholds(section: &Section<'_>) -> Option<Thresholds> {
    // The section has complained about what is wrong; the four are read before any is missed, so that all complaints are told.
    let threshold = |key| section.optional(key, values::count(1, 1_000_000)).ok();
    let (waf, auth) = (threshold("waf"), threshold("auth"));
    let (limit, protocol) = (threshold("limit"), threshold("protocol"));
    Some(Thresholds {
        waf: waf?,
        auth: auth?,
        limit: limit?,
        protocol: protocol?,
    })
}

/// Bans end by the second.
fn ban_duration(node: &Node) -> Result<Duration, Unread> {
    let duration = values::duration(node)?;
    if duration < Duration::from_secs(1) {
        return Err(Complaint::new("a ban lasts at least a second")
            .hint("write \"10m\", or leave `autoban` out")
            .into());
    }
    Ok(duration)
}

fn factor(node: &Node) -> Result<f64, Unread> {
    let factor = match node.value {
        Value::Float(number) => number,
        Value::Integer(number) => number as f64,
        Value::String(_)
        | Value::Boolean(_)
        | Value::Datetime
        | Value::Array(_)
        | Value::Table(_)
        | Value::Broken => return Err(values::expected("a number such as 4.0", node)),
    };
    if !(1.0..=1000.0).contains(&factor) {
        return Err(Complaint::new(format!("{factor} is out of range"))
            .hint("write a number from 1 to 1000")
            .into());
    }
    Ok(factor)
}
