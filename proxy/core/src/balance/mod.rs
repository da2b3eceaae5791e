//! Which endpoint is next.
//!
//! Every algorithm honours weights, never picks an endpoint of weight 0 or one that the caller calls unusable, and picks
//! some endpoint whenever one is left. What has to be known of endpoints over all workers (exchanges under way, latency)
//! comes through [`View`]; positions and tables are each worker's own.

mod hash;
mod least;
mod load;
mod maglev;
mod random;
mod rendezvous;
mod round_robin;
mod sticky;
mod zone;

pub use self::hash::Key;
pub use self::load::{Latency, Load};
pub use self::round_robin::RoundRobin;
pub use self::sticky::{Pin, set_cookie};
pub use self::zone::Zones;

use self::least::Least;
use self::maglev::Maglev;
use self::random::Random;
use self::rendezvous::Rendezvous;
use crate::config::Balance;

/// The share of an endpoint that has all of its weight, see [`View::share`].
pub const WHOLE: u32 = 1 << 16;

/// What is known of the endpoints at the moment of a choice.
pub trait View {
    /// Whether the endpoint may be picked at all.
    fn is_usable(&self, index: usize) -> bool;

    /// What all workers together ask of the endpoint, and how quickly it answers.
    fn load(&self, index: usize) -> Load;

    /// How much of its weight the endpoint has at the moment, of [`WHOLE`]; never 0 where it is usable.
    fn share(&self, _index: usize) -> u32 {
        WHOLE
    }
}

/// An endpoint as a balancer is built from it.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Stays the same over reloads, restarts and machines: hashes go by it.
    pub name: &'a str,
    /// Its share, relative to the others; 0 takes it out.
    pub weight: u32,
}

/// One worker's balancer of one upstream.
#[derive(Clone, Debug)]
pub enum Balancer {
    /// In turn.
    RoundRobin(RoundRobin),
    /// Whoever has the fewest exchanges under way.
    LeastConnections(Least),
    /// Whoever is expected to answer first.
    LeastTime(Least),
    /// The less busy of two drawn at random.
    Random(Random),
    /// By the key, moving as few keys as possible when endpoints come and go.
    Rendezvous(Rendezvous),
    /// By the key, through a table, in the same time for any number of endpoints.
    Maglev(Maglev),
}

impl Balancer {
    /// `worker` of `workers` takes its turns from a position of its own, so that the first turns of all workers are not for
    /// the same endpoint.
    pub fn new(kind: Balance, members: &[Member<'_>], (worker, workers): (usize, usize)) -> Self {
        let in_turn = || {
            let mut turns = RoundRobin::new(members.iter().map(|member| member.weight));
            turns.skip_to(worker, workers);
            turns
        };
        match kind {
            Balance::RoundRobin => Self::RoundRobin(in_turn()),
            Balance::LeastConnections => Self::LeastConnections(Least::new(members, in_turn())),
            Balance::LeastTime => Self::LeastTime(Least::new(members, in_turn())),
            Balance::Random => Self::Random(Random::new(members)),
            Balance::IpHash | Balance::UrlHash => Self::Rendezvous(Rendezvous::new(members)),
            Balance::Maglev => Self::Maglev(Maglev::new(members)),
        }
    }

    /// The next endpoint; `None` if none is usable. A retry asks again with a view that leaves out what was tried, and with
    /// the same key. `random` is 64 fresh bits.
    pub fn next(&mut self, key: Key, random: u64, view: &impl View) -> Option<usize> {
        match self {
            Self::RoundRobin(turns) => {
                turns.next_by_share(|index| view.is_usable(index), |index| view.share(index))
            }
            Self::LeastConnections(least) => least.next(view, |load| f64::from(load.active)),
            Self::LeastTime(least) => least.next_by_time(view),
            Self::Random(drawn) => drawn.next(random, view),
            Self::Rendezvous(ranks) => ranks.next(key, view),
            Self::Maglev(table) => table.next(key, view),
        }
    }
}

#[cfg(test)]
mod tests;
