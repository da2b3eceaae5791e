//! What was purged or changed lately. Who brings something into the store says as of when it is known; what was meant by a purge since
//! then is not stored, since it may have been made before that and come behind it.
//!
//! Changes of one URI come from clients, as many as they like: they are told apart by the hash of the URI, in a table that never
//! overflows, and two that share a place there cost a fetch. Purges come from operators, and the last of them are kept as they were said.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use super::purge::{Meant, Purge};
use super::uri_of;

/// Places for URIs.
const PLACES: usize = 8192;
/// Purges that are remembered; what was asked for before the first of them is not stored.
const PURGES: usize = 4096;

/// As of when something is known: what an origin is asked for then is as new as that, and may be newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

#[derive(Debug)]
pub(super) struct Changes {
    /// Goes on when something has changed, and when a purge begins.
    now: AtomicU64,
    places: Box<[Place]>,
    /// For a hash without a place, which none is.
    spare: Place,
    purges: RwLock<Purges>,
}

/// The URIs of one hash.
#[derive(Debug, Default)]
struct Place {
    /// When one of them changed last.
    changed: AtomicU64,
    /// Held while something of them is put in or taken out.
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
pub(super) struct Purges {
    /// By their beginning.
    recent: VecDeque<Noted>,
    /// How many of them are under way.
    under_way: usize,
    /// When the last one ended of which nothing more is known.
    forgotten: u64,
}

#[derive(Debug)]
struct Noted {
    what: Meant,
    began: u64,
    /// When all of it was out; none while it is under way, and whatever is put in may be behind it or before it.
    ended: Option<u64>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            now: AtomicU64::new(0),
            places: (0..PLACES).map(|_| Place::default()).collect(),
            spare: Place::default(),
            purges: RwLock::default(),
        }
    }
}

impl Changes {
    pub(super) fn now(&self) -> Moment {
        Moment(self.now.load(Ordering::SeqCst))
    }

    /// Puts something in that is known as of then, unless it is meant by what has changed since; no change comes between, and no purge
    /// begins. What is put in with it, and has been there, is to be asked after among those that are under way.
    pub(super) fn keep<T>(
        &self,
        since: Moment,
        (key, has_tag): (&str, impl Fn(u64) -> bool),
        keep: impl FnOnce(&Purges) -> T,
    ) -> Option<T> {
        let place = self.place(key);
        let _turn = place.turn();
        // Held as well: a purge that begins later finds what is put in here.
        let purges = self.purges();
        let has_changed = place.has_changed(since) || purges.mean(since, key, has_tag);
        (!has_changed).then(|| keep(&purges))
    }

    /// Whether it is too late already. What comes from who asked during a purge is told so when that has ended.
    pub(super) fn has_changed(
        &self,
        since: Moment,
        key: &str,
        has_tag: impl Fn(u64) -> bool,
    ) -> bool {
        self.now() != since
            && (self.place(key).has_changed(since) || self.purges().mean(since, key, has_tag))
    }

    /// Takes something of a URI out, and nothing comes between.
    pub(super) fn alone<T>(&self, key: &str, take: impl FnOnce() -> T) -> T {
        let _turn = self.place(key).turn();
        take()
    }

    /// Takes a URI out that has changed.
    pub(super) fn change<T>(&self, key: &str, take: impl FnOnce() -> T) -> T {
        let place = self.place(key);
        let _turn = place.turn();
        let taken = take();
        // Behind it: who has asked for something while it was taken out may have got the old one.
        place.changed.store(self.next(), Ordering::SeqCst);
        taken
    }

    /// Takes out what is meant. Whoever puts something in meanwhile goes on, but for what is meant.
    pub(super) fn purge<T>(&self, what: Purge<'_>, sweep: impl FnOnce() -> T) -> T {
        let began = self.with_purges(|purges| {
            let began = self.next();
            purges.note(what.into(), began);
            began
        });
        let swept = sweep();
        self.with_purges(|purges| purges.end(began, self.next()));
        swept
    }

    fn next(&self) -> u64 {
        self.now.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn place(&self, key: &str) -> &Place {
        let index = hash(uri_of(key).as_bytes()) as usize % PLACES;
        self.places.get(index).unwrap_or(&self.spare)
    }

    fn purges(&self) -> RwLockReadGuard<'_, Purges> {
        self.purges.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_purges<T>(&self, change: impl FnOnce(&mut Purges) -> T) -> T {
        change(&mut self.purges.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Place {
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_changed(&self, since: Moment) -> bool {
        self.changed.load(Ordering::SeqCst) > since.0
    }
}

impl Purges {
    fn note(&mut self, what: Meant, began: u64) {
        if self.recent.len() >= PURGES
            && let Some(ended) = self.recent.front().and_then(|first| first.ended)
        {
            self.recent.pop_front();
            self.forgotten = self.forgotten.max(ended);
        }
        self.under_way += 1;
        self.recent.push_back(Noted {
            what,
            began,
            ended: None,
        });
    }

    fn end(&mut self, began: u64, ended: u64) {
        let mut recent = self.recent.iter_mut();
        if let Some(noted) = recent.find(|noted| noted.began == began) {
            noted.ended = Some(ended);
            self.under_way -= 1;
        }
    }

    /// Whether one that is under way takes that out, or has just done so.
    pub(super) fn take(&self, key: &str, has_tag: impl Fn(u64) -> bool) -> bool {
        let mut under_way = self.recent.iter().filter(|noted| noted.ended.is_none());
        self.under_way > 0 && under_way.any(|noted| noted.what.means(key, &has_tag))
    }

    /// Whether one that has ended since, or not yet, means that.
    fn mean(&self, since: Moment, key: &str, has_tag: impl Fn(u64) -> bool) -> bool {
        let mut newer = self
            .recent
            .iter()
            .filter(|noted| noted.ended.is_none_or(|ended| ended > since.0));
        self.forgotten > since.0 || newer.any(|noted| noted.what.means(key, &has_tag))
    }
}

/// A URI or a tag as it is compared.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_kept(changes: &Changes, since: Moment, key: &str, tag: &str) -> bool {
        let tag = hash(tag.as_bytes());
        let has_tag = |wanted| wanted == tag;
        let kept = changes.keep(since, (key, has_tag), |_| ()).is_some();
        // What has not ended yet has changed nothing for certain.
        let is_under_way = since == changes.now();
        let has_changed = changes.has_changed(since, key, has_tag);
        assert!(kept != has_changed || is_under_way, "{key}");
        kept
    }

    #[test]
    fn what_was_asked_for_before_a_change_is_not_kept() {
        let changes = Changes::default();
        let before = changes.now();
        changes.change("http://a/1", || {
            assert!(changes.now() == before);
        });
        for key in ["http://a/1", "http://a/1\n", "http://a/1\n65536/3"] {
            assert!(!is_kept(&changes, before, key, "t"), "{key}");
            assert!(is_kept(&changes, changes.now(), key, "t"), "{key}");
        }
        assert!(is_kept(&changes, before, "http://a/2", "t"));
    }

    #[test]
    fn what_was_asked_for_before_or_during_a_purge_is_not_kept_if_it_is_meant() {
        for (what, key, tag, expected) in [
            (Purge::All, "http://b/", "", false),
            (Purge::Url("http://a/1"), "http://a/1", "", false),
            (Purge::Url("http://a/1"), "http://a/1\n65536/3", "", false),
            (Purge::Url("http://a/1"), "http://a/12", "", true),
            (Purge::Prefix("http://a/"), "http://a/x", "", false),
            (Purge::Prefix("http://a/"), "http://b/x", "", true),
            (Purge::Tag("t"), "http://c/", "t", false),
            (Purge::Tag("t"), "http://c/", "u", true),
        ] {
            let changes = Changes::default();
            let before = changes.now();
            let during = changes.purge(what, || {
                let during = changes.now();
                for since in [before, during] {
                    assert_eq!(
                        is_kept(&changes, since, key, tag),
                        expected,
                        "{what:?} {key}"
                    );
                }
                during
            });
            for since in [before, during] {
                assert_eq!(
                    is_kept(&changes, since, key, tag),
                    expected,
                    "{what:?} {key}"
                );
            }
            assert!(is_kept(&changes, changes.now(), key, tag), "{what:?} {key}");
        }
    }

    #[test]
    fn what_a_purge_under_way_takes_is_not_put_back_with_something_else() {
        let changes = Changes::default();
        let is_taken = |tag: u64| {
            let keep = |purges: &Purges| purges.take("http://a/", |wanted| wanted == tag);
            changes.keep(changes.now(), ("http://a/", |_| false), keep)
        };
        let (one, other) = (hash(b"one"), hash(b"other"));
        let asked = || [is_taken(one), is_taken(other)];
        let during = changes.purge(Purge::Tag("one"), asked);
        assert_eq!(during, [Some(true), Some(false)]);
        assert_eq!(asked(), [Some(false); 2]);
    }

    #[test]
    fn more_purges_than_are_remembered_leave_nothing_in_doubt() {
        let changes = Changes::default();
        let before = changes.now();
        changes.purge(Purge::Url("http://a/"), || ());
        let after = changes.now();
        for _ in 1..PURGES {
            changes.purge(Purge::Url("http://b/"), || ());
        }
        assert!(is_kept(&changes, before, "http://c/", ""));
        changes.purge(Purge::Url("http://b/"), || ());
        assert!(!is_kept(&changes, before, "http://c/", ""));
        assert!(is_kept(&changes, after, "http://c/", ""));
    }
}
