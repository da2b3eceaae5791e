//! Log lines by the Elastic Common Schema: what it has a place for is there, and everything else below `openclaw`.

use std::time::SystemTime;

use openclaw_core::reason::{Blame, Reason};

use super::line::{Object, Stamp};
use super::{Cache, LogFields, Record};

/// The version whose names these are.
const VERSION: &str = "8.11";

/// Appends a line of the access log.
pub(super) fn access(
    out: &mut Vec<u8>,
    stamp: &mut Stamp,
    now: SystemTime,
    record: &Record<'_>,
    fields: &LogFields,
) {
    line(out, (stamp, now), record, fields, "openclaw.access");
}

/// Appends a line of the security log.
pub(super) fn refusal(
    out: &mut Vec<u8>,
    stamp: &mut Stamp,
    now: SystemTime,
    record: &Record<'_>,
    fields: &LogFields,
) {
    line(out, (stamp, now), record, fields, "openclaw.security");
}

fn line(
    out: &mut Vec<u8>,
    (stamp, now): (&mut Stamp, SystemTime),
    record: &Record<'_>,
    fields: &LogFields,
    dataset: &str,
) {
    let is_security = dataset.ends_with("security");
    let is_http = !fields.method.is_empty() || record.status > 0;
    let kind = Kind::of(record.reason, is_http, record.status);
    let mut object = Object::begin(out);
    object.time("@timestamp", stamp, now);
    object.open("ecs");
    object.text("version", VERSION);
    object.close();
    object.open("event");
    object.text("kind", "event");
    object.text("dataset", dataset);
    object.text("module", "openclaw");
    object.texts("category", kind.categories);
    object.texts("type", kind.types);
    let failed = record.reason.is_some() || record.status >= 500;
    object.text("outcome", if failed { "failure" } else { "success" });
    let nanos = record.duration().as_nanos();
    object.number("duration", u64::try_from(nanos).unwrap_or(u64::MAX));
    if is_security {
        object.text("action", "refusal");
    }
    if let Some(reason) = record.reason {
        object.text("reason", reason.code());
    }
    object.close();
    client(&mut object, fields);
    if is_http {
        http(&mut object, record, fields);
    }
    own(&mut object, record, fields);
    object.end();
}

/// What a line is about, in the words of the schema. Only what somebody does on purpose is an intrusion; an endpoint that cannot be
/// reached is an error.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    categories: &'static [&'static str],
    types: &'static [&'static str],
}

impl Kind {
    fn of(reason: Option<Reason>, is_http: bool, status: u16) -> Self {
        let is_denied = reason.is_some_and(|reason| {
            is_hostile(reason)
                || reason.entry().fault == Blame::Policy
                || matches!(reason, Reason::TlsHandshake | Reason::TlsNoCertificate)
        });
        let is_denied =
            is_denied && !matches!(reason, Some(Reason::RelayIdle | Reason::UpstreamSaturated));
        let categories: &[&str] = match (reason.is_some_and(is_hostile), is_http, is_denied) {
            (true, true, _) => &["intrusion_detection", "network", "web"],
            (true, false, _) => &["intrusion_detection", "network"],
            (false, true, true) => &["network", "web"],
            (false, true, false) => &["web"],
            (false, false, _) => &["network"],
        };
        let types: &[&str] = match (is_http, is_denied, reason.is_some() || status >= 500) {
            (true, true, _) => &["access", "denied"],
            (true, false, true) => &["access", "error"],
            (true, false, false) => &["access"],
            (false, true, _) => &["connection", "denied"],
            (false, false, _) => &["connection", "end"],
        };
        Self { categories, types }
    }
}

/// What does not happen by mistake, or is on a list for that.
fn is_hostile(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Smuggling
            | Reason::H2Abuse
            | Reason::H3Abuse
            | Reason::ShieldBan
            | Reason::ShieldBlock
            | Reason::ShieldGeo
    )
}

fn client(object: &mut Object<'_>, fields: &LogFields) {
    object.open("client");
    object.known("address", &fields.client);
    object.known("ip", &fields.client);
    object.close();
    if !fields.user_agent.is_empty() {
        object.open("user_agent");
        object.text("original", &fields.user_agent);
        object.close();
    }
    // `TLSv1.3`
    if let Some(version) = fields.tls.strip_prefix("TLSv") {
        object.open("tls");
        object.text("version", version);
        object.text("version_protocol", "tls");
        object.close();
    }
}

fn http(object: &mut Object<'_>, record: &Record<'_>, fields: &LogFields) {
    object.open("http");
    // `HTTP/1.1`
    object.known(
        "version",
        fields.protocol.strip_prefix("HTTP/").unwrap_or_default(),
    );
    object.open("request");
    object.known("id", &fields.id);
    object.known("method", &fields.method);
    object.known("referrer", &fields.referer);
    bytes(object, record.bytes_in);
    object.close();
    object.open("response");
    if record.status > 0 {
        object.number("status_code", record.status.into());
    }
    bytes(object, record.bytes_out);
    object.close();
    object.close();
    let (path, query) = match fields.path.split_once('?') {
        Some((path, query)) => (path, query),
        None => (&*fields.path, ""),
    };
    let (domain, port) = match fields.host.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((domain, port)) if !port.ends_with(']') => (domain, port),
        _ => (&*fields.host, ""),
    };
    object.open("url");
    object.known("original", &fields.path);
    object.known("path", path);
    object.known("query", query);
    object.known("domain", domain);
    if let Ok(port) = port.parse() {
        object.number("port", port);
    }
    object.close();
}

fn bytes(object: &mut Object<'_>, count: u64) {
    object.open("body");
    object.number("bytes", count);
    object.close();
}

/// What the schema has no names for.
fn own(object: &mut Object<'_>, record: &Record<'_>, fields: &LogFields) {
    object.open("openclaw");
    object.known("id", &fields.id);
    object.known("listener", &fields.listener);
    object.known("route", &fields.route);
    object.known("protocol", &fields.protocol);
    object.known("upstream", &fields.upstream);
    object.known("endpoint", &fields.endpoint);
    if record.upstream_time.is_some() {
        object.millis("upstream_ms", record.upstream_time);
    }
    object.known("cache", record.cache.map_or("", Cache::word));
    object.number("retries", record.retries.into());
    object.known("hedge", fields.hedge);
    object.known("detail", fields.detail);
    object.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_is_about_is_told_in_the_words_of_the_schema() {
        // What the schema expects of each category, of those that are used here.
        let allowed = [
            ("web", &["access", "error", "info"][..]),
            (
                "network",
                &[
                    "access",
                    "allowed",
                    "connection",
                    "denied",
                    "end",
                    "info",
                    "start",
                ],
            ),
            ("intrusion_detection", &["allowed", "denied", "info"]),
        ];
        for entry in openclaw_core::reason::ALL {
            for (is_http, status) in [(true, 403), (true, 502), (false, 0)] {
                let Kind { categories, types } = Kind::of(Some(entry.reason), is_http, status);
                for word in types {
                    let mut expecting =
                        allowed.iter().filter(|(name, _)| categories.contains(name));
                    let is_expected = expecting.any(|(_, expected)| expected.contains(word));
                    assert!(is_expected, "{}: {word}", entry.code);
                }
                let is_intrusion = categories.contains(&"intrusion_detection");
                assert!(!is_intrusion || types.contains(&"denied"), "{}", entry.code);
                let is_ours = entry.fault == Blame::Origin || entry.fault == Blame::Operator;
                assert!(!is_ours || !types.contains(&"denied"), "{}", entry.code);
            }
        }
        let kind = |reason, status| {
            let Kind { categories, types } = Kind::of(reason, true, status);
            (categories.to_vec(), types.to_vec())
        };
        for (reason, status, categories, types) in [
            (None, 200, &["web"][..], &["access"][..]),
            (None, 503, &["web"], &["access", "error"]),
            (
                Some(Reason::UpstreamConnect),
                502,
                &["web"],
                &["access", "error"],
            ),
            (
                Some(Reason::ClientAborted),
                499,
                &["web"],
                &["access", "error"],
            ),
            (Some(Reason::RouteNone), 404, &["web"], &["access", "error"]),
            (
                Some(Reason::LimitRate),
                429,
                &["network", "web"],
                &["access", "denied"],
            ),
            (
                Some(Reason::Smuggling),
                400,
                &["intrusion_detection", "network", "web"],
                &["access", "denied"],
            ),
        ] {
            let expected = (categories.to_vec(), types.to_vec());
            assert_eq!(kind(reason, status), expected, "{reason:?}");
        }
        let refused = Kind::of(Some(Reason::LimitConnections), false, 0);
        assert_eq!(
            (refused.categories, refused.types),
            (&["network"][..], &["connection", "denied"][..])
        );
    }
}
