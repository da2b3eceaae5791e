//! One line of the access log, as JSON or in the combined format. Whatever a client sends stays inside its field ([`escape`]).

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openclaw_core::reason::Reason;
use time::OffsetDateTime;

use super::{Cache, LogFields, Record, escape};

/// The time of day as text; the second is computed once for all lines that fall into it.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: Option<u64>,
    rfc3339: String,
    clf: String,
}

impl Stamp {
    fn at(&mut self, now: SystemTime) -> u32 {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.second != Some(since.as_secs()) {
            self.second = Some(since.as_secs());
            self.format(since);
        }
        since.subsec_millis()
    }

    fn format(&mut self, since: Duration) {
        let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
        let time =
            OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (year, month, day) = (time.year(), time.month(), time.day());
        let (hour, minute, second) = time.to_hms();
        self.rfc3339.clear();
        self.clf.clear();
        // Writing to a String cannot fail.
        let _ = write!(
            self.rfc3339,
            "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}",
            u8::from(month),
        );
        let name = month.to_string();
        let _ = write!(
            self.clf,
            "{day:02}/{name:.3}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000",
        );
    }
}

/// Writes the fields of one JSON object.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl Object<'_> {
    pub(super) fn name(&mut self, name: &str) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// What there was not is null, not an empty string.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        if value.is_empty() {
            self.out.extend_from_slice(b"null");
            return;
        }
        self.out.push(b'"');
        escape::json(self.out, value);
        self.out.push(b'"');
    }

    /// A list of words of ours.
    pub(super) fn texts(&mut self, name: &str, values: &[&str]) {
        self.name(name);
        self.out.push(b'[');
        for (index, value) in values.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            // Writing to a Vec cannot fail.
            let _ = std::io::Write::write_fmt(self.out, format_args!("{comma}\"{value}\""));
        }
        self.out.push(b']');
    }

    /// What there was not is left away.
    pub(super) fn known(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.text(name, value);
        }
    }

    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        let mut buffer = itoa::Buffer::new();
        self.out.extend_from_slice(buffer.format(value).as_bytes());
    }

    /// A connection that was refused without an answer has none.
    fn status(&mut self, status: u16) {
        match status {
            0 => self.text("status", ""),
            status => self.number("status", u64::from(status)),
        }
    }

    /// Opens the object that is to be the value.
    pub(super) fn open(&mut self, name: &str) {
        self.name(name);
        self.out.push(b'{');
    }

    pub(super) fn close(&mut self) {
        self.out.push(b'}');
    }

    pub(super) fn begin(out: &mut Vec<u8>) -> Object<'_> {
        out.push(b'{');
        Object { out }
    }

    pub(super) fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }

    pub(super) fn time(&mut self, name: &str, stamp: &mut Stamp, now: SystemTime) {
        let millis = stamp.at(now);
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(stamp.rfc3339.as_bytes());
        self.out.push(b'.');
        padded(self.out, millis);
        self.out.extend_from_slice(b"Z\"");
    }

    /// Everything about an exchange, as the interface has it.
    fn exchange(&mut self, record: &Record<'_>, fields: &LogFields) {
        self.text("id", &fields.id);
        self.text("listener", &fields.listener);
        self.text("route", &fields.route);
        self.text("client", &fields.client);
        self.text("method", &fields.method);
        self.text("host", &fields.host);
        self.text("path", &fields.path);
        self.text("protocol", &fields.protocol);
        self.status(record.status);
        self.text("reason", record.reason.map_or("", Reason::code));
        self.number("bytes_in", record.bytes_in);
        self.number("bytes_out", record.bytes_out);
        self.millis("duration_ms", Some(record.duration()));
        self.text("upstream", &fields.upstream);
        self.text("endpoint", &fields.endpoint);
        self.millis("upstream_ms", record.upstream_time);
        self.text("cache", record.cache.map_or("", Cache::word));
        self.text("tls", fields.tls);
        self.number("retries", u64::from(record.retries));
        self.text("user_agent", &fields.user_agent);
        self.text("referer", &fields.referer);
        if !fields.hedge.is_empty() {
            self.text("hedge", fields.hedge);
        }
        if !fields.detail.is_empty() {
            self.text("detail", fields.detail);
        }
    }

    /// Milliseconds with three decimals.
    pub(super) fn millis(&mut self, name: &str, value: Option<Duration>) {
        self.name(name);
        match value {
            Some(value) => millis(self.out, value),
            None => self.out.extend_from_slice(b"null"),
        }
    }
}

/// Appends one JSON object and a newline.
pub(super) fn json(
    out: &mut Vec<u8>,
    stamp: &mut Stamp,
    now: SystemTime,
    record: &Record<'_>,
    fields: &LogFields,
) {
    let mut object = Object::begin(out);
    object.time("time", stamp, now);
    object.exchange(record, fields);
    object.end();
}

/// The same as a line of the security log.
pub(super) fn refusal(
    out: &mut Vec<u8>,
    stamp: &mut Stamp,
    now: SystemTime,
    record: &Record<'_>,
    fields: &LogFields,
) {
    let mut object = Object::begin(out);
    object.time("time", stamp, now);
    object.text("event", "refusal");
    object.exchange(record, fields);
    object.end();
}

/// Appends a line in the combined format that Apache and nginx write.
pub(super) fn combined(
    out: &mut Vec<u8>,
    stamp: &mut Stamp,
    now: SystemTime,
    record: &Record<'_>,
    fields: &LogFields,
) {
    stamp.at(now);
    out.extend_from_slice(dash(&fields.client).as_bytes());
    out.extend_from_slice(b" - - [");
    out.extend_from_slice(stamp.clf.as_bytes());
    out.extend_from_slice(b"] \"");
    // Of a head that was not understood, or never came, no request line is made up: parts that nobody knows are missing.
    if fields.method.is_empty() {
        out.push(b'-');
    } else {
        let parts = [&*fields.method, &fields.path, &fields.protocol].into_iter();
        for (index, part) in parts.filter(|part| !part.is_empty()).enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            escape::bytes(out, part);
        }
    }
    out.extend_from_slice(b"\" ");
    let mut buffer = itoa::Buffer::new();
    let status = match record.status {
        0 => "-",
        status => buffer.format(status),
    };
    out.extend_from_slice(status.as_bytes());
    out.push(b' ');
    out.extend_from_slice(buffer.format(record.bytes_out).as_bytes());
    for text in [&fields.referer, &fields.user_agent] {
        out.extend_from_slice(b" \"");
        escape::bytes(out, dash(text));
        out.push(b'"');
    }
    out.push(b'\n');
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn millis(out: &mut Vec<u8>, value: Duration) {
    let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(buffer.format(micros / 1000).as_bytes());
    out.push(b'.');
    padded(out, (micros % 1000) as u32);
}

/// Three digits.
fn padded(out: &mut Vec<u8>, value: u32) {
    for divisor in [100, 10, 1] {
        out.push(b'0' + (value / divisor % 10) as u8);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Instant;

    use super::*;

    fn fields() -> LogFields {
        LogFields {
            id: "4f1c".into(),
            listener: "web".into(),
            route: "app".into(),
            client: "192.0.2.7".into(),
            method: "GET".into(),
            host: "www.example.com".into(),
            path: "/a?b=1".into(),
            protocol: "HTTP/1.1".into(),
            upstream: "app".into(),
            endpoint: "127.0.0.1:9001".into(),
            tls: "TLSv1.3",
            user_agent: "curl/8".into(),
            ..LogFields::default()
        }
    }

    fn written(
        format: fn(&mut Vec<u8>, &mut Stamp, SystemTime, &Record<'_>, &LogFields),
        fields: &LogFields,
        reason: Option<Reason>,
    ) -> String {
        let started = Instant::now();
        let record = Record {
            listener: 0,
            route: None,
            method: b"GET",
            status: 200,
            reason,
            started,
            ended: started + Duration::from_micros(12_345),
            bytes_in: 0,
            bytes_out: 1024,
            upstream: None,
            endpoint: None,
            upstream_time: Some(Duration::from_micros(9_007)),
            retries: 1,
            waited: None,
            tries: &[],
            cache: None,
            ids: None,
        };
        let now = UNIX_EPOCH + Duration::from_millis(1_795_356_833_042);
        let mut out = Vec::new();
        format(&mut out, &mut Stamp::default(), now, &record, fields);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_json_line_has_the_fields_of_the_interface_in_order() {
        assert_eq!(
            written(json, &fields(), None),
            "{\"time\":\"2026-11-22T14:13:53.042Z\",\"id\":\"4f1c\",\"listener\":\"web\",\"route\":\"app\",\
             \"client\":\"192.0.2.7\",\"method\":\"GET\",\"host\":\"www.example.com\",\"path\":\"/a?b=1\",\
             \"protocol\":\"HTTP/1.1\",\"status\":200,\"reason\":null,\"bytes_in\":0,\"bytes_out\":1024,\
             \"duration_ms\":12.345,\"upstream\":\"app\",\"endpoint\":\"127.0.0.1:9001\",\"upstream_ms\":9.007,\
             \"cache\":null,\"tls\":\"TLSv1.3\",\"retries\":1,\"user_agent\":\"curl/8\",\"referer\":null}\n"
        );
    }

    #[test]
    fn hostile_text_stays_inside_its_field() {
        let hostile = "a\"b\\c\r\nd\u{1b}[31m\u{7f}\u{9b}é\u{202e}gpj.\u{2066}\u{2028}\u{fffd}";
        let fields = LogFields {
            user_agent: hostile.into(),
            detail: "bad",
            ..fields()
        };
        let line = written(json, &fields, Some(Reason::Malformed));
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.contains(
            r"a\u0022b\u005cc\u000d\u000ad\u001b[31m\u007f\u009bé\u202egpj.\u2066\u2028"
        ));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value.pointer("/user_agent").unwrap(), hostile);
        assert_eq!(value.pointer("/reason").unwrap(), "http.malformed");
        assert_eq!(value.pointer("/detail").unwrap(), "bad");
    }

    #[test]
    fn a_combined_line_is_what_log_tools_expect() {
        assert_eq!(
            written(combined, &fields(), None),
            "192.0.2.7 - - [22/Nov/2026:14:13:53 +0000] \"GET /a?b=1 HTTP/1.1\" 200 1024 \"-\" \"curl/8\"\n"
        );
        let hostile = LogFields {
            referer: "x\" \n\u{202e}é".into(),
            ..LogFields::default()
        };
        assert_eq!(
            written(combined, &hostile, None),
            "- - - [22/Nov/2026:14:13:53 +0000] \"-\" 200 1024 \"x\\x22 \\x0A\\xE2\\x80\\xAEé\" \"-\"\n"
        );
    }
}
