//! Endpoints that an exchange gave up for another one: each of them got the request, and is counted for it.

use std::rc::Rc;

use super::context::Local;
use super::error::Error;
use crate::upstream::Endpoint;

/// With the status that each answered, or 0.
#[derive(Debug, Default)]
pub(super) struct GivenUp(Vec<(Rc<Endpoint>, u16)>);

impl GivenUp {
    pub(super) fn note(&mut self, endpoint: &Rc<Endpoint>, error: Error) {
        let status = if let Error::Declined(status) = error {
            status
        } else {
            0
        };
        self.0.push((Rc::clone(endpoint), status));
    }

    pub(super) fn count(&self, local: &Local) {
        for (endpoint, status) in &self.0 {
            let slot = endpoint.slot.get();
            local.recorder.upstream_given_up(slot, *status);
            endpoint.was_asked(None, *status == 0);
        }
    }

    /// Whether it is one of them: it may have been the last one all the same, where nobody was left.
    pub(super) fn has(&self, endpoint: &Rc<Endpoint>) -> bool {
        self.0.iter().any(|(one, _)| Rc::ptr_eq(one, endpoint))
    }
}
