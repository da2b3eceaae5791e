//! Endpoints that are left out: by probes, and by what became of requests.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use super::{Group, config, get, plain};
use crate::control::sample;
use crate::support::{Folder, Origin, Peer, Proxy, RawClient, eventually, free_port, wait_until};

/// Answers `/health` and everything else with statuses that the test sets, and with its name.
struct Patient {
    origin: Origin,
    health: Arc<AtomicU16>,
    work: Arc<AtomicU16>,
}

impl Patient {
    fn new(name: &'static str) -> Self {
        let [health, work] = [200, 200].map(|status| Arc::new(AtomicU16::new(status)));
        let answers = [Arc::clone(&health), Arc::clone(&work)];
        let origin = Origin::start(move |peer: &mut Peer| -> io::Result<()> {
            while let Some(request) = peer.request()? {
                let asked = usize::from(!request.start.contains("/health"));
                let status = answers[asked].load(Ordering::SeqCst);
                let length = name.len();
                peer.send(format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{name}"
                ))?;
            }
            Ok(())
        });
        Self {
            origin,
            health,
            work,
        }
    }

    /// Requests that are no probes.
    fn served(&self) -> usize {
        let requests = self.origin.requests();
        let real = requests
            .iter()
            .filter(|request| !request.start.contains("/health"));
        real.count()
    }
}

fn wait_for_health(group: &Group, origin: &Origin, expected: u8) {
    let endpoint = origin.address();
    let line =
        format!("openclaw_upstream_healthy{{upstream=\"app\",endpoint=\"{endpoint}\"}} {expected}");
    wait_until(&line, || group.metrics().contains(&line));
}

const PROBES: &str =
    "health = { path = \"/health\", every = \"50ms\", timeout = \"5s\", fall = 2, rise = 2 }";

#[test]
fn an_endpoint_that_says_it_is_unwell_gets_nothing_until_it_is_well() {
    let [sick, fine] = ["sick", "fine"].map(Patient::new);
    let group = Group::start(&[plain(&sick.origin), plain(&fine.origin)], PROBES);
    sick.health.store(500, Ordering::SeqCst);
    wait_for_health(&group, &sick.origin, 0);
    let before = sick.served();
    for _ in 0..10 {
        assert_eq!(group.ask("/", "192.0.2.1"), "fine");
    }
    assert_eq!(sick.served(), before);
    assert!(
        group.stderr().contains("it answered 500"),
        "{}",
        group.stderr()
    );
    sick.health.store(204, Ordering::SeqCst);
    wait_for_health(&group, &sick.origin, 1);
    wait_until("it has its turns again", || {
        group.ask("/", "192.0.2.1") == "sick"
    });
}

#[test]
fn a_dead_endpoint_is_found_however_often_the_configuration_is_loaded() {
    let patient = Patient::new("sick");
    patient.health.store(500, Ordering::SeqCst);
    // A probe or two fit between two reloads.
    let keys = "health = { path = \"/health\", every = \"300ms\", timeout = \"5s\", fall = 6 }";
    let group = Group::start(&[plain(&patient.origin)], keys);
    wait_until("it is called unwell", || {
        group.proxy.cli(&["reload"]).ok();
        group.stderr().contains("unwell: it answered 500")
    });
}

#[test]
fn a_name_is_healthy_while_one_of_its_addresses_is() {
    let origins = Origin::siblings(2);
    let endpoint = format!("app.internal:{}", origins[0].address().port());
    let lines = origins.iter().map(|one| one.address().ip());
    let lines: Vec<String> = lines.map(|ip| format!("{ip} app.internal\n")).collect();
    let folder = Folder::new();
    let hosts = folder.write("hosts", lines.concat());
    let mount = format!(
        "mount --bind {} /etc/hosts && exec \"$0\" \"$@\"",
        hosts.display()
    );
    // The other one says something else.
    let keys =
        "health = { path = \"/\", every = \"50ms\", timeout = \"5s\", fall = 1, body = \"0\" }";
    let proxy = Proxy::start_through(
        &config(&[format!("\"{endpoint}\"")], keys),
        0,
        &["unshare", "--mount", "sh", "-c", &mount],
        &[],
    );
    proxy.wait_for("its answer does not contain");
    let labels = format!("openclaw_upstream_healthy{{upstream=\"app\",endpoint=\"{endpoint}\"}}");
    assert_eq!(sample(&proxy, &labels).as_deref(), Some("1"));
}

#[test]
fn when_all_say_that_they_are_unwell_they_serve_all_the_same() {
    let all = ["one", "two"].map(Patient::new);
    let group = Group::start(&all.each_ref().map(|one| plain(&one.origin)), PROBES);
    for one in &all {
        one.health.store(500, Ordering::SeqCst);
        wait_for_health(&group, &one.origin, 0);
    }
    for _ in 0..6 {
        group.ask("/", "192.0.2.1");
    }
    assert!(all.iter().all(|one| one.served() > 0));
    group.proxy.wait_for("all endpoints are called unwell");
    let listed = || group.proxy.cli(&["upstream", "list"]).ok().text();
    let told = "probes call all of them down, so all are asked";
    assert!(listed().contains(told), "{}", listed());
    all[0].health.store(200, Ordering::SeqCst);
    wait_for_health(&group, &all[0].origin, 1);
    group.proxy.wait_for("not all endpoints are called unwell");
    assert!(listed().contains("1 of 2 serve"), "{}", listed());
}

#[test]
fn a_good_answer_is_what_the_configuration_says() {
    let patient = Patient::new("all systems go");
    for (keys, status, expected) in [
        ("status = [200]", 204, 0),
        ("status = [200, 503]", 503, 1),
        ("body = \"systems\"", 200, 1),
        ("body = \"maintenance\"", 200, 0),
    ] {
        patient.health.store(status, Ordering::SeqCst);
        let keys = format!(
            "health = {{ path = \"/health\", every = \"50ms\", timeout = \"5s\", fall = 1, {keys} }}"
        );
        let asked = patient.origin.requests().len();
        let group = Group::start(&[plain(&patient.origin)], &keys);
        patient.origin.wait_for_requests(asked + 3);
        wait_for_health(&group, &patient.origin, expected);
    }
}

#[test]
fn a_connection_is_enough_where_nothing_is_asked_for() {
    let alive = Origin::serving("alive");
    let dead = format!("\"127.0.0.1:{}\"", free_port());
    let keys = "retries = 0\nhealth = { every = \"50ms\", timeout = \"5s\", fall = 1 }";
    let group = Group::start(&[plain(&alive), dead.clone()], keys);
    let line = format!("openclaw_upstream_healthy{{upstream=\"app\",endpoint={dead}}} 0");
    wait_until(&line, || group.metrics().contains(&line));
    // Nobody had to find out by a request that failed.
    for _ in 0..8 {
        assert_eq!(group.ask("/", "192.0.2.1"), "alive");
    }
    assert_eq!(
        alive.requests().len(),
        8,
        "a probe by connection asks nothing"
    );
}

/// Each at its own moment, within a tenth of the time between two probes.
#[test]
fn the_endpoints_of_an_upstream_are_not_probed_all_at_once() {
    const ENDPOINTS: u8 = 64;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let listed: Vec<SocketAddr> = (1..=ENDPOINTS)
        .map(|last| SocketAddr::from(([127, 0, 1, last], port)))
        .collect();
    let endpoints: Vec<String> = listed.iter().map(|one| format!("\"{one}\"")).collect();
    let _group = Group::start(&endpoints, "health = { every = \"5s\" }");
    let mut probed = Vec::new();
    let mut first = HashMap::new();
    while first.len() < listed.len() {
        let (stream, _) = listener.accept().unwrap();
        let asked = stream.local_addr().unwrap();
        first.entry(asked).or_insert_with(|| {
            probed.push(asked);
            Instant::now()
        });
    }
    assert_ne!(probed, listed, "one after the other");
    let (began, ended) = (first.values().min(), first.values().max());
    let spread = *ended.unwrap() - *began.unwrap();
    assert!(spread > Duration::from_millis(250), "{spread:?}");
}

#[test]
fn an_endpoint_that_fails_request_after_request_is_left_alone() {
    let patient = Patient::new("x");
    patient.work.store(503, Ordering::SeqCst);
    let keys = "breaker = { failures = 3, window = \"1h\", open = \"1h\" }";
    let group = Group::start(&[plain(&patient.origin)], keys);
    let statuses: Vec<u16> = (0..8)
        .map(|_| {
            RawClient::connect(group.web)
                .exchange(get("/", "192.0.2.1"))
                .status()
        })
        .collect();
    assert_eq!(statuses, [503; 8]);
    // A failure is counted when the client has its answer already, so another worker may let the next request through.
    let served = patient.served();
    assert!((3..=5).contains(&served), "{served}");
    let refused = RawClient::connect(group.web).exchange(get("/", "192.0.2.1"));
    assert!(
        refused.text().contains("upstream.unhealthy"),
        "{}",
        refused.text()
    );
    wait_for_health(&group, &patient.origin, 0);
    assert!(
        group.stderr().contains("the breaker opens"),
        "{}",
        group.stderr()
    );
}

#[test]
fn a_broken_one_is_spared_while_another_serves_and_tried_again_later() {
    let [broken, fine] = ["broken", "fine"].map(Patient::new);
    broken.work.store(502, Ordering::SeqCst);
    let keys = "breaker = { failures = 2, window = \"1h\", open = \"200ms\" }";
    let group = Group::start(&[plain(&broken.origin), plain(&fine.origin)], keys);
    wait_until("the breaker opens", || {
        let response = RawClient::connect(group.web).exchange(get("/", "192.0.2.1"));
        assert!([200, 502].contains(&response.status()));
        group.stderr().contains("the breaker opens")
    });
    broken.work.store(200, Ordering::SeqCst);
    wait_until("the breaker closes", || {
        let response = RawClient::connect(group.web).exchange(get("/", "192.0.2.1"));
        assert_eq!(response.status(), 200);
        group.stderr().contains("the breaker closes")
    });
    wait_for_health(&group, &broken.origin, 1);
}

#[test]
fn what_comes_back_from_a_drain_begins_with_little() {
    const WHOLE: Duration = Duration::from_secs(1);
    let origins = ["one", "two"].map(Origin::serving);
    let group = Group::start(&origins.each_ref().map(plain), "slow_start = \"1s\"");
    let begin = Instant::now();
    let change = |verb: &str| {
        let endpoint = origins[0].address().to_string();
        let changed = group.proxy.cli(&["upstream", verb, "app", &endpoint]);
        assert_eq!(changed.code, 0, "{changed:?}");
    };
    let share = || {
        let before = origins[0].requests().len();
        let mut client = RawClient::connect(group.web);
        for _ in 0..40 {
            client.exchange(get("/", "192.0.2.1"));
        }
        origins[0].requests().len() - before
    };
    wait_until("the other one has all of its share", || {
        begin.elapsed() > WHOLE
    });
    let little = eventually("a round that is quicker than the start", || {
        change("drain");
        assert_eq!(share(), 0);
        change("enable");
        let begin = Instant::now();
        let share = share();
        (begin.elapsed() < WHOLE / 4).then_some(share)
    });
    assert!((1..=14).contains(&little), "{little}");
    wait_until("it has all of its share again", || share() >= 19);
}
