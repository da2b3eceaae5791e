//! Whether something became of a request or a packet what a test expects.

use super::{CachePart, Fate, Verdict};
use crate::config::{Asks, Config, Expect, Test, Wanted};

/// An expectation that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// Its key below `expect`, step by step.
    pub key: Vec<String>,
    /// As it is written.
    pub expected: String,
    /// What is there in its place.
    pub got: String,
    /// What may be wrong with the expectation.
    pub hint: Option<String>,
}

const NONE: &str = "none";

/// What of a test is not met by a fate; nothing: it passes.
pub fn unmet(test: &Test, fate: &Fate, config: &Config) -> Vec<Unmet> {
    let Expect {
        verdict,
        route,
        status,
        reason,
        upstream,
        target,
        location,
        cache,
        headers,
    } = &test.expect;
    let mut all = Vec::new();
    let mut text = |key: &str, expected: &Option<String>, got: Option<&str>| {
        if let Some(expected) = expected.as_deref().filter(|it| Some(*it) != got) {
            all.push(not_met(key, expected, got.unwrap_or(NONE)));
        }
    };
    text("verdict", verdict, Some(passing(fate, &test.asks)));
    text("route", route, fate.route.as_deref());
    text("reason", reason, fate.reason);
    text("target", target, fate.target.as_deref());
    text("location", location, fate.location.as_deref());
    // What comes nowhere meets nothing, not even that nothing is there.
    let part = if fate.verdict == Verdict::Nowhere {
        Verdict::Nowhere.word()
    } else {
        fate.cache.map_or(NONE, CachePart::word)
    };
    text(
        "cache",
        &cache.map(|cache| cache.word().to_owned()),
        Some(part),
    );
    all.extend(upstream.as_deref().and_then(|it| of_upstream(it, fate)));
    all.extend(status.and_then(|status| of_status(status, fate)));
    all.extend(headers.iter().filter_map(|it| of_header(it, fate)));
    for unmet in &mut all {
        unmet.hint = unmet.hint.take().or_else(|| unknown(unmet, config));
    }
    all
}

fn not_met(key: &str, expected: impl Into<String>, got: impl Into<String>) -> Unmet {
    Unmet {
        key: vec![key.to_owned()],
        expected: expected.into(),
        got: got.into(),
        hint: None,
    }
}

/// What a packet's verdict is beside that of a request.
fn passing(fate: &Fate, asks: &Asks) -> &'static str {
    match (asks, fate.verdict) {
        (Asks::Packet(_), verdict) | (_, verdict @ (Verdict::Drop | Verdict::Nowhere)) => {
            verdict.word()
        }
        // Whatever becomes of the request, its connection is accepted.
        (Asks::Request(_), _) => Verdict::Pass.word(),
    }
}

/// One that may be drawn is as good as one that is chosen.
fn of_upstream(expected: &str, fate: &Fate) -> Option<Unmet> {
    let may_be = |share: &super::Share| share.weight > 0 && share.upstream == expected;
    match &fate.upstream {
        Some(chosen) if chosen == expected => None,
        Some(chosen) => Some(not_met("upstream", expected, chosen)),
        None if fate.to.iter().any(may_be) => None,
        None if fate.to.is_empty() => Some(not_met("upstream", expected, NONE)),
        None => Some(not_met("upstream", expected, fate.does())),
    }
}

/// A request that is sent on is taken to be answered with whatever success is expected.
fn of_status(expected: u16, fate: &Fate) -> Option<Unmet> {
    let got = match fate.status {
        Some(status) if status == expected => return None,
        Some(status) => status.to_string(),
        None if fate.is_sent_on() && (200..300).contains(&expected) => return None,
        None if fate.is_sent_on() => {
            let got = format!("sent on, {}", fate.does());
            let hint = "its status is the endpoint's, which is not asked here: 200 to 299 stand for \"sent on\"";
            return Some(Unmet {
                hint: Some(hint.to_owned()),
                ..not_met("status", expected.to_string(), got)
            });
        }
        None => format!("none, {}", fate.does()),
    };
    Some(not_met("status", expected.to_string(), got))
}

fn of_header((name, wanted): &(String, Wanted), fate: &Fate) -> Option<Unmet> {
    let mut values = fate.headers.iter().filter(|(known, _)| known == name);
    let expected = match wanted {
        Wanted::Is(text) => {
            if values.clone().any(|(_, value)| value == text) {
                return None;
            }
            text.as_str()
        }
        Wanted::Present if values.next().is_some() => return None,
        Wanted::Absent if fate.verdict == Verdict::Nowhere => "a response without it",
        Wanted::Absent if values.next().is_none() => return None,
        Wanted::Present => "some value",
        Wanted::Absent => NONE,
    };
    let values = fate.headers.iter().filter(|(known, _)| known == name);
    let got: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
    let got = if got.is_empty() {
        NONE.to_owned()
    } else {
        got.join(", ")
    };
    Some(Unmet {
        key: vec!["headers".to_owned(), name.clone()],
        ..not_met("headers", expected, got)
    })
}

/// That nothing could ever meet it.
fn unknown(unmet: &Unmet, config: &Config) -> Option<String> {
    let expected = unmet.expected.as_str();
    let mut routes = config.routes.iter();
    let mut upstreams = config.upstreams.iter();
    match unmet.key.first().map(String::as_str) {
        Some("route") if !routes.any(|route| *route.name == *expected) => {
            Some("there is no route of that name".to_owned())
        }
        Some("upstream") if !upstreams.any(|upstream| *upstream.name == *expected) => {
            Some("there is no upstream of that name".to_owned())
        }
        Some("reason") if !is_reason(expected) => {
            Some("there is no such reason; `openclaw reasons` lists them".to_owned())
        }
        Some(_) | None => None,
    }
}

fn is_reason(code: &str) -> bool {
    let mut kernel = openclaw_common::verdict::Reason::ALL.iter();
    crate::reason::Reason::from_code(code).is_some() || kernel.any(|known| known.code() == code)
}
