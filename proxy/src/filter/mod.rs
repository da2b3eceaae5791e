//! What stands between a route and its action, in one fixed order. A filter decides by what the core says and keeps what that
//! needs; which status a refusal has is for the exchange.

mod busiest;
mod limit;

use std::time::Instant;

use openclaw_core::config::Route;
use openclaw_core::limit::{Quota, Rendered, Standing};
use openclaw_core::route::Request;

use crate::snapshot::LimitSetup;

pub use self::busiest::Busy;
pub use self::limit::Limit;

/// The filters in the order in which they are asked.
#[derive(Debug)]
pub enum Filter {
    Limit(Limit),
}

/// Why a filter refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// More requests than the limit allows.
    Rate,
}

/// What a client is told of its limit, whether it was refused or not.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    pub quota: Quota,
    pub standing: Standing,
}

impl Allowance {
    pub fn fields(&self) -> Rendered {
        Rendered::new(&self.quota, &self.standing)
    }

    /// With the time after which it is worth to come again.
    pub fn fields_of_refusal(&self) -> Rendered {
        Rendered::of_refusal(&self.quota, &self.standing)
    }
}

/// What the filters of a route say of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    pub refusal: Option<Refusal>,
    pub allowance: Option<Allowance>,
}

/// The filters of a route, for one worker.
pub fn of_route(route: &Route, limit: Option<&LimitSetup>) -> Vec<Filter> {
    let limit = route.limit.as_ref().zip(limit);
    limit
        .map(|(config, setup)| Filter::Limit(Limit::new(config.clone(), setup.clone())))
        .into_iter()
        .collect()
}

/// Asks one filter after the other until one refuses.
#[inline]
pub fn ask(filters: &[Filter], request: &impl Request, now: Instant) -> Outcome {
    let mut outcome = Outcome::default();
    for filter in filters {
        match filter {
            Filter::Limit(limit) => limit.ask(request, now, &mut outcome),
        }
        if outcome.refusal.is_some() {
            break;
        }
    }
    outcome
}
