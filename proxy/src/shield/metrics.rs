//! The shield's part of the metrics page.

use openclaw_common::verdict::{Reason, Verdict};
use serde::{Deserialize, Serialize};

use super::seen::Gauges;
use super::{Kind, Shield, raise, traffic};
use crate::telemetry::{MetricsText, metrics};

/// What the kernel program decided for one reason on one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    pub interface: String,
    /// `pass`, `drop` or `tx`.
    pub verdict: String,
    pub reason: String,
    pub packets: u64,
    pub bytes: u64,
}

impl Shield {
    /// What the kernel program decided so far, where it decided anything.
    pub fn stages(&self) -> Vec<Stage> {
        let (maps, attached) = self.look(
            |state| (state.maps(), state.attached()),
            |seen| (seen.gauges.maps.clone(), seen.gauges.attached.clone()),
        );
        let counted = maps.map(|maps| traffic::by_interface(&maps, &attached));
        let counted = counted.unwrap_or_default();
        let each = traffic::each(&counted).filter(|(_, _, counter)| counter.packets > 0);
        each.map(|(interface, reason, counter)| Stage {
            interface: interface.to_owned(),
            verdict: verdict(reason).to_owned(),
            reason: reason.code().to_owned(),
            packets: counter.packets,
            bytes: counter.bytes,
        })
        .collect()
    }

    /// Adds the shield's families to the metrics page.
    pub fn collect(&self, text: &mut MetricsText) {
        let Gauges {
            maps,
            attached,
            interfaces,
            sizes,
            feeds,
            is_attack,
            attacks: (begun, over),
        } = self.look(|state| Gauges::of(state), |seen| seen.gauges.clone());
        text.sample(&metrics::SHIELD_ATTACK, &[], u8::from(is_attack));
        text.sample(&metrics::SHIELD_ATTACKS, &["begun"], begun);
        text.sample(&metrics::SHIELD_ATTACKS, &["over"], over);
        for (interface, is_attached) in &interfaces {
            let value = u8::from(*is_attached);
            text.sample(&metrics::XDP_ATTACHED, &[interface], value);
        }
        if let Some(maps) = maps {
            let counted = traffic::by_interface(&maps, &attached);
            for (interface, reason, counter) in traffic::each(&counted) {
                let labels = [interface, verdict(reason), reason.code()];
                text.sample(&metrics::XDP_PACKETS, &labels, counter.packets);
            }
            for (interface, reason, counter) in traffic::each(&counted) {
                let labels = [interface, verdict(reason), reason.code()];
                text.sample(&metrics::XDP_BYTES, &labels, counter.bytes);
            }
            for drops in raise::countries(&maps) {
                let labels = [drops.country.as_str()];
                text.sample(&metrics::XDP_COUNTRY_DROPS, &labels, drops.packets);
            }
        }
        for (kind, metric) in [
            (Kind::Block, &metrics::BLOCKLIST_ENTRIES),
            (Kind::Allow, &metrics::ALLOWLIST_ENTRIES),
        ] {
            for (_, list, family, count) in sizes.iter().filter(|(of, ..)| *of == kind) {
                text.sample(metric, &[list, family.label()], count);
            }
        }
        for (kind, list, feed) in &feeds {
            let labels = [kind.word(), list.as_str()];
            let success = feed.last_success_unix.unwrap_or(0);
            text.sample(&metrics::LIST_SUCCESS, &labels, success);
        }
        for (kind, list, feed) in &feeds {
            let labels = [kind.word(), list.as_str()];
            text.sample(&metrics::LIST_FAILURES, &labels, feed.failures);
        }
        for (kind, list, feed) in &feeds {
            let labels = [kind.word(), list.as_str()];
            text.sample(&metrics::LIST_EXPIRED, &labels, u8::from(feed.expired));
        }
    }
}

fn verdict(reason: Reason) -> &'static str {
    match reason.verdict() {
        Verdict::Drop => "drop",
        Verdict::Pass => "pass",
        Verdict::Tx => "tx",
    }
}
