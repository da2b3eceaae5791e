//! Whether an endpoint is fit: by asking it now and then ([`Streak`]), and by what became of requests ([`Circuit`]); and
//! how much may be asked again elsewhere when one fails ([`Budget`]), how much one is given that
//! comes back ([`ramp()`]), and how long answers usually take ([`Usual`]).

mod budget;
mod circuit;
pub mod grpc;
mod ramp;
mod streak;
mod usual;

pub use self::budget::Budget;
pub use self::circuit::{Circuit, Rules};
pub use self::ramp::ramp;
pub use self::streak::Streak;
pub use self::usual::Usual;
