//! How the shield stands, for people.

use std::fmt::Write;

use crate::shield::{GeoStatus, Status, SynStatus, Traffic};

/// Countries that the status names, those with the most drops.
const SHOWN_COUNTRIES: usize = 10;

fn syn_text(syn: &SynStatus) -> String {
    let state = match (syn.always, syn.attack) {
        (true, _) => "cookies are always sent (`shield.syn.mode`)",
        (false, true) => "attack",
        (false, false) => "no attack",
    };
    let counted = if syn.watched {
        " (monitor: only counted)"
    } else {
        ""
    };
    let attacks = plural(syn.attacks as usize, "attack");
    let mut text = format!(
        "  SYN floods: {state}{counted}, {} a second, cookies {}, {attacks} so far",
        syn.rate, syn.cookies
    );
    for missing in &syn.missing {
        let _ = write!(text, "\n    off: {missing}");
    }
    text
}

fn traffic_text(traffic: &Traffic) -> String {
    let packets = if traffic.packets == 1 {
        "packet"
    } else {
        "packets"
    };
    format!("{} {packets}, {} dropped", traffic.packets, traffic.dropped)
}

pub(super) fn text(status: &Status) -> String {
    let mut text = format!("shield: {}\n", status.headline());
    for interface in &status.interfaces {
        let mode = interface.mode.as_deref().unwrap_or("not attached");
        let note = interface
            .note
            .as_ref()
            .map(|note| format!(" ({note})"))
            .unwrap_or_default();
        let traffic = interface.traffic.as_ref().map(traffic_text);
        let traffic = traffic.map_or_else(String::new, |traffic| format!("; {traffic}"));
        let _ = writeln!(text, "  {}: {mode}{note}{traffic}", interface.name);
        if let Some(by) = &interface.confirm_by {
            let _ = writeln!(
                text,
                "    it is taken off at {by} unless `openclaw shield confirm` comes before"
            );
        }
    }
    if let Some(traffic) = &status.other_interfaces {
        let _ = writeln!(text, "  other interfaces: {}", traffic_text(traffic));
    }
    if let Some(geo) = &status.geo {
        text += &geo_text(geo);
    }
    let countries: Vec<String> = status
        .countries
        .iter()
        .take(SHOWN_COUNTRIES)
        .map(|one| format!("{} {}", one.country, one.packets))
        .collect();
    if !countries.is_empty() {
        let _ = writeln!(text, "  dropped by country: {}", countries.join(", "));
    }
    if let Some(syn) = &status.syn {
        let _ = writeln!(text, "{}", syn_text(syn));
    }
    let lists = (
        plural(status.blocked, "blocked entry"),
        plural(status.allowed, "allowed entry"),
    );
    let proxy = if status.proxy {
        "a proxy is running"
    } else {
        "no proxy is running"
    };
    let _ = writeln!(text, "  {}, {}; {proxy}", lists.0, lists.1);
    if let Some(privileges) = &status.privileges {
        let _ = writeln!(text, "  the proxy runs as {privileges}");
    }
    text
}

fn geo_text(geo: &GeoStatus) -> String {
    let rule = if geo.rule == "allow" {
        "only from"
    } else {
        "not from"
    };
    let action = if geo.action == "monitor" {
        " (monitor: only counted)"
    } else {
        ""
    };
    let mut text = format!("  countries: {rule} {}{action}\n", geo.countries.join(", "));
    let kind = geo.kind.as_deref().zip(geo.built.as_deref());
    let read = kind.map_or_else(
        || "not read".to_owned(),
        |(kind, built)| format!("{kind}, built {built}, {} ranges", geo.ranges),
    );
    // Writing to a String cannot fail.
    let _ = writeln!(text, "    {}: {read}", geo.database);
    if geo.coarse > 0 {
        let _ = writeln!(
            text,
            "    {} ranges have no room and go by the country of most of their neighbours",
            geo.coarse
        );
    }
    if let Some(error) = &geo.error {
        let _ = writeln!(text, "    the file that is there now is not used: {error}");
    }
    text
}

fn plural(count: usize, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {what}s"),
    }
}
