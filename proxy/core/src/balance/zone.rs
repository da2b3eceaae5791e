//! Zones: requests stay in the zone of the proxy while enough of its endpoints is well, and go elsewhere in proportion when
//! it is not, so that those who are left there are not given what all of them were to carry.

use super::hash::mixed;
use super::{Balancer, Key, Load, View};

/// Sets the choice of a side apart from the one of an endpoint, which is made from the same bits.
const SALT: u64 = 0x7a6f_6e65_7a6f_6e65;

/// The endpoints of an upstream by where they are.
#[derive(Clone, Debug)]
pub struct Zones {
    /// Beside the endpoints: their weight, and whether they are near.
    members: Vec<(u32, bool)>,
    /// So many hundredths of the near weight have to be well for all requests to stay.
    spill_below: u32,
}

/// Near, or far: one of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Near,
    Far,
}

/// A view of one side alone.
struct Sided<'a, V> {
    zones: &'a Zones,
    side: Side,
    view: &'a V,
}

impl Zones {
    /// Of each endpoint its weight, and whether it is in the zone of the proxy; nothing where there is nothing to decide.
    pub fn new(members: Vec<(u32, bool)>, spill_below: u32) -> Option<Self> {
        let is_there = |near| {
            let mut there = members.iter();
            there.any(|(weight, is_near)| *weight > 0 && *is_near == near)
        };
        (is_there(true) && is_there(false)).then_some(Self {
            members,
            spill_below,
        })
    }

    /// The balancer's next endpoint of the side that the request is for, else of the other. Where a key decides, it is the
    /// same keys that go elsewhere. `is_well` is asked of all, whether they have room or were tried, or not.
    pub fn next(
        &self,
        balancer: &mut Balancer,
        (key, random): (Key, u64),
        view: &impl View,
        is_well: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let bits = if key == Key::default() {
            random
        } else {
            key.bits()
        };
        let sides = if self.stays(bits, is_well) {
            [Side::Near, Side::Far]
        } else {
            [Side::Far, Side::Near]
        };
        sides.into_iter().find_map(|side| {
            let zones = self;
            balancer.next(key, random, &Sided { zones, side, view })
        })
    }

    /// Whether a request with these bits stays near: fewer do when less is well, and always the same ones.
    pub(super) fn stays(&self, bits: u64, is_well: impl Fn(usize) -> bool) -> bool {
        let (mut whole, mut well) = (0, 0);
        for (index, (weight, is_near)) in self.members.iter().enumerate() {
            if *is_near {
                whole += u128::from(*weight);
                well += u128::from(if is_well(index) { *weight } else { 0 });
            }
        }
        let drawn = mixed(bits ^ SALT) >> 32;
        // `drawn`, as a share of all that can be drawn, below what is well as a share of what has to be.
        let needed = whole * u128::from(self.spill_below);
        u128::from(drawn) * needed < (well * 100) << 32
    }
}

impl<V: View> View for Sided<'_, V> {
    fn is_usable(&self, index: usize) -> bool {
        let is_near = self.zones.members.get(index).is_some_and(|(_, near)| *near);
        is_near == (self.side == Side::Near) && self.view.is_usable(index)
    }

    fn load(&self, index: usize) -> Load {
        self.view.load(index)
    }

    fn share(&self, index: usize) -> u32 {
        self.view.share(index)
    }
}
