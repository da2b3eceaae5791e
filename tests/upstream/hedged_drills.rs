//! Endpoints that fail under load where a second one is asked beside one that is slow: it is all the same to POSTs, no GET fails, and
//! no more is asked twice than the budget has.

use std::time::Instant;

use super::Group;
use super::drills::{BlackHole, assert_none_failed, config, one_dies, one_fails, start};
use super::load::{Load, Manner, Target, assert_posts_came_once, gets_that_came_again};

const SOON: &str = "hedge = { after = \"20ms\" }\n";

/// How many second requests have had this end.
fn hedges(group: &Group, result: &str) -> usize {
    let line = format!("openclaw_upstream_hedges_total{{upstream=\"app\",result=\"{result}\"}} ");
    let page = group.metrics();
    let count = page.lines().find_map(|have| have.strip_prefix(&*line));
    count.map_or(0, |count| count.parse().unwrap())
}

#[test]
fn an_endpoint_is_slow() {
    let (targets, group) = start::<2>(SOON);
    let load = Load::on(group.web);
    targets[0].is_now(Manner::Slow);
    load.wait_for_more(100);
    let outcomes = load.stop();
    outcomes.iter().for_each(assert_none_failed);
    assert_posts_came_once(&targets);
    let (_, again) = gets_that_came_again(&targets);
    assert!(hedges(&group, "won") > 0);
    let asked = ["won", "lost", "failed"].map(|result| hedges(&group, result));
    // One that was let go before its endpoint had read it was not seen there.
    assert!(again <= asked.iter().sum(), "{again} of {asked:?}");
}

#[test]
fn an_endpoint_falls_silent() {
    one_fails(
        Manner::Silent,
        504,
        &format!("{SOON}response_timeout = \"300ms\""),
    );
}

#[test]
fn an_endpoint_closes_before_it_answers() {
    one_fails(Manner::Closes, 502, SOON);
}

#[test]
fn an_endpoint_dies() {
    one_dies(SOON);
}

#[test]
fn an_endpoint_is_a_black_hole() {
    let hole = BlackHole::new();
    let target = Target::start();
    let endpoints = [format!("\"{}\"", hole.address), target.toml()];
    let keys = format!("{SOON}connect_timeout = \"100ms\"");
    let group = Group::with(&config(&endpoints, &keys));
    let load = Load::on(group.web);
    load.wait_for_more(200);
    load.stop().iter().for_each(assert_none_failed);
    assert_posts_came_once(&[target]);
}

/// What may be asked twice: the share of the requests, and ten a second of each worker's.
#[test]
fn all_endpoints_are_slow() {
    const SHARE: usize = 10;
    let keys = format!("{SOON}retry_budget = \"{SHARE}%\"");
    let (targets, group) = start::<2>(&keys);
    let began = Instant::now();
    let load = Load::on(group.web);
    for target in &targets {
        target.is_now(Manner::Slow);
    }
    load.wait_for_more(100);
    let outcomes = load.stop();
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
    outcomes.iter().for_each(assert_none_failed);
    assert_posts_came_once(&targets);
    let asked: usize = outcomes.iter().map(|outcome| outcome.served).sum();
    let most = asked * SHARE / 100 + 2 * 10 * seconds;
    let (gets, again) = gets_that_came_again(&targets);
    assert!(
        (1..=most).contains(&again),
        "{again} of {gets}, {most} at most"
    );
}
