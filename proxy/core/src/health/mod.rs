//! Whether an endpoint is fit: by asking it now and then ([`Streak`]), and by what became of requests ([`Circuit`]); and
//! how much may be asked again elsewhere when one fails ([`Budget`]).

mod budget;
mod circuit;
mod streak;

pub use self::budget::Budget;
pub use self::circuit::{Circuit, Rules};
pub use self::streak::Streak;
