//! What takes the place of a file, and what becomes of one whose origin has confirmed it.

use std::sync::mpsc;

use super::*;

fn said(user: &'static str) -> [Field<'static>; 1] {
    [Field::new(b"X-User", user.as_bytes())]
}

/// A response with that tag, for these requests.
fn tagged(tag: &str, chosen: Chosen, body: Arc<Body>) -> Arc<Object> {
    let mut fields = HeaderList::default();
    fields.push(b"Cache-Tag", tag.as_bytes());
    let freshness = Freshness {
        lifetime: 60,
        ..Freshness::default()
    };
    Arc::new(Object::new(
        ("r".into(), chosen),
        (200, fields, body),
        freshness,
    ))
}

/// Writes so many bytes for everybody, and gives what is read of them then.
async fn stored(store: &Store, disk: &Arc<Disk>, key: &Key, bytes: usize) -> Arc<Object> {
    let body = Arc::new(Body::coming(Some(bytes as u64)));
    let object = tagged("old", Chosen::default(), body);
    let writing = disk.write(key, &object, (&store.changes, store.moment()));
    let writing = writing.unwrap();
    writing.push(vec![b'a'; bytes].into(), ());
    writing.finish(());
    disk.pool.settled().await;
    // Memory has nothing of what was there before.
    store.pages.remove(&**key);
    let file = store.on_disk(key, "r", &[]).unwrap();
    store.load(key, file).await.unwrap()
}

#[tokio::test]
async fn what_made_room_while_its_origin_was_asked_is_no_trouble() {
    let (store, disk, path) = with_disk("evicted").await;
    let key: Key = "http://a.test/".into();
    let evict = || {
        let file = disk.index.find(&key, "r", &[]).unwrap();
        fs::remove_file(disk.place.whole(file)).unwrap();
    };
    let before = stored(&store, &disk, &key, 3).await;
    evict();
    let renewed = tagged("new", Chosen::default(), Arc::clone(&before.body));
    store.renew(&key, (&before, &renewed), store.moment());
    disk.pool.settled().await;
    assert_eq!((disk.fullness().failed, disk.objects()), (0, 0));
    stored(&store, &disk, &key, 3).await;
    evict();
    store.purge(Purge::Url(&key), true);
    disk.pool.settled().await;
    assert_eq!((disk.fullness().failed, disk.objects()), (0, 0));
    assert!(disk.takes());
    // A head without room for what the origin says now is none of the disk's faults either.
    let before = stored(&store, &disk, &key, 3).await;
    let long = tagged(
        &"new ".repeat(500),
        Chosen::default(),
        Arc::clone(&before.body),
    );
    store.renew(&key, (&before, &long), store.moment());
    disk.pool.settled().await;
    assert_eq!((disk.fullness().failed, disk.objects()), (0, 0));
    assert!(disk.takes());
    fs::remove_dir_all(path).unwrap();
}

#[tokio::test]
async fn of_two_that_come_at_once_the_one_is_found_that_was_whole_last() {
    let (store, disk, path) = with_disk("order").await;
    let begun = |key: &Key, tag: &str, bytes: usize| {
        let body = Arc::new(Body::coming(Some(bytes as u64)));
        let object = tagged(tag, Chosen::default(), body);
        let writing = disk.write(key, &object, (&store.changes, store.moment()));
        let writing = writing.unwrap();
        writing.push(vec![b'a'; bytes].into(), ());
        writing
    };
    for number in 0..20 {
        let key: Key = format!("http://a.test/{number}").into();
        let (first, last) = (begun(&key, "first", 400_000), begun(&key, "last", 3));
        first.finish(());
        last.finish(());
        disk.pool.settled().await;
        let file = store.on_disk(&key, "r", &[]).unwrap();
        let found = store.load(&key, file).await.unwrap();
        assert_eq!(found.body.length(), Some(3), "{number}");
        disk.forget(&key, None);
        disk.pool.settled().await;
    }
    fs::remove_dir_all(path).unwrap();
}

#[tokio::test]
async fn a_confirmation_that_is_for_fewer_leaves_what_lies_on_disk_alone() {
    let (store, disk, path) = with_disk("narrowed").await;
    let key: Key = "http://a.test/".into();
    let before = stored(&store, &disk, &key, 300_000).await;
    let vary = [Field::new(b"Vary", b"X-User")];
    let chosen = Chosen::of(&vary, &[], &said("a")).unwrap();
    let renewed = tagged("new", chosen.clone(), Arc::clone(&before.body));
    let since = Instant::now();
    assert!(store.renew(&key, (&before, &renewed), store.moment()));
    let [ours, theirs] = ["a", "b"].map(|user| store.on_disk(&key, "r", &said(user)));
    assert_eq!((ours.is_some(), theirs), (true, None));
    assert_eq!(
        store.newer_on_disk((&key, "r"), &said("a"), since),
        ours,
        "it has come since"
    );
    let now = Instant::now();
    assert_eq!(store.newer_on_disk((&key, "r"), &said("a"), now), None);
    let found = store.load(&key, ours.unwrap()).await.unwrap();
    assert_eq!(
        (&found.chosen, found.body.length()),
        (&chosen, Some(300_000))
    );
    // Its tags are those that it has now.
    let purged = |tag| store.purge(Purge::Tag(tag), false).objects;
    assert_eq!([purged("old"), purged("new")], [0, 1]);
    disk.pool.settled().await;
    assert_eq!((disk.objects(), disk.bytes()), (0, 0));
    fs::remove_dir_all(path).unwrap();
}

#[tokio::test]
async fn a_confirmation_of_what_was_replaced_meanwhile_changes_nothing() {
    let (store, disk, path) = with_disk("replaced").await;
    let key: Key = "http://a.test/".into();
    for bytes in [300_000, 3] {
        let before = stored(&store, &disk, &key, bytes).await;
        let after = stored(&store, &disk, &key, bytes + 1).await;
        let renewed = tagged("new", Chosen::default(), Arc::clone(&before.body));
        assert!(!store.renew(&key, (&before, &renewed), store.moment()));
        disk.pool.settled().await;
        let file = store.on_disk(&key, "r", &[]).unwrap();
        assert_eq!(after.body.file(), Some(file));
        let found = disk.load(&key, file).await.unwrap().unwrap();
        let length = found.body.length();
        let is_new = found.has_tag(crate::cache::changes::hash(b"new"));
        assert_eq!((length, is_new), (Some(bytes as u64 + 1), false));
        store.forget(&key);
        disk.pool.settled().await;
    }
    fs::remove_dir_all(path).unwrap();
}

#[tokio::test]
async fn what_is_confirmed_before_the_disk_knows_it_lies_there_as_what_it_is_or_not_at_all() {
    let (store, disk, path) = with_disk("behind").await;
    let store = Arc::new(store);
    for (tag, expected) in [("old", 1), ("new", 0)] {
        let key: Key = format!("http://a.test/{tag}").into();
        let body = Arc::new(Body::coming(Some(3)));
        let object = Arc::into_inner(tagged("old", Chosen::default(), body)).unwrap();
        let mut filling = store.fill(&key, (object, store.moment()), None, 1 << 20);
        filling.take(b"aaa");
        disk.pool.settled().await;
        let (release, held) = mpsc::channel::<()>();
        disk.pool.run(&key, move || held.recv().unwrap());
        filling.finish();
        let page = store.pages.get(&*key).unwrap();
        let before = page.first().unwrap();
        let renewed = tagged(tag, Chosen::default(), Arc::clone(&before.body));
        assert!(store.renew(&key, (before, &renewed), store.moment()));
        release.send(()).unwrap();
        disk.pool.settled().await;
        assert_eq!(disk.objects(), expected, "{tag}");
        store.forget(&key);
        disk.pool.settled().await;
    }
    fs::remove_dir_all(path).unwrap();
}
