//! The store: what is found, what goes, who fetches.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::Instant;

use openclaw_core::caching::{Chosen, Directives, Freshness, Use};
use openclaw_core::message::{Field, HeaderList};

use super::{Body, Found, Key, Object, Purge, Store, Turn};

fn object(route: &str, lines: &[(&str, &str)], asked: &[(&str, &str)], bytes: usize) -> Object {
    let mut fields = HeaderList::default();
    for (name, value) in lines {
        fields.push(name.as_bytes(), value.as_bytes());
    }
    let response: Vec<Field<'_>> = lines
        .iter()
        .map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()))
        .collect();
    let request: Vec<Field<'_>> = asked
        .iter()
        .map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()))
        .collect();
    let chosen = Chosen::of(&response, &[], &request).unwrap();
    let mut body = Body::default();
    body.push(&vec![b'a'; bytes]);
    let freshness = Freshness {
        lifetime: 60,
        ..Freshness::default()
    };
    Object::new(
        (route.into(), chosen),
        (200, fields, Arc::new(body)),
        freshness,
    )
}

fn key(url: &str) -> Key {
    url.into()
}

fn is_there(store: &Store, url: &str) -> bool {
    matches!(store.find(url, "r", &[]), Found::Object(_))
}

#[test]
fn a_request_finds_what_is_for_it_and_of_its_route() {
    let store = Store::new(1 << 20);
    let url = key("http://a.test/");
    let vary = [("Vary", "X")];
    store.put(&url, object("r", &vary, &[("X", "1")], 10));
    store.put(&url, object("r", &vary, &[("X", "2")], 20));
    store.put(&url, object("r", &vary, &[("X", "1")], 30));
    let length = |value: &str| {
        let request = [Field::new(b"X", value.as_bytes())];
        match store.find(&url, "r", &request) {
            Found::Object(object) => Some(object.body.length()),
            Found::OtherVariant | Found::Nothing => None,
        }
    };
    assert_eq!(
        (length("1"), length("2"), length("3")),
        (Some(30), Some(20), None)
    );
    assert!(matches!(store.find(&url, "r", &[]), Found::OtherVariant));
    assert!(matches!(store.find(&url, "s", &[]), Found::Nothing));
    assert!(matches!(
        store.find("http://b.test/", "r", &[]),
        Found::Nothing
    ));
}

#[test]
fn the_bound_holds() {
    let store = Store::new(1 << 20);
    for number in 0..1000 {
        store.put(
            &key(&format!("http://a.test/{number}")),
            object("r", &[], &[], 10_000),
        );
        assert!(store.fullness().bytes <= 1 << 20);
    }
    let full = store.fullness();
    assert!(
        full.uris > 50 && full.uris < 105 && full.evicted > 800,
        "{full:?}"
    );
    store.resize(1 << 19);
    assert!(store.fullness().bytes <= 1 << 19);
}

#[test]
fn purges_take_what_they_name() {
    let fill = || {
        let store = Store::new(1 << 20);
        store.put(
            &key("http://a.test/x"),
            object("r", &[("Surrogate-Key", "one two")], &[], 1),
        );
        store.put(
            &key("http://a.test/xy"),
            object("r", &[("Cache-Tag", "two,three")], &[], 1),
        );
        store.put(&key("http://b.test/x"), object("r", &[], &[], 1));
        store
    };
    let left = |what: Purge<'_>| {
        let store = fill();
        let purged = store.purge(what, false).objects;
        let urls = ["http://a.test/x", "http://a.test/xy", "http://b.test/x"];
        (purged, urls.map(|url| is_there(&store, url)))
    };
    assert_eq!(left(Purge::All), (3, [false; 3]));
    assert_eq!(
        left(Purge::Url("http://a.test/x")),
        (1, [false, true, true])
    );
    assert_eq!(
        left(Purge::Prefix("http://a.test/")),
        (2, [false, false, true])
    );
    assert_eq!(left(Purge::Tag("two")), (2, [false, false, true]));
    assert_eq!(left(Purge::Tag("tw")), (0, [true; 3]));
    let store = fill();
    assert_eq!(store.purge(Purge::Tag("one"), true).objects, 1);
    let Found::Object(object) = store.find("http://a.test/x", "r", &[]) else {
        panic!("a soft purge leaves it there");
    };
    let judged = object.judge(Instant::now(), &Directives::default());
    assert_eq!(judged, Use::Ask { if_error: true });
}

#[tokio::test]
async fn one_fetches_and_the_others_wait_until_it_is_over() {
    let store = Arc::new(Store::new(1 << 20));
    let url = key("http://a.test/");
    let turn = || store.turn(&url, Instant::now());
    let Turn::Lead(lead) = turn() else {
        panic!("nobody fetches yet");
    };
    let Turn::Wait(fill) = turn() else {
        panic!("somebody fetches");
    };
    let waiting = tokio::spawn(async move { fill.wait().await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(lead);
    waiting.await.unwrap();
    let Turn::Lead(lead) = turn() else {
        panic!("the place is free");
    };
    lead.pass();
    assert!(matches!(turn(), Turn::Pass));
    store.put(&url, object("r", &[], &[], 1));
    assert!(matches!(turn(), Turn::Lead(_)));
}

#[test]
fn a_part_of_a_body_goes_over_its_pieces() {
    let mut body = Body::default();
    for piece in [&b"abc"[..], b"de", b"f"] {
        body.push(piece);
    }
    let part = |range| body.part(range).collect::<Vec<_>>().concat();
    assert_eq!(part(0..6), b"abcdef");
    assert_eq!(part(2..4), b"cd");
    assert_eq!(part(3..5), b"de");
    assert_eq!(part(5..6), b"f");
    assert_eq!(part(1..2), b"b");
}
