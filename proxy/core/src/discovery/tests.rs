#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use super::{Difference, Endpoint, MAX_ENDPOINTS, Target, TooMany, difference, in_use, set};

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 80))
}

fn weighing(last: u8, weight: u32) -> Endpoint {
    Endpoint {
        weight,
        ..Endpoint::at(address(last))
    }
}

#[test]
fn a_set_has_each_target_once_whatever_the_order_of_the_answer() {
    let one = set(vec![weighing(2, 1), weighing(1, 1), weighing(2, 3)]).unwrap();
    let other = set(vec![weighing(2, 3), weighing(2, 1), weighing(1, 1)]).unwrap();
    assert_eq!(one, other);
    assert_eq!(one, [weighing(1, 1), weighing(2, 3)]);
}

#[test]
fn a_set_has_a_bound() {
    let many = |count: usize| {
        let ports = (1..=count).map(|port| u16::try_from(port).unwrap());
        let endpoints = ports.map(|port| Endpoint::at(SocketAddr::from(([192, 0, 2, 1], port))));
        set(endpoints.collect())
    };
    assert_eq!(many(MAX_ENDPOINTS).unwrap().len(), MAX_ENDPOINTS);
    assert_eq!(many(MAX_ENDPOINTS + 1), Err(TooMany(MAX_ENDPOINTS + 1)));
}

#[test]
fn the_first_priority_that_has_an_address_is_used() {
    assert_eq!(
        in_use([(10, 'a'), (0, 'b'), (0, 'c'), (5, 'd')]),
        ['b', 'c']
    );
    assert_eq!(in_use([(u16::MAX, 'a')]), ['a']);
    assert_eq!(in_use::<char>([]), []);
}

#[test]
fn a_difference_counts_what_came_and_went() {
    let old = set(vec![weighing(1, 1), weighing(2, 1), weighing(3, 1)]).unwrap();
    let new = set(vec![weighing(2, 1), weighing(3, 7), weighing(4, 1)]).unwrap();
    let expected = Difference {
        added: 1,
        removed: 1,
        changed: 1,
    };
    assert_eq!(difference(&old, &new), expected);
    assert_eq!(difference(&new, &new), Difference::default());
    assert_eq!(difference(&[], &new).added, 3);
    assert_eq!(difference(&new, &[]).removed, 3);
}

#[test]
fn an_endpoint_is_kept_as_text() {
    let name = Endpoint {
        target: Target::Name {
            host: "a.internal".to_owned(),
            port: 8080,
        },
        zone: Some("eu-1".into()),
        ..weighing(1, 3)
    };
    for endpoint in [name, weighing(1, 1)] {
        let text = serde_json::to_string(&endpoint).unwrap();
        assert_eq!(serde_json::from_str::<Endpoint>(&text).unwrap(), endpoint);
    }
}
