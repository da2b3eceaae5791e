//! How long answers take, for those who go by it: balancers by each endpoint's, hedging by what is usual.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use openclaw_core::config::{self, After};
use openclaw_core::health::Usual;

use super::{Endpoint, Upstream};

/// What is known goes on from snapshot to snapshot; nothing where nobody asks.
pub(super) fn usual(
    config: &config::Upstream,
    former: Option<&Upstream>,
) -> Option<Rc<RefCell<Usual>>> {
    let after = config.hedge.map(|hedge| hedge.after);
    let is_wanted = matches!(after, Some(After::Percent(_)));
    let former = former.and_then(|former| former.usual.clone());
    is_wanted.then(|| former.unwrap_or_default())
}

impl Upstream {
    /// The time that so many in a hundred answers keep, where that is asked for and known.
    pub fn usual(&self, percent: u32) -> Option<Duration> {
        self.usual.as_ref()?.borrow().quantile(percent)
    }

    /// The endpoint had not begun to answer after `took`, when another one had: it was slower than that.
    pub fn outrun(&self, endpoint: &Endpoint, took: Duration) {
        self.took(endpoint, took, Instant::now());
    }

    /// The endpoint began to answer `now`.
    pub(super) fn took(&self, endpoint: &Endpoint, took: Duration, now: Instant) {
        if self.counts() {
            endpoint.standing.answered(took, now);
        }
        if let Some(usual) = &self.usual {
            usual.borrow_mut().note(took);
        }
    }
}
