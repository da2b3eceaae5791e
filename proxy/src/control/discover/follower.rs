//! One source that is followed: what it said last, since when it says nothing, and the task that asks it.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use openclaw_core::config::Registry;
use openclaw_core::discovery::{Answer, Endpoint, MAX_ENDPOINTS, difference, rhythm};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::error::DiscoverError;
use super::source::name_of;
use crate::telemetry::chain;

/// What is known of a source.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) source: Registry,
    last: RefCell<Option<Last>>,
    failing: RefCell<Option<Failing>>,
    /// What was left out of that answer, as it was told.
    left_out: RefCell<Option<String>>,
    /// To how many endpoints too many its names lead.
    excess: Cell<usize>,
    errors: Cell<u64>,
    /// How often it has been asked to the end.
    rounds: watch::Sender<u64>,
    /// Whoever loads a configuration tells what came of the first round.
    is_told: Cell<bool>,
    /// Whether somebody goes on with the last endpoints when a name server denies it.
    keeps: Cell<bool>,
    /// Ends a rest early.
    wanted: Notify,
    /// That of all followers: something is to be served differently.
    changed: Rc<Notify>,
}

/// The last good answer.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) endpoints: Rc<[Endpoint]>,
    /// Where that is empty: those of the last one that was not.
    pub(super) before_empty: Rc<[Endpoint]>,
    pub(super) at: SystemTime,
}

/// What went wrong, and how often one behind the other.
#[derive(Clone, Debug)]
pub(super) struct Failing {
    pub(super) why: String,
    count: u32,
    /// Since then a name server has denied it, and not taken that back.
    is_denied: bool,
}

/// A follower with the task that asks for it, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) follower: Rc<Follower>,
    task: JoinSet<()>,
}

impl Followed {
    pub(super) fn new(follower: Follower) -> Self {
        Self {
            follower: Rc::new(follower),
            task: JoinSet::new(),
        }
    }

    pub(super) fn run<Task: Future<Output = ()> + 'static>(
        &mut self,
        task: impl FnOnce(Rc<Follower>) -> Task,
    ) {
        self.task.spawn_local(task(Rc::clone(&self.follower)));
    }
}

impl Follower {
    /// `last` is what was kept on the disk.
    pub(super) fn new(
        source: Registry,
        last: Option<Last>,
        is_told: bool,
        changed: &Rc<Notify>,
    ) -> Self {
        Self {
            source,
            last: RefCell::new(last),
            failing: RefCell::default(),
            left_out: RefCell::default(),
            excess: Cell::default(),
            errors: Cell::default(),
            rounds: watch::channel(0).0,
            is_told: Cell::new(is_told),
            keeps: Cell::new(true),
            wanted: Notify::new(),
            changed: Rc::clone(changed),
        }
    }

    /// The last good answer.
    pub(super) fn last(&self) -> Option<Last> {
        self.last.borrow().clone()
    }

    /// What went wrong since.
    pub(super) fn failing(&self) -> Option<Failing> {
        self.failing.borrow().clone()
    }

    /// Whether a name server has denied it after its last good answer.
    pub(super) fn is_denied(&self) -> bool {
        let failing = self.failing.borrow();
        failing.as_ref().is_some_and(|failing| failing.is_denied)
    }

    /// Whether somebody goes on with the last endpoints when a name server denies it.
    pub(super) fn set_keeps(&self, keeps: bool) {
        self.keeps.set(keeps);
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors.get()
    }

    /// How often it has been asked.
    pub(super) fn round(&self) -> u64 {
        *self.rounds.borrow()
    }

    /// Waits until it has been asked more often than that.
    pub(super) async fn after(&self, round: u64) {
        let mut rounds = self.rounds.subscribe();
        // The sender is here, so that there is no end to the waiting but that.
        let _ = rounds.wait_for(|now| *now > round).await;
    }

    /// Asks now rather than later.
    pub(super) fn want(&self) {
        self.wanted.notify_one();
    }

    /// Waits before it is asked again; less if somebody wants it.
    pub(super) async fn rest(&self, time: Duration) {
        // Whichever comes first.
        let _ = timeout(time, self.wanted.notified()).await;
    }

    /// Nobody else tells what comes of the first round.
    pub(super) fn tell(&self) {
        self.is_told.set(false);
    }

    /// Takes what came of a question; gives back how long to wait after an error.
    pub(super) fn learn(&self, answer: Result<Answer, DiscoverError>) -> Result<(), Duration> {
        let answer = answer.and_then(|answer| Ok(answer.settle()?));
        let outcome = match answer {
            Ok(taken) => {
                self.leave_out(taken.left_out);
                self.took(taken.endpoints);
                Ok(())
            }
            Err(error) => Err(self.failed(&error)),
        };
        self.is_told.set(false);
        self.rounds.send_modify(|rounds| *rounds += 1);
        outcome
    }

    /// What was said last was seen to hold still.
    pub(super) fn confirm(&self) {
        if self.failing.borrow().is_none()
            && let Some(last) = &mut *self.last.borrow_mut()
        {
            last.at = SystemTime::now();
        }
    }

    /// Tells what is no endpoint though the source has it, when that is news.
    fn leave_out(&self, left_out: Option<String>) {
        let mut before = self.left_out.borrow_mut();
        if let Some(left_out) = left_out.as_ref().filter(|_| *before != left_out) {
            let source = name_of(&self.source);
            tracing::warn!(source, "left out of the endpoints: {left_out}");
        }
        *before = left_out;
    }

    /// Tells that its names lead to so many endpoints more than are taken, when that is news.
    pub(super) fn exceed(&self, excess: usize) {
        if self.excess.replace(excess) == 0 && excess > 0 {
            let source = name_of(&self.source);
            tracing::warn!(
                source,
                "{excess} endpoints are left out: its names have more than {MAX_ENDPOINTS} addresses"
            );
        }
    }

    fn took(&self, endpoints: Vec<Endpoint>) {
        let before = self.last.borrow().clone();
        let known = before.as_ref().map_or(&[][..], |last| &*last.endpoints);
        let change = difference(known, &endpoints);
        let source = name_of(&self.source);
        let failing = self.failing.take();
        if failing.is_some() {
            let endpoints = endpoints.len();
            tracing::info!(source, endpoints, "endpoints are found again");
        }
        let is_changed = change != difference(&[], &[]);
        // After a denial the same ones are news.
        let is_new = before.is_none() || is_changed || failing.is_some_and(|it| it.is_denied);
        if is_changed && endpoints.is_empty() {
            let had = change.removed;
            tracing::warn!(source, had, "the source says that there are no endpoints");
        } else if is_changed && before.is_some() {
            let (added, removed, changed) = (change.added, change.removed, change.changed);
            tracing::info!(source, added, removed, changed, "endpoints have changed");
        }
        *self.last.borrow_mut() = Some(Last {
            before_empty: match before {
                Some(before) if endpoints.is_empty() && before.endpoints.is_empty() => {
                    before.before_empty
                }
                Some(before) if endpoints.is_empty() => before.endpoints,
                Some(_) | None => Rc::default(),
            },
            endpoints: endpoints.into(),
            at: SystemTime::now(),
        });
        if is_new {
            self.changed.notify_one();
        }
    }

    fn failed(&self, error: &DiscoverError) -> Duration {
        self.errors.set(self.errors.get() + 1);
        let mut failing = self.failing.borrow_mut();
        let count = failing.as_ref().map_or(1, |failing| failing.count + 1);
        let was_denied = failing.as_ref().is_some_and(|failing| failing.is_denied);
        let is_denied = was_denied || error.is_denial();
        let why = chain(error);
        // A file is read when somebody has written it, who wants to know; what others say changes with the weather.
        let is_other = matches!(self.source, Registry::File { .. })
            && failing.as_ref().is_some_and(|before| before.why != why);
        if (count == 1 || is_other) && !self.is_told.get() {
            let source = name_of(&self.source);
            let last = self.last().filter(|_| self.keeps.get() || !is_denied);
            let kept = last.map_or(0, |last| last.endpoints.len());
            tracing::warn!(source, kept, "endpoints are not found: {why}");
        }
        *failing = Some(Failing {
            why,
            count,
            is_denied,
        });
        if is_denied && !was_denied {
            self.changed.notify_one();
        }
        rhythm::back_off(count, fastrand::f64())
    }
}
