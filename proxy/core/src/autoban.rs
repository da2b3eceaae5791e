//! From refusals to bans: which refusals count, how many of them are too many, and how long a ban lasts. Both tables have a bound:
//! they keep two generations, and when the younger one is full the older one is forgotten.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::config::{Autoban, Thresholds};
use crate::reason::Reason;

/// Peers in each generation.
const GENERATION: usize = 32_768;
/// Ends that are told from each other by no more than these seconds are one.
const ROUNDED: u64 = 2;

/// Kinds of refusals that lead to bans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// More requests than a limit allows.
    Limit,
    /// What no honest client sends.
    Protocol,
}

impl Kind {
    /// What is not named here is a mistake, or nobody's fault.
    pub fn of(reason: Reason) -> Option<Self> {
        if reason == Reason::LimitRate {
            Some(Self::Limit)
        } else if matches!(
            reason,
            Reason::Smuggling | Reason::H2Abuse | Reason::H3Abuse
        ) {
            Some(Self::Protocol)
        } else {
            None
        }
    }
}

impl Thresholds {
    /// How many refusals of a kind are too many.
    pub fn of(&self, kind: Kind) -> Option<u32> {
        match kind {
            Kind::Limit => self.limit,
            Kind::Protocol => self.protocol,
        }
    }
}

/// What is known of those who were refused, and of those who were banned. Peers are networks, see
/// [`network_of`](crate::limit::network_of).
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: Generations<Account>,
    convicts: Generations<Convict>,
}

/// Refusals within the window, by kind.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    counts: [Count; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    since_ns: u64,
    count: u32,
}

/// Somebody who was banned before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convict {
    /// How many bans there were.
    pub bans: u32,
    /// When the last ban ends, in seconds since 1970.
    pub until: u64,
}

/// A ban that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// The how manieth of this peer.
    pub bans: u32,
    /// How long it lasts.
    pub ttl: Duration,
}

impl Ledger {
    /// Counts a refusal; gives how many there were when they are too many, and begins anew. `now_ns` is of any clock that does not
    /// go back.
    pub fn note(&mut self, config: &Autoban, peer: IpAddr, kind: Kind, now_ns: u64) -> Option<u32> {
        let threshold = config.after.of(kind)?;
        let window = u64::try_from(config.window.as_nanos()).unwrap_or(u64::MAX);
        let account = self.accounts.entry(peer, Account::default);
        let count = account.counts.get_mut(kind as usize)?;
        if count.count == 0 || now_ns.saturating_sub(count.since_ns) >= window {
            *count = Count {
                since_ns: now_ns,
                count: 0,
            };
        }
        count.count += 1;
        let reached = count.count;
        (reached >= threshold).then(|| {
            count.count = 0;
            reached
        })
    }

    /// The ban that a peer is due now, in seconds since 1970.
    pub fn sentence(&self, config: &Autoban, peer: IpAddr, now: u64) -> Sentence {
        let known = self.convicts.find(peer);
        let known =
            known.filter(|convict| now <= convict.until.saturating_add(config.max_ttl.as_secs()));
        let before = known.map_or(0, |convict| convict.bans);
        let factor = config.grow.powf(before.into());
        let longest = config.max_ttl.as_secs_f64();
        let seconds = (config.ttl.as_secs_f64() * factor).min(longest);
        Sentence {
            bans: before.saturating_add(1),
            ttl: Duration::try_from_secs_f64(seconds).unwrap_or(config.max_ttl),
        }
    }

    /// Remembers a ban that was carried out, or one from before a restart.
    pub fn convict(&mut self, peer: IpAddr, convict: Convict) {
        *self.convicts.entry(peer, || convict) = convict;
    }

    /// Learns of a ban of which nothing but its end is known, in seconds since 1970.
    pub fn surmise(&mut self, peer: IpAddr, until: u64) {
        let known = self.convicts.find(peer);
        if known.is_some_and(|convict| convict.until.saturating_add(ROUNDED) >= until) {
            return;
        }
        let before = known.map_or(0, |convict| convict.bans);
        let bans = before.saturating_add(1);
        self.convict(peer, Convict { bans, until });
    }

    /// Begins anew with a peer, as if it had never been refused.
    pub fn forgive(&mut self, peer: IpAddr) {
        self.accounts.remove(peer);
        self.convicts.remove(peer);
    }

    /// All who were banned, for the disk.
    pub fn convicts(&self) -> impl Iterator<Item = (IpAddr, Convict)> {
        self.convicts.all()
    }
}

/// A map of bounded size. What is used comes into the younger generation.
#[derive(Debug)]
struct Generations<T> {
    young: HashMap<IpAddr, T>,
    old: HashMap<IpAddr, T>,
}

impl<T> Default for Generations<T> {
    fn default() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

impl<T: Copy> Generations<T> {
    fn entry(&mut self, peer: IpAddr, new: impl FnOnce() -> T) -> &mut T {
        if self.young.len() >= GENERATION && !self.young.contains_key(&peer) {
            self.old = std::mem::take(&mut self.young);
        }
        let old = &mut self.old;
        self.young
            .entry(peer)
            .or_insert_with(|| old.remove(&peer).unwrap_or_else(new))
    }

    fn remove(&mut self, peer: IpAddr) {
        self.young.remove(&peer);
        self.old.remove(&peer);
    }

    fn find(&self, peer: IpAddr) -> Option<T> {
        self.young
            .get(&peer)
            .or_else(|| self.old.get(&peer))
            .copied()
    }

    fn all(&self) -> impl Iterator<Item = (IpAddr, T)> {
        let all = self.young.iter().chain(&self.old);
        all.map(|(peer, value)| (*peer, *value))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn config() -> Autoban {
        Autoban {
            after: Thresholds {
                limit: Some(3),
                protocol: Some(1),
                ..Thresholds::default()
            },
            window: Duration::from_mins(1),
            ttl: Duration::from_mins(10),
            grow: 4.0,
            max_ttl: Duration::from_hours(24),
        }
    }

    fn peer(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn so_many_within_the_window_are_too_many() {
        let config = config();
        let check = |seconds: &[u64], expected: &[Option<u32>]| {
            let mut ledger = Ledger::default();
            let mut note = |at: &u64| ledger.note(&config, peer(1), Kind::Limit, at * SECOND);
            let noted: Vec<_> = seconds.iter().map(&mut note).collect();
            assert_eq!(noted, expected, "{seconds:?}");
        };
        check(&[5, 5, 5, 5], &[None, None, Some(3), None]);
        check(&[5, 30, 64], &[None, None, Some(3)]);
        check(&[5, 30, 65, 66, 67], &[None, None, None, None, Some(3)]);
    }

    #[test]
    fn kinds_and_peers_are_counted_apart_and_only_those_that_are_asked_for() {
        let mut config = config();
        let mut ledger = Ledger::default();
        let mut note = |config: &Autoban, number, kind| ledger.note(config, peer(number), kind, 7);
        assert_eq!(note(&config, 1, Kind::Limit), None);
        assert_eq!(note(&config, 1, Kind::Protocol), Some(1));
        assert_eq!(note(&config, 2, Kind::Limit), None);
        assert_eq!(note(&config, 1, Kind::Limit), None);
        assert_eq!(note(&config, 1, Kind::Limit), Some(3));
        config.after.protocol = None;
        assert_eq!(note(&config, 1, Kind::Protocol), None);
    }

    #[test]
    fn whoever_is_forgiven_begins_anew() {
        let config = config();
        let mut ledger = Ledger::default();
        let convict = Convict { bans: 3, until: 9 };
        for number in [1, 2] {
            ledger.note(&config, peer(number), Kind::Limit, 7);
            ledger.convict(peer(number), convict);
        }
        ledger.forgive(peer(1));
        assert_eq!(ledger.sentence(&config, peer(1), 9).bans, 1);
        assert_eq!(ledger.sentence(&config, peer(2), 9).bans, 4);
        assert_eq!(ledger.note(&config, peer(1), Kind::Limit, 7), None);
        assert_eq!(ledger.note(&config, peer(1), Kind::Limit, 7), None);
        assert_eq!(ledger.note(&config, peer(1), Kind::Limit, 7), Some(3));
        assert_eq!(ledger.convicts().collect::<Vec<_>>(), [(peer(2), convict)]);
    }

    #[test]
    fn a_ban_that_nobody_noted_counts_once() {
        let config = config();
        let mut ledger = Ledger::default();
        let mut bans = |until| {
            ledger.surmise(peer(1), until);
            ledger.sentence(&config, peer(1), 90).bans
        };
        assert_eq!([bans(100), bans(101), bans(99), bans(200)], [2, 2, 2, 3]);
    }

    #[test]
    fn bans_grow_up_to_their_bound_and_good_conduct_is_rewarded() {
        let config = config();
        let mut ledger = Ledger::default();
        let day = 86_400;
        let mut now = 1_000_000;
        let mut ban = |now: u64| {
            let sentence = ledger.sentence(&config, peer(1), now);
            let until = now + sentence.ttl.as_secs();
            let bans = sentence.bans;
            ledger.convict(peer(1), Convict { bans, until });
            (bans, sentence.ttl.as_secs(), until)
        };
        for (expected, seconds) in [
            (1, 600),
            (2, 2400),
            (3, 9600),
            (4, 38_400),
            (5, day),
            (6, day),
        ] {
            let (bans, ttl, until) = ban(now);
            assert_eq!((bans, ttl), (expected, seconds));
            now = until + 5;
        }
        now += day - 6;
        assert_eq!(ban(now).0, 7, "not long enough");
        now += 2 * day + 1;
        assert_eq!(ban(now).0, 1);
    }

    #[test]
    fn the_tables_have_a_bound_and_keep_who_is_busy() {
        let config = config();
        let mut ledger = Ledger::default();
        assert_eq!(ledger.note(&config, peer(0), Kind::Limit, 1), None);
        let half = GENERATION as u32 / 2;
        for number in 1..10 * half {
            ledger.note(&config, peer(number), Kind::Limit, 1);
            ledger.convict(peer(number), Convict { bans: 1, until: 5 });
            let expected = match number / half {
                2 => None,
                4 => Some(3),
                _ => continue,
            };
            if number % half == 0 {
                assert_eq!(ledger.note(&config, peer(0), Kind::Limit, 2), expected);
            }
        }
        assert!(ledger.accounts.all().count() <= 2 * GENERATION);
        assert!(ledger.convicts().count() <= 2 * GENERATION);
    }
}
