//! Packets that the kernel program dropped or would have: a sample of them, kept for a while and passed on to those who follow. What the
//! kernel tells is numbers; which list decided, and what the interface is called, is looked up here.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openclaw_common::abi::Event;
use openclaw_common::verdict::{Reason, Verdict};
use openclaw_core::country::country_code;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;

use super::kernel::{EventReader, KernelError, interface_name};
use super::lists::Kind;
use super::prefix::{AnyNet, show};
use super::state::State;
use super::store::Now;
use crate::telemetry::chain;

/// Drops that are kept.
const KEPT: usize = 1024;
/// Drops of one look into the ring; more are counted as lost, and the sample becomes smaller.
const AT_ONCE: usize = 500;
/// Looks with few drops before the sample becomes larger again.
const CALM: u32 = 10;
/// The smallest sample while somebody follows: one in 2^16.
const SMALLEST: u32 = 16;
/// Those who may follow at a time.
const FOLLOWERS: usize = 16;
/// Lines on their way to one of them.
const BACKLOG: usize = 2 * AT_ONCE;

/// A packet that was dropped or would have been.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropView {
    /// RFC 3339.
    pub time: String,
    /// `drop`, or `pass` in monitor mode.
    pub verdict: String,
    /// Dotted code.
    pub reason: String,
    pub source: IpAddr,
    pub source_port: Option<u16>,
    pub destination: IpAddr,
    pub destination_port: Option<u16>,
    /// `tcp`, `udp`, `icmp`, `icmp6`, or a number.
    pub protocol: String,
    pub interface: Option<String>,
    /// Length of the frame.
    pub bytes: u32,
    /// ISO 3166-1.
    pub country: Option<String>,
    /// The list that decided, if it is still there.
    pub list: Option<String>,
    /// Its prefix.
    pub prefix: Option<String>,
}

/// How many drops the kernel tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sampling {
    is_followed: bool,
    /// While somebody follows: one drop in two to the power of this.
    exponent: u32,
    calm: u32,
}

impl Sampling {
    pub(super) fn is_followed(self) -> bool {
        self.is_followed
    }

    pub(super) fn is_on(self, sample: u32) -> bool {
        self.is_followed || sample != 0
    }

    /// [`openclaw_common::abi::Config::sample_mask`].
    pub(super) fn mask(self, sample: u32) -> u32 {
        if self.is_followed {
            (1 << self.exponent) - 1
        } else {
            sample.saturating_sub(1)
        }
    }

    /// After a look into the ring that found so many.
    fn after(self, is_followed: bool, found: usize) -> Self {
        if !is_followed || !self.is_followed {
            return Self {
                is_followed,
                ..Self::default()
            };
        }
        if found > AT_ONCE {
            return Self {
                exponent: (self.exponent + 1).min(SMALLEST),
                calm: 0,
                ..self
            };
        }
        let is_calm = found < AT_ONCE / 4 && self.exponent > 0;
        match (is_calm, self.calm) {
            (false, _) => Self { calm: 0, ..self },
            (true, ..CALM) => Self {
                calm: self.calm + 1,
                ..self
            },
            (true, _) => Self {
                exponent: self.exponent - 1,
                calm: 0,
                ..self
            },
        }
    }
}

/// What was told, and who follows.
#[derive(Debug, Default)]
pub(super) struct DropLog(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    reader: Option<EventReader>,
    kept: VecDeque<DropView>,
    followers: Vec<mpsc::Sender<Arc<str>>>,
}

impl DropLog {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing here is left half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last drops, the oldest first.
    pub(super) fn recent(&self, limit: usize) -> Vec<DropView> {
        let inner = self.lock();
        let skipped = inner.kept.len().saturating_sub(limit);
        inner.kept.iter().skip(skipped).cloned().collect()
    }

    /// Lines of JSON, one a drop; nothing if too many follow already.
    pub(super) fn follow(&self) -> Option<mpsc::Receiver<Arc<str>>> {
        let mut inner = self.lock();
        inner.followers.retain(|follower| !follower.is_closed());
        if inner.followers.len() >= FOLLOWERS {
            return None;
        }
        let (sender, receiver) = mpsc::channel(BACKLOG);
        inner.followers.push(sender);
        Some(receiver)
    }

    /// Whether anybody follows.
    pub(super) fn is_followed(&self) -> bool {
        let mut inner = self.lock();
        inner.followers.retain(|follower| !follower.is_closed());
        !inner.followers.is_empty()
    }

    /// Takes from the ring what is in it: at most [`AT_ONCE`], and how many there were.
    fn take(&self, open: impl FnOnce() -> Option<EventReader>) -> (Vec<Event>, usize) {
        let mut inner = self.lock();
        if inner.reader.is_none() {
            inner.reader = open();
        }
        let Some(reader) = &mut inner.reader else {
            return (Vec::new(), 0);
        };
        let (mut events, mut found) = (Vec::new(), 0);
        // A flood fills the ring while it is read.
        while found < 16 * AT_ONCE
            && let Some(event) = reader.take()
        {
            found += 1;
            if events.len() < AT_ONCE {
                events.push(event);
            }
        }
        (events, found)
    }

    fn keep(&self, drops: Vec<DropView>) {
        let mut inner = self.lock();
        for drop in drops {
            if !inner.followers.is_empty() {
                let line = serde_json::to_string(&drop).unwrap_or_default();
                let line: Arc<str> = (line + "\n").into();
                // Who does not keep up loses lines, who has gone is forgotten.
                inner.followers.retain(|follower| {
                    let sent = follower.try_send(Arc::clone(&line));
                    !matches!(sent, Err(mpsc::error::TrySendError::Closed(_)))
                });
            }
            if inner.kept.len() >= KEPT {
                inner.kept.pop_front();
            }
            inner.kept.push_back(drop);
        }
    }
}

impl State {
    /// Looks into the ring, and lets the kernel tell more or less.
    pub(super) fn read_drops(&mut self, log: &DropLog) -> Result<(), KernelError> {
        let is_followed = log.is_followed();
        let maps = self.maps();
        let open = || match maps.as_ref()?.events() {
            Ok(reader) => Some(reader),
            Err(error) => {
                tracing::debug!(error = %chain(&error), "the drops cannot be read");
                None
            }
        };
        let (events, found) = log.take(open);
        let now = self.now();
        let drops = events.iter().filter_map(|event| self.describe(event, now));
        log.keep(drops.collect());
        let next = self.sampling.after(is_followed, found);
        let sample = self.config.shield.sample;
        let is_changed = next.mask(sample) != self.sampling.mask(sample)
            || next.is_on(sample) != self.sampling.is_on(sample);
        let before = std::mem::replace(&mut self.sampling, next);
        if is_changed && let Err(error) = self.configure() {
            // Tried again at the next look.
            self.sampling = before;
            return Err(error);
        }
        Ok(())
    }

    fn describe(&self, event: &Event, now: Now) -> Option<DropView> {
        let reason = Reason::ALL
            .into_iter()
            .find(|reason| *reason as u8 == event.reason)?;
        let source = address(event.family, event.source);
        let has_ports = matches!(event.protocol, 6 | 17);
        let (list, prefix) = if is_listed(reason) {
            self.decider(source)
        } else {
            (None, None)
        };
        Some(DropView {
            time: time_of(event.time_ns, now),
            verdict: match reason.verdict() {
                Verdict::Drop => "drop".into(),
                Verdict::Pass => "pass".into(),
                Verdict::Tx => "tx".into(),
            },
            reason: reason.code().into(),
            source,
            source_port: has_ports.then_some(event.source_port),
            destination: address(event.family, event.destination),
            destination_port: has_ports.then_some(event.destination_port),
            protocol: match event.protocol {
                1 => "icmp".into(),
                6 => "tcp".into(),
                17 => "udp".into(),
                58 => "icmp6".into(),
                other => other.to_string(),
            },
            interface: interface_name(event.interface),
            bytes: event.bytes,
            country: country_code(event.country).map(str::to_owned),
            list,
            prefix,
        })
    }

    /// The narrowest block around a source, which is what the kernel finds first.
    fn decider(&self, source: IpAddr) -> (Option<String>, Option<String>) {
        let around = self.store.around(Kind::Block, AnyNet::from(source));
        let Some(found) = around.last() else {
            return (None, None);
        };
        let list = self.store.lists().list(found.list);
        let name = list.map(|list| list.name.clone());
        (name, Some(show(&found.net.to_prefix())))
    }
}

fn is_listed(reason: Reason) -> bool {
    [Reason::Ban, Reason::Block]
        .iter()
        .any(|listed| reason == *listed || reason == listed.monitored())
}

fn address(family: u8, bytes: [u8; 16]) -> IpAddr {
    let [a, b, c, d, ..] = bytes;
    match family {
        4 => Ipv4Addr::new(a, b, c, d).into(),
        _ => Ipv6Addr::from(bytes).into(),
    }
}

fn time_of(time_ns: u64, now: Now) -> String {
    let ago = i128::from(now.mono_ns.saturating_sub(time_ns));
    let unix_ns = i128::from(now.unix) * 1_000_000_000 - ago;
    // The wall clock is known to the second.
    let seconds = i64::try_from(unix_ns.div_euclid(1_000_000_000)).unwrap_or_default();
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_follows_how_much_there_is() {
        let mut sampling = Sampling::default();
        assert!(!sampling.is_on(0));
        assert_eq!((sampling.is_on(64), sampling.mask(64)), (true, 63));
        sampling = sampling.after(true, 9_000);
        assert_eq!((sampling.is_on(0), sampling.mask(64)), (true, 0));
        for mask in [1, 3, 7] {
            sampling = sampling.after(true, AT_ONCE + 1);
            assert_eq!(sampling.mask(64), mask);
        }
        for _ in 0..100 {
            sampling = sampling.after(true, AT_ONCE + 1);
        }
        assert_eq!(sampling.mask(64), (1 << SMALLEST) - 1);
        for _ in 0..(CALM + 1) * SMALLEST {
            sampling = sampling.after(true, AT_ONCE / 8);
        }
        assert_eq!(sampling.mask(64), 0);
        assert_eq!(sampling.after(false, 0).mask(64), 63);
    }

    #[test]
    fn who_does_not_keep_up_loses_lines_and_who_has_gone_is_forgotten() {
        let log = DropLog::default();
        let mut slow = log.follow().into_iter();
        let slow = slow.next();
        drop(log.follow());
        assert!(log.is_followed());
        let one = DropView {
            time: String::new(),
            verdict: "drop".into(),
            reason: "shield.ban".into(),
            source: Ipv4Addr::LOCALHOST.into(),
            source_port: Some(1),
            destination: Ipv4Addr::LOCALHOST.into(),
            destination_port: Some(2),
            protocol: "tcp".into(),
            interface: None,
            bytes: 60,
            country: None,
            list: None,
            prefix: None,
        };
        log.keep(vec![one; BACKLOG + KEPT]);
        assert_eq!(log.recent(usize::MAX).len(), KEPT);
        assert_eq!(log.recent(3).len(), 3);
        let mut lines = 0;
        if let Some(mut slow) = slow {
            while slow.try_recv().is_ok() {
                lines += 1;
            }
        }
        assert_eq!(lines, BACKLOG);
        assert!(!log.is_followed());
        let all: Vec<_> = (0..FOLLOWERS).map(|_| log.follow()).collect();
        assert!(all.iter().all(Option::is_some));
        assert!(log.follow().is_none());
    }
}
