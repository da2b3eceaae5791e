//! Rules of the lists, case by case.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::time::Duration;

use super::*;
use crate::shield::format::NewEntry;
use crate::shield::prefix::tests::prefix;
use crate::shield::store::{Guard, Now};

const NOW: Now = Now {
    mono_ns: 5_000_000_000,
    unix: 1_700_000_000,
};

fn entry(text: &str, ttl: Option<u64>) -> NewEntry {
    NewEntry {
        prefix: prefix(text),
        ttl: ttl.map(Duration::from_secs),
        reason: None,
        list: None,
        line: 0,
    }
}

fn store() -> Store {
    let mut store = Store::default();
    let guards = [
        ("192.0.2.1", "is the default gateway (eth0)"),
        ("10.0.0.0/8", "is a trusted proxy"),
    ];
    let guards = guards.map(|(text, why)| Guard {
        prefix: prefix(text),
        why: why.into(),
    });
    store.set(Kind::Allow, PROTECTED, Origin::Protected, &guards, NOW);
    let blocked = [Guard {
        prefix: prefix("198.51.100.0/24"),
        why: String::new(),
    }];
    store.set(Kind::Block, CONFIG, Origin::Config, &blocked, NOW);
    store
        .add(
            Kind::Allow,
            "office",
            &[entry("203.0.113.64/26", None)],
            NOW,
        )
        .unwrap();
    store
}

#[test]
fn what_is_protected_or_allowed_refuses_a_block() {
    for (text, refusal) in [
        (
            "192.0.2.1",
            Some("192.0.2.1 cannot be blocked: it is the default gateway (eth0)"),
        ),
        (
            "10.9.9.9",
            Some("10.9.9.9 cannot be blocked: 10.0.0.0/8 is a trusted proxy"),
        ),
        (
            "192.0.2.0/24",
            Some(
                "192.0.2.0/24 cannot be blocked: it covers 192.0.2.1, which is the default gateway (eth0)",
            ),
        ),
        (
            "203.0.113.65",
            Some("203.0.113.65 cannot be blocked: 203.0.113.64/26 is on the allow list `office`"),
        ),
        (
            "203.0.113.64/26",
            Some("203.0.113.64/26 cannot be blocked: it is on the allow list `office`"),
        ),
        (
            "::ffff:192.0.2.1",
            Some("192.0.2.1 cannot be blocked: it is the default gateway (eth0)"),
        ),
        ("192.0.2.2", None),
        ("2001:db8::/32", None),
    ] {
        let mut store = store();
        let added = store
            .add(Kind::Block, "manual", &[entry(text, None)], NOW)
            .unwrap();
        let refused = added
            .refused
            .first
            .first()
            .map(|problem| problem.message.as_str());
        assert_eq!(refused, refusal, "{text}");
        assert_eq!(added.regions.len(), usize::from(refusal.is_none()));
        let rehearsed = store
            .rehearse(Kind::Block, "manual", &[entry(text, None)], false)
            .unwrap();
        assert_eq!(rehearsed.refused, added.refused);
    }
}

#[test]
fn around_an_allowed_range_a_block_is_taken_with_a_note() {
    let mut store = store();
    let added = store
        .add(Kind::Block, "manual", &[entry("203.0.113.0/24", None)], NOW)
        .unwrap();
    assert_eq!(
        added.notes,
        ["inside 203.0.113.0/24, 203.0.113.64/26 stays allowed (allow list `office`)"]
    );
    assert_eq!(added.added, 1);
}

#[test]
fn lists_that_others_make_are_not_the_operators() {
    let mut store = store();
    for (kind, name, message) in [
        (
            Kind::Block,
            CONFIG,
            "the list `config` is what `shield.block` of the configuration says; change it there and reload",
        ),
        (
            Kind::Allow,
            CONFIG,
            "the list `config` is what `shield.allow` of the configuration says; change it there and reload",
        ),
        (
            Kind::Block,
            "no such thing",
            "`no such thing` is not a name for a list: 1 to 64 letters, digits, `-`, `_` or `.`",
        ),
        (
            Kind::Block,
            "",
            "`` is not a name for a list: 1 to 64 letters, digits, `-`, `_` or `.`",
        ),
    ] {
        assert_eq!(
            store.add(kind, name, &[], NOW).unwrap_err().to_string(),
            message
        );
    }
    assert_eq!(
        store.flush(Kind::Allow, Some(PROTECTED)).unwrap_err(),
        ListError::IsProtected
    );
    let unknown = store.flush(Kind::Block, Some("none")).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no block list `none`");
}

#[test]
fn what_is_not_there_is_explained() {
    let mut store = store();
    let prefixes = ["198.51.100.7", "198.51.100.0/24", "8.8.8.8"].map(prefix);
    let deleted = store.delete(Kind::Block, None, &prefixes).unwrap();
    assert_eq!(
        deleted.missing,
        [
            "198.51.100.7 itself is not blocked; 198.51.100.0/24 on the list `config` covers it",
            "198.51.100.0/24 cannot be deleted: the list `config` is what `shield.block` of the configuration says; change it there and reload",
            "8.8.8.8 is not blocked",
        ]
    );
}

#[test]
fn bans_have_a_bound() {
    let mut store = Store::default();
    let bans: Vec<NewEntry> = (0..u128::from(BAN6_ENTRIES) + 2)
        .map(|number| NewEntry {
            prefix: Prefix {
                address: std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | number).into(),
                length: 128,
            },
            ttl: Some(Duration::from_mins(1)),
            reason: None,
            list: None,
            line: 0,
        })
        .collect();
    let added = store.add(Kind::Block, "manual", &bans, NOW).unwrap();
    assert_eq!(
        (added.added, added.refused.count),
        (BAN6_ENTRIES as usize, 2)
    );
    let message = &added.refused.first.first().unwrap().message;
    assert!(
        message.ends_with("does not fit: 65536 single addresses with a TTL are the most"),
        "{message}"
    );
    // A new end for one of them takes no room, and for good it is no ban.
    let again = store
        .add(Kind::Block, "manual", bans.get(..1).unwrap(), NOW)
        .unwrap();
    assert_eq!((again.updated, again.refused.count), (1, 0));
    let forever = store
        .add(
            Kind::Block,
            "manual",
            &[entry("2001:db8:ffff::1", None)],
            NOW,
        )
        .unwrap();
    assert_eq!(forever.added, 1);
}
