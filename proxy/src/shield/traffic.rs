//! Which interface brought what the kernel program counted.

use std::collections::BTreeMap;

use openclaw_common::abi::Counter;
use openclaw_common::slot::SHARED;
use openclaw_common::verdict::{Reason, Verdict};
use serde::{Deserialize, Serialize};

use super::kernel::{Attachment, Maps};

/// The name that stands for all interfaces without counters of their own.
const OTHER: &str = "other";

/// What came in by an interface since the shield is on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    pub packets: u64,
    /// How many of them were dropped.
    pub dropped: u64,
}

/// What was counted, one for every reason.
pub(super) type Counted = Vec<(Reason, Counter)>;

impl Traffic {
    /// What came in by an interface that has counters of its own.
    pub(super) fn of(maps: &Maps, attachment: &Attachment) -> Option<Self> {
        match maps.counters.slot(attachment.index) {
            SHARED => None,
            slot => Some(Self::sum(&maps.counters.of(slot).ok()?)),
        }
    }

    /// What came in by all others, if anything did.
    pub(super) fn of_others(maps: &Maps) -> Option<Self> {
        let traffic = Self::sum(&maps.counters.of(SHARED).ok()?);
        (traffic.packets > 0).then_some(traffic)
    }

    fn sum(counted: &Counted) -> Self {
        let mut traffic = Self::default();
        for (reason, Counter { packets, .. }) in counted {
            traffic.packets += packets;
            if reason.verdict() == Verdict::Drop {
                traffic.dropped += packets;
            }
        }
        traffic
    }
}

/// What was counted, by the name of the interface.
pub(super) fn by_interface(maps: &Maps, attached: &[Attachment]) -> BTreeMap<String, Counted> {
    let mut all = BTreeMap::new();
    for attachment in attached {
        let slot = maps.counters.slot(attachment.index);
        if slot != SHARED
            && let Ok(counted) = maps.counters.of(slot)
        {
            add(&mut all, &attachment.interface, counted);
        }
    }
    let is_shared = |one: &Attachment| maps.counters.slot(one.index) == SHARED;
    if let Ok(counted) = maps.counters.of(SHARED)
        && (attached.iter().any(is_shared) || Traffic::sum(&counted).packets > 0)
    {
        add(&mut all, OTHER, counted);
    }
    all
}

/// One counter after another.
pub(super) fn each(
    all: &BTreeMap<String, Counted>,
) -> impl Iterator<Item = (&str, Reason, Counter)> {
    all.iter().flat_map(|(interface, counted)| {
        let one = |(reason, counter): &(Reason, Counter)| (interface.as_str(), *reason, *counter);
        counted.iter().map(one)
    })
}

/// An interface may well be named as the others are.
fn add(all: &mut BTreeMap<String, Counted>, name: &str, counted: Counted) {
    match all.get_mut(name) {
        Some(there) => {
            for ((_, sum), (_, more)) in there.iter_mut().zip(counted) {
                sum.packets += more.packets;
                sum.bytes += more.bytes;
            }
        }
        None => drop(all.insert(name.to_owned(), counted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(packets: u64) -> Counted {
        let counter = Counter {
            packets,
            bytes: 60 * packets,
        };
        vec![
            (Reason::Pass, counter),
            (Reason::Ban, counter),
            (Reason::WouldBan, counter),
        ]
    }

    #[test]
    fn what_was_dropped_is_a_part_of_what_came() {
        let traffic = Traffic {
            packets: 9,
            dropped: 3,
        };
        assert_eq!(Traffic::sum(&counted(3)), traffic);
    }

    #[test]
    fn an_interface_named_other_has_one_series() {
        let mut all = BTreeMap::new();
        add(&mut all, "eth0", counted(1));
        add(&mut all, OTHER, counted(2));
        add(&mut all, OTHER, counted(3));
        assert_eq!(
            all,
            [("eth0".into(), counted(1)), ("other".into(), counted(5))].into()
        );
    }
}
