//! Copies of requests for another upstream.

use std::collections::HashSet;

use super::{Stage, upstream};
use crate::control::sample;
use crate::support::{Origin, RawClient, eventually, wait_until};

fn stage(origin: &Origin, shadow: &Origin, keys: &str) -> Stage {
    let upstreams =
        upstream("app", origin, "") + &upstream("shadow", shadow, "response_timeout = \"300ms\"");
    Stage::start(&format!(
        "{upstreams}[[route]]\nname = \"all\"\nto = \"app\"\nmirror = {{ to = \"shadow\"{keys} }}\n"
    ))
}

fn mirrored(stage: &Stage, result: &str) -> u64 {
    let name = format!("openclaw_mirrored_requests_total{{route=\"all\",result=\"{result}\"}}");
    sample(&stage.proxy, &name).map_or(0, |value| value.parse().unwrap())
}

#[test]
fn a_copy_is_the_same_request_and_its_answer_goes_nowhere() {
    let origin = Origin::serving("real");
    let shadow = Origin::serving("shadow");
    let stage = stage(&origin, &shadow, "");
    let mut client = RawClient::connect(stage.web);
    for request in [
        "GET /a?b HTTP/1.1\r\nHost: a.test\r\nX-A: 1\r\n\r\n",
        "POST /p HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello",
        "POST /c HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    ] {
        assert_eq!(client.exchange(request).text(), "real");
    }
    let (real, copies) = (origin.wait_for_requests(3), shadow.wait_for_requests(3));
    for one in real {
        let copy = copies.iter().find(|copy| copy.start == one.start).unwrap();
        assert_eq!((&copy.headers, &copy.body), (&one.headers, &one.body));
    }
    wait_until("all are counted", || mirrored(&stage, "sent") == 3);
}

#[test]
fn copies_go_where_the_balance_of_their_own_upstream_says() {
    let origin = Origin::serving("real");
    let shadows = ["one", "two", "three"].map(Origin::serving);
    let endpoints = shadows
        .each_ref()
        .map(|shadow| format!("\"{}\"", shadow.address()));
    let stage = Stage::start(&format!(
        "{}[upstream.shadow]\nendpoints = [{}]\nbalance = \"url_hash\"\n\
         [[route]]\nname = \"all\"\nto = \"app\"\nmirror = {{ to = \"shadow\" }}\n",
        upstream("app", &origin, ""),
        endpoints.join(", ")
    ));
    for number in (0..20).chain(0..20) {
        assert_eq!(stage.ask(&format!("/{number}"), "").text(), "real");
    }
    wait_until("all are sent", || mirrored(&stage, "sent") == 40);
    let paths = shadows.each_ref().map(|shadow| {
        let requests = shadow.requests();
        let paths = requests.iter().map(|request| request.start.clone());
        paths.collect::<HashSet<String>>().len()
    });
    assert!(!paths.contains(&0), "{paths:?}");
    assert_eq!(paths.iter().sum::<usize>(), 20, "each has its endpoint");
}

#[test]
fn a_shadow_that_fails_or_hangs_costs_nobody_anything() {
    let origin = Origin::serving("real");
    // Takes requests, and never answers.
    let shadow = Origin::start(|peer| peer.read_to_end().map(drop));
    let stage = stage(&origin, &shadow, ", max_in_flight = 2, max_body = 4");
    eventually("what is too much is dropped", || {
        for _ in 0..10 {
            assert_eq!(stage.ask("/", "").text(), "real");
        }
        (mirrored(&stage, "dropped") >= 1).then_some(())
    });
    wait_until("what hangs is given up", || mirrored(&stage, "failed") >= 2);
    let post = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";
    let chunked = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    eventually("there is a place again", || {
        let before = mirrored(&stage, "too_large");
        for request in [post, chunked] {
            let answer = RawClient::connect(stage.web).exchange(request);
            assert_eq!(answer.text(), "real");
        }
        (mirrored(&stage, "too_large") == before + 2).then_some(())
    });
}
