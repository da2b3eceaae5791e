//! What has come since a request was looked up.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Instant;
use std::{env, fs, process};

use openclaw_core::caching::{Asked, Chosen, Forwarded, Freshness, Rule};
use openclaw_core::config;
use openclaw_core::message::HeaderList;

use super::look::{Asking, Purpose, Wish};
use crate::cache::{Body, Disk, Key, Object, Purge, Store};

/// Larger than what memory takes of one.
const LARGE: usize = 300_000;

fn asking(store: &Arc<Store>, key: &Key) -> Asking {
    Asking {
        store: Arc::clone(store),
        key: Arc::clone(key),
        looked: Instant::now(),
        purpose: Purpose::Store(Wish {
            asked: Asked::default(),
            why: Forwarded::UriMiss,
            stale: None,
            if_error: false,
            fields: HeaderList::default(),
        }),
        lying: None,
        in_slices: None,
        slice: None,
    }
}

/// Waits until the disk has done all that it was asked for.
async fn settle(store: &Store) {
    let purged = store.purge(Purge::Url("http://b.test/"), false);
    purged.on_disk.unwrap().settled().await;
}

#[tokio::test]
async fn what_has_come_to_lie_on_disk_since_the_look_is_not_fetched_again() {
    let path = env::temp_dir().join(format!("openclaw-since-{}", process::id()));
    let disk = Disk::start(&config::CacheDisk {
        path: path.clone(),
        max: 1 << 20,
        index: 1 << 20,
    });
    let store = Arc::new(Store::new(4 << 20));
    store.set_disk(Some(disk.unwrap()));
    settle(&store).await;
    let key: Key = "http://a.test/".into();
    let rule = Rule {
        owner: "r".into(),
        ..Rule::default()
    };
    let before = asking(&store, &key);
    assert!(before.come_since(&rule).await.is_none());
    let freshness = Freshness {
        lifetime: 60,
        ..Freshness::default()
    };
    let body = Arc::new(Body::coming(Some(LARGE as u64)));
    let object = Object::new(
        (Arc::clone(&rule.owner), Chosen::default()),
        (200, HeaderList::default(), body),
        freshness,
    );
    let mut filling = store.fill(&key, (object, store.moment()), None, 1 << 20);
    assert!(filling.take(&b"a".repeat(LARGE)));
    filling.finish();
    settle(&store).await;
    let come = before.come_since(&rule).await.unwrap();
    assert_eq!(come.body.length(), Some(LARGE as u64));
    // Who looks now has seen it.
    let after = asking(&store, &key);
    assert!(after.come_since(&rule).await.is_none());
    fs::remove_dir_all(path).unwrap();
}
