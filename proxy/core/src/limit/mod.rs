//! Request limits: how many in which time ([`Quota`]), for whom ([`Identity`]), and the one table in which all workers keep count
//! ([`Table`]). The clock and the randomness come from the caller.

mod fields;
mod identity;
mod quota;
mod table;

pub use self::fields::Rendered;
pub use self::identity::{Identity, network_of};
pub(crate) use self::identity::{cookie, cookies};
pub use self::quota::{Quota, Standing, Verdict};
pub use self::table::Table;
