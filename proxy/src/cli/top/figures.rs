//! Figures as they fit into a column, and rates from two counters.

use std::time::Duration;

use crate::telemetry::RouteFigures;

/// What a counter did in a second.
pub(super) fn rate(now: u64, before: u64, seconds: f64) -> f64 {
    // A process that started anew counts anew.
    now.saturating_sub(before) as f64 / seconds
}

/// At most five characters: `0`, `7.5`, `950`, `12.3k`.
pub(super) fn short(value: f64) -> String {
    const UNITS: [&str; 6] = ["", "k", "M", "G", "T", "P"];
    let mut value = value;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while value >= 999.5 {
        let Some(next) = units.next() else { break };
        value /= 1000.0;
        unit = Some(next);
    }
    let unit = unit.copied().unwrap_or_default();
    if value == 0.0 {
        "0".to_owned()
    } else if value < 99.95 {
        format!("{value:.1}{unit}")
    } else {
        format!("{value:.0}{unit}")
    }
}

/// The same of what is counted one by one.
pub(super) fn whole(value: u64) -> String {
    if value < 1000 {
        value.to_string()
    } else {
        short(value as f64)
    }
}

/// A time in milliseconds.
pub(super) fn millis(value: f64) -> String {
    match value {
        value if value >= 10_000.0 => format!("{:.0}s", value / 1000.0),
        value if value >= 1000.0 => format!("{:.1}s", value / 1000.0),
        value if value >= 10.0 => format!("{value:.0}ms"),
        value => format!("{value:.1}ms"),
    }
}

/// `1d02h`, `3h04m`, `5m06s`.
pub(super) fn span(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let seconds = seconds.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _) => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}

/// The bound in milliseconds below which such a part of the requests between two samples was; nothing where there were none.
pub(super) fn quantile(
    now: &RouteFigures,
    before: Option<&RouteFigures>,
    bounds: &[f64],
    part: f64,
) -> Option<f64> {
    let earlier = before.map_or(&[][..], |before| &before.buckets);
    let earlier = earlier.iter().copied().chain(std::iter::repeat(0));
    let counts = now.buckets.iter().zip(earlier);
    let counts: Vec<u64> = counts
        .map(|(now, before)| now.saturating_sub(before))
        .collect();
    let all: u64 = counts.iter().sum();
    if all == 0 {
        return None;
    }
    let mut left = all as f64 * part;
    let bounds = bounds.iter().copied();
    // What is above all bounds is at least the last one.
    let last = bounds.clone().next_back();
    for (bound, count) in bounds.zip(&counts) {
        let count = *count as f64;
        if left <= count {
            return Some(bound * 1000.0);
        }
        left -= count;
    }
    last.map(|bound| bound * 1000.0)
}
