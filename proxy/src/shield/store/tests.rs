//! Changes of the lists.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use crate::shield::prefix::{show, tests::prefix};

const NOW: Now = Now {
    mono_ns: 5_000_000_000,
    unix: 1_700_000_000,
};

fn entries(texts: &[&str]) -> Vec<NewEntry> {
    let entries = texts.iter().map(|text| NewEntry {
        prefix: prefix(text),
        ttl: None,
        reason: None,
        list: None,
        line: 0,
    });
    entries.collect()
}

fn shown(regions: &[AnyNet]) -> Vec<String> {
    let mut shown: Vec<_> = regions.iter().map(|net| show(&net.to_prefix())).collect();
    shown.sort();
    shown
}

#[test]
fn a_replaced_list_holds_the_file_and_nothing_else() {
    let mut store = Store::default();
    store
        .add(
            Kind::Block,
            "feed",
            &entries(&["203.0.113.1", "203.0.113.2"]),
            NOW,
        )
        .unwrap();
    store
        .add(Kind::Block, "manual", &entries(&["203.0.113.3"]), NOW)
        .unwrap();
    let file = entries(&["203.0.113.2", "203.0.113.4"]);
    let rehearsed = store.rehearse(Kind::Block, "feed", &file, true).unwrap();
    let replaced = store.replace(Kind::Block, "feed", &file, NOW).unwrap();
    for done in [&rehearsed, &replaced] {
        assert_eq!((done.added, done.updated, done.removed), (1, 1, 1));
    }
    assert_eq!(
        shown(&replaced.regions),
        ["203.0.113.1", "203.0.113.2", "203.0.113.4"]
    );
    assert_eq!(store.lists().len(), 3);
    assert_eq!(
        shown(&store.flush(Kind::Block, None).unwrap().regions).len(),
        3
    );
}

#[test]
fn an_entry_lasts_as_long_as_it_was_last_told() {
    let mut store = Store::default();
    let mut entry = entries(&["203.0.113.1"]);
    for (ttl, end) in [
        (Some(10), Some(15_000_000_000)),
        (Some(2), Some(7_000_000_000)),
        (None, None),
    ] {
        entry.first_mut().unwrap().ttl = ttl.map(Duration::from_secs);
        store.add(Kind::Block, MANUAL, &entry, NOW).unwrap();
        assert_eq!(store.lists().kind::<u32>(Kind::Block).next_end(), end);
    }
    let later = Now {
        mono_ns: u64::MAX,
        unix: u64::MAX,
    };
    assert!(store.reap(later).is_empty());
    entry.first_mut().unwrap().ttl = Some(Duration::MAX);
    store.add(Kind::Block, MANUAL, &entry, later).unwrap();
    assert_eq!(
        store.reap(later).len(),
        1,
        "an end that cannot be counted is the last moment, not forever"
    );
}

#[test]
fn a_list_of_the_configuration_changes_only_where_it_differs() {
    let mut store = Store::default();
    let guard = |text: &str| Guard {
        prefix: prefix(text),
        why: String::new(),
    };
    let before = [guard("203.0.113.1"), guard("203.0.113.2")];
    store.set(Kind::Block, CONFIG, Origin::Config, &before, NOW);
    let after = [guard("203.0.113.2"), guard("203.0.113.3")];
    let regions = store.set(Kind::Block, CONFIG, Origin::Config, &after, NOW);
    assert_eq!(shown(&regions), ["203.0.113.1", "203.0.113.3"]);
}
