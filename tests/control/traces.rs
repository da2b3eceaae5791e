//! Spans for a collector of traces: what it gets, who decides, and what happens when it is not there. The collector here is a server of
//! HTTP that understands the wire format by itself.

use std::time::Instant;

use crate::control::{address, sample};
use crate::support::otlp::{Span, spans};
use crate::support::{Message, Origin, PATIENCE, Proxy, RawClient, free_port};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn collector() -> Origin {
    Origin::answering(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n",
    )
}

/// Those of the first request of the exporter; of one exchange they come together.
fn exported(collector: &Origin) -> Vec<Span> {
    spans(&collector.wait_for_requests(1)[0])
}

fn trace(collector: impl std::fmt::Display, keys: &str) -> String {
    format!("[trace]\notlp = \"http://{collector}/\"\nservice = \"edge\"\n{keys}\n")
}

fn get(proxy: &Proxy, path: &str, fields: &str) -> Message {
    let mut client = RawClient::connect(address(proxy, "web"));
    client.exchange(format!(
        "GET {path} HTTP/1.1\r\nhost: shop.test:8443\r\n{fields}\r\n"
    ))
}

fn counted(proxy: &Proxy, result: &str) -> u64 {
    let name = format!("openclaw_trace_spans_total{{result=\"{result}\"}}");
    sample(proxy, &name)
        .expect("it is counted")
        .parse()
        .unwrap()
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
    }
}

#[test]
fn an_exchange_and_each_of_its_attempts_are_spans_of_one_trace() {
    let (origin, collector) = (Origin::serving("x"), collector());
    let dead = free_port();
    let proxy = Proxy::start(&format!(
        "[listener.web]\nbind = \"127.0.0.1:0\"\n[upstream.app]\nendpoints = [\"127.0.0.1:{dead}\", \"{}\"]\n\
         balance = \"ip_hash\"\nretries = 1\n[[route]]\nname = \"all\"\nto = \"app\"\n\
         [log]\nredact = {{ query = [\"token\"] }}\naccess = {{ to = \"off\" }}\n{}",
        origin.address(),
        trace(collector.address(), "sample = \"100%\"")
    ));
    // One of the two is asked first; until it is the dead one there is one attempt.
    let mut all = Vec::new();
    let answer = get(
        &proxy,
        "/a/b?token=secret&x=1",
        "user-agent: probe\r\ntracestate: a=1\r\nbaggage: k=v\r\n",
    );
    assert_eq!(answer.status(), 200);
    all.extend(exported(&collector));
    let server = all
        .iter()
        .find(|span| span.kind == 2)
        .expect("one of the exchange");
    let clients: Vec<&Span> = all.iter().filter(|span| span.kind == 3).collect();
    assert_eq!(all.len(), 1 + clients.len(), "{all:#?}");
    assert_eq!(
        (server.name.as_str(), server.parent.as_str()),
        ("GET all", "")
    );
    for (name, value) in [
        ("http.request.method", "GET"),
        ("url.scheme", "http"),
        ("url.path", "/a/b"),
        ("http.response.status_code", "200"),
        ("server.address", "shop.test"),
        ("server.port", "8443"),
        ("client.address", "127.0.0.1"),
        ("user_agent.original", "probe"),
        ("network.protocol.version", "1.1"),
        ("openclaw.route", "all"),
        ("openclaw.listener", "web"),
        ("openclaw.upstream", "app"),
        ("openclaw.reason", ""),
        ("error.type", ""),
    ] {
        assert_eq!(server.is(name), value, "{name}: {server:#?}");
    }
    assert!(!server.is("url.query").contains("secret"), "{server:#?}");
    assert!(server.is("url.query").contains("x=1"), "{server:#?}");
    let id = answer
        .header("x-request-id")
        .unwrap_or(server.is("openclaw.request_id"));
    assert_eq!(server.is("openclaw.request_id"), id);
    let last = clients.last().expect("an attempt");
    assert_eq!(last.is("server.port"), origin.address().port().to_string());
    assert_eq!(last.is("http.response.status_code"), "200");
    for client in &clients {
        assert_eq!((&client.trace, &client.parent), (&server.trace, &server.id));
        assert!(
            client.begun >= server.begun && client.ended <= server.ended,
            "{all:#?}"
        );
        assert_ne!(client.id, server.id);
    }
    for failed in clients.iter().rev().skip(1) {
        assert_eq!(failed.is("openclaw.reason"), "upstream.connect");
        assert!(failed.is_error, "{failed:#?}");
        assert_eq!(failed.is("server.port"), dead.to_string());
        assert_eq!(last.is("http.request.resend_count"), "1");
    }
    let request = &origin.wait_for_requests(1)[0];
    let sent = format!("00-{}-{}-01", server.trace, last.id);
    assert_eq!(request.header("traceparent"), Some(&*sent));
    assert_eq!(request.header("tracestate"), Some("a=1"));
    assert_eq!(request.header("baggage"), Some("k=v"));
    wait_for("they are counted", || {
        counted(&proxy, "sent") == all.len() as u64
    });
}

#[test]
fn an_attempt_that_failed_is_a_span_of_its_own() {
    let (origin, collector) = (Origin::serving("x"), collector());
    let dead = free_port();
    let proxy = Proxy::start(&format!(
        "[listener.web]\nbind = \"127.0.0.1:0\"\n[upstream.app]\nendpoints = [\"127.0.0.1:{dead}\", \"{}\"]\n\
         balance = \"round_robin\"\nretries = 1\nbreaker = {{ failures = 1000 }}\n[[route]]\nname = \"all\"\nto = \"app\"\n{}",
        origin.address(),
        trace(collector.address(), "sample = \"100%\"")
    ));
    // Each worker begins somewhere; of two in a row on one connection one comes to the dead endpoint first.
    let mut client = RawClient::connect(address(&proxy, "web"));
    for _ in 0..2 {
        let answer = client.exchange("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(answer.status(), 200);
    }
    let all = || -> Vec<Span> { collector.requests().iter().flat_map(spans).collect() };
    wait_for("five spans", || all().len() >= 5);
    let all = all();
    assert_eq!(all.len(), 5, "{all:#?}");
    let failed: Vec<&Span> = all
        .iter()
        .filter(|span| !span.is("openclaw.reason").is_empty())
        .collect();
    assert_eq!(failed.len(), 1, "{all:#?}");
    assert_eq!(failed[0].kind, 3);
    assert!(failed[0].is_error);
    assert_eq!(failed[0].is("error.type"), "upstream.connect");
    assert_eq!(failed[0].is("server.port"), dead.to_string());
    let again = all
        .iter()
        .find(|span| span.is("http.request.resend_count") == "1")
        .expect("a second attempt");
    assert_eq!(again.parent, failed[0].parent);
    assert!(again.begun >= failed[0].ended, "{all:#?}");
}

/// An endpoint that takes a request and hangs up, or never answers, beside one that answers: each was told of its own span, which are
/// those that are exported.
fn each_endpoint_is_told_of_its_own_span(hangs_up: bool, keys: &str) {
    let (origin, collector) = (Origin::serving("x"), collector());
    let other = Origin::start(move |peer| {
        peer.request()?;
        // Else the proxy hangs up when it has an answer.
        if !hangs_up {
            peer.request()?;
        }
        Ok(())
    });
    let proxy = Proxy::start(&format!(
        "[listener.web]\nbind = \"127.0.0.1:0\"\n[upstream.app]\nendpoints = [\"{}\", \"{}\"]\n\
         balance = \"round_robin\"\nbreaker = {{ failures = 1000 }}\n{keys}\n[[route]]\nname = \"all\"\nto = \"app\"\n{}",
        other.address(),
        origin.address(),
        trace(collector.address(), "sample = \"100%\"")
    ));
    let mut client = RawClient::connect(address(&proxy, "web"));
    for _ in 0..2 {
        let answer = client.exchange("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(answer.status(), 200);
    }
    let all = || -> Vec<Span> { collector.requests().iter().flat_map(spans).collect() };
    let exchanges = || all().iter().filter(|span| span.kind == 2).count();
    wait_for("two exchanges", || exchanges() == 2);
    let all = all();
    let told = |origin: &Origin| -> Vec<String> {
        let requests = origin.wait_for_requests(1);
        let fields = requests.iter().map(|one| one.header("traceparent"));
        fields
            .map(|field| field.expect("a trace").to_owned())
            .collect()
    };
    let [first, second] = [told(&other), told(&origin)];
    let port = |origin: &Origin| origin.address().port().to_string();
    let of = |origin: &Origin| -> Vec<String> {
        let spans = all.iter().filter(|span| span.kind == 3);
        let spans = spans.filter(|span| span.is("server.port") == port(origin));
        spans
            .map(|span| format!("00-{}-{}-01", span.trace, span.id))
            .collect()
    };
    assert_eq!(second.len(), 2, "{first:?} {second:?}");
    for told in &second {
        assert!(!first.contains(told), "one span a time: {told} {first:?}");
        assert!(of(&origin).contains(told), "{told} {all:#?}");
    }
    for told in &first {
        let is_same_trace = |other: &&String| other.get(..35) == told.get(..35);
        assert_eq!(second.iter().filter(is_same_trace).count(), 1, "{second:?}");
    }
    if hangs_up {
        assert_eq!(of(&other), first);
    }
}

#[test]
fn an_endpoint_that_is_asked_again_is_told_of_a_span_of_its_own() {
    each_endpoint_is_told_of_its_own_span(true, "retries = 1\nretry_on = [\"reset\"]");
}

#[test]
fn an_endpoint_that_is_asked_beside_another_is_told_of_a_span_of_its_own() {
    each_endpoint_is_told_of_its_own_span(false, "hedge = { after = \"20ms\" }");
}

#[test]
fn a_trusted_proxy_decides_and_nobody_else() {
    let context = |flags: &str| format!("traceparent: 00-{TRACE}-{PARENT}-{flags}\r\n");
    for (trusted, share, flags, is_recorded) in [
        (true, "0%", "01", true),
        (true, "100%", "00", false),
        (false, "0%", "01", false),
        (false, "100%", "00", true),
    ] {
        let (origin, collector) = (Origin::serving("x"), collector());
        let trust = if trusted {
            "trusted_proxies = [\"127.0.0.0/8\"]\n"
        } else {
            ""
        };
        let mut proxy = Proxy::start(&format!(
            "[listener.web]\nbind = \"127.0.0.1:0\"\n{trust}[upstream.app]\nendpoints = [\"{}\"]\n[[route]]\nname = \"all\"\nto = \"app\"\n{}",
            origin.address(),
            trace(collector.address(), &format!("sample = \"{share}\""))
        ));
        let told = format!("{trusted} {share} {flags}");
        assert_eq!(get(&proxy, "/", &context(flags)).status(), 200);
        let request = &origin.wait_for_requests(1)[0];
        let sent = request.header("traceparent").expect("one").to_owned();
        let parts: Vec<&str> = sent.split('-').collect();
        assert_eq!(parts[1], TRACE, "{told}");
        assert_ne!(parts[2], PARENT, "{told}");
        assert_eq!(parts[3], if is_recorded { "01" } else { "00" }, "{told}");
        // What was recorded is sent at the end at the latest.
        proxy.signal("TERM");
        assert!(proxy.wait().success());
        let all: Vec<Span> = collector.requests().iter().flat_map(spans).collect();
        assert_eq!(
            all.len(),
            if is_recorded { 2 } else { 0 },
            "{told}: {all:#?}"
        );
        if let Some(server) = all.iter().find(|span| span.kind == 2) {
            assert_eq!((&*server.trace, &*server.parent), (TRACE, PARENT), "{told}");
        }
    }
}

#[test]
fn what_is_refused_is_a_span_with_its_reason() {
    let collector = collector();
    let proxy = Proxy::start(&format!(
        "[listener.web]\nbind = \"127.0.0.1:0\"\n[upstream.app]\nendpoints = [\"127.0.0.1:{}\"]\n\
         [[route]]\nname = \"down\"\nmatch = {{ path = \"/down\" }}\nto = \"app\"\n{}",
        free_port(),
        trace(collector.address(), "sample = \"100%\"")
    ));
    assert_eq!(get(&proxy, "/nowhere", "").status(), 404);
    assert_eq!(get(&proxy, "/down", "").status(), 502);
    let all = || -> Vec<Span> { collector.requests().iter().flat_map(spans).collect() };
    wait_for("three spans", || all().len() >= 3);
    let all = all();
    let of = |path: &str| {
        all.iter()
            .find(|span| span.is("url.path") == path)
            .expect("a span")
    };
    let nowhere = of("/nowhere");
    assert_eq!(
        (nowhere.is("openclaw.reason"), nowhere.is_error),
        ("route.none", false)
    );
    assert_eq!(nowhere.name, "GET");
    let down = of("/down");
    assert_eq!(
        (down.is("error.type"), down.is_error),
        ("upstream.connect", true)
    );
    let attempt = all
        .iter()
        .find(|span| span.parent == down.id)
        .expect("an attempt");
    assert_eq!(
        (attempt.kind, attempt.is("error.type")),
        (3, "upstream.connect")
    );
}

#[test]
fn a_collector_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let busy = Origin::start(|peer| {
        let mut is_first = peer.number() == 0;
        while peer.request()?.is_some() {
            let status = if is_first { "503 Busy" } else { "200 OK" };
            is_first = false;
            // A part of what came is not taken.
            let body = if status.starts_with('2') {
                "\n\u{2}\u{8}\u{1}"
            } else {
                ""
            };
            peer.send(format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))?;
        }
        Ok(())
    });
    let answering = crate::control::answering("x");
    let proxy = Proxy::start(&format!(
        "{answering}{}",
        trace(busy.address(), "sample = \"100%\"")
    ));
    for _ in 0..3 {
        assert_eq!(get(&proxy, "/", "").status(), 200);
    }
    let requests = busy.wait_for_requests(2);
    assert_eq!(requests[0].body, requests[1].body, "the same once more");
    wait_for("all are counted", || {
        counted(&proxy, "sent") + counted(&proxy, "failed") >= 3
    });
    assert!(counted(&proxy, "failed") >= 1, "what it rejected");
    proxy.wait_for("takes no spans: http://");
    proxy.wait_for("takes spans again");

    let refusing = Origin::answering("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let proxy = Proxy::start(&format!(
        "{answering}{}",
        trace(refusing.address(), "sample = \"100%\"")
    ));
    get(&proxy, "/", "");
    wait_for("it is lost", || counted(&proxy, "failed") == 1);
    assert_eq!(refusing.requests().len(), 1);
}

#[test]
fn a_collector_that_is_away_costs_spans_and_no_request() {
    let away = free_port();
    let answering = crate::control::answering("x");
    let keys = "sample = \"100%\"\nqueue = 16";
    let mut proxy = Proxy::start(&format!(
        "{answering}{}",
        trace(format!("127.0.0.1:{away}"), keys)
    ));
    let mut client = RawClient::connect(address(&proxy, "web"));
    wait_for("spans are dropped", || {
        for _ in 0..64 {
            let answer = client.exchange("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
            assert_eq!(answer.status(), 200);
        }
        counted(&proxy, "dropped") > 0
    });
    assert_eq!(counted(&proxy, "sent"), 0);
    let begun = Instant::now();
    proxy.signal("TERM");
    assert!(proxy.wait().success());
    assert!(begun.elapsed() < PATIENCE, "the end does not wait for it");
}

#[test]
fn without_a_collector_a_trace_goes_on_as_it_came() {
    let origin = Origin::serving("x");
    let proxy = Proxy::start(&crate::control::forwarding(origin.address()));
    for flags in ["00", "01", "03"] {
        let count = origin.requests().len();
        get(
            &proxy,
            "/",
            &format!("traceparent: 00-{TRACE}-{PARENT}-{flags}\r\n"),
        );
        let requests = origin.wait_for_requests(count + 1);
        let sent = requests[count].header("traceparent").unwrap().to_owned();
        assert!(
            sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with(&format!("-{flags}")),
            "{sent}"
        );
    }
    get(&proxy, "/", "");
    let requests = origin.wait_for_requests(4);
    assert!(requests[3].header("traceparent").unwrap().ends_with("-01"));
    assert_eq!(counted(&proxy, "sent") + counted(&proxy, "dropped"), 0);
}
