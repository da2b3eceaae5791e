//! What a shared cache may keep, for whom, for how long, and what it answers with (RFC 9111), as functions of fields and time.

mod conditional;
mod date;
mod directives;
mod freshness;
mod rule;
pub mod slices;
mod status;
mod steering;
mod storing;
#[cfg(test)]
mod tests;
mod vary;

pub use conditional::{Answer, answer, is_condition, is_told_again, questions};
pub use directives::Directives;
pub use freshness::{Freshness, Times, Use};
pub use rule::{Query, Rule};
pub use status::{Forwarded, Status};
pub use steering::{changes_its_meaning, steers};
pub use storing::{
    Asked, Confirmed, Refusal, confirmed, freshness, has_validator, is_kept, updated,
};
pub use vary::Chosen;
