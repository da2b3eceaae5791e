//! Whatever is refused or cut off leaves a line in the access log, with its reason and nothing invented.

use std::time::{Duration, Instant};

use super::{GET, LISTENERS, Stage, app, listeners};
use crate::support::{Message, Origin, RawClient};

const COMBINED: &str = "\n[log]\naccess = { to = \"stdout\", format = \"combined\" }\n";

fn value(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Asserts that the line is one of a connection: client, listener and reason, and no request.
fn assert_connection(line: &str, listener: &str, client: &str, reason: &str) {
    let line = value(line);
    let text = |name: &str| line[name].as_str().map(str::to_owned);
    assert_eq!(text("listener").as_deref(), Some(listener), "{line}");
    assert_eq!(text("client").as_deref(), Some(client), "{line}");
    assert_eq!(text("reason").as_deref(), Some(reason), "{line}");
    for name in [
        "status", "id", "route", "method", "host", "path", "upstream",
    ] {
        assert!(line[name].is_null(), "{name}: {line}");
    }
}

/// Asserts that the line is one of a connection that was refused with this answer, and no request; answer and line have one id.
fn assert_answered(line: &str, answer: &Message, reason: &str) {
    let line = value(line);
    let id = answer.header("x-request-id").expect("an id");
    let text = answer.text();
    assert!(text.contains(&format!("request id: {id}\n")), "{text}");
    assert_eq!(line["id"], id, "{line}");
    assert_eq!(line["status"], answer.status(), "{line}");
    assert_eq!(line["bytes_out"], text.len(), "{line}");
    assert_eq!(line["reason"], reason, "{line}");
    for name in ["route", "method", "host", "path", "upstream"] {
        assert!(line[name].is_null(), "{name}: {line}");
    }
}

/// How long what the line tells of took, in milliseconds.
fn duration(line: &str) -> f64 {
    value(line)["duration_ms"].as_f64().expect("a number")
}

#[test]
fn connections_over_the_limit_are_told_so_and_stand_in_the_log() {
    let origin = Origin::serving("x");
    let config = listeners("max_connections_per_ip = 1") + &app(origin.address(), "");
    let stage = Stage::start(&config);
    let mut first = stage.client();
    assert_eq!(first.exchange(GET).text(), "x");
    let mut second = stage.client();
    let refused = second.response();
    assert_eq!(refused.status(), 503, "{}", refused.text());
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("connection"), Some("close"));
    assert!(refused.text().contains("limit.connections"));
    second.expect_closed();
    let line = stage.proxy.wait_for_access("limit.connections");
    assert_answered(&line, &refused, "limit.connections");
    // Its id can be asked for.
    let id = refused.header("x-request-id").expect("an id");
    let told = stage.proxy.cli(&["-o", "json", "explain", "id", id]).ok();
    let told = value(&String::from_utf8_lossy(&told.stdout));
    assert_eq!(told["outcome"], "refused with 503", "{told}");
    assert_eq!(told["reason"], "limit.connections", "{told}");
    assert_eq!(first.exchange(GET).text(), "x");
    // Behind TLS nothing is said: it would take a handshake.
    let _held = RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"]);
    assert!(RawClient::try_connect_tls(stage.webs, "a.test", &["http/1.1"]).is_err());
}

#[test]
fn blocked_peers_stand_in_the_log() {
    let origin = Origin::serving("x");
    let shield = "\n[shield]\nmode = \"off\"\nblock = [\"127.0.0.2/32\"]\n";
    let stage = Stage::start(&format!("{LISTENERS}{}{shield}", app(origin.address(), "")));
    let mut client = RawClient::try_connect_from([127, 0, 0, 2].into(), stage.web).unwrap();
    client.expect_closed();
    let line = stage.proxy.wait_for_access("shield.block");
    assert_connection(&line, "web", "127.0.0.2", "shield.block");
}

#[test]
fn handshakes_that_fail_stand_in_the_log() {
    let origin = Origin::serving("x");
    let config = listeners("header_timeout = \"400ms\"") + &app(origin.address(), "");
    let stage = Stage::start(&config);
    let mut wrong = RawClient::connect(stage.webs);
    wrong.send([22, 3, 1, 0, 4, 99, 0, 0, 0]);
    let line = stage.proxy.wait_for_access("cannot be agreed to");
    assert_connection(&line, "webs", "127.0.0.1", "tls.handshake");
    let _slow = RawClient::connect(stage.webs);
    let line = stage.proxy.wait_for_access("not complete");
    assert_connection(&line, "webs", "127.0.0.1", "tls.handshake");
    assert!(duration(&line) >= 400.0, "{line}");
}

#[test]
fn http_on_a_port_of_tls_stands_in_the_log_as_it_was_answered() {
    let origin = Origin::serving("x");
    let stage = Stage::before(&origin);
    let mut client = RawClient::connect(stage.webs);
    client.send(GET);
    let refused = client.response();
    let line = stage.proxy.wait_for_access("HTTP without TLS");
    assert_answered(&line, &refused, "tls.handshake");
}

#[test]
fn a_late_head_is_logged_with_the_time_it_had() {
    let origin = Origin::serving("x");
    let keys = "header_timeout = \"400ms\"\nprotocols = [\"h1\"]";
    let stage = Stage::start(&(listeners(keys) + &app(origin.address(), "")));
    let mut client = stage.client();
    client.send("GET / HT");
    assert_eq!(client.response().status(), 408);
    let line = stage.proxy.wait_for_access("http.timeout");
    assert!(duration(&line) >= 400.0, "{line}");
}

#[test]
fn a_head_that_does_not_even_tell_its_version_is_logged() {
    let origin = Origin::serving("x");
    let keys = "header_timeout = \"300ms\"\nprotocols = [\"h1\", \"h2\"]";
    let stage = Stage::start(&(listeners(keys) + &app(origin.address(), "")));
    let mut client = stage.client();
    client.send("P");
    client.expect_closed();
    let line = stage.proxy.wait_for_access("http.timeout");
    assert_connection(&line, "web", "127.0.0.1", "http.timeout");
}

#[test]
fn an_http_2_connection_that_breaks_the_protocol_is_logged() {
    let origin = Origin::serving("x");
    let stage = Stage::before(&origin);
    let mut client = stage.client();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    // A PING before SETTINGS.
    client.send([&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], &[0; 8]].concat());
    let line = stage
        .proxy
        .wait_for_access("the first frame is not SETTINGS");
    assert_connection(&line, "web", "127.0.0.1", "http.malformed");
}

#[test]
fn the_combined_format_makes_no_request_line_up() {
    let origin = Origin::serving("x");
    let config = listeners("max_connections_per_ip = 1") + &app(origin.address(), "") + COMBINED;
    let stage = Stage::start(&config);
    let mut first = stage.client();
    // An answer proves that it holds the only permit: another worker may accept the second before it.
    first.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(first.response().status(), 200);
    let mut second = stage.client();
    assert_eq!(second.response().status(), 503);
    let refused = stage.proxy.wait_for_access("\"-\" 503 87 \"-\" \"-\"");
    assert!(refused.starts_with("127.0.0.1 - - ["), "{refused}");
    first.send("GET /\r\n\r\n");
    assert_eq!(first.response().status(), 400);
    let malformed = stage.proxy.wait_for_access("\"GET /\" 400 ");
    assert!(!malformed.contains("HTTP/1.1"), "{malformed}");
}

#[test]
fn an_exchange_that_outlives_the_grace_is_logged() {
    let origin = Origin::start(|peer| {
        peer.request()?;
        peer.read_to_end().map(drop)
    });
    let server = "\n[server]\nworkers = 1\nshutdown_grace = \"300ms\"\nstate_dir = \"state\"\n";
    let mut stage = Stage::start(&format!("{LISTENERS}{}{server}", app(origin.address(), "")));
    let mut running = stage.client();
    running.send("GET /endless HTTP/1.1\r\nHost: a.test\r\n\r\n");
    origin.wait_for_requests(1);
    let start = Instant::now();
    stage.proxy.signal("TERM");
    assert!(stage.proxy.wait().success());
    assert!(start.elapsed() >= Duration::from_millis(300));
    let line = stage.proxy.wait_for_access("http.shutdown");
    assert_eq!(value(&line)["path"], "/endless");
    running.expect_closed();
}

#[test]
fn what_a_refused_request_asked_for_stands_in_the_log() {
    let origin = Origin::serving("x");
    let keys = "header_timeout = \"300ms\"\nmax_header = \"2k\"";
    let stage = Stage::start(&(listeners(keys) + &app(origin.address(), "")));
    let long = "x".repeat(3000);
    for (number, (request, status, protocol)) in [
        ("PUT /N HTTP/1.1\r\n\r\n".to_owned(), 400, Some("HTTP/1.1")),
        (
            "PUT /N HTTP/1.0\r\nA : b\r\n\r\n".to_owned(),
            400,
            Some("HTTP/1.0"),
        ),
        ("PUT /N\r\n\r\n".to_owned(), 400, None),
        (
            "PUT /N HTTP/3.0\r\nHost: a\r\n\r\n".to_owned(),
            505,
            Some("HTTP/3.0"),
        ),
        (
            format!("PUT /N HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
            431,
            Some("HTTP/1.1"),
        ),
        (format!("PUT /N{long}"), 414, None),
        (
            "PUT /N HTTP/1.1\r\nHost: a\r\n".to_owned(),
            408,
            Some("HTTP/1.1"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{number}\\\"");
        let mut client = stage.client();
        client.send(request.replacen("/N", &path, 1));
        assert_eq!(client.response().status(), status, "{path}");
        let line = stage
            .proxy
            .wait_for_access(&format!("\"path\":\"/{number}"));
        let line = value(&line);
        assert_eq!(line["method"], "PUT", "{line}");
        let told = line["path"].as_str().unwrap_or_default();
        assert!(told.starts_with(&path) && told.len() <= 1024, "{line}");
        assert_eq!(line["protocol"].as_str(), protocol, "{line}");
        assert_eq!(line["status"], status, "{line}");
    }
    // What is no request line is not taken for one.
    stage.client().send("\x16\x03\x01 /secret HTTP/1.1\r\n\r\n");
    let line = stage.proxy.wait_for_access_to("no request line", |line| {
        line.contains("http.malformed") && line.contains("\"method\":null")
    });
    assert!(value(&line)["path"].is_null(), "{line}");
}
