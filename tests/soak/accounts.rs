//! The proxy's books: its access log, its metrics, and what the kernel says of its process.

use std::collections::HashMap;
use std::fs;

use serde_json::Value;

use super::ledger::{Asked, Fate, Ledger};
use crate::support::{Proxy, curl, wait_until};

/// A line of the access log that is about a request of ours.
struct Line {
    status: u16,
    reason: Option<String>,
}

/// Every request that was answered, or that an origin has seen, stands in the log once, with its answer; each that broke off stands there with a
/// reason; nothing else stands there, and the metrics count the same.
pub(super) fn check(proxy: &Proxy, ledger: &Ledger, seen: &HashMap<u64, u32>) {
    let log = proxy.folder().path().join("access.log");
    let read = || fs::read_to_string(&log).unwrap();
    // Workers hand their lines to the writer now and then.
    wait_until("every line is written", || {
        let text = read();
        let exchanges = text.lines().filter(|line| !line.contains("\"id\":null"));
        i64::try_from(exchanges.count()).unwrap() >= total(proxy, "openclaw_requests_total")
    });
    let text = read();
    let mut lines: HashMap<u64, Vec<Line>> = HashMap::new();
    let mut exchanges = 0;
    for line in text.lines() {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        exchanges += i64::from(!line["id"].is_null());
        let Some(asked) = line["path"].as_str().and_then(Asked::of_path) else {
            continue;
        };
        lines.entry(asked.number).or_default().push(Line {
            status: line["status"].as_u64().unwrap_or_default() as u16,
            reason: line["reason"].as_str().map(str::to_owned),
        });
    }
    for protocol in ["HTTP/1.1", "HTTP/2", "HTTP/3"] {
        let count = text
            .matches(&format!("\"protocol\":\"{protocol}\""))
            .count();
        assert!(count >= 100, "that was no storm: {protocol} {count} times");
    }
    let fates = ledger.fates();
    for (fate, least) in [
        (Fate::Answered(200), 100),
        (Fate::Broken, 5),
        (Fate::Left, 5),
    ] {
        let count = fates.values().filter(|(_, known)| *known == fate).count();
        assert!(count >= least, "that was no storm: {fate:?} {count} times");
    }
    let mut faults = Vec::new();
    for (asked, fate) in fates.values() {
        let found = lines.remove(&asked.number).unwrap_or_default();
        let is_right = match (fate, found.as_slice()) {
            (Fate::Answered(status), [line]) => {
                line.status == *status && (*status < 500 || line.reason.is_some())
            }
            (Fate::Broken, [line]) => line.reason.is_some(),
            (Fate::Left, []) => !seen.contains_key(&asked.number),
            (Fate::Left, [_]) => true,
            _ => false,
        };
        if !is_right {
            let told: Vec<_> = found
                .iter()
                .map(|line| (line.status, &line.reason))
                .collect();
            faults.push(format!("{asked:?} was {fate:?}, and the log says {told:?}"));
        }
    }
    faults.extend(lines.keys().map(|number| format!("nobody asked {number}")));
    assert!(
        faults.is_empty(),
        "{} of {} requests are not accounted for:\n{}",
        faults.len(),
        fates.len(),
        faults
            .iter()
            .take(20)
            .cloned()
            .collect::<Vec<_>>()
            .join("\n")
    );
    assert_eq!(total(proxy, "openclaw_access_log_dropped_total"), 0);
    assert_eq!(
        total(proxy, "openclaw_requests_total"),
        exchanges,
        "the metrics count other exchanges than the log"
    );
}

/// The sum over all labels of a metric.
pub(super) fn total(proxy: &Proxy, name: &str) -> i64 {
    let page = curl(&[&format!("http://{}/metrics", proxy.metrics())])
        .ok()
        .text();
    let samples = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(['{', ' '])
            .then(|| rest.rsplit(' ').next()?.parse::<i64>().ok())?
    });
    samples.sum()
}

/// Open file descriptors, without pipes: some are kept for the next long answers.
pub(super) fn descriptors(proxy: &Proxy) -> usize {
    opened(proxy, |target| !target.starts_with("pipe:"))
}

pub(super) fn pipes(proxy: &Proxy) -> usize {
    opened(proxy, |target| target.starts_with("pipe:"))
}

fn opened(proxy: &Proxy, is_it: impl Fn(&str) -> bool) -> usize {
    let all = fs::read_dir(format!("/proc/{}/fd", proxy.pid())).unwrap();
    // What is closed meanwhile has no target.
    let targets = all.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets
        .filter(|target| is_it(&target.to_string_lossy()))
        .count()
}

/// Resident memory in KiB.
pub(super) fn resident(proxy: &Proxy) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", proxy.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
