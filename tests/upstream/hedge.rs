//! A second endpoint beside one that is slow.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{Group, config, plain};
use crate::support::{Origin, PATIENCE, Peer, RawClient, StreamOrigin, wait_until};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const SOON: &str = "hedge = { after = \"20ms\" }";

fn answer(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// What the endpoint that is asked first does.
#[derive(Clone, Copy)]
enum First {
    Silent,
    /// This, once the other one was asked.
    SaysLater(&'static str),
    ResetsLater,
}

/// Two endpoints. The one that most requests go to acts as `First` has it when it is asked for the first time; else both say the
/// same words.
struct Two {
    origins: [Origin; 2],
    /// Where connections of the first kind have ended.
    ended: Receiver<()>,
}

struct Script {
    first: First,
    others: String,
    asked: [AtomicUsize; 2],
    tell: Mutex<Sender<()>>,
}

impl Two {
    fn start(first: First, others: impl Into<String>) -> Self {
        let (tell, ended) = channel();
        let script = Arc::new(Script {
            first,
            others: others.into(),
            asked: Default::default(),
            tell: Mutex::new(tell),
        });
        let origins = [0, 1].map(|index| {
            let script = Arc::clone(&script);
            Origin::start(move |peer| script.run(index, peer))
        });
        Self { origins, ended }
    }

    fn requests(&self) -> usize {
        let asked = self.origins.iter().map(|origin| origin.requests().len());
        asked.sum()
    }

    fn group(&self, keys: &str) -> Group {
        let [first, second] = self.origins.each_ref().map(plain);
        let first = format!("{{ address = {first}, weight = 1000 }}");
        Group::start(&[first, second], keys)
    }
}

impl Script {
    fn run(&self, index: usize, peer: &mut Peer) -> io::Result<()> {
        while peer.request()?.is_some() {
            let before = self.asked[index].fetch_add(1, Ordering::AcqRel);
            if index > 0 || before > 0 {
                peer.send(&self.others)?;
                continue;
            }
            match self.first {
                First::Silent => {}
                First::SaysLater(words) => {
                    self.wait_for_the_other();
                    peer.send(words)?;
                }
                First::ResetsLater => {
                    self.wait_for_the_other();
                    return peer.reset();
                }
            }
            // Closed or reset: it is over.
            let _ = peer.read_to_end();
            // The test may be over, too.
            let _ = self.tell.lock().unwrap().send(());
            return Ok(());
        }
        Ok(())
    }

    fn wait_for_the_other(&self) {
        let end = Instant::now() + PATIENCE;
        while self.asked[1].load(Ordering::Acquire) == 0 && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn ask(group: &Group) -> (u16, String) {
    let response = RawClient::connect(group.web).exchange(GET);
    (response.status(), response.text())
}

fn counted(group: &Group, result: &str, count: usize) {
    let line =
        format!("openclaw_upstream_hedges_total{{upstream=\"app\",result=\"{result}\"}} {count}\n");
    wait_until(&line, || group.metrics().contains(&line));
}

#[test]
fn whoever_answers_first_serves_and_the_other_one_is_let_go() {
    let two = Two::start(First::Silent, answer("second"));
    let group = two.group(SOON);
    assert_eq!(ask(&group), (200, "second".into()));
    // The connection of the one that lost is closed, not kept for somebody else.
    assert_eq!(two.ended.recv_timeout(PATIENCE), Ok(()));
    assert_eq!(two.requests(), 2);
    let line = group.proxy.wait_for_access("\"hedge\":\"won\"");
    assert!(
        line.contains("\"retries\":0") && line.contains("\"reason\":null"),
        "{line}"
    );
    counted(&group, "won", 1);
}

#[test]
fn a_long_answer_of_the_second_one_comes_whole() {
    let body = "0123456789abcdef".repeat(1 << 17);
    let two = Two::start(First::Silent, answer(&body));
    let group = two.group(SOON);
    assert!(ask(&group) == (200, body));
    group.proxy.wait_for_access("\"bytes_out\":2097152");
}

#[test]
fn the_first_one_may_still_win() {
    let two = Two::start(
        First::SaysLater("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"),
        "",
    );
    let group = two.group(SOON);
    assert_eq!(ask(&group), (200, "first".into()));
    assert_eq!(two.requests(), 2);
    group.proxy.wait_for_access("\"hedge\":\"lost\"");
    counted(&group, "lost", 1);
}

#[test]
fn a_poor_answer_does_not_win_while_another_one_may_come() {
    let first = First::SaysLater("HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nfirst");
    let poor = "HTTP/1.1 500 Oh\r\nContent-Length: 1\r\n\r\nx";
    let two = Two::start(first, poor);
    assert_eq!(ask(&two.group(SOON)), (404, "first".into()));
    // Of two poor ones the last is the answer.
    let first = First::SaysLater("HTTP/1.1 501 No\r\nContent-Length: 5\r\n\r\nfirst");
    let two = Two::start(first, poor);
    let (status, text) = ask(&two.group(&format!("{SOON}\nretries = 0")));
    let last = (status, text.as_str());
    assert!([(500, "x"), (501, "first")].contains(&last), "{last:?}");
}

#[test]
fn one_that_fails_leaves_the_other_one() {
    let two = Two::start(First::ResetsLater, "");
    let group = two.group(&format!("{SOON}\nresponse_timeout = \"1s\"\nretries = 0"));
    // Both fail, one after the other: the client is told of the last.
    let (status, text) = ask(&group);
    assert!(status == 504 && text.contains("upstream.timeout"), "{text}");
    group.proxy.wait_for_access("\"hedge\":\"failed\"");
    counted(&group, "failed", 1);
    let two = Two::start(First::ResetsLater, answer("back"));
    assert_eq!(ask(&two.group(SOON)), (200, "back".into()));
}

#[test]
fn only_what_may_be_asked_twice_is() {
    let two = Two::start(First::Silent, answer("second"));
    let group =
        two.group("hedge = { after = \"20ms\" }\nresponse_timeout = \"500ms\"\nretries = 0");
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(RawClient::connect(group.web).exchange(post).status(), 504);
    assert_eq!(two.requests(), 1);
    let two = Two::start(First::Silent, answer("second"));
    let group =
        two.group("hedge = { after = \"20ms\" }\nresponse_timeout = \"500ms\"\nretries = 0");
    let body = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx";
    assert_eq!(RawClient::connect(group.web).exchange(body).status(), 504);
    assert_eq!(two.requests(), 1);
    assert!(!group.metrics().contains("openclaw_upstream_hedges_total{"));
}

#[test]
fn one_that_answers_in_time_is_asked_alone() {
    let two = Two::start(First::Silent, answer("x"));
    let group = two.group("hedge = { after = \"1h\" }");
    let mut silent = RawClient::connect(group.web);
    silent.send(GET);
    wait_until("the first request", || two.requests() == 1);
    for _ in 0..5 {
        assert_eq!(ask(&group), (200, "x".into()));
    }
    assert_eq!(two.requests(), 6);
    drop(silent);
    assert!(!group.metrics().contains("openclaw_upstream_hedges_total{"));
}

/// Ten a second may be asked twice in any case, besides the share of all.
#[test]
fn the_budget_bounds_what_is_asked_twice() {
    let origins = [(), ()].map(|()| Origin::start(|peer| peer.read_to_end().map(drop)));
    let keys = "hedge = { after = \"50ms\" }\nretry_budget = \"0%\"\nretries = 0\nresponse_timeout = \"400ms\"";
    let group = Group::start(&origins.each_ref().map(plain), keys);
    let asked: Vec<_> = (0..60)
        .map(|_| {
            let mut client = RawClient::connect(group.web);
            client.send(GET);
            client
        })
        .collect();
    for mut client in asked {
        assert_eq!(client.response().status(), 504);
    }
    let page = group.metrics();
    let line = "openclaw_upstream_hedges_total{upstream=\"app\",result=\"failed\"} ";
    let count = page.lines().find_map(|have| have.strip_prefix(line));
    let count: u32 = count.unwrap().parse().unwrap();
    // Two workers, and the second may turn in between.
    assert!((1..=40).contains(&count), "{count}");
}

#[test]
fn a_stream_that_lost_is_reset_and_its_connection_serves_on() {
    let hanging = Arc::new(AtomicUsize::new(0));
    let (tell, reset) = channel();
    let origins = [0, 1].map(|index| {
        let (hanging, tell) = (Arc::clone(&hanging), tell.clone());
        StreamOrigin::start(move |mut call| {
            let is_first = index == 0 && hanging.fetch_add(1, Ordering::AcqRel) == 0;
            let tell = tell.clone();
            async move {
                if is_first {
                    let reason = poll_fn(|cx| call.respond.poll_reset(cx)).await;
                    // The test may be over.
                    let _ = tell.send(reason.ok());
                } else {
                    call.answer(200, &format!("of {}", call.connection));
                }
            }
        })
    });
    let [first, second] = origins.each_ref().map(StreamOrigin::address);
    let endpoints = [
        format!("{{ address = \"{first}\", weight = 1000 }}"),
        format!("\"{second}\""),
    ];
    let group = Group::start(&endpoints, &format!("protocol = \"h2\"\n{SOON}"));
    assert_eq!(ask(&group), (200, "of 0".into()));
    let reason = reset.recv_timeout(PATIENCE).unwrap();
    assert_eq!(reason, Some(h2::Reason::CANCEL));
    counted(&group, "won", 1);
}

/// A worker goes by what it has seen itself, so there is one.
#[test]
fn what_is_slow_may_be_what_is_unusual() {
    let is_slow = Arc::new(AtomicBool::new(false));
    let origins = [0, 1].map(|index| {
        let is_slow = Arc::clone(&is_slow);
        Origin::start(move |peer| {
            while peer.request()?.is_some() {
                if index == 0 && is_slow.load(Ordering::Acquire) {
                    return peer.read_to_end().map(drop);
                }
                peer.send(answer("x"))?;
            }
            Ok(())
        })
    });
    let [first, second] = origins.each_ref().map(plain);
    let endpoints = [format!("{{ address = {first}, weight = 1000 }}"), second];
    let keys = "hedge = { after = \"p99\" }\nretry_budget = \"100%\"";
    let group = Group::with(&format!(
        "[server]\nworkers = 1\n{}",
        config(&endpoints, keys)
    ));
    let mut client = RawClient::connect(group.web);
    for _ in 0..100 {
        assert_eq!(
            client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").text(),
            "x"
        );
    }
    assert!(!group.metrics().contains("openclaw_upstream_hedges_total{"));
    is_slow.store(true, Ordering::Release);
    assert_eq!(ask(&group), (200, "x".into()));
    group.proxy.wait_for_access("\"hedge\":\"won\"");
}
