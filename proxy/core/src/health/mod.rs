//! Whether an endpoint is fit: by asking it now and then ([`Streak`]), and by what became of requests ([`Circuit`]).

mod circuit;
mod streak;

pub use self::circuit::{Circuit, Rules};
pub use self::streak::Streak;
