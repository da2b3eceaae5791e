//! The table of metrics, and the Prometheus text that is made from it. Counting is the recorder's; here are only names,
//! kinds and words, so that the reference and the page cannot disagree.

use std::fmt::{self, Write};

use super::histogram::Histogram;

/// The type that Prometheus is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One line of the table.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    /// `seconds`, `bytes`, or empty for a count.
    pub unit: &'static str,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident $kind:ident $name:literal $unit:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub static $id: Metric = Metric {
            name: $name,
            kind: Kind::$kind,
            unit: $unit,
            labels: &[$($label),*],
            help: $help,
        };)*

        /// Every metric, in the order of the page.
        pub static ALL: &[&Metric] = &[$(&$id),*];
    };
}

metrics! {
    BUILD_INFO Gauge "openclaw_build_info" "" ["version"] "Always 1; the label says which build runs.";
    START_TIME Gauge "openclaw_start_time_seconds" "seconds" [] "When the process started, as Unix time.";
    RELOAD_SUCCESSFUL Gauge "openclaw_config_last_reload_successful" "" [] "1 if the last configuration offered was taken, 0 if it was refused and the old one serves on.";
    GENERATION Gauge "openclaw_config_generation" "" [] "Configurations taken since the start, the first being 1.";
    CERT_EXPIRY Gauge "openclaw_cert_expiry_timestamp_seconds" "seconds" ["listener", "certificate"] "When a certificate stops being valid, as Unix time.";
    WORKERS Gauge "openclaw_workers" "" [] "Workers that answered this request for metrics.";
    CONNECTIONS Gauge "openclaw_connections" "" ["listener"] "Connections that are open now.";
    CONNECTIONS_TOTAL Counter "openclaw_connections_total" "" ["listener"] "Connections accepted.";
    REQUESTS_TOTAL Counter "openclaw_requests_total" "" ["listener", "route", "method", "code"] "Finished exchanges. An unknown method counts as OTHER; route is empty when none matched.";
    REQUEST_DURATION Histogram "openclaw_request_duration_seconds" "seconds" ["listener", "route"] "From the first byte of a request to the last of its response.";
    RECEIVED_BYTES Counter "openclaw_request_body_bytes_total" "bytes" ["listener", "route"] "Bytes received from clients in request bodies.";
    SENT_BYTES Counter "openclaw_response_body_bytes_total" "bytes" ["listener", "route"] "Bytes sent to clients in response bodies.";
    RELAYED_BYTES Counter "openclaw_relayed_bytes_total" "bytes" ["listener", "direction"] "Bytes of connections and sessions that were forwarded unread and are over: in from clients, out to them.";
    REFUSALS_TOTAL Counter "openclaw_refusals_total" "" ["reason"] "Requests and connections refused, by reason code (see `openclaw reasons`).";
    UPSTREAM_HEALTHY Gauge "openclaw_upstream_healthy" "" ["upstream", "endpoint"] "0 while probes call the endpoint unwell or its breaker is open (of a name with several addresses: all of them), or while the last connection tried to it, by any worker, failed; else 1, also before the first.";
    UPSTREAM_REQUESTS_TOTAL Counter "openclaw_upstream_requests_total" "" ["upstream", "endpoint", "code"] "Requests sent to an endpoint, by the class of its answer; `none` when there was no usable answer.";
    UPSTREAM_CONNECTS_TOTAL Counter "openclaw_upstream_connects_total" "" ["upstream", "endpoint", "result"] "Connections tried to an endpoint; result is ok or failed.";
    UPSTREAM_RETRIES_TOTAL Counter "openclaw_upstream_retries_total" "" ["upstream"] "Requests sent again after the first attempt failed.";
    UPSTREAM_HEDGES_TOTAL Counter "openclaw_upstream_hedges_total" "" ["upstream", "result"] "Requests for which a second endpoint was asked beside a slow one (`hedge`); result is won (the second one answered first), lost or failed (neither answered).";
    DISCOVERY_LAST_SUCCESS Gauge "openclaw_discovery_last_success_timestamp_seconds" "seconds" ["upstream"] "When the sources of an upstream's endpoints, its names among them, last gave a good answer, as Unix time; the oldest of several. Absent before the first.";
    DISCOVERY_ERRORS_TOTAL Counter "openclaw_discovery_errors_total" "" ["upstream"] "Questions to the sources of an upstream's endpoints that failed; what was found last serves on.";
    UPSTREAM_WAITING Gauge "openclaw_upstream_waiting" "" ["upstream"] "Requests that wait for an endpoint to have room, where `max_connections` says how much that is.";
    UPSTREAM_RESPONSE_TIME Histogram "openclaw_upstream_response_seconds" "seconds" ["upstream", "endpoint"] "From a request being sent to the head of the response.";
    CACHE_REQUESTS Counter "openclaw_cache_requests_total" "" ["result"] "Requests on routes with a cache: hit, stale (answered from the store although its time was over), revalidated (the endpoint said that it still holds), miss, or bypass (not for the cache).";
    CACHE_ROUTE_REQUESTS Counter "openclaw_cache_route_requests_total" "" ["route", "result"] "The same by route.";
    CACHE_SENT_BYTES Counter "openclaw_cache_sent_bytes_total" "bytes" ["route", "result"] "Bytes that clients got in the bodies of these. Those of hit, stale and revalidated came out of the cache, and not from an endpoint.";
    CACHE_BYTES Gauge "openclaw_cache_bytes" "bytes" [] "Memory that stored responses take.";
    CACHE_URIS Gauge "openclaw_cache_uris" "" [] "URIs of which responses are stored.";
    CACHE_EVICTED Counter "openclaw_cache_evicted_total" "" [] "URIs whose responses made room for others.";
    CACHE_DISK_BYTES Gauge "openclaw_cache_disk_bytes" "bytes" [] "What the files of the cache take on disk.";
    CACHE_DISK_OBJECTS Gauge "openclaw_cache_disk_objects" "" [] "Responses that are stored on disk.";
    CACHE_DISK_EVICTED Counter "openclaw_cache_disk_evicted_total" "" [] "Responses on disk that made room for others.";
    CACHE_DISK_FAILED Counter "openclaw_cache_disk_failed_total" "" [] "Files of the cache that could not be read, written or removed.";
    CODED_TOTAL Counter "openclaw_compressions_total" "" ["encoding"] "Responses that were compressed. What the cache answers was compressed when it was stored.";
    CODED_BYTES Counter "openclaw_compressed_bytes_total" "bytes" ["encoding", "direction"] "Bytes of responses before they were compressed (in) and after (out).";
    MIRRORED_TOTAL Counter "openclaw_mirrored_requests_total" "" ["route", "result"] "Copies of requests for the mirror of a route; result is sent, failed, dropped (max_in_flight were under way, or the request was cut off) or too_large (max_body).";
    XDP_PACKETS Counter "openclaw_xdp_packets_total" "" ["interface", "verdict", "reason"] "Packets that the shield's kernel program decided, by reason code. `other` stands for interfaces beyond fifteen and for members of a bond.";
    XDP_BYTES Counter "openclaw_xdp_bytes_total" "bytes" ["interface", "verdict", "reason"] "Bytes of the packets that the shield's kernel program decided.";
    XDP_COUNTRY_DROPS Counter "openclaw_xdp_country_drops_total" "" ["country"] "Packets that the shield's kernel program dropped, by the country of their source; only countries that were seen.";
    XDP_ATTACHED Gauge "openclaw_xdp_attached" "" ["interface"] "1 while the shield is attached to the interface, 0 while it should be and is not.";
    SHIELD_ATTACK Gauge "openclaw_shield_attack" "" [] "1 while the shield answers a flood of SYNs, else 0.";
    SHIELD_ATTACKS Counter "openclaw_shield_attack_transitions_total" "" ["to"] "Floods of SYNs that have begun, and that were over.";
    BLOCKLIST_ENTRIES Gauge "openclaw_blocklist_entries" "" ["list", "family"] "Entries of the shield's block lists; family is ipv4 or ipv6.";
    ALLOWLIST_ENTRIES Gauge "openclaw_allowlist_entries" "" ["list", "family"] "Entries of the shield's allow lists; `protected` is what can never be blocked.";
    LIST_SUCCESS Gauge "openclaw_list_last_success_timestamp_seconds" "seconds" ["kind", "list"] "When the file or url of a list was last read, as Unix time; 0 is never.";
    LIST_FAILURES Counter "openclaw_list_failures_total" "" ["kind", "list"] "Attempts to read the file or url of a list that failed.";
    LIST_EXPIRED Gauge "openclaw_list_expired" "" ["kind", "list"] "1 where the url of a list has been dead for longer than its ttl, and its entries have ended.";
    BAN_LATENCY Histogram "openclaw_ban_latency_seconds" "seconds" [] "From the verdict that made a ban due to the ban in the shield's tables. Its count is that of the bans of `[autoban]`.";
    AUTOBAN_LOST Counter "openclaw_autoban_lost_total" "" [] "Refusals that could not be counted for `[autoban]` because too many came at once.";
    LOG_DROPPED Counter "openclaw_access_log_dropped_total" "" [] "Access-log lines lost because the log could not be written, or not as fast as they came, and lines of refused connections beyond a thousand a second and worker.";
    SECURITY_DROPPED Counter "openclaw_security_log_dropped_total" "" [] "Lines of the security log lost because it could not be written, or not as fast as they came.";
    TRACE_SPANS Counter "openclaw_trace_spans_total" "" ["result"] "Spans for the collector of traces: sent, failed (it did not take them), or dropped (as many as `trace.queue` waited already).";
}

/// The table for people, in Markdown.
pub fn reference() -> String {
    let mut page = String::from(
        "# Metrics\n\nWhat `admin.metrics` answers on `/metrics`, in the text format of Prometheus. Written by `cargo xtask reference`.\n\n\
         | metric | kind | unit | labels | meaning |\n| --- | --- | --- | --- | --- |\n",
    );
    for metric in ALL {
        let labels = metric.labels.join("`, `");
        let labels = if labels.is_empty() {
            labels
        } else {
            format!("`{labels}`")
        };
        page.push_str("| `");
        page.push_str(metric.name);
        page.push_str("` | ");
        page.push_str(&[metric.kind.name(), metric.unit, &labels, metric.help].join(" | "));
        page.push_str(" |\n");
    }
    page
}

/// The page as it grows. The head of a family is written before its first sample.
#[derive(Debug, Default)]
pub struct MetricsText {
    out: String,
    begun: Vec<&'static str>,
}

impl MetricsText {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one sample; `values` stand beside the metric's labels.
    pub fn sample(&mut self, metric: &'static Metric, values: &[&str], value: impl fmt::Display) {
        self.begin(metric);
        self.out.push_str(metric.name);
        self.labels(metric, values, None);
        self.value(value);
    }

    /// Adds the buckets, sum and count of a histogram.
    pub fn histogram(&mut self, metric: &'static Metric, values: &[&str], histogram: &Histogram) {
        self.begin(metric);
        let mut cumulative = 0;
        let bounds = histogram
            .bounds()
            .iter()
            .map(|(_, text)| *text)
            .chain(["+Inf"]);
        for (bound, count) in bounds.zip(histogram.buckets()) {
            cumulative += count;
            self.out.push_str(metric.name);
            self.out.push_str("_bucket");
            self.labels(metric, values, Some(bound));
            self.value(cumulative);
        }
        self.out.push_str(metric.name);
        self.out.push_str("_sum");
        self.labels(metric, values, None);
        self.value(histogram.sum().as_secs_f64());
        self.out.push_str(metric.name);
        self.out.push_str("_count");
        self.labels(metric, values, None);
        self.value(cumulative);
    }

    /// The finished page.
    pub fn finish(self) -> String {
        self.out
    }

    fn begin(&mut self, metric: &'static Metric) {
        if self.begun.contains(&metric.name) {
            return;
        }
        self.begun.push(metric.name);
        for part in [
            "# HELP ",
            metric.name,
            " ",
            metric.help,
            "\n# TYPE ",
            metric.name,
            " ",
            metric.kind.name(),
            "\n",
        ] {
            self.out.push_str(part);
        }
    }

    fn labels(&mut self, metric: &Metric, values: &[&str], bound: Option<&str>) {
        debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
        let pairs = metric.labels.iter().copied().zip(values.iter().copied());
        let mut open = '{';
        for (name, value) in pairs.chain(bound.map(|bound| ("le", bound))) {
            self.out.push(open);
            open = ',';
            self.out.push_str(name);
            self.out.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.out.push_str("\\\\"),
                    '"' => self.out.push_str("\\\""),
                    '\n' => self.out.push_str("\\n"),
                    other => self.out.push(other),
                }
            }
            self.out.push('"');
        }
        if open == ',' {
            self.out.push('}');
        }
    }

    fn value(&mut self, value: impl fmt::Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, " {value}");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn names_are_unique_and_end_in_their_unit() {
        for (index, metric) in ALL.iter().enumerate() {
            let twins = ALL.iter().filter(|other| other.name == metric.name);
            assert_eq!(twins.count(), 1, "{}", metric.name);
            assert!(metric.name.starts_with("openclaw_"), "{index}");
            let total = metric.name.ends_with("_total");
            assert_eq!(total, metric.kind == Kind::Counter, "{}", metric.name);
            let stem = metric.name.trim_end_matches("_total");
            assert!(stem.ends_with(metric.unit), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }

    #[test]
    fn label_values_are_escaped_and_a_family_has_one_head() {
        let mut text = MetricsText::new();
        text.sample(&CONNECTIONS, &["a\"b\\c\nd"], 1);
        text.sample(&CONNECTIONS, &["e"], 2);
        assert_eq!(
            text.finish(),
            "# HELP openclaw_connections Connections that are open now.\n\
             # TYPE openclaw_connections gauge\n\
             openclaw_connections{listener=\"a\\\"b\\\\c\\nd\"} 1\n\
             openclaw_connections{listener=\"e\"} 2\n"
        );
    }

    #[test]
    fn buckets_are_cumulative_and_end_at_the_count() {
        let mut histogram = Histogram::default();
        for millis in [1, 1, 40, 90_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let mut text = MetricsText::new();
        text.histogram(&REQUEST_DURATION, &["web", "app"], &histogram);
        let page = text.finish();
        for line in [
            "openclaw_request_duration_seconds_bucket{listener=\"web\",route=\"app\",le=\"0.0005\"} 0",
            "openclaw_request_duration_seconds_bucket{listener=\"web\",route=\"app\",le=\"0.001\"} 2",
            "openclaw_request_duration_seconds_bucket{listener=\"web\",route=\"app\",le=\"0.05\"} 3",
            "openclaw_request_duration_seconds_bucket{listener=\"web\",route=\"app\",le=\"30\"} 3",
            "openclaw_request_duration_seconds_bucket{listener=\"web\",route=\"app\",le=\"+Inf\"} 4",
            "openclaw_request_duration_seconds_sum{listener=\"web\",route=\"app\"} 90.042",
            "openclaw_request_duration_seconds_count{listener=\"web\",route=\"app\"} 4",
        ] {
            assert!(page.lines().any(|have| have == line), "{line}\n{page}");
        }
    }
}
