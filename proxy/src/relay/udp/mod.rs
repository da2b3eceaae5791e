//! Datagrams that go to an endpoint as they come. Those of one client are a session, which keeps its endpoint until nothing has been
//! sent for a while.

mod choice;
mod flow;
mod onward;

pub use self::flow::{Face, Flow, Opening};
