//! Endpoints that fail under load. No GET fails while one endpoint is well and its answer has not begun; of POSTs exactly
//! those that an endpoint had, each told so, and none is sent twice.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::Group;
use super::load::{CLIENTS, Load, Manner, Outcome, Target, assert_posts_came_once};
use crate::support::{Folder, Nginx, RawClient, wait_until};

pub(super) fn start<const N: usize>(keys: &str) -> ([Target; N], Group) {
    let targets = [(); N].map(|()| Target::start());
    let endpoints = targets.each_ref().map(Target::toml);
    let group = Group::with(&config(&endpoints, keys));
    (targets, group)
}

/// Without a line for each of thousands of requests.
pub(super) fn config(endpoints: &[String], keys: &str) -> String {
    super::config(endpoints, keys) + "[log]\naccess = { to = \"off\" }\n"
}

pub(super) fn assert_none_failed(outcome: &Outcome) {
    assert_eq!(
        (outcome.failed(), outcome.served > 0),
        (0, true),
        "{outcome:?}"
    );
}

/// Whoever had a request of a client when it died took that one with it, and no more.
pub(super) fn assert_in_flight_only(outcome: &Outcome, deaths: usize) {
    assert!(outcome.failed() <= CLIENTS * deaths, "{outcome:?}");
    let told = outcome.refused.keys().all(|status| *status == 502);
    assert!(told && outcome.cut == 0, "{outcome:?}");
}

/// One of three dies and comes back, its upstream with these keys.
pub(super) fn one_dies(keys: &str) {
    let (mut targets, group) = start::<3>(keys);
    let load = Load::on(group.web);
    targets[0].die();
    load.wait_for_more(200);
    targets[0].revive();
    targets[0].wait_for_more(20);
    let [gets, posts] = load.stop();
    assert_none_failed(&gets);
    assert_in_flight_only(&posts, 1);
    assert_posts_came_once(&targets);
}

#[test]
fn an_endpoint_dies() {
    one_dies("");
}

#[test]
fn half_of_the_endpoints_die() {
    // More of them in a row than `retries` has.
    let (mut targets, group) = start::<10>("");
    let load = Load::on(group.web);
    targets[..5].iter_mut().for_each(Target::die);
    load.wait_for_more(200);
    let [gets, posts] = load.stop();
    assert_none_failed(&gets);
    assert_in_flight_only(&posts, 5);
    assert_posts_came_once(&targets);
}

#[test]
fn all_endpoints_die_and_come_back() {
    let (mut targets, group) = start::<2>("");
    let load = Load::on(group.web);
    targets.iter_mut().for_each(Target::die);
    wait_until("GETs and POSTs are refused", || {
        let outcomes = load.outcomes();
        outcomes.iter().all(|outcome| outcome.failed() > 20)
    });
    targets.iter_mut().for_each(Target::revive);
    load.wait_for_more(50);
    let back = load.outcomes().map(|outcome| outcome.failed());
    load.wait_for_more(100);
    let outcomes = load.stop();
    for (outcome, before) in outcomes.iter().zip(back) {
        assert_eq!(
            outcome.failed(),
            before,
            "one that is back is used: {outcome:?}"
        );
        assert!(outcome.refused.keys().eq([&502]), "{outcome:?}");
        assert_eq!(outcome.cut, 0, "{outcome:?}");
    }
    assert_posts_came_once(&targets);
}

/// One of two fails in this manner for a while: GETs do not feel it, and POSTs are told `status`, as many as it had.
pub(super) fn one_fails(manner: Manner, status: u16, keys: &str) {
    let (targets, group) = start::<2>(keys);
    let load = Load::on(group.web);
    targets[0].is_now(manner);
    wait_until("it fails", || {
        targets[0].failed("POST") > 5 && targets[0].failed("GET") > 5
    });
    targets[0].is_now(Manner::Answers);
    load.wait_for_more(100);
    let [gets, posts] = load.stop();
    assert_none_failed(&gets);
    let had = targets[0].failed("POST");
    assert_eq!(
        posts.refused.get(&status),
        Some(&had),
        "{manner:?}: {posts:?}"
    );
    assert_eq!(posts.failed(), had, "{manner:?}: {posts:?}");
    assert_posts_came_once(&targets);
}

#[test]
fn an_endpoint_closes_or_resets_before_it_answers() {
    one_fails(Manner::Closes, 502, "");
    one_fails(Manner::Resets, 502, "");
}

#[test]
fn an_endpoint_breaks_off_inside_its_head() {
    one_fails(Manner::CutsHead, 502, "");
}

#[test]
fn an_endpoint_answers_garbage() {
    one_fails(Manner::Garbage, 502, "");
}

#[test]
fn an_endpoint_falls_silent() {
    one_fails(Manner::Silent, 504, "response_timeout = \"100ms\"");
}

#[test]
fn an_endpoint_breaks_off_inside_a_body() {
    let (targets, group) = start::<2>("");
    let load = Load::on(group.web);
    targets[0].is_now(Manner::CutsBody);
    wait_until("it fails", || {
        targets[0].failed("POST") > 5 && targets[0].failed("GET") > 5
    });
    targets[0].is_now(Manner::Answers);
    load.wait_for_more(100);
    // Where the client has the beginning already, what it sees must not look whole; else another one is asked, or it is told.
    let [gets, posts] = load.stop();
    assert_eq!(gets.failed(), gets.cut, "{gets:?}");
    assert!(gets.cut <= targets[0].failed("GET"), "{gets:?}");
    let told = posts.refused.get(&502).copied().unwrap_or_default();
    assert_eq!(posts.failed(), posts.cut + told, "{posts:?}");
    assert_eq!(posts.failed(), targets[0].failed("POST"), "{posts:?}");
    assert_posts_came_once(&targets);
}

#[test]
fn what_fails_again_and_again_is_passed_over_before_it_uses_up_the_retries() {
    // Ten retries a second, and one request in three needs one for as long as the endpoint is asked.
    for manner in [Manner::Resets, Manner::CutsHead, Manner::Garbage] {
        let (targets, group) = start::<3>("retry_budget = \"0%\"");
        let load = Load::on(group.web);
        load.wait_for_more(50);
        targets[0].is_now(manner);
        group
            .proxy
            .wait_for("requests fail there one after the other");
        load.wait_for_more(1000);
        targets[0].is_now(Manner::Answers);
        targets[0].wait_for_more(20);
        let [gets, posts] = load.stop();
        assert_none_failed(&gets);
        assert!(posts.failed() < posts.served / 20, "{posts:?}");
        assert_posts_came_once(&targets);
    }
}

#[test]
fn what_fails_again_and_again_is_left_alone_by_the_breaker() {
    let keys = "breaker = { failures = 5, window = \"1h\", open = \"1h\" }";
    let (targets, group) = start::<2>(keys);
    let load = Load::on(group.web);
    targets[0].is_now(Manner::Closes);
    group.proxy.wait_for("the breaker opens");
    load.wait_for_more(20);
    let [before, _] = load.outcomes();
    let had = targets[0].failed("GET") + targets[0].failed("POST");
    load.wait_for_more(100);
    let [gets, posts] = load.stop();
    assert!(gets.served > before.served);
    assert_none_failed(&gets);
    // What was under way when it opened may still have come, and that a kept connection was closed does not count.
    assert!(had <= 5 + CLIENTS * 4, "{had}");
    assert_eq!(targets[0].failed("GET") + targets[0].failed("POST"), had);
    assert_eq!(posts.failed(), targets[0].failed("POST"));
}

/// A listener that takes no more connections: the kernel drops what comes, as a firewall does.
pub(super) struct BlackHole {
    pub(super) address: SocketAddr,
    _listener: socket2::Socket,
    _waiting: Vec<TcpStream>,
}

impl BlackHole {
    pub(super) fn new() -> Self {
        let listener =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            waiting.push(stream);
            assert!(waiting.len() < 100, "it takes everybody");
        }
        Self {
            address,
            _listener: listener,
            _waiting: waiting,
        }
    }
}

#[test]
fn an_endpoint_is_a_black_hole() {
    let hole = BlackHole::new();
    let target = Target::start();
    let endpoints = [format!("\"{}\"", hole.address), target.toml()];
    let group = Group::with(&config(&endpoints, "connect_timeout = \"100ms\""));
    let load = Load::on(group.web);
    load.wait_for_more(200);
    // Nothing was ever sent there, so that all may be asked elsewhere.
    load.stop().iter().for_each(assert_none_failed);
    assert_posts_came_once(&[target]);
}

#[test]
fn a_real_server_is_killed() {
    let folder = Folder::new();
    folder.write("a.txt", "x");
    let mut servers = [(); 2].map(|()| Nginx::start(folder.path()));
    let endpoints = servers
        .each_ref()
        .map(|one| format!("\"{}\"", one.address()));
    let group = Group::with(&config(&endpoints, ""));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = RawClient::connect(group.web);
                    let request = "GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n";
                    let statuses = (0..500).map(|_| client.exchange(request).status());
                    statuses.filter(|status| *status != 200).count()
                })
            })
            .collect();
        wait_until("it serves", || servers[0].served().len() > 50);
        servers[0].stop();
        for client in clients {
            assert_eq!(client.join().unwrap(), 0);
        }
    });
}

#[test]
fn a_reload_adds_and_removes_endpoints_and_changes_weights() {
    let (targets, group) = start::<3>("");
    let load = Load::on(group.web);
    let reload = |endpoints: &[String]| {
        group.proxy.rewrite(&config(endpoints, ""));
        group.proxy.cli(&["reload"]).ok();
    };
    reload(&[targets[0].toml(), targets[1].toml()]);
    load.wait_for_more(20);
    let removed = targets[2].served();
    load.wait_for_more(100);
    assert_eq!(targets[2].served(), removed);
    let weighted = |target: &Target, weight: u32| {
        format!("{{ address = {}, weight = {weight} }}", target.toml())
    };
    reload(&[
        weighted(&targets[0], 1),
        weighted(&targets[1], 0),
        weighted(&targets[2], 9),
    ]);
    load.wait_for_more(20);
    let before = targets.each_ref().map(Target::served);
    load.wait_for_more(400);
    let after = targets.each_ref().map(Target::served);
    load.stop().iter().for_each(assert_none_failed);
    let [one, none, nine] = [0, 1, 2].map(|index| after[index] - before[index]);
    assert_eq!(none, 0);
    // Each of the two workers may be in the middle of a cycle, and each client has one under way.
    assert!(nine.abs_diff(one * 9) <= 60, "{one} and {nine}");
    assert_posts_came_once(&targets);
}
