//! The metrics address, and the access log.

use std::time::{Duration, Instant};

use crate::control::{address, answering, fetch, sample};
use crate::support::{PATIENCE, Proxy, curl};

#[test]
fn the_page_counts_what_was_served_and_describes_every_family() {
    let proxy = Proxy::start(&answering("hello"));
    let web = address(&proxy, "web");
    fetch(web);
    fetch(web);
    let labels = r#"{listener="web",route="all",method="GET",code="200"}"#;
    let served = sample(&proxy, &format!("openclaw_requests_total{labels}"));
    assert_eq!(served.as_deref(), Some("2"));
    let output = curl(&["-i", &format!("http://{}/metrics", proxy.metrics())]);
    let page = output.ok().text();
    assert!(
        page.contains("content-type: text/plain; version=0.0.4"),
        "{page}"
    );
    let (_, body) = page.split_once("\r\n\r\n").unwrap();
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .filter(|family| body.contains(&format!("# TYPE {family} histogram")))
            .unwrap_or(name);
        for head in ["HELP", "TYPE"] {
            let heads = body.matches(&format!("# {head} {family} ")).count();
            assert_eq!(heads, 1, "{head} {family}");
        }
    }
}

#[test]
fn health_and_readiness_are_answered_and_nothing_else() {
    let proxy = Proxy::start(&answering("hello"));
    let code = |path: &str, method: &str| {
        let url = format!("http://{}{path}", proxy.metrics());
        curl(&["-o", "/dev/null", "-w", "%{http_code}", "-X", method, &url]).text()
    };
    assert_eq!(code("/healthz", "GET"), "200");
    assert_eq!(code("/readyz", "GET"), "200");
    assert_eq!(code("/metrics", "POST"), "405");
    assert_eq!(code("/reload", "GET"), "404");
}

#[test]
fn the_access_log_follows_a_rotation_even_if_the_new_configuration_is_wrong() {
    let log = "[log]\naccess = { to = \"access.log\", format = \"combined\" }\n";
    let mut proxy = Proxy::start(&(answering("hello") + log));
    let web = address(&proxy, "web");
    let path = proxy.folder().path().join("access.log");
    let lines = |count: usize| {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if text.lines().count() == count {
                return text;
            }
            assert!(Instant::now() < end, "not {count} lines:\n{text}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    fetch(web);
    let first = lines(1);
    assert!(first.starts_with("127.0.0.1 - - ["), "{first}");
    assert!(first.contains("\"GET / HTTP/1.1\" 200 5"), "{first}");
    std::fs::rename(&path, proxy.folder().path().join("access.log.1")).unwrap();
    proxy.rewrite("nonsense");
    proxy.signal("HUP");
    proxy.wait_for("refused");
    fetch(web);
    lines(1);
}
