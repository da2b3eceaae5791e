//! Log lines by the Elastic Common Schema: what it has a place for is there, and everything else below `openclaw`.

use std::time::SystemTime;

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
    let mut object = Object::begin(out);
    object.time("@timestamp", stamp, now);
    object.open("ecs");
    object.text("version", VERSION);
    object.close();
    object.open("event");
    object.text("kind", "event");
    object.text("dataset", dataset);
    object.text(
        "category",
        if is_security {
            "intrusion_detection"
        } else {
            "web"
        },
    );
    object.text(
        "type",
        if record.reason.is_some() {
            "denied"
        } else {
            "access"
        },
    );
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
    if !fields.method.is_empty() || record.status > 0 {
        http(&mut object, record, fields);
    }
    own(&mut object, record, fields);
    object.end();
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
    object.known("protocol", fields.protocol);
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
