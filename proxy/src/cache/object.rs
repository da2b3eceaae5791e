//! A stored response.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use openclaw_core::caching::{Chosen, Directives, Freshness, Use};
use openclaw_core::message::{Field, Fields, HeaderList};

use super::{Body, purge};

/// A response that may be used again. Never changes, but for being called stale.
#[derive(Debug)]
pub struct Object {
    /// The owner of the route that stored it, and that alone uses it: another may have another origin.
    pub route: Arc<str>,
    pub status: u16,
    /// As the origin sent them, but for those of one connection.
    pub fields: HeaderList,
    pub body: Arc<Body>,
    pub freshness: Freshness,
    /// Which requests it is for.
    pub chosen: Chosen,
    pub came: Instant,
    /// The hashes of the tags that its origin gives it.
    pub(super) tags: Box<[u64]>,
    is_stale: AtomicBool,
}

impl Object {
    pub fn new(
        (route, chosen): (Arc<str>, Chosen),
        (status, fields, body): (u16, HeaderList, Arc<Body>),
        freshness: Freshness,
    ) -> Self {
        Self {
            tags: purge::tags(&fields),
            route,
            status,
            fields,
            body,
            freshness,
            chosen,
            came: Instant::now(),
            is_stale: AtomicBool::new(false),
        }
    }

    /// The fields for whoever looks at them.
    pub fn view(&self) -> Fields<'_> {
        let mut fields = Fields::new();
        for (name, value) in self.fields.iter() {
            // No more were stored than fit.
            let _ = fields.try_push(Field::new(name, value));
        }
        fields
    }

    /// What may be done with it now.
    pub fn judge(&self, now: Instant, asked: &Directives) -> Use {
        let resident = self.resident(now);
        if self.is_stale.load(Ordering::Relaxed) {
            // As if the client had asked for that: where its origin fails it is as good as by its age.
            let asked = Directives {
                no_cache: true,
                ..*asked
            };
            return self.freshness.judge(resident, &asked);
        }
        self.freshness.judge(resident, asked)
    }

    /// Whether others may have it without a word of its origin to each of them.
    pub fn is_for_others(&self, now: Instant) -> bool {
        match self.judge(now, &Directives::default()) {
            Use::Fresh | Use::WhileRevalidating => true,
            Use::Ask { .. } => false,
        }
    }

    /// How old it is, and how many seconds it stays fresh; none once it was purged softly.
    pub fn age(&self, now: Instant) -> (u64, i64) {
        let age = self.freshness.age(self.resident(now));
        let left = i128::from(self.freshness.lifetime) - i128::from(age);
        let left = i64::try_from(left).unwrap_or(i64::MAX);
        let is_stale = self.is_stale.load(Ordering::Relaxed);
        (age, if is_stale { left.min(0) } else { left })
    }

    /// Whether it is for the same requests as another one.
    pub(super) fn is_in_place_of(&self, other: &Self) -> bool {
        self.route == other.route && self.chosen == other.chosen
    }

    /// Whether it has the tag of that hash.
    pub(super) fn has_tag(&self, tag: u64) -> bool {
        self.tags.contains(&tag)
    }

    /// From now on its origin is asked before it is used.
    pub(super) fn grow_stale(&self) {
        self.is_stale.store(true, Ordering::Relaxed);
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        let own = size_of::<Self>() + self.fields.size() + self.chosen.size();
        own + size_of_val(&*self.tags) + self.body.size()
    }

    fn resident(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.came)
    }
}
