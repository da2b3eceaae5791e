//! Lists against tables: whatever is listed, however it came about, the compiled tables decide as the lists read literally would.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bans;
mod maps;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use openclaw_common::abi::{Config, class, flags};
use openclaw_common::decide::{Tables, decide};
use openclaw_common::packet::Flow;
use openclaw_common::verdict::{Reason, Verdict};
use openclaw_core::config::Prefix;
use proptest::prelude::*;

use self::maps::{At, Maps, Watched};
use super::host::{self, HostTables};
use super::index::{ListId, Record};
use super::lists::{Kind, Lists, Origin};
use super::prefix::AnyNet;

/// Something that happens to the lists.
#[derive(Clone, Debug)]
enum Step {
    Add {
        list: usize,
        prefix: Prefix,
        ttl: u64,
    },
    Remove {
        list: usize,
        prefix: Prefix,
    },
    Wait(u64),
}

/// Few bits vary, so that ranges overlap and addresses hit them.
fn prefix() -> impl Strategy<Value = Prefix> {
    let v4 = (
        0_u32..64,
        prop::sample::select(vec![0_u8, 7, 8, 11, 12, 13, 22, 23, 24, 25, 26, 31, 32]),
    )
        .prop_map(|(bits, length)| Prefix {
            address: Ipv4Addr::from_bits(v4(bits)).into(),
            length,
        });
    let v6 = (
        0_u32..64,
        prop::sample::select(vec![0_u8, 16, 30, 31, 32, 33, 48, 63, 64, 65, 127, 128]),
    )
        .prop_map(|(bits, length)| Prefix {
            address: Ipv6Addr::from_bits(v6(bits)).into(),
            length,
        });
    prop_oneof![v4, v6].prop_map(|prefix| AnyNet::from(prefix).to_prefix())
}

/// Spreads six bits over the places where lengths begin to tell addresses apart.
fn v4(bits: u32) -> u32 {
    let spread = [0, 1, 7, 8, 20, 24];
    0x0a00_0000
        | (0..6)
            .filter(|bit| bits >> bit & 1 == 1)
            .fold(0, |address, bit| address | 1 << spread[bit])
}

fn v6(bits: u32) -> u128 {
    let spread = [0, 1, 64, 80, 96, 97];
    0x2001_0db8 << 96
        | (0..6)
            .filter(|bit| bits >> bit & 1 == 1)
            .fold(0, |address, bit| address | 1 << spread[bit])
}

fn probes() -> Vec<IpAddr> {
    let v4 = (0..64).map(|bits| IpAddr::from(Ipv4Addr::from_bits(v4(bits))));
    v4.chain((0..64).map(|bits| IpAddr::from(Ipv6Addr::from_bits(v6(bits)))))
        .collect()
}

/// The class words that probes look at; no other is kept in [`Maps`].
fn probed4() -> impl Iterator<Item = u32> {
    (0..64).map(|bits| class::index4(v4(bits).to_be_bytes()))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_usize..4, prefix(), prop_oneof![2 => Just(0_u64), 3 => 1_u64..40])
            .prop_map(|(list, prefix, ttl)| Step::Add { list, prefix, ttl }),
        2 => (0_usize..4, prefix()).prop_map(|(list, prefix)| Step::Remove { list, prefix }),
        2 => (1_u64..20).prop_map(Step::Wait),
    ]
}

/// The lists read literally.
#[derive(Default)]
struct Naive(BTreeMap<(usize, AnyNet), u64>);

impl Naive {
    fn is_dropped(&self, address: IpAddr, now: u64) -> bool {
        let on = |lists: [usize; 2]| {
            self.0.iter().any(|((list, net), until)| {
                lists.contains(list) && (*until == 0 || *until > now) && covers(*net, address)
            })
        };
        !on([2, 3]) && on([0, 1])
    }
}

fn covers(net: AnyNet, address: IpAddr) -> bool {
    match (net, AnyNet::from(address)) {
        (AnyNet::V4(net), AnyNet::V4(host)) => net.covers(host),
        (AnyNet::V6(net), AnyNet::V6(host)) => net.covers(host),
        _ => false,
    }
}

trait Default6 {
    fn default6(&self) -> u16;
}

impl Default6 for At<'_> {
    fn default6(&self) -> u16 {
        self.0.default6
    }
}

impl Default6 for host::View<'_> {
    fn default6(&self) -> u16 {
        self.tables.default6()
    }
}

fn reason<T: Tables + Default6>(tables: &T, address: IpAddr) -> Reason {
    let config = Config {
        flags: flags::ENABLED,
        default6: tables.default6(),
        ..Config::OFF
    };
    let peer = SocketAddr::new(address, 40_000);
    decide(&config, &Flow::accepted(peer, peer), tables).reason
}

fn is_dropped<T: Tables + Default6>(tables: &T, address: IpAddr) -> bool {
    reason(tables, address).verdict() == Verdict::Drop
}

/// Lists, tables kept up to date by increments, and maps kept up to date by the changes.
struct World {
    lists: Lists,
    ids: Vec<ListId>,
    naive: Naive,
    tables: HostTables,
    maps: Maps,
    now: u64,
}

impl World {
    fn new() -> Self {
        let mut lists = Lists::default();
        let ids = [
            (Kind::Block, "a"),
            (Kind::Block, "b"),
            (Kind::Allow, "a"),
            (Kind::Allow, "b"),
        ]
        .map(|(kind, name)| lists.find_or_make(kind, name, Origin::Operator).unwrap());
        let (tables, maps) = (HostTables::default(), Maps::default());
        Self {
            lists,
            ids: ids.to_vec(),
            naive: Naive::default(),
            tables,
            maps,
            now: 1_000,
        }
    }

    fn take(&mut self, step: &Step) {
        let mut dropped: Vec<_> = probes()
            .into_iter()
            .filter(|address| is_dropped(&self.tables.at(self.now), *address))
            .collect();
        let regions = match step {
            Step::Add { list, prefix, ttl } => {
                let net = AnyNet::from(*prefix);
                let until_ns = if *ttl == 0 { 0 } else { self.now + ttl };
                self.naive.0.insert((*list, net), until_ns);
                self.lists.insert(
                    net,
                    self.ids[*list],
                    Record {
                        until_ns,
                        added: 0,
                        reason: None,
                    },
                );
                vec![net]
            }
            Step::Remove { list, prefix } => {
                let net = AnyNet::from(*prefix);
                let is_known = self.naive.0.remove(&(*list, net)).is_some();
                assert_eq!(self.lists.remove(net, self.ids[*list]).is_some(), is_known);
                vec![net]
            }
            Step::Wait(ns) => {
                self.now += ns;
                self.naive
                    .0
                    .retain(|_, until| *until == 0 || *until > self.now);
                self.lists.reap(self.now, usize::MAX)
            }
        };
        let changes = self.tables.update(&self.lists, &regions);
        let now = self.now;
        dropped.retain(|address| self.naive.is_dropped(*address, now));
        // Once an allow entry or a TTL has ended, the maps may lag behind until the reaper has been: only then is `dropped` not
        // yet true of them.
        dropped.retain(|address| is_dropped(&At(&self.maps, now), *address));
        let failures = changes.apply(&mut Watched {
            maps: &mut self.maps,
            now,
            dropped,
        });
        assert_eq!(failures.count, 0);
    }

    fn check(&self) {
        for address in probes() {
            let expected = self.naive.is_dropped(address, self.now);
            assert_eq!(
                is_dropped(&self.tables.at(self.now), address),
                expected,
                "tables in memory, {address}"
            );
            assert_eq!(
                is_dropped(&At(&self.maps, self.now), address),
                expected,
                "maps, {address}"
            );
            // An end needs no reaper, unless it is the end of an allow entry.
            let later = self.now + 7;
            if self
                .naive
                .0
                .iter()
                .all(|((list, _), until)| *list < 2 || *until == 0 || *until > later)
            {
                let expected = self.naive.is_dropped(address, later);
                assert_eq!(
                    is_dropped(&At(&self.maps, later), address),
                    expected,
                    "maps later, {address}"
                );
            }
        }
        assert_eq!(self.naive.0.len(), self.lists.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tables_decide_as_the_lists_read(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
            world.check();
        }
    }

    #[test]
    fn many_small_changes_and_one_rebuild_give_the_same_tables(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        prop_assert_eq!(&HostTables::build(&world.lists), &world.tables);
    }

    #[test]
    fn a_rebuild_reaches_the_same_maps_without_letting_anyone_through(
        before in prop::collection::vec(step(), 1..30),
        after in prop::collection::vec(step(), 1..30),
    ) {
        let mut world = World::new();
        for step in &before {
            world.take(step);
        }
        let old = HostTables::build(&world.lists);
        let mut maps = Maps::default();
        HostTables::default().difference(&old).apply(&mut Watched { maps: &mut maps, now: world.now, dropped: vec![] });
        prop_assert_eq!(&maps, &world.maps);
        let dropped = probes().into_iter().filter(|address| is_dropped(&At(&maps, world.now), *address)).collect::<Vec<_>>();
        for step in after.iter().filter(|step| !matches!(step, Step::Wait(_))) {
            world.take(step);
        }
        let dropped = dropped.into_iter().filter(|address| world.naive.is_dropped(*address, world.now)).collect();
        let new = HostTables::build(&world.lists);
        old.difference(&new).apply(&mut Watched { maps: &mut maps, now: world.now, dropped });
        prop_assert_eq!(&maps, &world.maps);
    }
}
