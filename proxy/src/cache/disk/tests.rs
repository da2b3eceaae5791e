//! What a file says, and what is known without it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod renewals;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;
use std::{env, process};

use openclaw_core::caching::{Chosen, Directives, Freshness, Use};
use openclaw_core::config;
use openclaw_core::message::{Field, HeaderList};
use rustix::fs::{MemfdFlags, memfd_create};

use super::Disk;
use super::format::{self, Payload};
use super::index::{Entry, Index};
use super::parts::{Parts, stored};
use super::place::{Named, named};
use crate::cache::changes::Changes;
use crate::cache::{Body, Found, Key, MAX_VARIANTS, Object, Purge, Store};

fn object() -> Object {
    let mut fields = HeaderList::default();
    fields.push(b"Content-Type", b"text/plain");
    fields.push(b"ETag", b"");
    let request = [Field::new(b"X-A", b"1")];
    let vary = [Field::new(b"Vary", b"X-A, X-B")];
    let chosen = Chosen::of(&vary, &[], &request).unwrap();
    let freshness = Freshness {
        lifetime: 60,
        initial_age: 5,
        if_error: 7,
        ..Freshness::default()
    };
    let body = Arc::new(Body::coming(None));
    Object::new(("route".into(), chosen), (404, fields, body), freshness)
}

fn written() -> (Vec<u8>, Payload) {
    let lines = format::lines("http://a.test/", &object());
    let payload = Payload {
        room: format::room(&lines),
        length: 10,
    };
    (format::head(&lines, payload).unwrap(), payload)
}

#[test]
fn a_head_is_read_as_it_was_written() {
    let (bytes, payload) = written();
    let head = format::read(&bytes).unwrap();
    assert_eq!((&*head.key, head.payload), ("http://a.test/", payload));
    assert!(!head.is_stale);
    let (before, after) = (object(), head.into_object(Body::coming(None)));
    assert_eq!((after.route, after.status), (before.route, before.status));
    assert_eq!(
        (after.chosen, after.freshness),
        (before.chosen, before.freshness)
    );
    assert!(after.fields.iter().eq(before.fields.iter()));
}

#[test]
fn a_head_that_was_changed_is_none() {
    let (bytes, _) = written();
    for length in 0..bytes.len() {
        assert!(format::read(&bytes[..length]).is_none(), "{length}");
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        // Flags are beside the checksum, to be changed in place.
        let is_flag = (28..32).contains(&at);
        assert_eq!(format::read(&changed).is_some(), is_flag, "{at}");
    }
    let mut stale = bytes;
    stale[28] = format::STALE;
    let object = format::read(&stale)
        .unwrap()
        .into_object(Body::coming(None));
    let judged = object.judge(Instant::now(), &Directives::default());
    assert_eq!(judged, Use::Ask { if_error: true });
}

#[test]
fn a_longer_head_fits_as_long_as_there_is_room() {
    let (_, payload) = written();
    assert!(format::head(&[0; 200], payload).is_some());
    assert!(format::head(&[0; 2000], payload).is_none());
}

#[test]
fn only_what_we_have_named_is_ours() {
    let check = |name: &str, expected: Option<(u64, bool)>| {
        let expected = expected.map(|(id, is_part)| Named { id, is_part });
        assert_eq!(named(name), expected, "{name}");
    };
    check("openclaw-00000000000000ff", Some((255, false)));
    check("openclaw-00000000000000ff.part", Some((255, true)));
    check("openclaw-00000000000000FF", None);
    check("openclaw-+0000000000000ff", None);
    check("openclaw-ff", None);
    check("openclaw.lock", None);
    check("00000000000000ff", None);
    check("openclaw-00000000000000ff.tmp", None);
}

fn entry(id: u64) -> Entry {
    Entry {
        id,
        size: 1,
        route: "r".into(),
        chosen: Chosen::default(),
        tags: Box::default(),
        since: None,
        is_used: false,
    }
}

#[test]
fn the_oldest_goes_unless_somebody_has_asked_for_it() {
    let index = Index::default();
    // All of one URI's are in one part of it.
    let key = "http://a.test/".into();
    for id in 0..3 {
        let one = Entry {
            route: id.to_string().into(),
            ..entry(id)
        };
        assert!(index.put(&key, one).is_none());
    }
    assert_eq!(index.find(&key, "0", &[]), Some(0));
    let gone: Vec<_> = std::iter::from_fn(|| index.evict().map(|entry| entry.id)).collect();
    assert_eq!(gone, [1, 2, 0]);
    assert_eq!((index.objects(), index.bytes()), (0, 0));
}

#[test]
fn one_takes_the_place_of_another_for_the_same_requests() {
    let index = Index::default();
    let key = "http://a.test/".into();
    for id in 0..1000 {
        let before = index.put(&key, entry(id)).map(|entry| entry.id);
        assert_eq!(before, id.checked_sub(1));
    }
    assert_eq!(index.objects(), 1);
    assert_eq!(index.remove(&key, 999).map(|entry| entry.id), Some(999));
    assert!(index.evict().is_none());
    assert_eq!(index.bytes(), 0);
}

#[test]
fn of_one_uri_so_many_responses_are_known_and_the_newest_first() {
    let index = Index::default();
    let key = "http://a.test/".into();
    let said = |value: &str| {
        let vary = [Field::new(b"Vary", b"X")];
        Chosen::of(&vary, &[], &[Field::new(b"X", value.as_bytes())]).unwrap()
    };
    let of = |id: u64| Entry {
        chosen: said(&id.to_string()),
        ..entry(id)
    };
    let most = MAX_VARIANTS as u64;
    for id in 1..=most {
        assert!(index.put(&key, of(id)).is_none());
    }
    for id in most + 1..=most + 3 {
        let gone = index.put(&key, of(id)).map(|entry| entry.id);
        assert_eq!(gone, Some(id - most));
    }
    // What has the place of another one pushes nobody out.
    let again = Entry {
        id: 1000,
        ..of(most)
    };
    assert_eq!(index.put(&key, again).map(|entry| entry.id), Some(most));
    assert_eq!(index.objects(), most);
    // What lay there before is no reason to lose what came since.
    assert!(!index.put_found(&key, of(1)));
    index.remove(&key, 1000);
    assert!(index.put_found(&key, of(1)) && !index.put_found(&key, of(1)));
    let gone = index.put(&key, of(2000)).map(|entry| entry.id);
    assert_eq!(gone, Some(1));
    // Of those that are for a request it gets the newest.
    let for_all = Entry {
        chosen: Chosen::default(),
        ..entry(3000)
    };
    index.put(&key, for_all);
    let request = [Field::new(b"X", b"2000")];
    assert_eq!(index.find(&key, "r", &request), Some(3000));
}

const PART: u64 = 128 * 1024;
const ROOM: u64 = 512;

fn file() -> File {
    memfd_create("parts", MemfdFlags::CLOEXEC).unwrap().into()
}

/// Numbered, so that no part is like another.
fn payload(length: u64) -> Vec<u8> {
    (0..length).map(|at| (at / 7 % 251) as u8).collect()
}

#[test]
fn parts_are_read_as_they_were_written_while_and_after_they_come() {
    for length in [0, 1, PART - 1, PART, PART + 1, 3 * PART + 500] {
        let whole = payload(length);
        let parts = Parts::begin(file(), 7, ROOM);
        for piece in whole.chunks(50_000) {
            parts.write(piece).unwrap();
            let last = parts.length() - 1;
            for at in [0, last / 2, last] {
                let read = parts.read(&(at..last + 1)).unwrap();
                let end = at as usize + read.len();
                assert!(!read.is_empty() && *read == whole[at as usize..end]);
            }
        }
        assert_eq!(parts.finish().unwrap(), length);
        assert_eq!(parts.all().unwrap(), whole);
        let again = parts.file().try_clone().unwrap();
        let found = Parts::of(again, 7, ROOM, length);
        assert_eq!(found.all().unwrap(), whole);
        let size = found.file().metadata().unwrap().len();
        assert_eq!(
            size,
            if length == 0 {
                0
            } else {
                ROOM + stored(length)
            }
        );
        assert!(found.read(&(length..length + 1)).is_err());
    }
}

#[test]
fn what_is_not_what_was_written_is_not_read() {
    let length = PART + 100;
    let parts = Parts::begin(file(), 7, ROOM);
    parts.write(&payload(length)).unwrap();
    parts.finish().unwrap();
    let kind = |parts: &Parts, at: u64| parts.read(&(at..length)).map_err(|error| error.kind());
    let found = |id| Parts::of(parts.file().try_clone().unwrap(), id, ROOM, length);
    assert!(kind(&found(7), 0).is_ok() && kind(&found(7), PART).is_ok());
    // Of another file.
    assert_eq!(kind(&found(8), 0), Err(ErrorKind::InvalidData));
    // The payload, and the checksum, of the last part.
    for at in [ROOM + PART + 4, ROOM + stored(length) - 1] {
        let mut byte = [0];
        parts.file().read_exact_at(&mut byte, at).unwrap();
        parts.file().write_all_at(&[!byte[0]], at).unwrap();
        assert_eq!(kind(&found(7), PART), Err(ErrorKind::InvalidData));
        assert!(kind(&found(7), 0).is_ok());
        parts.file().write_all_at(&byte, at).unwrap();
    }
    parts.file().set_len(ROOM + stored(length) - 1).unwrap();
    assert_eq!(kind(&found(7), PART), Err(ErrorKind::UnexpectedEof));
}

/// A store with a disk in a directory of its own.
async fn with_disk(name: &str) -> (Store, Arc<Disk>, PathBuf) {
    let path = env::temp_dir().join(format!("openclaw-{name}-{}", process::id()));
    let disk = Disk::start(&config::CacheDisk {
        path: path.clone(),
        max: 1 << 20,
        index: 1 << 20,
    });
    let disk = disk.unwrap();
    disk.known
        .subscribe()
        .wait_for(|known| *known)
        .await
        .unwrap();
    let store = Store::new(1 << 20);
    store.set_disk(Some(Arc::clone(&disk)));
    (store, disk, path)
}

/// Writes three bytes with this tag; `meanwhile`: between the last look of who stores it and its being found.
async fn write(disk: &Arc<Disk>, key: &Key, changes: &Arc<Changes>, meanwhile: impl FnOnce()) {
    let mut fields = HeaderList::default();
    fields.push(b"Cache-Tag", b"t");
    let body = Arc::new(Body::coming(Some(3)));
    let object = Object::new(
        ("r".into(), Chosen::default()),
        (200, fields, body),
        Freshness::default(),
    );
    let writing = disk.write(key, &Arc::new(object), (changes, changes.now()));
    let writing = writing.unwrap();
    writing.push("abc".into(), ());
    meanwhile();
    writing.finish(());
    disk.pool.settled().await;
}

#[tokio::test]
async fn what_is_written_behind_a_purge_is_not_found() {
    let (_store, disk, path) = with_disk("written").await;
    let changes = Arc::new(Changes::default());
    let key: Key = "http://a.test/".into();
    for (what, expected) in [(Purge::Tag("t"), 0), (Purge::Tag("u"), 1)] {
        write(&disk, &key, &changes, || changes.purge(what, || ())).await;
        assert_eq!((disk.objects(), disk.bytes()), (expected, expected * 4096));
        let folders = fs::read_dir(&path).unwrap().flatten();
        let files = folders.filter_map(|folder| fs::read_dir(folder.path()).ok());
        assert_eq!(files.flatten().count() as u64, expected);
    }
    fs::remove_dir_all(path).unwrap();
}

#[tokio::test]
async fn what_is_read_while_it_is_purged_does_not_stay_in_memory() {
    let (store, disk, path) = with_disk("read").await;
    let changes = Arc::clone(&store.changes);
    let key: Key = "http://a.test/".into();
    let is_there = || matches!(store.find(&key, "r", &[]), Found::Object(_));
    for purge in [Purge::Tag("u"), Purge::Tag("t")] {
        write(&disk, &key, &changes, || ()).await;
        let file = store.on_disk(&key, "r", &[]).unwrap();
        let mut loading = pin!(store.load(&key, file));
        // Asked for, and not here yet, as long as nobody waits for it.
        let mut context = Context::from_waker(Waker::noop());
        let is_late = loading.as_mut().poll(&mut context).is_pending();
        store.purge(purge, false);
        if is_late {
            loading.await;
        }
        assert_eq!(is_there(), purge == Purge::Tag("u"), "{purge:?}");
    }
    fs::remove_dir_all(path).unwrap();
}
