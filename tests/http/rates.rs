//! Limits of routes: exact over all workers and wires, and said to the client.

use std::sync::Barrier;
use std::thread;

use hyper::Method;
use serde_json::Value;

use super::h2_client::{in_the_clear, request, run};
use super::{LISTENERS, Stage, assert_refused};
use crate::control::sample;
use crate::support::{Message, Origin, RawClient};

/// Four workers, whatever the machine has.
fn stage(routes: &str) -> Stage {
    let server = |folder: &str| format!("[server]\nworkers = 4\nstate_dir = \"{folder}\"\n");
    Stage::start(&format!("{LISTENERS}{}{routes}", server("state")))
}

fn limited(limit: &str) -> Stage {
    stage(&format!(
        "[[route]]\nname = \"login\"\nrespond = {{ body = \"in\" }}\nlimit = {{ {limit} }}\n"
    ))
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn with(field: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a.test\r\n{field}\r\n\r\n")
}

fn number(response: &Message, name: &str) -> u64 {
    let value = response.header(name);
    let value = value.unwrap_or_else(|| panic!("no {name} in {response:?}"));
    value.parse().expect("a number")
}

#[test]
fn the_eleventh_of_ten_a_minute_is_refused_and_told_when_to_come_back() {
    let stage = limited("rate = \"10/min\"");
    let mut client = stage.client();
    for left in (0..10).rev() {
        let response = client.exchange(GET);
        assert_eq!(response.text(), "in");
        assert_eq!(number(&response, "ratelimit-limit"), 10);
        assert_eq!(number(&response, "ratelimit-remaining"), left);
        assert_eq!(
            response.header("ratelimit-policy"),
            Some("\"default\";q=10;w=60")
        );
        assert_eq!(response.header("retry-after"), None);
    }
    let response = client.exchange(GET);
    assert_refused(&response, 429, "limit.rate");
    assert!((1..=6).contains(&number(&response, "retry-after")));
    assert_eq!(number(&response, "ratelimit-remaining"), 0);
    assert!((54..=60).contains(&number(&response, "ratelimit-reset")));
    let line = stage.proxy.wait_for_access("limit.rate");
    assert!(line.contains("\"route\":\"login\"") && line.contains("\"status\":429"));
    let refused = sample(
        &stage.proxy,
        "openclaw_refusals_total{reason=\"limit.rate\"}",
    );
    assert_eq!(refused.as_deref(), Some("1"));
    let reason = stage.proxy.cli(&["reasons", "limit.rate"]).ok().text();
    assert!(reason.contains("limit"), "{reason}");
}

#[test]
fn the_count_is_exact_over_workers_and_wires() {
    const CLIENTS: usize = 24;
    let stage = limited("rate = \"30/d\", burst = 7");
    let barrier = Barrier::new(CLIENTS);
    let passed: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = stage.client();
                    barrier.wait();
                    let answers = (0..10).map(|_| client.exchange(GET).status());
                    let answers: Vec<u16> = answers.collect();
                    assert!(answers.iter().all(|status| matches!(status, 200 | 429)));
                    answers.iter().filter(|status| **status == 200).count()
                })
            })
            .collect();
        clients.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(passed, 37);
    let (status, retry_after) = run(async {
        let mut sender = in_the_clear(&stage).await;
        let (response, _) = sender
            .send_request(request(Method::GET, "/"), true)
            .unwrap();
        let head = response.await.unwrap();
        let retry_after = head.headers().get("retry-after").cloned();
        (head.status().as_u16(), retry_after)
    });
    assert_eq!(status, 429);
    assert!(retry_after.is_some());
}

#[test]
fn keys_are_headers_cookies_or_the_whole_route() {
    let check = |key: &str, requests: &[(&str, u16)]| {
        let stage = limited(&format!("rate = \"1/h\", key = \"{key}\""));
        for (field, status) in requests {
            let response = stage.ask(&with(field));
            assert_eq!(response.status(), *status, "{key}: {field}");
        }
    };
    check(
        "header:X-Api-Key",
        &[
            ("X-Api-Key: a", 200),
            ("X-Api-Key: b", 200),
            ("x-api-key: a", 429),
            ("X-Other: a", 200),
            ("X-Other: b", 429),
        ],
    );
    check(
        "cookie:sid",
        &[
            ("Cookie: sid=a; x=1", 200),
            ("Cookie: x=2; sid=b", 200),
            ("Cookie: x=3; sid=a", 429),
            ("Cookie: x=sid", 200),
        ],
    );
    check("route", &[("X-Api-Key: a", 200), ("X-Api-Key: b", 429)]);
}

#[test]
fn an_endpoint_is_not_asked_and_what_it_says_of_limits_is_replaced() {
    let origin = Origin::start(|peer| {
        while peer.request().is_ok() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRateLimit-Limit: 999\r\n\r\nup")?;
        }
        Ok(())
    });
    let stage = stage(&format!(
        "[upstream.app]\nendpoints = [\"{}\"]\n[[route]]\nto = \"app\"\nlimit = {{ rate = \"2/h\" }}\n",
        origin.address()
    ));
    let mut client = stage.client();
    for left in [1, 0] {
        let response = client.exchange(GET);
        assert_eq!(response.text(), "up");
        assert_eq!(number(&response, "ratelimit-limit"), 2);
        assert_eq!(number(&response, "ratelimit-remaining"), left);
    }
    assert_eq!(client.exchange(GET).status(), 429);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_operator_sees_who_is_refused_and_lets_them_begin_anew() {
    let stage = limited("rate = \"1/h\"");
    let statuses =
        |count: usize| -> Vec<u16> { (0..count).map(|_| stage.ask(GET).status()).collect() };
    assert_eq!(statuses(4), [200, 429, 429, 429]);
    let list = |arguments: &[&str]| -> Value {
        let output = stage
            .proxy
            .cli(&[&["-o", "json", "limit", "list"], arguments].concat());
        serde_json::from_slice(&output.ok().stdout).unwrap()
    };
    let limit = list(&["--route", "login"])["limits"][0].clone();
    assert_eq!(
        (&limit["route"], &limit["refused"]),
        (&"login".into(), &3.into())
    );
    let busy = &limit["busiest"][0];
    assert_eq!(
        (&busy["key"], &busy["refused"], &busy["remaining"]),
        (&"127.0.0.1".into(), &3.into(), &0.into())
    );
    let text = stage.proxy.cli(&["limit", "list"]).ok().text();
    assert!(
        text.starts_with("login: 1 per 3600 s by client_ip, 3 refused\n"),
        "{text}"
    );
    assert!(text.contains("127.0.0.1"), "{text}");

    let id = busy["id"].as_str().unwrap();
    for (reset, said) in [
        (&["login", "--key", "127.0.0.1"][..], "1 key reset\n"),
        (&["--key", id], "1 key reset\n"),
        (&["login"], "1 limit reset\n"),
        (&[], "1 limit reset\n"),
    ] {
        let output = stage.proxy.cli(&[&["limit", "reset"], reset].concat()).ok();
        assert_eq!(output.text(), said);
        assert_eq!(statuses(2), [200, 429], "{reset:?}");
    }
    let stranger = ["limit", "reset", "login", "--key", "127.0.0.9"];
    let said = stage.proxy.cli(&stranger).ok().text();
    assert_eq!(said, "no such key is counted\n");
    assert_eq!(stage.ask(GET).status(), 429, "another's reset is no reset");
    assert_eq!(stage.proxy.cli(&["limit", "reset", "nowhere"]).code, 1);
    assert_eq!(
        stage
            .proxy
            .cli(&["limit", "list", "--route", "nowhere"])
            .code,
        1
    );
    assert_eq!(
        stage
            .proxy
            .cli(&["limit", "reset", "login", "--key", "x"])
            .code,
        2
    );
}

#[test]
fn a_reload_keeps_the_count() {
    let stage = limited("rate = \"2/h\"");
    assert_eq!(stage.ask(GET).status(), 200);
    stage.proxy.cli(&["reload"]).ok();
    let mut answers: Vec<u16> = (0..2).map(|_| stage.ask(GET).status()).collect();
    answers.push(RawClient::connect(stage.web).exchange(GET).status());
    assert_eq!(answers, [200, 429, 429]);
}
