//! From ranges to class words: the country of every IPv4 /24 and IPv6 /32, and the ranges that words cannot hold. Where a word's range
//! has parts in several countries, and the policy lets in only some of them, the parts that differ become entries of their own: every
//! address is decided by its own country. Nothing here knows the lists; that they go first is seen to by [`super::super::compile`].

use std::cmp::Reverse;
use std::collections::BTreeMap;

use openclaw_common::abi::class;
use openclaw_core::country::UNKNOWN;

use super::super::prefix::{AnyNet, Bits, Net};
use super::Policy;
use super::database::Database;

/// Words of IPv6 that countries may take of `CLS6`; the rest is for lists.
const MAX_WORDS6: usize = 393_216;
/// Entries that countries may take of `FINE4`; the rest is for lists.
const MAX_PARTS4: usize = 524_288;
/// The same of `FINE6`.
const MAX_PARTS6: usize = 131_072;

/// Ranges, each with its country.
pub(super) type Ranges<A> = Vec<(Net<A>, u8)>;

/// A compiled database.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Countries {
    pub(in super::super) policy: Policy,
    /// Seconds since 1970.
    pub(in super::super) built: u64,
    pub(in super::super) kind: String,
    /// Ranges of the database.
    pub(in super::super) ranges: usize,
    /// Parts that had no room: addresses that are decided by the country of most of their neighbours.
    pub(in super::super) coarse: usize,
    words4: Box<[u8]>,
    words6: BTreeMap<u32, u8>,
    pub(in super::super) parts4: Ranges<u32>,
    pub(in super::super) parts6: Ranges<u128>,
}

/// The family of a country's ranges, where code is the same for both.
pub(in super::super) trait Parted: Bits {
    fn parts(countries: &Countries) -> &[(Net<Self>, u8)];
}

impl Parted for u32 {
    fn parts(countries: &Countries) -> &[(Net<Self>, u8)] {
        &countries.parts4
    }
}

impl Parted for u128 {
    fn parts(countries: &Countries) -> &[(Net<Self>, u8)] {
        &countries.parts6
    }
}

impl Countries {
    pub(super) fn compile(database: Database, policy: Policy) -> Self {
        let mut words4 = vec![UNKNOWN; 1 << u32::GRAIN];
        let mut coarse = 0;
        let mut parts4 = split(&database.v4, &policy, |net, country| {
            let first = class::index4(net.first.to_be_bytes()) as usize;
            let last = class::index4(net.last().to_be_bytes()) as usize;
            if let Some(words) = words4.get_mut(first..=last) {
                words.fill(country);
            }
        });
        coarse += bound(&mut parts4, MAX_PARTS4);
        let mut wide = Vec::new();
        let mut parts6 = split(&database.v6, &policy, |net, country| {
            wide.push((net, country));
        });
        let (words6, left) = words6(wide);
        // Few and wide: they come first where there is not room for all.
        parts6.splice(0..0, left);
        coarse += bound(&mut parts6, MAX_PARTS6);
        parts6.sort_unstable();
        Self {
            policy,
            built: database.built,
            kind: database.kind,
            ranges: database.v4.len() + database.v6.len(),
            coarse,
            words4: words4.into_boxed_slice(),
            words6,
            parts4,
            parts6,
        }
    }

    /// The country of a /24, as bits of its class word.
    pub(in super::super) fn word4(&self, index: u32) -> u16 {
        self.words4
            .get(index as usize)
            .map_or(0, |country| (*country).into())
    }

    /// The country of a /32, as bits of its class word.
    pub(in super::super) fn word6(&self, key: u32) -> u16 {
        self.words6.get(&key).map_or(0, |country| (*country).into())
    }

    /// The /32s that have a country.
    pub(in super::super) fn words6(&self) -> &BTreeMap<u32, u8> {
        &self.words6
    }

    /// The parts inside a range, in the order of ranges.
    pub(in super::super) fn parts<A: Parted>(&self, region: Net<A>) -> &[(Net<A>, u8)] {
        let parts = A::parts(self);
        let from = parts.partition_point(|(net, _)| *net < region);
        let to = parts.partition_point(|(net, _)| net.first <= region.last());
        parts.get(from..to).unwrap_or_default()
    }

    /// The country of an address.
    pub(in super::super) fn country(&self, net: AnyNet) -> u8 {
        fn part<A: Parted>(countries: &Countries, net: Net<A>) -> Option<u8> {
            let parts = A::parts(countries);
            let behind = parts.partition_point(|(part, _)| part.first <= net.first);
            let (part, country) = parts.get(behind.checked_sub(1)?)?;
            part.covers(net).then_some(*country)
        }
        let (part, word) = match net {
            AnyNet::V4(net) => {
                let index = class::index4(net.first.to_be_bytes());
                (part(self, net), self.word4(index))
            }
            AnyNet::V6(net) => {
                let key = u32::from_be_bytes(class::key6(net.first.to_be_bytes()));
                (part(self, net), self.word6(key))
            }
        };
        part.unwrap_or((word & class::COUNTRY) as u8)
    }
}

/// Leaves out what is too much; how many that were.
fn bound<A>(parts: &mut Ranges<A>, most: usize) -> usize {
    let over = parts.len().saturating_sub(most);
    parts.truncate(most);
    over
}

/// Spells out IPv6 ranges as /32s, the narrow ones first; those that would take too many words are given back.
fn words6(mut wide: Ranges<u128>) -> (BTreeMap<u32, u8>, Ranges<u128>) {
    wide.sort_unstable_by_key(|(net, _)| Reverse(net.length));
    let mut words = BTreeMap::new();
    let mut left = Ranges::new();
    for (net, country) in wide {
        let count = 1_u64 << u128::GRAIN.saturating_sub(net.length);
        if words.len() as u64 + count > MAX_WORDS6 as u64 {
            left.push((net, country));
            continue;
        }
        let first = (net.first >> 96) as u32;
        words.extend((first..).take(count as usize).map(|key| (key, country)));
    }
    (words, left)
}

/// Tells the country of every range that is a class word's or wider, and gives back the parts that differ from their word's.
fn split<A: Bits>(
    ranges: &[(Net<A>, u8)],
    policy: &Policy,
    mut whole: impl FnMut(Net<A>, u8),
) -> Ranges<A> {
    let mut parts = Vec::new();
    let mut rest = ranges;
    while let Some(((net, country), behind)) = rest.split_first() {
        if net.length <= A::GRAIN {
            whole(*net, *country);
            rest = behind;
            continue;
        }
        let grain = net.widened_to_grain();
        let count = rest.partition_point(|(net, _)| net.first <= grain.last());
        let (group, behind) = rest.split_at(count);
        let main = main_country(group, policy);
        whole(grain, main);
        let differ = |country: u8| policy.admits(country) != policy.admits(main);
        parts.extend(group.iter().filter(|(_, country)| differ(*country)));
        rest = behind;
    }
    parts
}

/// The country for the word of a range: that of most addresses; but unknown if some are and the policy treats them otherwise, as what a
/// database does not know cannot be an entry.
fn main_country<A: Bits>(group: &[(Net<A>, u8)], policy: &Policy) -> u8 {
    let mut shares = BTreeMap::new();
    let mut gap = 1_u128 << (A::WIDTH - A::GRAIN);
    for (net, country) in group {
        let size = 1_u128 << A::WIDTH.saturating_sub(net.length);
        *shares.entry(*country).or_insert(0_u128) += size;
        gap = gap.saturating_sub(size);
    }
    let most = shares.into_iter().max_by_key(|(_, size)| *size);
    let (main, size) = most.unwrap_or((UNKNOWN, 0));
    let is_hidden = gap > 0 && policy.admits(UNKNOWN) != policy.admits(main);
    if is_hidden || gap > size {
        UNKNOWN
    } else {
        main
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use openclaw_common::abi::geo;
    use openclaw_core::country::country_number;

    use super::super::super::prefix::{show, tests::prefix};
    use super::*;

    fn policy(mode: u32, codes: &[&str]) -> Policy {
        let mut mask = [0_u64; 4];
        for code in codes {
            let number = country_number(code).unwrap_or(UNKNOWN);
            *mask.get_mut(usize::from(number >> 6)).unwrap() |= 1 << (number & 63);
        }
        Policy { mode, mask }
    }

    fn compile(ranges: &[(&str, &str)], policy: Policy) -> Countries {
        let mut database = Database::default();
        for (range, code) in ranges {
            let country = country_number(code).unwrap();
            match AnyNet::from(prefix(range)) {
                AnyNet::V4(net) => database.v4.push((net, country)),
                AnyNet::V6(net) => database.v6.push((net, country)),
            }
        }
        database.v4.sort_unstable();
        database.v6.sort_unstable();
        Countries::compile(database, policy)
    }

    fn parts(countries: &Countries) -> Vec<String> {
        let v4 = countries.parts4.iter().map(|(net, _)| net.to_prefix());
        let v6 = countries.parts6.iter().map(|(net, _)| net.to_prefix());
        v4.chain(v6).map(|prefix| show(&prefix)).collect()
    }

    const WORLD: &[(&str, &str)] = &[
        ("192.0.2.0/24", "DE"),
        ("198.51.100.0/25", "DE"),
        ("198.51.100.128/26", "FR"),
        ("198.51.100.192/26", "DE"),
        ("203.0.113.0/28", "FR"),
        ("2001:db8::/33", "DE"),
        ("2001:db8:8000::/33", "FR"),
        ("2a00::/30", "FR"),
    ];

    #[test]
    fn only_parts_that_are_treated_otherwise_are_entries() {
        let indifferent = compile(WORLD, policy(geo::DENY, &["US"]));
        assert_eq!(parts(&indifferent), [""; 0]);
        let denied = compile(WORLD, policy(geo::DENY, &["FR"]));
        assert_eq!(
            parts(&denied),
            ["198.51.100.128/26", "203.0.113.0/28", "2001:db8::/33"]
        );
        let only = compile(WORLD, policy(geo::ONLY, &["FR"]));
        assert_eq!(
            parts(&only),
            ["198.51.100.128/26", "203.0.113.0/28", "2001:db8::/33"]
        );
    }

    #[test]
    fn every_address_is_treated_as_its_own_country_is() {
        for policy in [
            policy(geo::DENY, &["FR"]),
            policy(geo::DENY, &["DE"]),
            policy(geo::DENY, &["unknown"]),
            policy(geo::ONLY, &["FR"]),
            policy(geo::ONLY, &["DE"]),
            policy(geo::ONLY, &["FR", "unknown"]),
        ] {
            let countries = compile(WORLD, policy);
            for (address, code) in [
                ("192.0.2.1", "DE"),
                ("198.51.100.1", "DE"),
                ("198.51.100.130", "FR"),
                ("198.51.100.255", "DE"),
                ("203.0.113.15", "FR"),
                ("203.0.113.16", ""),
                ("2001:db8::1", "DE"),
                ("2001:db8:ffff::1", "FR"),
                ("2a00:3::1", "FR"),
                ("2a00:4::1", ""),
            ] {
                let found = countries.country(AnyNet::from(prefix(address)));
                let country = country_number(code).unwrap_or(UNKNOWN);
                assert_eq!(
                    policy.admits(found),
                    policy.admits(country),
                    "{address} with {policy:?}"
                );
            }
        }
    }

    #[test]
    fn a_range_of_too_many_words_is_one_entry() {
        let countries = compile(&[("2000::/3", "DE")], policy(geo::DENY, &["DE"]));
        assert_eq!(countries.words6.len(), 0);
        assert_eq!(parts(&countries), ["2000::/3"]);
        assert_eq!(countries.coarse, 0);
    }
}
