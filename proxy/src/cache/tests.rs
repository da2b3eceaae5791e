//! The store: what is found, what goes, who fetches.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use openclaw_core::caching::{Asked, Chosen, Directives, Freshness, Use};
use openclaw_core::message::{Field, HeaderList};

use super::changes::Purges;
use super::{Body, Broken, Filling, Found, Key, Object, Purge, Reader, Store, Turn};

fn object(
    route: &str,
    lines: &[(&str, &str)],
    asked: &[(&str, &str)],
    bytes: usize,
) -> Arc<Object> {
    let body = Body::coming(None);
    body.push(&vec![b'a'; bytes]);
    body.finish();
    Arc::new(with_body(route, lines, asked, body))
}

fn with_body(route: &str, lines: &[(&str, &str)], asked: &[(&str, &str)], body: Body) -> Object {
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

/// A response that somebody has the head of.
fn fetched(store: &Arc<Store>, url: &Key, length: Option<u64>, most: u64) -> Filling {
    let Turn::Lead(lead) = turn(store, url) else {
        panic!("nobody fetches yet");
    };
    let object = with_body("r", &[], &[], Body::coming(length));
    store.fill(url, (object, store.moment()), Some(lead), most)
}

/// The payload that somebody fetches.
fn filling_body(store: &Arc<Store>, url: &Key) -> Arc<Body> {
    let Turn::Follow(fill) = turn(store, url) else {
        panic!("somebody fetches");
    };
    let object = block(fill.object()).unwrap();
    Arc::clone(&object.body)
}

/// What a future comes to that need not wait.
fn block<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

/// What a reader has at once.
fn read(reader: &Reader, range: Range<u64>) -> Option<Result<Bytes, Broken>> {
    let mut context = Context::from_waker(Waker::noop());
    match reader.poll(&range, &mut context) {
        Poll::Ready(found) => Some(found.map(Option::unwrap_or_default)),
        Poll::Pending => None,
    }
}

/// Of anybody.
fn turn(store: &Arc<Store>, url: &Key) -> Turn {
    store.turn(url, Asked::default(), Instant::now())
}

/// Stores what is known as of now.
fn put(store: &Store, url: &Key, object: &Arc<Object>) {
    let put = |purges: &Purges| store.insert(url, object, purges);
    assert!(store.keep(store.moment(), url, object, put).is_some());
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
    put(&store, &url, &object("r", &vary, &[("X", "1")], 10));
    put(&store, &url, &object("r", &vary, &[("X", "2")], 20));
    put(&store, &url, &object("r", &vary, &[("X", "1")], 30));
    let length = |value: &str| {
        let request = [Field::new(b"X", value.as_bytes())];
        match store.find(&url, "r", &request) {
            Found::Object(object) => object.body.length(),
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
        put(
            &store,
            &key(&format!("http://a.test/{number}")),
            &object("r", &[], &[], 10_000),
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
        put(
            &store,
            &key("http://a.test/x"),
            &object("r", &[("Surrogate-Key", "one two")], &[], 1),
        );
        put(
            &store,
            &key("http://a.test/xy"),
            &object("r", &[("Cache-Tag", "two,three")], &[], 1),
        );
        put(&store, &key("http://b.test/x"), &object("r", &[], &[], 1));
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
    assert_eq!(judged, Use::Ask { if_error: false });
}

#[test]
fn one_fetches_and_the_others_get_what_comes() {
    let store = Arc::new(Store::new(1 << 20));
    let url = key("http://a.test/");
    let mut filling = fetched(&store, &url, Some(6), 100);
    let Turn::Follow(fill) = turn(&store, &url) else {
        panic!("somebody fetches");
    };
    let object = block(fill.object()).unwrap();
    let (early, late) = (object.body.read(0).unwrap(), object.body.read(4).unwrap());
    assert_eq!(read(&early, 0..6), None);
    assert!(filling.take(b"abc"));
    assert_eq!(read(&early, 0..6), Some(Ok("abc".into())));
    assert_eq!(read(&late, 4..6), None);
    assert!(!is_there(&store, &url));
    assert!(filling.take(b"def"));
    filling.finish();
    assert_eq!(read(&early, 3..6), Some(Ok("def".into())));
    assert_eq!(read(&late, 4..6), Some(Ok("ef".into())));
    assert!(is_there(&store, &url));
    assert!(matches!(turn(&store, &url), Turn::Lead(_)));
}

#[test]
fn what_breaks_ends_for_nobody() {
    let store = Arc::new(Store::new(1 << 20));
    let url = key("http://a.test/");
    let mut filling = fetched(&store, &url, None, 100);
    let body = filling_body(&store, &url);
    let reader = body.read(0).unwrap();
    filling.take(b"abc");
    drop(filling);
    assert_eq!(read(&reader, 0..9), Some(Ok("abc".into())));
    assert_eq!(read(&reader, 3..9), Some(Err(Broken)));
    assert!(!is_there(&store, &url));
    // A payload that is shorter than its head has said is no whole one.
    let mut filling = fetched(&store, &url, Some(5), 100);
    let reader = filling_body(&store, &url).read(0).unwrap();
    filling.take(b"abc");
    filling.finish();
    assert_eq!(read(&reader, 3..5), Some(Err(Broken)));
    assert!(!is_there(&store, &url));
}

#[test]
fn what_is_too_large_goes_on_for_those_who_read_it() {
    let store = Arc::new(Store::new(1 << 20));
    let url = key("http://a.test/");
    let most = 100_000;
    let mut filling = fetched(&store, &url, None, most);
    let body = filling_body(&store, &url);
    let (slow, fast) = (body.read(0).unwrap(), body.read(0).unwrap());
    let piece = vec![b'a'; 70_000];
    assert!(filling.take(&piece) && filling.take(&piece));
    assert_eq!(read(&slow, 0..10).unwrap().unwrap().len(), 10);
    assert!(matches!(turn(&store, &url), Turn::Pass));
    // Nobody begins with what has no beginning any more.
    assert!(filling.take(&piece) && body.read(0).is_none());
    assert_eq!(read(&slow, 10..20), Some(Err(Broken)));
    assert_eq!(read(&fast, 70_000..70_001), Some(Ok("a".into())));
    drop(slow);
    drop(fast);
    assert!(!filling.take(&piece));
    assert!(!is_there(&store, &url));
}

#[tokio::test]
async fn a_lead_that_ends_with_nothing_is_free_again() {
    let store = Arc::new(Store::new(1 << 20));
    let url = key("http://a.test/");
    let next = || turn(&store, &url);
    let Turn::Lead(lead) = next() else {
        panic!("nobody fetches yet");
    };
    let Turn::Follow(fill) = next() else {
        panic!("somebody fetches");
    };
    drop(lead);
    assert!(fill.object().await.is_none());
    let Turn::Lead(lead) = next() else {
        panic!("the place is free");
    };
    lead.pass();
    assert!(matches!(next(), Turn::Pass));
    put(&store, &url, &object("r", &[], &[], 1));
    assert!(matches!(next(), Turn::Lead(_)));
}

#[test]
fn what_is_not_stored_for_who_has_credentials_parts_nobody_else() {
    let store = Arc::new(Store::new(1 << 20));
    let url = key("http://a.test/");
    let Turn::Lead(lead) = turn(&store, &url) else {
        panic!("nobody fetches yet");
    };
    lead.pass_with_credentials();
    let known = Asked {
        has_credentials: true,
        no_store: false,
    };
    assert!(matches!(
        store.turn(&url, known, Instant::now()),
        Turn::Pass
    ));
    assert!(matches!(turn(&store, &url), Turn::Lead(_)));
}

/// What comes of a fetch that was begun before something, and of one behind it.
fn stored_around(url: &str, between: impl Fn(&Store)) -> (bool, bool) {
    let (store, key) = (Arc::new(Store::new(1 << 20)), key(url));
    let early = fetched(&store, &key, Some(0), 100);
    between(&store);
    let Turn::Lead(lead) = turn(&store, &key) else {
        // Who asks now gets what was asked for before.
        early.finish();
        return (is_there(&store, url), false);
    };
    early.finish();
    let is_early_there = is_there(&store, url);
    let object = with_body("r", &[], &[], Body::coming(Some(0)));
    let late = store.fill(&key, (object, store.moment()), Some(lead), 100);
    late.finish();
    (is_early_there, is_there(&store, url))
}

#[test]
fn what_was_asked_for_before_a_change_is_neither_stored_nor_shared() {
    let url = "http://a.test/x?y";
    assert_eq!(stored_around(url, |_| ()), (true, false));
    assert_eq!(stored_around(url, |store| store.forget(url)), (false, true));
    for what in [Purge::All, Purge::Url(url), Purge::Prefix("http://a.test/")] {
        for soft in [false, true] {
            let purge = |store: &Store| assert_eq!(store.purge(what, soft).objects, 0);
            assert_eq!(stored_around(url, purge), (false, true), "{what:?} {soft}");
        }
    }
    for what in [
        Purge::Url("http://a.test/x"),
        Purge::Prefix("http://b.test/"),
        Purge::Tag("t"),
    ] {
        let purge = |store: &Store| assert_eq!(store.purge(what, false).objects, 0);
        assert_eq!(stored_around(url, purge), (true, false), "{what:?}");
    }
}

#[test]
fn what_its_origin_has_confirmed_before_a_purge_stays_out() {
    let store = Store::new(1 << 20);
    let url = key("http://a.test/");
    let [before, confirmed] = ["t", "new"].map(|tag| object("r", &[("Cache-Tag", tag)], &[], 1));
    for (what, expected) in [
        (Purge::Tag("t"), (false, false)),
        // What is stored stays; what is said of it now is not known.
        (Purge::Tag("new"), (false, true)),
        (Purge::Url("http://a.test/"), (false, false)),
        (Purge::Tag("u"), (true, true)),
    ] {
        put(&store, &url, &before);
        let since = store.moment();
        store.purge(what, false);
        let renewed = store.renew(&url, (&before, &confirmed), since);
        assert_eq!((renewed, is_there(&store, &url)), expected, "{what:?}");
    }
}

#[test]
fn what_makes_way_while_a_purge_goes_on_brings_nothing_back() {
    let store = Store::new(1 << 20);
    let url = key("http://a.test/");
    let of = |tag, x| object("r", &[("Vary", "X"), ("Cache-Tag", tag)], &[("X", x)], 10);
    let (meant, large) = (of("a", "1"), of("b", "2"));
    for object in [&meant, &large] {
        put(&store, &url, object);
    }
    store.changes.purge(Purge::Tag("a"), || {
        let way = |purges: &Purges| store.make_way(&url, &large, purges);
        assert!(store.keep(store.moment(), &url, &large, way).is_some());
    });
    assert!(matches!(store.find(&url, "r", &[]), Found::Nothing));
}

#[test]
fn a_part_of_a_body_goes_over_its_pieces() {
    let body = Body::coming(None);
    let piece = |letter: u8| vec![letter; 70_000];
    for letter in b"abc" {
        body.push(&piece(*letter));
    }
    assert!(body.part(0..1).is_none());
    body.finish();
    let part = |range| body.part(range).unwrap().collect::<Vec<_>>().concat();
    assert_eq!(part(0..210_000).len(), 210_000);
    assert_eq!(part(69_999..70_001), b"ab");
    assert_eq!(part(139_999..140_000), b"b");
    assert_eq!(part(70_000..140_000), piece(b'b'));
    assert!(part(5..5).is_empty());
}
