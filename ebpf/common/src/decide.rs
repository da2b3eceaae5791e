//! The one decision: which verdict a packet gets and why. The order is the same everywhere: kill switch, what the host cannot live
//! without, allow, ban, block, country. Lists are read through [`Tables`], whose contract stands in [`crate::maps`].

use crate::abi::{Config, Prefix6, class, flags, geo};
use crate::packet::{Address, Flow, Packet, Parsed, Transport, parse};
use crate::verdict::{Reason, Verdict};

/// One entry of a `BAN` or `FINE` map, found in place.
pub trait Record {
    /// See [`crate::abi::Entry::until_ns`].
    fn until_ns(&self) -> u64;
    /// See [`crate::abi::Entry::reason`].
    fn reason(&self) -> u32;
    /// Counts a packet that this entry decided.
    fn hit(&self);
}

/// The maps, as a decision sees them.
pub trait Tables {
    /// An entry in place.
    type Record: Record;

    /// Class word of the /24.
    fn class4(&self, source: [u8; 4]) -> u16;
    /// Class word of the /32, if it has one of its own.
    fn class6(&self, source: [u8; 16]) -> Option<u16>;
    /// The ban of exactly this address.
    fn ban4(&self, source: [u8; 4]) -> Option<Self::Record>;
    /// The ban of exactly this prefix.
    fn ban6(&self, prefix: &Prefix6) -> Option<Self::Record>;
    /// The longest prefix around this address.
    fn fine4(&self, source: [u8; 4]) -> Option<Self::Record>;
    /// The longest prefix around this address.
    fn fine6(&self, source: [u8; 16]) -> Option<Self::Record>;
    /// The monotonic clock; asked only for an entry that ends.
    fn now_ns(&self) -> u64;
}

/// What to do, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to do.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
}

impl Decision {
    #[inline(always)]
    fn of(config: &Config, reason: Reason) -> Self {
        let reason = if config.flags & flags::MONITOR == 0 {
            reason
        } else {
            reason.monitored()
        };
        Self {
            verdict: reason.verdict(),
            reason,
        }
    }
}

/// Decides about a frame.
#[inline(always)]
pub fn judge<P: Packet + ?Sized, T: Tables>(config: &Config, packet: &P, tables: &T) -> Decision {
    // Before parsing: the kill switch must also save the host from a fault in the parser.
    if config.flags & flags::ENABLED == 0 {
        return Decision::of(config, Reason::Off);
    }
    match parse(packet) {
        Parsed::Flow(flow) => decide(config, &flow, tables),
        Parsed::NotIp => Decision::of(config, Reason::NonIp),
        Parsed::Malformed => Decision::of(config, Reason::Malformed),
    }
}

/// Decides about a packet, or about a connection at `accept()`.
#[inline(always)]
pub fn decide<T: Tables>(config: &Config, flow: &Flow, tables: &T) -> Decision {
    if config.flags & flags::ENABLED == 0 {
        return Decision::of(config, Reason::Off);
    }
    if flow.is_essential() || flow.source.is_local_host() {
        return Decision::of(config, Reason::Pass);
    }
    let listed = match flow.source {
        Address::V4(source) => {
            let word = tables.class4(source);
            by_lists(
                config,
                tables,
                word,
                || tables.fine4(source),
                || live(tables, tables.ban4(source)),
            )
        }
        Address::V6(source) => {
            let word = tables.class6(source).unwrap_or(config.default6);
            by_lists(
                config,
                tables,
                word,
                || tables.fine6(source),
                || {
                    live(tables, tables.ban6(&Prefix6::subnet(source)))
                        .or_else(|| live(tables, tables.ban6(&Prefix6::host(source))))
                },
            )
        }
    };
    let reason = match (listed, flow.transport) {
        (Reason::Pass, Transport::Broken) => Reason::Malformed,
        (listed, _) => listed,
    };
    Decision::of(config, reason)
}

/// What the lists say of a source with this class word.
#[inline(always)]
fn by_lists<T: Tables>(
    config: &Config,
    tables: &T,
    word: u16,
    fine: impl FnOnce() -> Option<T::Record>,
    ban: impl FnOnce() -> Option<T::Record>,
) -> Reason {
    if word & class::LISTED != 0 {
        if word & class::ALLOWED != 0 {
            return Reason::Allow;
        }
        let fine = if word & class::FINE == 0 {
            None
        } else {
            live(tables, fine())
        };
        if let Some(record) = &fine
            && record.reason() == Reason::Allow as u32
        {
            record.hit();
            return Reason::Allow;
        }
        if word & class::BANNED != 0
            && let Some(record) = ban()
        {
            record.hit();
            return Reason::Ban;
        }
        if let Some(record) = &fine {
            record.hit();
            return Reason::Block;
        }
        if word & class::BLOCKED != 0 {
            return Reason::Block;
        }
    }
    if is_foreign(config, word) {
        Reason::Geo
    } else {
        Reason::Pass
    }
}

/// The record, unless it has ended.
#[inline(always)]
fn live<T: Tables>(tables: &T, record: Option<T::Record>) -> Option<T::Record> {
    let record = record?;
    let until_ns = record.until_ns();
    if until_ns != 0 && until_ns <= tables.now_ns() {
        None
    } else {
        Some(record)
    }
}

/// Whether the country of a class word is not admitted.
#[inline(always)]
fn is_foreign(config: &Config, word: u16) -> bool {
    if config.geo_mode == geo::OFF {
        return false;
    }
    let country = word & class::COUNTRY;
    let [first, second, third, fourth] = &config.geo_mask;
    let bits = match country >> 6 {
        0 => first,
        1 => second,
        2 => third,
        _ => fourth,
    };
    let is_listed = (*bits >> (country & 63)) & 1 != 0;
    is_listed == (config.geo_mode == geo::DENY)
}
