//! The recorder as a worker and the control plane use it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use openclaw_core::config;
use openclaw_core::reason::Reason;
use openclaw_core::route::Router;

use super::*;
use crate::snapshot::{ResolvedEndpoint, Snapshot, UpstreamSetup};

/// As a configuration of that many listeners, routes and upstreams would make it, in this order.
fn snapshot(listeners: &[&str], routes: &[&str], upstreams: &[(&str, &[&str])]) -> Snapshot {
    let mut text = String::new();
    for name in listeners {
        let _ = writeln!(text, "[listener.{name}]\nbind = [\"127.0.0.1:0\"]");
    }
    for (name, endpoints) in upstreams {
        let _ = writeln!(text, "[upstream.{name}]\nendpoints = {endpoints:?}");
    }
    for name in routes {
        let _ = writeln!(text, "[[route]]\nname = \"{name}\"\nrespond = {{}}");
    }
    let source = config::Source {
        name: "test.toml",
        text: &text,
        variable: &|_| None,
        files: &config::NoFiles,
    };
    let config = config::load(&source).unwrap().config;
    let setups = upstreams.iter().map(|(_, endpoints)| UpstreamSetup {
        endpoints: endpoints
            .iter()
            .map(|label| ResolvedEndpoint {
                address: label.parse().unwrap(),
                weight: 1,
                zone: None,
                label: (*label).into(),
                origin: openclaw_core::overlay::Origin::File(0),
                is_draining: false,
                standing: Arc::default(),
            })
            .collect(),
        ..UpstreamSetup::default()
    });
    Snapshot {
        generation: 1,
        config,
        router: Router::new(&[]),
        listeners: Vec::new(),
        upstreams: setups.collect(),
        secured: Vec::new(),
        pages: Vec::new(),
        limits: Vec::new(),
        cache: None,
    }
}

fn record(listener: u32, route: Option<u32>, status: u16) -> Record<'static> {
    let started = Instant::now();
    Record {
        listener,
        route,
        method: b"GET",
        status,
        reason: None,
        started,
        ended: started + Duration::from_millis(3),
        bytes_in: 10,
        bytes_out: 100,
        upstream: None,
        endpoint: None,
        upstream_time: None,
        retries: 0,
        waited: None,
        tries: &[],
        cache: None,
        ids: None,
    }
}

fn page(recorders: &[&Recorder]) -> String {
    let reports: Vec<Report> = recorders.iter().map(|one| one.report()).collect();
    let mut text = MetricsText::new();
    Summary::of(&reports).render(&mut text);
    text.finish()
}

fn take(recorder: &Recorder, record: &Record<'_>) {
    recorder.exchange(record, None, LogFields::default);
}

/// Asserts that the page has the line, after the common prefix of all names.
fn has(page: &str, line: &str) {
    let line = format!("openclaw_{line}");
    assert!(page.lines().any(|have| have == line), "{line}\n{page}");
}

#[test]
fn counters_survive_a_reload_that_reorders_and_removes_names() {
    let recorder = Recorder::default();
    let before = recorder.adopt(&snapshot(&["web", "tls"], &["a", "b"], &[]));
    take(
        &recorder,
        &record(before.listeners[0], Some(before.routes[1]), 200),
    );
    let after = recorder.adopt(&snapshot(&["tls", "web"], &["b"], &[]));
    assert_eq!(after.listeners, [before.listeners[1], before.listeners[0]]);
    assert_eq!(after.routes, [before.routes[1]]);
    take(
        &recorder,
        &record(after.listeners[1], Some(after.routes[0]), 200),
    );
    // One that began before the reload.
    take(
        &recorder,
        &record(before.listeners[1], Some(before.routes[0]), 404),
    );
    let page = page(&[&recorder]);
    has(
        &page,
        r#"requests_total{listener="web",route="b",method="GET",code="200"} 2"#,
    );
    has(
        &page,
        r#"requests_total{listener="tls",route="a",method="GET",code="404"} 1"#,
    );
    has(
        &page,
        r#"response_body_bytes_total{listener="web",route="b"} 200"#,
    );
}

#[test]
fn shards_are_summed_by_name_even_if_their_slots_differ() {
    let (one, two) = (Recorder::default(), Recorder::default());
    let first = one.adopt(&snapshot(&["web", "tls"], &[], &[]));
    let second = two.adopt(&snapshot(&["tls", "web"], &[], &[]));
    one.connection_opened(first.listeners[0]);
    two.connection_opened(second.listeners[1]);
    two.connection_closed(second.listeners[1]);
    one.refused_connection(0, Reason::TlsHandshake, Instant::now(), LogFields::default);
    take(
        &two,
        &Record {
            reason: Some(Reason::TlsHandshake),
            ..record(second.listeners[1], None, 400)
        },
    );
    let page = page(&[&one, &two]);
    has(&page, "workers 2");
    has(&page, r#"connections{listener="web"} 1"#);
    has(&page, r#"connections_total{listener="web"} 2"#);
    has(&page, r#"connections_total{listener="tls"} 0"#);
    has(&page, r#"refusals_total{reason="tls.handshake"} 2"#);
    has(&page, r#"refusals_total{reason="http.malformed"} 0"#);
    has(
        &page,
        r#"requests_total{listener="web",route="",method="GET",code="400"} 1"#,
    );
}

#[test]
fn a_client_and_an_origin_cannot_make_series_without_bound() {
    let recorder = Recorder::default();
    let slots = recorder.adopt(&snapshot(&["web"], &["a"], &[]));
    for code in 100..1000 {
        take(
            &recorder,
            &Record {
                method: b"BREW",
                ..record(slots.listeners[0], Some(slots.routes[0]), code)
            },
        );
    }
    let page = page(&[&recorder]);
    let rows = page.matches("openclaw_requests_total{").count();
    assert_eq!(rows, 257, "the bound and the row of what exceeds it");
    has(
        &page,
        r#"requests_total{listener="web",route="a",method="OTHER",code="other"} 644"#,
    );
}

#[test]
fn an_endpoint_is_not_charged_with_a_status_that_was_made_here() {
    let recorder = Recorder::default();
    let slots = recorder.adopt(&snapshot(&["web"], &[], &[("app", &["127.0.0.1:9001"])]));
    let endpoint = slots.endpoints[0][0];
    let through = |status, reason, upstream_time| Record {
        upstream: Some(slots.upstreams[0]),
        endpoint: Some(endpoint),
        upstream_time,
        retries: 1,
        reason,
        ..record(slots.listeners[0], None, status)
    };
    let quick = Some(Duration::from_millis(2));
    take(&recorder, &through(503, None, quick));
    take(
        &recorder,
        &through(502, Some(Reason::UpstreamConnect), None),
    );
    take(
        &recorder,
        &through(502, Some(Reason::UpstreamBadResponse), quick),
    );
    recorder.upstream_connect(endpoint, true);
    recorder.upstream_connect(endpoint, false);
    let page = page(&[&recorder]);
    let at = r#"upstream="app",endpoint="127.0.0.1:9001""#;
    has(
        &page,
        &format!("upstream_requests_total{{{at},code=\"5xx\"}} 1"),
    );
    has(
        &page,
        &format!("upstream_requests_total{{{at},code=\"none\"}} 2"),
    );
    has(
        &page,
        &format!("upstream_connects_total{{{at},result=\"ok\"}} 1"),
    );
    has(
        &page,
        &format!("upstream_connects_total{{{at},result=\"failed\"}} 1"),
    );
    has(&page, &format!("upstream_response_seconds_count{{{at}}} 2"));
    has(&page, r#"upstream_retries_total{upstream="app"} 3"#);
}

#[test]
fn an_endpoint_is_healthy_until_the_last_connection_tried_by_any_worker_failed() {
    let both = snapshot(
        &["web"],
        &[],
        &[("app", &["127.0.0.1:9001", "127.0.0.1:9002"])],
    );
    let (one, other) = (Recorder::default(), Recorder::default());
    let slots = [one.adopt(&both), other.adopt(&both)];
    let check = |expected: &str| {
        let page = page(&[&one, &other]);
        let healthy: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("openclaw_upstream_healthy{upstream=\"app\","))
            .collect();
        assert_eq!(healthy.join(" "), expected);
    };
    check("endpoint=\"127.0.0.1:9001\"} 1 endpoint=\"127.0.0.1:9002\"} 1");
    one.upstream_connect(slots[0].endpoints[0][1], false);
    check("endpoint=\"127.0.0.1:9001\"} 1 endpoint=\"127.0.0.1:9002\"} 0");
    other.upstream_connect(slots[1].endpoints[0][1], true);
    check("endpoint=\"127.0.0.1:9001\"} 1 endpoint=\"127.0.0.1:9002\"} 1");
    one.upstream_connect(slots[0].endpoints[0][0], false);
    check("endpoint=\"127.0.0.1:9001\"} 0 endpoint=\"127.0.0.1:9002\"} 1");
    // One that is no longer configured is not spoken of.
    let less = snapshot(&["web"], &[], &[("app", &["127.0.0.1:9002"])]);
    one.adopt(&less);
    other.adopt(&less);
    check("endpoint=\"127.0.0.1:9002\"} 1");
}

fn logged(recorder: &Recorder, slots: &Slots, id: &str) {
    let fields = LogFields {
        id: id.into(),
        ..LogFields::default()
    };
    let record = record(slots.listeners[0], None, 200);
    recorder.exchange(&record, Some(Box::new(fields)), LogFields::default);
}

#[test]
fn lines_reach_the_file_and_after_a_rotation_the_new_one() {
    let folder = tempfile("rotation");
    let path = folder.join("access.log");
    let target = config::AccessTarget::File(path.clone());
    let writer = AccessWriter::start("access log", Output::open(&target).unwrap()).unwrap();
    let recorder = Recorder::new(Some(writer.handle()));
    let slots = recorder.adopt(&snapshot(&["web"], &[], &[]));
    assert!(recorder.wanted().line);
    logged(&recorder, &slots, "first");
    recorder.tick();
    let rotated = folder.join("access.log.1");
    until(|| std::fs::read_to_string(&path).is_ok_and(|text| text.contains("first")));
    std::fs::rename(&path, &rotated).unwrap();
    writer.switch(Output::open(&target).unwrap());
    logged(&recorder, &slots, "second");
    drop(recorder);
    writer.close();
    let old = std::fs::read_to_string(&rotated).unwrap();
    let new = std::fs::read_to_string(&path).unwrap();
    assert!(old.contains("first") && !old.contains("second"), "{old}");
    assert!(new.contains("second"), "{new}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn lines_are_dropped_and_counted_when_the_writer_is_behind() {
    // A pipe that nobody reads: the writer blocks in it.
    let (reader, pipe) = std::io::pipe().unwrap();
    let file = std::fs::File::from(std::os::fd::OwnedFd::from(pipe));
    let writer = AccessWriter::start("access log", Output::File(file)).unwrap();
    let recorder = Recorder::new(Some(writer.handle()));
    let slots = recorder.adopt(&snapshot(&["web"], &[], &[]));
    let id = "x".repeat(buffer::FULL);
    let lines = 400;
    for _ in 0..lines {
        logged(&recorder, &slots, &id);
    }
    let dropped = recorder.report().log_dropped;
    assert!(dropped >= 100, "{dropped}");
    has(
        &page(&[&recorder]),
        &format!("access_log_dropped_total {dropped}"),
    );
    let read = std::thread::spawn(move || {
        let text = std::io::read_to_string(reader).unwrap();
        text.lines().count() as u64
    });
    drop(recorder);
    writer.close();
    assert_eq!(read.join().unwrap(), lines - dropped);
}

#[test]
fn a_flood_of_refused_connections_is_counted_whole_and_logged_in_part() {
    let writer = AccessWriter::start("access log", Output::Nowhere).unwrap();
    let recorder = Recorder::new(Some(writer.handle()));
    recorder.adopt(&snapshot(&["web"], &[], &[]));
    let (mut made, limit) = (0, recorder::REFUSED_LINES);
    let mut refuse = || {
        recorder.refused_connection(0, Reason::LimitConnections, Instant::now(), || {
            made += 1;
            LogFields::default()
        });
    };
    for _ in 0..limit + 7 {
        refuse();
    }
    recorder.tick();
    refuse();
    assert_eq!(made, limit + 1, "a tick allows more");
    let page = page(&[&recorder]);
    let refused = limit + 8;
    has(
        &page,
        &format!("refusals_total{{reason=\"limit.connections\"}} {refused}"),
    );
    has(&page, "access_log_dropped_total 7");
}

#[test]
fn a_reload_that_turns_the_log_off_stops_the_lines() {
    let writer = AccessWriter::start("access log", Output::Nowhere).unwrap();
    let recorder = Recorder::new(Some(writer.handle()));
    let mut off = snapshot(&["web"], &[], &[]);
    off.config.log.access.to = config::AccessTarget::Off;
    recorder.adopt(&off);
    assert!(!recorder.wanted().line);
    recorder.adopt(&snapshot(&["web"], &[], &[]));
    assert!(recorder.wanted().line);
}

fn until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !done() {
        assert!(
            Instant::now() < deadline,
            "it did not happen in five seconds"
        );
        std::thread::yield_now();
    }
}

fn tempfile(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("openclaw-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn a_cause_that_is_named_already_is_not_named_again() {
    #[derive(Debug, thiserror::Error)]
    #[error("{}", if *.names { "no answer: refused" } else { "no answer" })]
    struct Outer {
        names: bool,
        source: Inner,
    }
    #[derive(Debug, thiserror::Error)]
    #[error("refused")]
    struct Inner;
    for names in [false, true] {
        let error = Outer {
            names,
            source: Inner,
        };
        assert_eq!(chain(&error), "no answer: refused");
    }
}
