//! Clauses of RFC 9111 about storing and freshness, and those of its relatives.

use std::time::Duration;

use super::*;
use crate::message::{Field, ResponseBody};

/// 2026-11-22 10:00:00.
const NOW: u64 = 1_795_341_600;
const DATE: &str = "Sun, 22 Nov 2026 10:00:00 GMT";
const HOUR_LATER: &str = "Sun, 22 Nov 2026 11:00:00 GMT";

fn fields<'a>(lines: &[(&'a str, &'a str)]) -> Vec<Field<'a>> {
    lines
        .iter()
        .map(|(name, value)| Field::new(name.as_bytes(), value.as_bytes()))
        .collect()
}

fn stored_as(
    status: u16,
    lines: &[(&str, &str)],
    asked: Asked,
    rule: &Rule,
) -> Result<Freshness, Refusal> {
    let rule = Rule {
        max_object: 1000,
        ..rule.clone()
    };
    let times = Times {
        asked: NOW,
        came: NOW,
    };
    freshness(
        asked,
        (status, &fields(lines), ResponseBody::Length(10)),
        &rule,
        times,
    )
}

fn stored(status: u16, lines: &[(&str, &str)]) -> Result<Freshness, Refusal> {
    stored_as(status, lines, Asked::default(), &Rule::default())
}

#[test]
fn what_may_be_stored() {
    let refused = |lines: &[(&str, &str)]| stored(200, lines).err();
    for (value, expected) in [
        ("max-age=60", None),
        ("public", Some(Refusal::NoLifetime)),
        ("max-age=0", Some(Refusal::NoLifetime)),
        ("no-store, max-age=60", Some(Refusal::NoStore)),
        ("private, max-age=60", Some(Refusal::Private)),
        ("private=\"x\", max-age=60", Some(Refusal::Private)),
        ("s-maxage=60", None),
        ("no-store, must-understand, max-age=60", None),
    ] {
        assert_eq!(refused(&[("Cache-Control", value)]), expected, "{value}");
    }
    assert_eq!(refused(&[]), Some(Refusal::NoLifetime));
    assert_eq!(refused(&[("ETag", "\"a\"")]), None);
    assert_eq!(refused(&[("Expires", HOUR_LATER), ("Date", DATE)]), None);
    assert_eq!(
        refused(&[("Cache-Control", "max-age=9"), ("Vary", "*")]),
        Some(Refusal::Varies)
    );
    assert_eq!(
        refused(&[("Cache-Control", "max-age=9"), ("Set-Cookie", "a=b")]),
        Some(Refusal::SetsCookie)
    );
    for of_one_request in [206, 304, 412, 416, 417] {
        assert_eq!(
            stored(of_one_request, &[("Cache-Control", "max-age=9")]).err(),
            Some(Refusal::Status),
            "{of_one_request}"
        );
    }
    assert_eq!(stored(404, &[("Cache-Control", "max-age=9")]).err(), None);
    assert_eq!(stored(599, &[("Cache-Control", "max-age=9")]).err(), None);
    assert_eq!(
        stored(599, &[("Cache-Control", "max-age=9, must-understand")]).err(),
        Some(Refusal::Status)
    );
}

#[test]
fn what_may_have_been_cut_short_is_not_stored() {
    let fields = fields(&[("Cache-Control", "max-age=60")]);
    let times = Times {
        asked: NOW,
        came: NOW,
    };
    let rule = Rule {
        max_object: 1000,
        ..Rule::default()
    };
    for (body, expected) in [
        (ResponseBody::UntilClose, Some(Refusal::NoEnd)),
        (ResponseBody::Tunnel, Some(Refusal::Status)),
        (ResponseBody::Length(1001), Some(Refusal::TooLarge)),
        (ResponseBody::Length(1000), None),
        (ResponseBody::Chunked, None),
    ] {
        let got = freshness(Asked::default(), (200, &fields, body), &rule, times);
        assert_eq!(got.err(), expected, "{body:?}");
    }
}

#[test]
fn credentials_need_a_word_from_the_origin() {
    let asked = Asked {
        has_credentials: true,
        ..Asked::default()
    };
    for (value, expected) in [
        ("max-age=60", Some(Refusal::Private)),
        ("max-age=60, public", None),
        ("max-age=60, must-revalidate", None),
        ("s-maxage=60", None),
    ] {
        let got = stored_as(200, &[("Cache-Control", value)], asked, &Rule::default());
        assert_eq!(got.err(), expected, "{value}");
    }
}

#[test]
fn a_lifetime_is_the_most_exact_that_there_is() {
    // Of what is not stored there is none, and a row that expects one fails then.
    let lifetime =
        |lines: &[(&str, &str)]| stored(200, lines).map(|freshness| freshness.lifetime).ok();
    let tagged = ("ETag", "\"a\"");
    assert_eq!(
        lifetime(&[
            ("Cache-Control", "max-age=60, s-maxage=7"),
            ("Expires", HOUR_LATER)
        ]),
        Some(7)
    );
    assert_eq!(
        lifetime(&[("Cache-Control", "max-age=60"), ("Expires", HOUR_LATER)]),
        Some(60)
    );
    assert_eq!(
        lifetime(&[("Date", DATE), ("Expires", HOUR_LATER)]),
        Some(3600)
    );
    assert_eq!(
        lifetime(&[("Date", DATE), ("Expires", "0"), tagged]),
        Some(0)
    );
    assert_eq!(
        lifetime(&[("Expires", HOUR_LATER), ("Expires", HOUR_LATER), tagged]),
        Some(0)
    );
    assert_eq!(lifetime(&[tagged]), Some(0));
}

#[test]
fn a_route_may_lengthen_but_not_overrule() {
    let rule = Rule {
        ttl: Some(Duration::from_mins(5)),
        ..Rule::default()
    };
    let with = |status, lines: &[(&str, &str)]| {
        let got = stored_as(status, lines, Asked::default(), &rule);
        got.map(|freshness| freshness.lifetime)
    };
    assert_eq!(with(200, &[]), Ok(300));
    assert_eq!(with(200, &[("Cache-Control", "max-age=60")]), Ok(300));
    assert_eq!(with(200, &[("Cache-Control", "max-age=600")]), Ok(600));
    assert_eq!(
        with(200, &[("Cache-Control", "no-store")]),
        Err(Refusal::NoStore)
    );
    assert_eq!(
        with(200, &[("Cache-Control", "private")]),
        Err(Refusal::Private)
    );
    assert_eq!(with(500, &[]), Err(Refusal::NoLifetime));
    let only_404 = Rule {
        status: vec![404],
        ..rule
    };
    let got = stored_as(404, &[], Asked::default(), &only_404);
    assert_eq!(got.map(|freshness| freshness.lifetime), Ok(300));
    let got = stored_as(200, &[], Asked::default(), &only_404);
    assert_eq!(got.err(), Some(Refusal::Status));
}

#[test]
fn age_is_the_larger_of_what_is_said_and_what_is_seen() {
    let age = |lines: &[(&str, &str)], times| {
        let fields = fields(lines);
        let directives = Directives::of_response(&fields);
        Freshness::of(200, &fields, &directives, &Rule::default(), times).initial_age
    };
    let times = Times {
        asked: NOW + 3,
        came: NOW + 5,
    };
    assert_eq!(age(&[], times), 2);
    assert_eq!(age(&[("Date", DATE)], times), 5);
    assert_eq!(age(&[("Date", DATE), ("Age", "10")], times), 12);
    assert_eq!(age(&[("Date", HOUR_LATER), ("Age", "1")], times), 3);
    assert_eq!(age(&[("Age", "7, 9")], times), 9);
    assert_eq!(age(&[("Age", "-7")], times), 2);
}

#[test]
fn what_is_done_with_a_stored_response() {
    let judge = |cache_control: &str, resident: u64, request: &str| {
        let lines = [("Cache-Control", cache_control), ("ETag", "\"a\"")];
        let freshness = stored(200, &lines).unwrap_or_default();
        let asked = Directives::of_request(&fields(&[("Cache-Control", request)]));
        freshness.judge(Duration::from_secs(resident), &asked)
    };
    let ask = Use::Ask { if_error: false };
    let last_resort = Use::Ask { if_error: true };
    for (response, resident, request, expected) in [
        ("max-age=60", 59, "", Use::Fresh),
        ("max-age=60", 60, "", ask),
        ("max-age=60, no-cache", 0, "", ask),
        ("max-age=60", 0, "no-cache", ask),
        ("max-age=60", 10, "max-age=10", Use::Fresh),
        ("max-age=60", 11, "max-age=10", ask),
        ("max-age=60", 50, "min-fresh=10", Use::Fresh),
        ("max-age=60", 51, "min-fresh=10", ask),
        ("max-age=60", 69, "max-stale=10", Use::Fresh),
        ("max-age=60", 70, "max-stale=10", ask),
        ("max-age=60", 7000, "max-stale", Use::Fresh),
        ("max-age=60, must-revalidate", 61, "max-stale", ask),
        (
            "max-age=60, stale-while-revalidate=30",
            89,
            "",
            Use::WhileRevalidating,
        ),
        ("max-age=60, stale-while-revalidate=30", 90, "", ask),
        ("s-maxage=60, stale-while-revalidate=30", 70, "", ask),
        ("max-age=60, stale-if-error=30", 89, "", last_resort),
        ("max-age=60, stale-if-error=30", 90, "", ask),
        (
            "max-age=60, stale-if-error=30, must-revalidate",
            70,
            "",
            ask,
        ),
    ] {
        assert_eq!(
            judge(response, resident, request),
            expected,
            "{response} {resident} {request}"
        );
    }
}

#[test]
fn a_route_prolongs_a_time_and_gives_none() {
    const ASK: Use = Use::Ask { if_error: false };
    let rule = Rule {
        stale_while_revalidate: Some(Duration::from_secs(30)),
        stale_if_error: Some(Duration::from_hours(1)),
        ..Rule::default()
    };
    let with_ttl = Rule {
        ttl: Some(Duration::from_mins(1)),
        ..rule.clone()
    };
    let check = |rule: &Rule, cache_control, resident, expected| {
        let lines = [("ETag", "\"a\""), ("Cache-Control", cache_control)];
        let found = stored_as(200, &lines, Asked::default(), rule).unwrap_or_default();
        let asked = Directives::of_request(&fields(&[("Cache-Control", "max-stale")]));
        for asked in [Directives::default(), asked] {
            let judged = found.judge(Duration::from_secs(resident), &asked);
            let is_taken_stale = asked.max_stale.is_some() && found.may_be_stale();
            let expected = if is_taken_stale { Use::Fresh } else { expected };
            assert_eq!(judged, expected, "{cache_control} {resident} {asked:?}");
        }
        found.may_be_stale()
    };
    for never_fresh in ["", "max-age=0", "no-cache", "public", "s-maxage=0"] {
        assert!(!check(&rule, never_fresh, 0, ASK), "{never_fresh}");
    }
    assert!(!check(&with_ttl, "no-cache", 0, ASK));
    assert!(check(&rule, "max-age=9", 10, Use::WhileRevalidating));
    assert!(check(&rule, "max-age=9", 60, Use::Ask { if_error: true }));
    assert!(check(&with_ttl, "", 70, Use::WhileRevalidating));
    // What the origin says itself counts also where it gives no time.
    let own = "max-age=0, stale-while-revalidate=5";
    assert!(check(&rule, own, 1, Use::WhileRevalidating));
    assert!(check(&rule, own, 9, ASK));
}

#[test]
fn cache_status_says_what_happened() {
    let check = |status: Status, expected: &str| assert_eq!(status.text(), expected);
    check(Status::Hit { ttl: 30 }, "openclaw; hit; ttl=30");
    check(
        Status::Forwarded {
            why: Forwarded::UriMiss,
            confirmed: false,
            stored: Some(Ok(())),
        },
        "openclaw; fwd=uri-miss; stored",
    );
    check(
        Status::Forwarded {
            why: Forwarded::Stale,
            confirmed: true,
            stored: None,
        },
        "openclaw; fwd=stale; fwd-status=304",
    );
    check(
        Status::Forwarded {
            why: Forwarded::UriMiss,
            confirmed: false,
            stored: Some(Err(Refusal::SetsCookie)),
        },
        "openclaw; fwd=uri-miss; detail=set-cookie",
    );
}

#[test]
fn nothing_is_guessed_unless_the_route_says_so() {
    // A hundred days before.
    const CHANGED: &str = "Fri, 14 Aug 2026 10:00:00 GMT";
    const DAY: u64 = 86_400;
    let rule = Rule {
        heuristic: Some(10),
        heuristic_max: Duration::from_hours(24 * 30),
        ..Rule::default()
    };
    let lifetime = |rule: &Rule, status, lines: &[(&str, &str)]| {
        let found = stored_as(status, lines, Asked::default(), rule);
        found.map(|freshness| freshness.lifetime)
    };
    let changed = ("Last-Modified", CHANGED);
    let check = |status, lines: &[(&str, &str)], expected| {
        assert_eq!(
            lifetime(&rule, status, lines),
            expected,
            "{status} {lines:?}"
        );
    };
    check(200, &[changed, ("Date", DATE)], Ok(10 * DAY));
    // Without a date it was made when it came.
    check(200, &[changed], Ok(10 * DAY));
    check(404, &[changed], Ok(10 * DAY));
    check(302, &[changed], Err(Refusal::NoLifetime));
    check(302, &[changed, ("Cache-Control", "public")], Ok(10 * DAY));
    // What is said counts, also if it is that there is no lifetime.
    check(200, &[changed, ("Cache-Control", "max-age=5")], Ok(5));
    check(200, &[changed, ("Cache-Control", "max-age=x")], Ok(0));
    check(200, &[changed, ("Expires", "0")], Ok(0));
    check(200, &[("ETag", "\"a\"")], Ok(0));
    check(200, &[("Last-Modified", HOUR_LATER), ("Date", DATE)], Ok(0));
    check(200, &[("Last-Modified", "soon")], Ok(0));
    let short = Rule {
        heuristic_max: Duration::from_hours(1),
        ..rule.clone()
    };
    assert_eq!(lifetime(&short, 200, &[changed]), Ok(3600));
    let off = Rule::default();
    assert_eq!(lifetime(&off, 200, &[changed]), Ok(0));
    assert_eq!(lifetime(&off, 404, &[changed]), Err(Refusal::NoLifetime));
}
