//! Limits for each source: an IPv4 address, or an IPv6 /64, in which one host may have any address. What stands against floods from
//! forged sources are cookies, not these.

use crate::abi::{Config, Limit, checks};
use crate::bucket;
use crate::decide::Tables;
use crate::packet::{Flow, Header, Transport};
use crate::ports::{self, Set};
use crate::verdict::Reason;

/// SYN and ACK.
const OPENING: u8 = 0x12;
const SYN: u8 = 0x02;

/// What a source is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`crate::abi::Arrivals::syn_ns`].
    Syn,
    /// [`crate::abi::Arrivals::udp_ns`].
    Udp,
}

/// Whether [`syn`] may have something to say about a TCP packet.
#[inline(always)]
pub(crate) fn concerns(config: &Config, flow: &Flow) -> bool {
    flow.transport.flags & OPENING == SYN
        && config.syn.cost_ns != 0
        && config.attack == 0
        && config.checks & checks::PORTS != 0
}

/// A TCP SYN to a protected port above the rate of its source. Not asked in attack state: each forged source would push an honest one
/// out of the table, and every packet would pay for it.
#[inline(always)]
pub fn syn<T: Tables>(config: &Config, flow: &Flow, tables: &T) -> Option<Reason> {
    let Transport {
        header: Header::Tcp,
        destination,
        ..
    } = flow.transport
    else {
        return None;
    };
    if !concerns(config, flow) {
        return None;
    }
    if tables.ports(Set::Tcp, ports::word(destination)) & ports::bit(destination) == 0 {
        return None;
    }
    exceeds(tables, flow, Kind::Syn, &config.syn).then_some(Reason::RateSyn)
}

/// Whether the packet is above the limit of its source.
#[inline(always)]
pub(crate) fn exceeds<T: Tables>(tables: &T, flow: &Flow, kind: Kind, limit: &Limit) -> bool {
    let now_ns = tables.now_ns();
    let first_ns = now_ns.wrapping_add(limit.cost_ns);
    match tables.bucket(flow.source, kind, first_ns) {
        Some(word) => !bucket::admit(&word, now_ns, limit),
        None => false,
    }
}
