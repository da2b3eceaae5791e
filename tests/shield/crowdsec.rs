//! Decisions of a `CrowdSec` as a list. No `CrowdSec` runs here: the local API is an imitation of ours that answers as its documentation
//! says the real one does, chunked, with null for nothing and with what has ended in negative durations.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::feeds::{addresses, config, feed};
use super::lists::json;
use crate::support::{Folder, Origin, Peer, Proxy, wait_until};

fn decision(id: u32, action: &str, scope: &str, value: &str, duration: &str) -> String {
    format!(
        "{{\"duration\":\"{duration}\",\"id\":{id},\"origin\":\"crowdsec\",\"scenario\":\"crowdsecurity/ssh-bf\",\
         \"scope\":\"{scope}\",\"type\":\"{action}\",\"uuid\":\"0b7c\",\"value\":\"{value}\"}}"
    )
}

/// An answer with a chunked body.
fn answer(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    )
    .into_bytes()
}

fn answer_to(number: usize) -> Vec<u8> {
    let all = [
        decision(1, "ban", "Ip", "203.0.113.7", "3h59m48.123456789s"),
        decision(2, "ban", "Range", "198.51.100.0/24", "167h0m1s"),
        decision(3, "captcha", "Ip", "203.0.113.8", "4h"),
        decision(4, "ban", "Ip", "127.0.0.1", "4h"),
    ];
    match number {
        0 => answer("403 Forbidden", "{\"message\":\"access forbidden\"}"),
        1 => answer(
            "200 OK",
            &format!("{{\"new\": [{}], \"deleted\": []}}", all.join(",")),
        ),
        2 => answer("200 OK", "{\"deleted\":null,\"new\":null}"),
        3 => {
            let gone = decision(1, "ban", "Ip", "203.0.113.7", "-1m3.5s");
            let new = decision(5, "ban", "Ip", "2001:db8::5", "4h");
            answer(
                "200 OK",
                &format!("{{\"deleted\":[{gone}],\"new\":[{new}]}}"),
            )
        }
        4 => answer("500 Internal Server Error", "{\"message\":\"no\"}"),
        _ => {
            let left = decision(6, "ban", "Ip", "203.0.113.9", "4h");
            answer("200 OK", &format!("{{\"new\": [{left}], \"deleted\": []}}"))
        }
    }
}

#[test]
fn decisions_come_and_go_as_the_local_api_says_and_everything_is_asked_for_after_a_failure() {
    let count = Arc::new(AtomicUsize::new(0));
    let (counted, allowed) = (Arc::clone(&count), Arc::new(AtomicUsize::new(3)));
    let bound = Arc::clone(&allowed);
    // What is not to be answered yet has nothing new.
    let origin = Origin::start(move |peer: &mut Peer| -> io::Result<()> {
        peer.read_until(b"\r\n\r\n")?;
        let number = counted.load(Ordering::SeqCst);
        if number < bound.load(Ordering::SeqCst) {
            counted.fetch_add(1, Ordering::SeqCst);
            peer.send(answer_to(number))?;
        } else {
            peer.send(answer_to(2))?;
        }
        peer.finish()
    });
    let folder = Folder::new();
    let list = format!(
        "{{ name = \"cs\", crowdsec = \"http://{}/\", api_key = \"k3y\", every = \"1s\" }}",
        origin.address()
    );
    let proxy = Proxy::start(&config(&list, &folder));
    let refused = proxy.wait_for("answered 403");
    assert!(!refused.contains("k3y"), "{refused}");
    wait_until("the decisions are there", || {
        addresses(&proxy, "cs") == ["198.51.100.0/24", "203.0.113.7"]
    });
    let error = feed(&proxy, "cs")["last_error"].to_string();
    assert!(error.contains("127.0.0.1 cannot be blocked"), "{error}");
    let tested = proxy.cli(&["blocklist", "test", "203.0.113.7"]).ok().text();
    assert!(tested.contains("crowdsecurity/ssh-bf"), "{tested}");
    allowed.store(4, Ordering::SeqCst);
    wait_until("one goes and one comes", || {
        addresses(&proxy, "cs") == ["198.51.100.0/24", "2001:db8::5"]
    });
    allowed.store(usize::MAX, Ordering::SeqCst);
    wait_until("everything is told again", || {
        addresses(&proxy, "cs") == ["203.0.113.9"]
    });
    let asked = origin.received();
    let asked: Vec<String> = asked
        .iter()
        .map(|bytes| String::from_utf8_lossy(bytes).to_ascii_lowercase())
        .collect();
    for request in &asked {
        assert!(request.contains("x-api-key: k3y\r\n"), "{request}");
    }
    let starts = |request: &String, startup: bool| {
        request.starts_with(&format!(
            "get /v1/decisions/stream?startup={startup} http/1.1\r\n"
        ))
    };
    assert!(asked.iter().take(2).all(|request| starts(request, true)));
    assert!(starts(&asked[2], false) && starts(&asked[3], false));
    assert!(asked.iter().skip(4).any(|request| starts(request, true)));
}

#[test]
fn a_start_that_finds_no_local_api_begins_with_the_last_decisions() {
    let phase = Arc::new(AtomicUsize::new(1));
    let answered = Arc::clone(&phase);
    let origin = Origin::start(move |peer: &mut Peer| -> io::Result<()> {
        peer.read_until(b"\r\n\r\n")?;
        peer.send(answer_to(answered.load(Ordering::SeqCst)))?;
        peer.finish()
    });
    let folder = Folder::new();
    let list = format!(
        "{{ name = \"cs\", crowdsec = \"http://{}/\", api_key = \"k3y\", every = \"1s\" }}",
        origin.address()
    );
    let mut proxy = Proxy::start(&config(&list, &folder));
    let copy = folder.path().join("state/feeds/block-cs.json");
    wait_until("the decisions are kept", || copy.exists());
    phase.store(4, Ordering::SeqCst);
    proxy.kill();
    proxy.start_again();
    let told = ["198.51.100.0/24", "203.0.113.7"];
    assert_eq!(addresses(&proxy, "cs"), told);
    proxy.wait_for("answered 500");
    assert_eq!(addresses(&proxy, "cs"), told);
    let tested = ["-o", "json", "blocklist", "test", "203.0.113.7"];
    let tested = json(&proxy.cli(&tested).ok());
    let entry = &tested["entries"][0];
    assert_eq!(entry["reason"], "crowdsecurity/ssh-bf");
    let left = entry["expires_in"].as_u64().unwrap_or_default();
    assert!((1..=14_400).contains(&left), "{tested}");
    // What is told afterwards is all there is.
    phase.store(5, Ordering::SeqCst);
    wait_until("everything is told again", || {
        addresses(&proxy, "cs") == ["203.0.113.9"]
    });
}
