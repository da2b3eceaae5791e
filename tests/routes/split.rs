//! Canaries and A/B tests: shares by weight, and clients that stay where they are.

use std::collections::BTreeMap;

use super::{Stage, upstream};
use crate::support::Origin;

fn config(origins: &[Origin; 2], weights: [u32; 2], keys: &str) -> String {
    let upstreams = upstream("v1", &origins[0], "") + &upstream("v2", &origins[1], "");
    let [one, two] = weights;
    format!(
        "{upstreams}[[route]]\nto = [{{ upstream = \"v1\", weight = {one} }}, {{ upstream = \"v2\", weight = {two} }}]\n{keys}\n"
    )
}

/// Which variant each of 200 clients sees.
fn variants(stage: &Stage) -> BTreeMap<u32, String> {
    let ask = |number: u32| {
        let client = format!("X-Forwarded-For: 192.0.2.{number}\r\n");
        stage.ask("/", &client).text()
    };
    (0..200).map(|number| (number, ask(number))).collect()
}

fn of_two(variants: &BTreeMap<u32, String>) -> usize {
    variants.values().filter(|name| *name == "v2").count()
}

#[test]
fn a_client_sees_one_variant_and_a_changed_weight_moves_its_share_alone() {
    let origins = ["v1", "v2"].map(Origin::serving);
    let little = Stage::start(&config(&origins, [90, 10], ""));
    let before = variants(&little);
    assert_eq!(before, variants(&little), "on every worker, every time");
    assert!((8..=36).contains(&of_two(&before)), "{before:?}");
    let more = variants(&Stage::start(&config(&origins, [50, 50], "")));
    assert!((75..=125).contains(&of_two(&more)), "{more:?}");
    let back = before
        .iter()
        .filter(|(client, name)| *name == "v2" && more[client] == "v1");
    assert_eq!(back.count(), 0, "whoever had the new one keeps it");
}

#[test]
fn a_split_may_go_by_a_cookie_or_by_chance() {
    let origins = ["v1", "v2"].map(Origin::serving);
    let by_cookie = Stage::start(&config(&origins, [1, 1], "split_by = \"cookie:user\""));
    let mut seen = Vec::new();
    for user in 0..24 {
        let from = |client: u32| {
            let lines =
                format!("X-Forwarded-For: 192.0.2.{client}\r\nCookie: a=b; user={user}\r\n");
            by_cookie.ask("/", &lines).text()
        };
        let first = from(1);
        assert_eq!(first, from(2), "from wherever it comes");
        seen.push(first);
    }
    assert!(seen.iter().any(|name| name == "v1") && seen.iter().any(|name| name == "v2"));
    let by_chance = Stage::start(&config(&origins, [1, 1], "split_by = \"random\""));
    let answers: Vec<_> = (0..40).map(|_| by_chance.ask("/", "").text()).collect();
    let second = answers.iter().filter(|name| *name == "v2").count();
    assert!((5..=35).contains(&second), "{second}");
}
