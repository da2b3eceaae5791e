//! The alerts and the dashboard, by a real Prometheus that watches a real proxy.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use super::{address, answering, fetch};
use crate::support::{Child, Folder, PATIENCE, Proxy, curl, free_port};

const ALERTS: &str = include_str!("../../config/prometheus/alerts.yml");
const DASHBOARD: &str = include_str!("../../config/grafana/openclaw.json");
const TABLE: &str = include_str!("../../config/metrics.md");

struct Prometheus {
    address: String,
    _process: Child,
    _folder: Folder,
}

impl Prometheus {
    fn watching(proxy: &Proxy) -> Self {
        let folder = Folder::new();
        folder.write("alerts.yml", ALERTS);
        let config = folder.write(
            "prometheus.yml",
            format!(
                "global: {{ scrape_interval: 200ms, scrape_timeout: 200ms }}\nrule_files: [alerts.yml]\nscrape_configs:\n\
                 - job_name: openclaw\n  static_configs: [{{ targets: [\"{}\"] }}]\n",
                proxy.metrics()
            ),
        );
        let address = format!("127.0.0.1:{}", free_port());
        let process = Child::start(
            Command::new("prometheus")
                .arg("--config.file")
                .arg(config)
                .arg("--storage.tsdb.path")
                .arg(folder.path().join("data"))
                .arg("--web.listen-address")
                .arg(&address),
            "prometheus",
        );
        Self {
            address,
            _process: process,
            _folder: folder,
        }
    }

    fn ask(&self, path: &str, query: &str) -> Value {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let query = format!("query={query}");
        let output = curl(&["--get", &url, "--data-urlencode", &query]);
        serde_json::from_str(&output.text()).unwrap_or_default()
    }

    /// How many series a query has, once it has some.
    fn wait_for(&self, query: &str) {
        let asked = Instant::now();
        loop {
            let answer = self.ask("query", query);
            if answer["data"]["result"]
                .as_array()
                .is_some_and(|all| !all.is_empty())
            {
                return;
            }
            assert!(asked.elapsed() < PATIENCE, "{query}: {answer}");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

/// The expressions of the dashboard, as Grafana would send them with all of everything chosen.
fn expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    targets
        .flatten()
        .map(|target| target["expr"].as_str().unwrap())
        .map(|expression| {
            ["$instance", "$route", "$upstream"]
                .iter()
                .fold(expression.to_owned(), |text, name| text.replace(name, ".*"))
                .replace("$__rate_interval", "1m")
        })
        .collect()
}

/// The names of our metrics in a text.
fn metrics(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("openclaw_"))
        .map(|word| {
            ["_bucket", "_count", "_sum"]
                .iter()
                .find_map(|end| word.strip_suffix(end))
                .unwrap_or(word)
        })
        .collect()
}

#[test]
fn alerts_and_dashboard_name_metrics_that_exist() {
    let table = metrics(TABLE);
    let all = expressions().join("\n") + ALERTS;
    let named = metrics(&all);
    assert!(named.len() > 20, "{named:?}");
    let unknown: Vec<_> = named.difference(&table).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn a_prometheus_takes_the_alerts_and_answers_the_dashboard() {
    let proxy = Proxy::start(&answering("hello"));
    let prometheus = Prometheus::watching(&proxy);
    fetch(address(&proxy, "web"));
    prometheus.wait_for("openclaw_requests_total");
    prometheus.wait_for("up{job=\"openclaw\"} == 1");
    for expression in expressions() {
        let answer = prometheus.ask("query", &expression);
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
    }
    let rules = prometheus.ask("rules", "");
    let rules = rules["data"]["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), ALERTS.matches("- alert:").count());
    for rule in rules {
        assert_ne!(rule["health"], "err", "{rule}");
    }
}
