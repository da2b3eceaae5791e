//! Endpoints that answer that they cannot serve, with others beside them that can.

use super::{Group, get, plain, weighted};
use crate::support::{Call, Message, Origin, RawClient, StreamOrigin};

const STATUSES: [u16; 3] = [502, 503, 504];
const ALL: &str = "retry_on = [\"connect\", \"http_502\", \"http_503\", \"http_504\"]";

fn answering(status: u16, body: &str) -> Origin {
    let length = body.len();
    Origin::answering(format!(
        "HTTP/1.1 {status} X\r\nX-Of: origin\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

/// Before both, the first one having the first turn of either worker.
fn before(first: &Origin, second: &Origin, keys: &str) -> Group {
    Group::start(&[weighted(first, 1000), plain(second)], keys)
}

fn ask(group: &Group, request: &str) -> Message {
    RawClient::connect(group.web).exchange(request)
}

const PUT: &str = "PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";
const POST: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn another_one_is_asked_with_the_whole_request_and_the_client_sees_its_answer_alone() {
    for status in STATUSES {
        for request in [get("/", "192.0.2.1"), PUT.to_owned()] {
            let (sick, fine) = (answering(status, "sorry"), Origin::serving("fine"));
            let group = before(&sick, &fine, ALL);
            let response = ask(&group, &request);
            assert_eq!((response.status(), response.text()), (200, "fine".into()));
            assert_eq!(response.header("x-of"), None);
            let counts = [&sick, &fine].map(|origin| origin.requests().len());
            assert_eq!(counts, [1, 1], "{status}");
            assert_eq!(fine.requests()[0].body, sick.requests()[0].body);
            let line = group.proxy.wait_for_access("\"retries\":1");
            assert!(line.contains("\"status\":200"), "{line}");
        }
    }
}

#[test]
fn what_may_not_be_repeated_or_is_not_wanted_is_answered_by_the_first() {
    let get = get("/", "192.0.2.1");
    for (request, keys) in [
        (POST, ALL),
        (&get, ""),
        (&get, "retry_on = [\"http_502\"]"),
        (&get, "retries = 0\nretry_on = [\"http_503\"]"),
    ] {
        let (sick, fine) = (answering(503, "sorry"), Origin::serving("fine"));
        let group = before(&sick, &fine, keys);
        let response = ask(&group, request);
        assert_eq!(
            (response.status(), response.text()),
            (503, "sorry".into()),
            "{keys}"
        );
        assert_eq!(response.header("x-of"), Some("origin"));
        assert_eq!(fine.requests().len(), 0);
    }
}

#[test]
fn the_last_one_that_may_be_asked_has_the_word() {
    let all = [502, 503, 504].map(|status| answering(status, &format!("I say {status}")));
    let group = Group::start(&all.each_ref().map(plain), ALL);
    let response = ask(&group, &get("/", "192.0.2.1"));
    assert_eq!(response.text(), format!("I say {}", response.status()));
    let asked: usize = all.iter().map(|origin| origin.requests().len()).sum();
    assert_eq!(asked, 3, "each once");
}

#[test]
fn the_budget_holds_for_answers_as_well() {
    let all = ["one", "two"].map(|_| answering(503, "sorry"));
    let keys = format!("{ALL}\nretry_budget = \"0%\"");
    let group = Group::start(&all.each_ref().map(plain), &keys);
    let begin = std::time::Instant::now();
    // One connection is one worker.
    let mut client = RawClient::connect(group.web);
    for _ in 0..50 {
        assert_eq!(client.exchange(get("/", "192.0.2.1")).text(), "sorry");
    }
    let seconds = usize::try_from(begin.elapsed().as_secs()).unwrap() + 1;
    let asked: usize = all.iter().map(|origin| origin.requests().len()).sum();
    assert!((60..=50 + 10 * seconds).contains(&asked), "{asked}");
}

#[test]
fn it_is_the_same_with_endpoints_that_speak_h2() {
    let sick = StreamOrigin::start(|mut call: Call| async move { call.answer(503, "sorry") });
    let fine = StreamOrigin::start(|mut call: Call| async move { call.answer(200, "fine") });
    let endpoints = [
        format!("{{ address = \"{}\", weight = 1000 }}", sick.address()),
        format!("\"{}\"", fine.address()),
    ];
    let group = Group::start(&endpoints, &format!("protocol = \"h2\"\n{ALL}"));
    assert_eq!(ask(&group, PUT).text(), "fine");
    assert_eq!(ask(&group, POST).text(), "sorry");
    assert_eq!((sick.requests().len(), fine.requests().len()), (2, 1));
}
