//! `limit`: the request is counted in the table that all workers share.

use std::cell::RefCell;
use std::sync::atomic::Ordering;
use std::time::Instant;

use openclaw_core::config;
use openclaw_core::limit::{Identity, Verdict};
use openclaw_core::route::Request;

use super::busiest::{Busiest, Busy};
use super::{Allowance, Outcome, Refusal};
use crate::snapshot::LimitSetup;

/// The limit of one route.
#[derive(Debug)]
pub struct Limit {
    config: config::Limit,
    setup: LimitSetup,
    /// Who was refused, as far as this worker saw it.
    busiest: RefCell<Busiest>,
}

impl Limit {
    pub(super) fn new(config: config::Limit, setup: LimitSetup) -> Self {
        Self {
            config,
            setup,
            busiest: RefCell::default(),
        }
    }

    #[inline]
    pub(super) fn ask(&self, request: &impl Request, now: Instant, outcome: &mut Outcome) {
        let identity = Identity::of(&self.config.key, request);
        let LimitSetup { table, began, salt } = &self.setup;
        let hash = table.hash(&(salt.load(Ordering::Relaxed), identity));
        // A process does not live for centuries.
        let now_ns = now.saturating_duration_since(*began).as_nanos() as u64;
        let quota = &self.config.quota;
        let (verdict, tat) = table.ask(hash, quota, now_ns);
        outcome.allowance = Some(Allowance {
            quota: *quota,
            standing: quota.standing(tat, now_ns),
        });
        if verdict == Verdict::Refuse {
            outcome.refusal = Some(Refusal::Rate);
            self.busiest.borrow_mut().refused(hash, &identity);
        }
    }

    /// Refusals in all, and those who had most of them.
    pub fn refused(&self) -> (u64, Vec<Busy>) {
        self.busiest.borrow().list()
    }
}
