//! What every algorithm keeps to, and what sets each apart.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod zones;

use proptest::prelude::*;

use super::{Balancer, Key, Load, Member, View, WHOLE};
use crate::config::Balance;

const ALL: [Balance; 7] = [
    Balance::RoundRobin,
    Balance::LeastConnections,
    Balance::LeastTime,
    Balance::Random,
    Balance::IpHash,
    Balance::UrlHash,
    Balance::Maglev,
];

struct World {
    usable: Vec<bool>,
    loads: Vec<Load>,
    shares: Vec<u32>,
}

impl View for World {
    fn is_usable(&self, index: usize) -> bool {
        self.usable[index]
    }

    fn load(&self, index: usize) -> Load {
        self.loads[index]
    }

    fn share(&self, index: usize) -> u32 {
        self.shares[index]
    }
}

impl World {
    fn calm(count: usize) -> Self {
        Self {
            usable: vec![true; count],
            loads: vec![Load::default(); count],
            shares: vec![WHOLE; count],
        }
    }
}

fn balancer(kind: Balance, weights: &[u32]) -> Balancer {
    let names: Vec<String> = (0..weights.len())
        .map(|index| format!("192.0.2.{index}:80"))
        .collect();
    let members: Vec<Member<'_>> = names
        .iter()
        .zip(weights)
        .map(|(name, weight)| Member {
            name,
            weight: *weight,
        })
        .collect();
    Balancer::new(kind, &members, (0, 1))
}

/// Reproducible, and as good as random.
fn draws(count: u64) -> impl Iterator<Item = (Key, u64)> {
    (0..count).map(|number| {
        let bytes = number.to_le_bytes();
        let random = Key::of_bytes(&[bytes, *b"unlike a"].concat());
        (Key::of_bytes(&bytes), random.bits())
    })
}

/// How many of `count` keys each endpoint gets, nothing being held.
fn shares(kind: Balance, weights: &[u32], world: &World, count: u64) -> Vec<u32> {
    let mut balancer = balancer(kind, weights);
    let mut shares = vec![0; weights.len()];
    for (key, random) in draws(count) {
        shares[balancer.next(key, random, world).unwrap()] += 1;
    }
    shares
}

/// Mostly alike; or so unlike that a table has no slot for some.
fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![0_u32..6, 0..=65_535_u32]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn only_usable_endpoints_are_picked_and_one_whenever_there_is_one(
        endpoints in prop::collection::vec((weight(), any::<bool>(), 0_u32..50, 0_u32..90_000, 1..=WHOLE), 0..9),
        keys in prop::collection::vec(any::<(u64, u64)>(), 1..20),
    ) {
        let weights: Vec<u32> = endpoints.iter().map(|(weight, ..)| *weight).collect();
        let world = World {
            usable: endpoints.iter().map(|(_, usable, ..)| *usable).collect(),
            loads: endpoints
                .iter()
                .map(|(_, _, active, latency_us, _)| Load { active: *active, latency_us: *latency_us })
                .collect(),
            shares: endpoints.iter().map(|(.., share)| *share).collect(),
        };
        let any = endpoints.iter().any(|(weight, usable, ..)| *weight > 0 && *usable);
        for kind in ALL {
            let mut balancer = balancer(kind, &weights);
            for (key, random) in &keys {
                let picked = balancer.next(Key::of_bytes(&key.to_le_bytes()), *random, &world);
                prop_assert_eq!(picked.is_some(), any, "{:?}", kind);
                prop_assert!(picked.is_none_or(|index| weights[index] > 0 && world.usable[index]), "{:?}", kind);
            }
        }
    }
}

#[test]
fn shares_follow_weights() {
    let weights = [1, 2, 0, 5, 2];
    for kind in ALL {
        let shares = shares(kind, &weights, &World::calm(5), 40_000);
        for (share, weight) in shares.iter().zip(weights) {
            // What one more exchange would cost is least where the weight is largest: see the next test.
            if matches!(kind, Balance::LeastTime | Balance::Random) {
                continue;
            }
            let expected = weight * 4_000;
            assert!(share.abs_diff(expected) <= 400, "{kind:?}: {shares:?}");
        }
    }
    let drawn = shares(Balance::Random, &[1, 1, 1, 1], &World::calm(4), 40_000);
    assert!(
        drawn.iter().all(|share| share.abs_diff(10_000) < 400),
        "{drawn:?}"
    );
}

#[test]
fn exchanges_under_way_settle_by_weight() {
    for kind in [
        Balance::LeastConnections,
        Balance::LeastTime,
        Balance::Random,
    ] {
        let weights = [1, 2, 5];
        let mut world = World::calm(3);
        let mut balancer = balancer(kind, &weights);
        for (key, random) in draws(800) {
            let picked = balancer.next(key, random, &world).unwrap();
            world.loads[picked].active += 1;
        }
        for (load, weight) in world.loads.iter().zip(weights) {
            assert!(
                load.active.abs_diff(weight * 100) <= 6,
                "{kind:?}: {:?}",
                world.loads
            );
        }
    }
}

#[test]
fn the_slow_one_is_left_alone_and_a_new_one_is_tried() {
    let mut world = World::calm(3);
    world.loads[0].latency_us = 900;
    world.loads[1].latency_us = 90_000;
    let shares = shares(Balance::LeastTime, &[1, 1, 1], &world, 100);
    assert_eq!(shares, [100, 0, 0]);
    world.loads[0].active = 60;
    let mut balancer = balancer(Balance::LeastTime, &[1, 1, 1]);
    assert_eq!(balancer.next(Key::default(), 0, &world), Some(2));
}

#[test]
fn of_equal_ones_each_has_its_turn() {
    let shares = shares(Balance::LeastConnections, &[1, 1, 1], &World::calm(3), 300);
    assert_eq!(shares, [100, 100, 100]);
}

#[test]
fn only_the_keys_of_what_goes_move() {
    let count = 10;
    for (kind, strays) in [
        (Balance::IpHash, 0),
        (Balance::UrlHash, 0),
        (Balance::Maglev, 0),
    ] {
        let mut balancer = balancer(kind, &[1; 10]);
        let all = World::calm(count);
        let mut without = World::calm(count);
        without.usable[3] = false;
        let (mut moved, mut stray) = (0, 0);
        for (key, random) in draws(20_000) {
            let before = balancer.next(key, random, &all).unwrap();
            let after = balancer.next(key, random, &without).unwrap();
            moved += u32::from(before == 3);
            stray += u32::from(before != 3 && before != after);
        }
        assert!((1_600..2_400).contains(&moved), "{kind:?}: {moved}");
        assert_eq!(stray, strays, "{kind:?}");
    }
}

#[test]
fn an_endpoint_taken_out_of_the_configuration_moves_about_its_share() {
    for kind in [Balance::IpHash, Balance::Maglev] {
        let mut weights = [1_u32; 10];
        let mut before = balancer(kind, &weights);
        weights[9] = 0;
        let mut after = balancer(kind, &weights);
        let world = World::calm(10);
        let moved = draws(20_000).filter(|(key, random)| {
            before.next(*key, *random, &world) != after.next(*key, *random, &world)
        });
        let moved = moved.count();
        // A tenth for the ranks; the table moves some keys of others, too.
        let most = if kind == Balance::Maglev {
            4_000
        } else {
            2_200
        };
        assert!((1_800..most).contains(&moved), "{kind:?}: {moved}");
    }
}

#[test]
fn a_key_stays_where_it_is_from_version_to_version() {
    let mut ranks = balancer(Balance::IpHash, &[1; 8]);
    let mut table = balancer(Balance::Maglev, &[1; 8]);
    let picks: Vec<(usize, usize)> = ["192.0.2.7", "2001:db8::7", "198.51.100.9"]
        .iter()
        .map(|client| {
            let key = Key::of_client(client.parse().unwrap());
            let world = World::calm(8);
            (
                ranks.next(key, 0, &world).unwrap(),
                table.next(key, 0, &world).unwrap(),
            )
        })
        .collect();
    assert_eq!(picks, [(0, 3), (5, 6), (7, 0)]);
    let same = Key::of_client("2001:db8::ffff".parse().unwrap());
    assert_eq!(same, Key::of_client("2001:db8::7".parse().unwrap()));
}

#[test]
fn a_light_one_is_picked_when_those_that_outweigh_it_are_gone() {
    for kind in ALL {
        let mut weights = [1_000; 21];
        weights[20] = 1;
        let mut world = World::calm(21);
        world.usable[..20].fill(false);
        assert_eq!(shares(kind, &weights, &world, 50)[20], 50, "{kind:?}");
    }
}

#[test]
fn keys_stay_where_they_are_from_version_to_version_whatever_the_weights() {
    let weights: Vec<u32> = [1, 7, 1_000, 3, 65_535].repeat(40);
    let expected = 8_359_883_682_097_712_577;
    for (weights, expected) in [
        (&weights[..], expected),
        (&[1, 7, 1_000], 6_864_637_863_251_711_694),
        (&[1_000, 1_000, 999], 12_455_735_687_821_487_531),
    ] {
        let mut table = balancer(Balance::Maglev, weights);
        let world = World::calm(weights.len());
        let picks = draws(20_000).map(|(key, _)| table.next(key, 0, &world).unwrap());
        let sum = picks.fold(0_u64, |sum, picked| {
            sum.wrapping_mul(31).wrapping_add(picked as u64)
        });
        assert_eq!(sum, expected, "{}", weights.len());
    }
}

#[test]
fn workers_do_not_begin_with_the_same_endpoint() {
    let names = ["a", "b", "c", "d"];
    let members = names.map(|name| Member { name, weight: 1 });
    let firsts: Vec<usize> = (0..4)
        .map(|worker| {
            let mut balancer = Balancer::new(Balance::RoundRobin, &members, (worker, 4));
            balancer.next(Key::default(), 0, &World::calm(4)).unwrap()
        })
        .collect();
    assert_eq!(firsts, [0, 1, 2, 3]);
}

/// Where exchanges stay under way, so that those who go by load see it.
fn settled(kind: Balance, weights: &[u32], world: &mut World, count: u64) -> Vec<u32> {
    let mut balancer = balancer(kind, weights);
    let mut shares = vec![0; weights.len()];
    for (key, random) in draws(count) {
        let picked = balancer.next(key, random, world).unwrap();
        world.loads[picked].active += 1;
        shares[picked] += 1;
    }
    shares
}

#[test]
fn a_share_of_a_weight_is_as_good_as_less_weight() {
    for kind in ALL {
        let mut world = World::calm(3);
        world.shares[1] = WHOLE / 4;
        let shares = settled(kind, &[2, 4, 1], &mut world, 20_000);
        // By the table, what one does not take goes to its neighbours by their weights.
        let expected = if kind == Balance::Maglev {
            [11_428, 2_857, 5_714]
        } else {
            [10_000, 5_000, 5_000]
        };
        for (share, expected) in shares.iter().zip(expected) {
            assert!(share.abs_diff(expected) <= 800, "{kind:?}: {shares:?}");
        }
    }
}

#[test]
fn a_growing_share_moves_keys_to_its_endpoint_only() {
    for kind in [Balance::IpHash, Balance::UrlHash, Balance::Maglev] {
        let mut balancer = balancer(kind, &[1; 4]);
        let [mut less, mut more] = [World::calm(4), World::calm(4)];
        (less.shares[2], more.shares[2]) = (WHOLE / 10, WHOLE / 2);
        let mut moved = 0;
        for (key, random) in draws(20_000) {
            let before = balancer.next(key, random, &less).unwrap();
            let after = balancer.next(key, random, &more).unwrap();
            assert!(before == after || after == 2, "{kind:?}");
            moved += u32::from(before != after);
        }
        assert!((1_500..2_600).contains(&moved), "{kind:?}: {moved}");
    }
}
