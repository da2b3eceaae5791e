//! Clients that stay with their endpoint by a cookie.

use super::{Stage, upstream};
use crate::support::{Message, Origin, free_port};

fn config(endpoints: &[String], keys: &str) -> String {
    let keys = format!("sticky = {{ cookie = \"oc_app\"{keys} }}");
    let endpoints = endpoints.join(", ");
    format!(
        "[upstream.app]\nendpoints = [{endpoints}]\n{keys}\n[[route]]\nname = \"all\"\nto = \"app\"\n"
    )
}

fn quoted(origins: &[Origin]) -> Vec<String> {
    let addresses = origins.iter().map(Origin::address);
    addresses.map(|address| format!("\"{address}\"")).collect()
}

fn ask(stage: &Stage, cookie: &str) -> Message {
    let answer = stage.ask("/", &format!("Cookie: a=b; {cookie}\r\n"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer
}

/// The name and value of the cookie that came.
fn cookie(answer: &Message) -> Option<String> {
    let set = answer.header("set-cookie")?;
    Some(set.split(';').next().unwrap().to_owned())
}

/// Whether all of some requests go to `name`, without another cookie.
fn stays(stage: &Stage, cookie: &str, name: &str) -> bool {
    (0..8).all(|_| {
        let answer = ask(stage, cookie);
        answer.text() == name && answer.header("set-cookie").is_none()
    })
}

#[test]
fn a_client_stays_with_its_endpoint_over_workers_and_restarts() {
    let origins = ["one", "two", "three"].map(Origin::serving);
    let mut stage = Stage::start(&config(&quoted(&origins), ""));
    let mut known = Vec::new();
    for _ in 0..9 {
        let answer = stage.ask("/", "");
        let set = answer.header("set-cookie").unwrap();
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
        for origin in &origins {
            let port = origin.address().port().to_string();
            assert!(!set.contains(&port), "{set}");
        }
        known.push((cookie(&answer).unwrap(), answer.text()));
    }
    known.sort();
    known.dedup();
    assert_eq!(known.len(), 3, "one for each: {known:?}");
    for (cookie, name) in &known {
        assert!(stays(&stage, cookie, name), "{cookie} {name}");
    }
    let forged = known[0].0.replace('=', "=0");
    let long = ask(&stage, &forged);
    assert!(cookie(&long).is_some(), "made up: ignored, and set anew");
    let zero = format!("oc_app={}", "0".repeat(32));
    assert!(cookie(&ask(&stage, &zero)).is_some());
    let secure = stage.ask("/", "X-Forwarded-Proto: https\r\n");
    assert!(secure.header("set-cookie").unwrap().ends_with("; Secure"));
    stage.proxy.signal("TERM");
    stage.proxy.wait();
    stage.proxy.start_again();
    stage.web = crate::control::address(&stage.proxy, "web");
    for (cookie, name) in &known {
        assert!(stays(&stage, cookie, name), "after a restart");
    }
}

#[test]
fn when_the_endpoint_goes_a_client_gets_another_and_keeps_that() {
    let origins = ["one", "two"].map(Origin::serving);
    let both = quoted(&origins);
    let secret = ", secret = \"0123456789abcdef\", max_age = \"1h\"";
    let stage = Stage::start(&config(&both, secret));
    let first = stage.ask("/", "");
    assert!(
        first
            .header("set-cookie")
            .unwrap()
            .contains("; Max-Age=3600;")
    );
    let (kept, name) = (cookie(&first).unwrap(), first.text());
    let index = usize::from(name == "two");
    // Another proxy with the same secret knows it.
    let other = Stage::start(&config(&both, secret));
    assert!(stays(&other, &kept, &name));
    // Without the endpoint the client is told once, and stays.
    let left = Stage::start(&config(&both[1 - index..2 - index], secret));
    let moved = ask(&left, &kept);
    let now = cookie(&moved).unwrap();
    assert_ne!((&now, &moved.text()), (&kept, &name));
    assert!(stays(&left, &now, &moved.text()));
    // One that takes no connections costs nobody a request.
    let dead = [
        both[index].clone(),
        format!("\"127.0.0.1:{}\"", free_port()),
    ];
    let broken = Stage::start(&config(&dead, secret));
    assert!(stays(&broken, &kept, &name));
}

#[test]
fn without_the_key_nobody_is_pinned() {
    let origin = Origin::serving("app");
    let stage = Stage::start(&(upstream("app", &origin, "") + "[[route]]\nto = \"app\"\n"));
    assert!(stage.ask("/", "").header("set-cookie").is_none());
}
