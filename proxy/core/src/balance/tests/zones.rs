//! Near and far, whatever the balancer.

use proptest::prelude::*;

use super::{ALL, World, balancer, draws};
use crate::balance::Zones;
use crate::config::Balance;

/// Of so many requests how many stay near, the near endpoints having these weights and being well or not.
fn near(kind: Balance, weights: &[u32], well: &[bool], spill_below: u32, count: u64) -> usize {
    let members: Vec<(u32, bool)> = weights
        .iter()
        .map(|weight| (*weight, true))
        .chain([(3, false), (1, false)])
        .collect();
    let weights: Vec<u32> = members.iter().map(|(weight, _)| *weight).collect();
    let zones = Zones::new(members, spill_below).unwrap();
    let mut world = World::calm(weights.len());
    world.usable[..well.len()].copy_from_slice(well);
    let mut balancer = balancer(kind, &weights);
    let chosen = draws(count).map(|draw| {
        // Only those that go by a key have one.
        let key = match kind {
            Balance::IpHash | Balance::UrlHash | Balance::Maglev => draw.0,
            Balance::RoundRobin
            | Balance::LeastConnections
            | Balance::LeastTime
            | Balance::Random => super::Key::default(),
        };
        zones
            .next(&mut balancer, (key, draw.1), &world, |index| {
                world.usable[index]
            })
            .unwrap()
    });
    chosen.filter(|index| *index < well.len()).count()
}

#[test]
fn requests_stay_near_while_enough_is_well_and_spill_in_proportion() {
    for kind in ALL {
        let stay = |well: &[bool], below| near(kind, &[1; 10], well, below, 4_000);
        let of_ten = |well: usize| {
            let mut all = [false; 10];
            all[..well].fill(true);
            all
        };
        assert_eq!(stay(&of_ten(10), 70), 4_000, "{kind:?}");
        assert_eq!(stay(&of_ten(7), 70), 4_000, "{kind:?}");
        assert_eq!(stay(&of_ten(0), 70), 0, "{kind:?}");
        assert_eq!(stay(&of_ten(1), 0), 4_000, "{kind:?}");
        for (well, below, expected) in [(6, 70, 3_429), (3, 70, 1_714), (5, 100, 2_000)] {
            let stayed = stay(&of_ten(well), below);
            assert!(
                stayed.abs_diff(expected) < 160,
                "{kind:?}: {stayed} of {expected}"
            );
        }
    }
}

#[test]
fn weights_say_how_much_is_well() {
    let stayed = near(Balance::RoundRobin, &[7, 3], &[true, false], 70, 1_000);
    assert_eq!(stayed, 1_000);
    let stayed = near(Balance::RoundRobin, &[7, 3], &[false, true], 70, 4_000);
    assert!(stayed.abs_diff(1_714) < 160, "{stayed}");
}

#[test]
fn the_same_keys_stay_when_fewer_can() {
    let kept = |well: usize| {
        let members = [vec![(1, true); 10], vec![(1, false); 2]].concat();
        let zones = Zones::new(members, 100).unwrap();
        let all = draws(500);
        all.map(|(key, _)| zones.stays(key.bits(), |index| index < well))
            .collect::<Vec<bool>>()
    };
    let (many, few) = (kept(6), kept(3));
    assert!(few.iter().zip(&many).all(|(few, many)| !few || *many));
    assert_eq!(few, kept(3));
}

#[test]
fn where_all_are_on_one_side_there_is_nothing_to_decide() {
    for members in [
        vec![],
        vec![(1, true), (2, true)],
        vec![(1, false)],
        vec![(1, true), (0, false)],
        vec![(0, true), (1, false)],
    ] {
        assert!(Zones::new(members, 70).is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn somebody_is_picked_whenever_somebody_is_left_and_near_ones_first(
        endpoints in prop::collection::vec((0_u32..6, any::<bool>(), any::<bool>(), any::<bool>()), 2..9),
        spill_below in 0_u32..=100,
        keys in prop::collection::vec(any::<(u64, u64)>(), 1..20),
    ) {
        let members: Vec<(u32, bool)> = endpoints.iter().map(|(weight, near, ..)| (*weight, *near)).collect();
        let Some(zones) = Zones::new(members, spill_below) else {
            return Ok(());
        };
        let weights: Vec<u32> = endpoints.iter().map(|(weight, ..)| *weight).collect();
        let mut world = World::calm(endpoints.len());
        // Who is well may have no room.
        let is_well = |index: usize| endpoints[index].2;
        world.usable = endpoints.iter().map(|(_, _, well, room)| *well && *room).collect();
        let is_left = |index: &usize| weights[*index] > 0 && world.usable[*index];
        let any = (0..weights.len()).any(|index| is_left(&index));
        let all_well = endpoints.iter().all(|(_, near, well, _)| !near || *well);
        let near_left = (0..weights.len()).any(|index| is_left(&index) && endpoints[index].1);
        for kind in ALL {
            let mut balancer = balancer(kind, &weights);
            for (key, random) in &keys {
                let draw = (super::Key::of_bytes(&key.to_le_bytes()), *random);
                let picked = zones.next(&mut balancer, draw, &world, is_well);
                prop_assert_eq!(picked.is_some(), any, "{:?}", kind);
                prop_assert!(picked.is_none_or(|index| is_left(&index)), "{:?}", kind);
                let stays = !all_well || !near_left || picked.is_some_and(|index| endpoints[index].1);
                prop_assert!(stays, "{:?}", kind);
            }
        }
    }
}
