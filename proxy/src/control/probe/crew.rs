//! The endpoints of one upstream together: when probes call all of them unwell all are asked, and that is said.

use std::cell::{Cell, RefCell};

use crate::snapshot::UpstreamSetup;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Crew {
    setup: RefCell<UpstreamSetup>,
    is_down: Cell<bool>,
}

impl Crew {
    /// Who is in it from now.
    pub(super) fn set(&self, upstream: &str, setup: &UpstreamSetup) {
        *self.setup.borrow_mut() = setup.clone();
        self.look(upstream);
    }

    /// To be asked when a probe has changed its mind.
    pub(super) fn look(&self, upstream: &str) {
        let is_down = self.setup.borrow().is_all_down();
        let was_down = self.is_down.replace(is_down);
        if is_down && !was_down {
            tracing::warn!(
                upstream,
                "all endpoints are called unwell: all are asked, as if all were well"
            );
        } else if was_down && !is_down {
            tracing::info!(upstream, "not all endpoints are called unwell any more");
        }
    }
}
