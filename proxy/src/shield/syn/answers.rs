//! Whether answers leave. A driver that cannot send what XDP hands back drops it and says so in its own counters alone: a veth whose
//! other end has nothing that polls for frames, above all. Generic mode sends through the network stack, which always works.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::kernel::{AttachedMode, Mode, inspect};
use super::super::state::State;
use super::super::watch::At;
use crate::telemetry::chain;

/// How often drivers are asked in peace; under attack it is with every tick.
const REST: Duration = Duration::from_secs(1);

/// What a driver has counted of frames that XDP sends back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    sent: u64,
    failed: u64,
}

/// What is known of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    /// Nothing yet: these are the first counts.
    Open(Counts),
    /// They leave, or nobody can tell.
    Leave,
    /// They do not leave, and the mode is as it was asked for.
    Lost,
}

/// What is known of all interfaces, each with its number.
#[derive(Debug, Default)]
pub(super) struct Ways {
    known: BTreeMap<String, (u32, Answers)>,
    next: Option<Instant>,
}

impl Counts {
    /// By the names that drivers have for them: veth, virtio and mlx5 say `xdp_tx`, and more if it failed. Nothing of a driver that does
    /// not count both. A full ring is no failure: it was too much at once.
    fn of(statistics: &[(String, u64)]) -> Option<Self> {
        let (mut sent, mut failed) = (None, None);
        for (name, count) in statistics {
            if !name.contains("xdp_tx") || name.contains("full") {
                continue;
            }
            let sum = if name.contains("err") || name.contains("drop") {
                &mut failed
            } else {
                &mut sent
            };
            *sum = Some(sum.unwrap_or(0_u64).wrapping_add(*count));
        }
        Some(Self {
            sent: sent?,
            failed: failed?,
        })
    }
}

impl Answers {
    fn step(self, now: Option<Counts>) -> Self {
        match (self, now) {
            (Self::Open(_), None) => Self::Leave,
            (Self::Open(first), Some(now)) if now.sent != first.sent => Self::Leave,
            (Self::Open(first), Some(now)) if now.failed != first.failed => Self::Lost,
            (known, _) => known,
        }
    }
}

impl Ways {
    /// Whether it is time to look.
    fn is_due(&mut self, now: Instant, is_attack: bool) -> bool {
        if !is_attack && self.next.is_some_and(|next| now < next) {
            return false;
        }
        self.next = Some(now + REST);
        true
    }

    /// Whether it has just shown that the answers of this interface are lost.
    fn has_lost(&mut self, interface: &str, index: u32) -> bool {
        let before = match self.known.get(interface) {
            Some((same, answers)) if *same == index => Some(*answers),
            _ => None,
        };
        if matches!(before, Some(Answers::Leave | Answers::Lost)) {
            return false;
        }
        // A driver that is not to be asked is one that does not count.
        let counts = inspect::statistics(interface)
            .ok()
            .and_then(|statistics| Counts::of(&statistics));
        let answers = match (before, counts) {
            (Some(before), counts) => before.step(counts),
            (None, Some(first)) => Answers::Open(first),
            (None, None) => Answers::Leave,
        };
        self.know(interface, index, answers);
        answers == Answers::Lost
    }

    fn know(&mut self, interface: &str, index: u32, answers: Answers) {
        self.known.insert(interface.to_owned(), (index, answers));
    }

    /// Those that left once may not leave any more.
    pub(super) fn doubt(&mut self) {
        self.known
            .retain(|_, (_, answers)| *answers == Answers::Lost);
    }

    /// Whether the answers of an interface are lost.
    pub(super) fn is_lost(&self, interface: &str) -> bool {
        let known = self.known.get(interface);
        known.is_some_and(|(_, answers)| *answers == Answers::Lost)
    }
}

/// Why answers are lost.
pub(super) fn why(interface: &str) -> String {
    format!(
        "{interface} loses what XDP sends in native mode (a veth does unless its other end has an XDP program; GRO there is not always enough)"
    )
}

impl State {
    /// Sees answers that do not leave, and attaches in generic mode where the mode is left to the shield.
    pub(super) fn look_after_answers(&mut self, now: Instant) {
        if self.kernel.is_none() || !self.syn.ways.is_due(now, self.syn.is_attack()) {
            return;
        }
        let mut lost = Vec::new();
        for one in &self.watched {
            if let At::Attached(index) = one.at
                && one.mode != Mode::Generic
                && self.syn.ways.has_lost(&one.interface, index)
            {
                lost.push((one.interface.clone(), index, one.mode));
            }
        }
        for (interface, index, mode) in lost {
            let attached = self.attached();
            let is_native = attached
                .iter()
                .any(|one| one.interface == interface && one.mode == Some(AttachedMode::Native));
            if !is_native {
                self.syn.ways.know(&interface, index, Answers::Leave);
            } else if mode == Mode::Auto {
                self.fall_back(&interface, index);
            } else {
                tracing::warn!(
                    "SYN cookies: {}; `shield.mode = \"auto\"` or \"generic\" sends them",
                    why(&interface)
                );
            }
        }
    }

    fn fall_back(&mut self, interface: &str, index: u32) {
        let why = why(interface);
        if let Err(error) = self.attach(interface, Mode::Generic) {
            tracing::error!("{why}, and generic mode fails: {}", chain(&error));
            return;
        }
        tracing::warn!("SYN cookies: {why}; attached in generic mode, which sends them");
        // Made anew, the interface may be another.
        self.watch(interface, Mode::Auto, At::Attached(index));
        self.notes.push((interface.to_owned(), why));
        self.syn.ways.know(interface, index, Answers::Leave);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(statistics: &[(&str, u64)]) -> Option<Counts> {
        let named = statistics
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count));
        Counts::of(&named.collect::<Vec<_>>())
    }

    #[test]
    fn drivers_are_understood_by_the_names_of_their_counters() {
        let veth = [
            ("peer_ifindex", 2),
            ("rx_queue_0_xdp_packets", 9),
            ("rx_queue_0_drops", 8),
            ("rx_queue_0_xdp_tx", 3),
            ("rx_queue_1_xdp_tx", 4),
            ("rx_queue_1_xdp_tx_errors", 5),
            ("tx_queue_0_xdp_xmit_errors", 7),
        ];
        assert_eq!(counts(&veth), Some(Counts { sent: 7, failed: 5 }));
        let mlx5 = [
            ("rx_xdp_tx_xmit", 3),
            ("rx_xdp_tx_full", 9),
            ("rx_xdp_tx_err", 1),
        ];
        assert_eq!(counts(&mlx5), Some(Counts { sent: 3, failed: 1 }));
        let virtio = [("tx_queue_0_xdp_tx", 3), ("tx_queue_0_xdp_tx_drops", 1)];
        assert_eq!(counts(&virtio), Some(Counts { sent: 3, failed: 1 }));
        for silent in [&[][..], &[("rx_xdp_tx", 3)], &[("xdp_tx_err", 3)]] {
            assert_eq!(counts(silent), None, "{silent:?}");
        }
    }

    #[test]
    fn answers_are_lost_where_some_fail_and_none_was_sent() {
        let open = Answers::Open(Counts { sent: 7, failed: 5 });
        let step = |sent, failed| open.step(Some(Counts { sent, failed }));
        assert_eq!(step(7, 5), open);
        assert_eq!(step(8, 5), Answers::Leave);
        assert_eq!(step(8, 900), Answers::Leave);
        assert_eq!(step(7, 6), Answers::Lost);
        assert_eq!(open.step(None), Answers::Leave);
        assert_eq!(Answers::Lost.step(None), Answers::Lost);
        assert_eq!(Answers::Leave.step(Some(Counts::default())), Answers::Leave);
    }
}
