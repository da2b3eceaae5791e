//! What is shown of the shield while its state is held for long: by an import of a million ranges, a feed that is replaced, countries
//! that are compiled anew. Whoever only looks sees what there was just before, and does not wait.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use openclaw_common::abi::flags;

use super::Shield;
use super::api::FeedStatus;
use super::kernel::{Attachment, Maps};
use super::lists::Kind;
use super::prefix::Family;
use super::state::State;
use super::status::Status;

/// How often it is looked whether a state that is held for a moment is free again.
const MOMENT: Duration = Duration::from_micros(200);

/// What figures are made of.
#[derive(Clone, Debug)]
pub(super) struct Gauges {
    pub(super) maps: Option<Arc<Maps>>,
    pub(super) attached: Vec<Attachment>,
    /// Every interface that is attached or should be, and whether it is.
    pub(super) interfaces: BTreeMap<String, bool>,
    pub(super) sizes: Vec<(Kind, String, Family, usize)>,
    pub(super) feeds: Vec<(Kind, String, FeedStatus)>,
    pub(super) is_attack: bool,
    /// Attacks begun and attacks over.
    pub(super) attacks: (u64, u64),
}

impl Gauges {
    pub(super) fn of(state: &State) -> Self {
        let attached = state.attached();
        Self {
            maps: state.maps(),
            interfaces: state.interfaces(&attached),
            attached,
            sizes: state.sizes(),
            feeds: state.feeds_status(),
            is_attack: state.syn.is_attack(),
            attacks: state.syn.transitions(),
        }
    }
}

/// The state as it was before it was held for long.
#[derive(Debug)]
pub(super) struct Seen {
    status: Status,
    pub(super) gauges: Gauges,
}

impl Seen {
    fn of(state: &State) -> Self {
        Self {
            status: state.status(),
            gauges: Gauges::of(state),
        }
    }

    /// The kill switch is the maps', whoever holds the state.
    pub(super) fn status(&self) -> Status {
        let maps = self.gauges.maps.as_deref();
        let config = maps.and_then(|maps| maps.config().ok());
        Status {
            on: config.map_or(self.status.on, |config| config.flags & flags::ENABLED != 0),
            ..self.status.clone()
        }
    }
}

/// What those who hold the state for long leave to those who look.
#[derive(Debug, Default)]
pub(super) struct Views {
    is_held: AtomicBool,
    before: Mutex<Option<Arc<Seen>>>,
}

impl Views {
    pub(super) fn before(&self) -> Option<Arc<Seen>> {
        if !self.is_held.load(Ordering::Acquire) {
            return None;
        }
        let before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        before.clone()
    }
}

/// The state, held for as long as it takes.
pub(super) struct Held<'a> {
    state: MutexGuard<'a, State>,
    views: &'a Views,
}

impl Deref for Held<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.state.settle_bans();
        }
        // The state itself goes after this.
        self.views.is_held.store(false, Ordering::Release);
    }
}

impl Shield {
    /// The state for work that may take longer than a moment.
    pub(super) fn hold(&self) -> Held<'_> {
        let state = self.lock();
        let seen = Arc::new(Seen::of(&state));
        let mut before = self
            .views
            .before
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *before = Some(seen);
        drop(before);
        if !state.is_suspended {
            state.shared.meanwhile.open();
        }
        self.views.is_held.store(true, Ordering::Release);
        Held {
            state,
            views: &self.views,
        }
    }

    /// Looks at the state or, while it is held for long, at what was left to be seen of it.
    pub(super) fn look<R>(
        &self,
        now: impl FnOnce(&mut State) -> R,
        before: impl Fn(&Seen) -> R,
    ) -> R {
        let before = || self.views.before().map(|seen| before(&seen));
        self.at_once(before, now)
    }

    /// Works on the state as soon as it is free, or, while it is held for long, does otherwise.
    pub(super) fn at_once<R>(
        &self,
        meanwhile: impl Fn() -> Option<R>,
        now: impl FnOnce(&mut State) -> R,
    ) -> R {
        loop {
            if let Some(done) = meanwhile() {
                return done;
            }
            match self.state.try_lock() {
                Ok(mut state) => return now(&mut state),
                Err(TryLockError::Poisoned(state)) => return now(&mut state.into_inner()),
                // For a moment, or by one who is just about to say that it is for long.
                Err(TryLockError::WouldBlock) => thread::sleep(MOMENT),
            }
        }
    }
}
