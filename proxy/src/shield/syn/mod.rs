//! SYN floods from user space: when there is an attack, and what the kernel program has to know to answer for the listeners.

mod answers;
mod attack;
mod scale;
mod sysctls;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use openclaw_common::abi::{Cookies, Limit, Served, cookies};
use openclaw_common::maps::SERVED_ENTRIES;
use openclaw_common::verdict::Reason;
use openclaw_core::config::{Config, SynMode, SynVariant};
use serde::{Deserialize, Serialize};

use self::answers::Ways;
use self::attack::{Attack, Change};
use super::kernel::{KernelError, Maps, interface_mtu};
use super::state::State;
use super::{own, policy};
use crate::telemetry::chain;

/// How often addresses of the host are looked at again.
const REFRESH: Duration = Duration::from_secs(5);
/// Answers that may go out at one moment: a hundredth of a second's worth.
const BURST_DIVISOR: u64 = 100;

/// What the shield does against floods of SYNs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SynStatus {
    /// Whether an attack goes on.
    pub attack: bool,
    /// It is no flood but the configuration: `shield.syn.mode` is always.
    #[serde(default)]
    pub always: bool,
    /// Nothing is answered, only counted: these rules are monitored.
    #[serde(default)]
    pub watched: bool,
    /// SYNs to listeners in the last second.
    pub rate: u64,
    /// How SYNs are answered under attack: `raw`, `socket` or `off`.
    pub cookies: String,
    /// Attacks so far.
    pub attacks: u64,
    /// What is missing, and why.
    pub missing: Vec<String>,
}

/// The watch over SYNs.
#[derive(Debug, Default)]
pub(super) struct SynWatch {
    attack: Attack,
    scale: u8,
    served: BTreeSet<Served>,
    next_refresh: Option<Instant>,
    has_raw: bool,
    /// Why the settings of the host could not be raised.
    refused: Option<String>,
    ways: Ways,
}

impl SynWatch {
    pub(super) fn is_attack(&self) -> bool {
        self.attack.is_on()
    }

    /// Attacks begun and attacks over.
    pub(super) fn transitions(&self) -> (u64, u64) {
        (self.attack.begun, self.attack.over)
    }

    fn is_raw(&self, config: &Config) -> bool {
        self.has_raw
            && config.shield.syn.variant != SynVariant::Socket
            && sysctls::read(sysctls::SYNCOOKIES) == Some(2)
    }

    /// What the kernel program goes by.
    pub(super) fn cookies(&self, config: &Config) -> Cookies {
        let syn = &config.shield.syn;
        if syn.mode == SynMode::Off {
            return Cookies::NONE;
        }
        let is = |name, value| sysctls::read(name) == Some(value);
        let mut set = cookies::ARMED;
        for (flag, is_set) in [
            (cookies::RAW, self.is_raw(config)),
            (cookies::TIMESTAMPS, is(sysctls::TIMESTAMPS, 2)),
            (cookies::SACK, is("tcp_sack", 1)),
            (cookies::SCALING, is("tcp_window_scaling", 1)),
        ] {
            set |= if is_set { flag } else { 0 };
        }
        let mtus = config.shield.interfaces.iter();
        let mtu = mtus.filter_map(|name| interface_mtu(name)).min();
        let mtu = mtu.unwrap_or(1500).clamp(1280, 65_535) as u16;
        let cost_ns = syn.max_answers.interval_ns();
        Cookies {
            flags: set,
            mss4: mtu - 40,
            mss6: mtu - 60,
            scale: self.scale,
            answers: Limit {
                cost_ns,
                burst_ns: (1_000_000_000 / BURST_DIVISOR).max(cost_ns),
            },
            ..Cookies::NONE
        }
    }

    pub(super) fn status(&self, config: &Config) -> SynStatus {
        let syn = &config.shield.syn;
        let mut missing = Vec::new();
        if !self.has_raw {
            missing.push("cookies without a socket need Linux 6.0".to_owned());
        }
        if !syn.manage_sysctls {
            missing.push("`shield.syn.manage_sysctls` is false".to_owned());
        }
        missing.extend(self.refused.clone());
        let interfaces = config.shield.interfaces.iter();
        missing.extend(interfaces.filter_map(|name| {
            let is_lost = self.ways.is_lost(name);
            is_lost.then(|| {
                let why = answers::why(name);
                format!("{why}; `shield.mode = \"auto\"` or \"generic\" sends cookies")
            })
        }));
        let is_raw = self.has_raw
            && syn.variant != SynVariant::Socket
            && (syn.manage_sysctls || sysctls::read(sysctls::SYNCOOKIES) == Some(2));
        let cookies = match syn.mode {
            SynMode::Off => "off",
            SynMode::Auto | SynMode::Always if is_raw => "raw",
            SynMode::Auto | SynMode::Always => "socket",
        };
        SynStatus {
            attack: self.is_attack(),
            always: syn.mode == SynMode::Always,
            watched: policy::monitored(&config.shield) >> Reason::SynCookie as u32 & 1 != 0,
            rate: self.attack.rate(),
            cookies: cookies.to_owned(),
            attacks: self.attack.begun,
            missing,
        }
    }

    /// Tells the kernel program where listeners are.
    fn serve(&mut self, config: &Config, maps: &Maps) -> Result<(), KernelError> {
        let binds = config.listeners.iter().flat_map(|listener| &listener.bind);
        let mut served = served(binds.copied(), &own::addresses());
        if served.len() > SERVED_ENTRIES as usize {
            tracing::warn!(
                limit = SERVED_ENTRIES,
                "more addresses and ports than cookies protect"
            );
            served = served.into_iter().take(SERVED_ENTRIES as usize).collect();
        }
        if served != self.served {
            let entries: Vec<(Served, u32)> = served.iter().map(|one| (*one, 1)).collect();
            maps.served.replace(&entries)?;
            self.served = served;
        }
        Ok(())
    }
}

/// Each address and port that a listener is bound to; a wildcard is every address of the host.
fn served(binds: impl Iterator<Item = SocketAddr>, own: &[IpAddr]) -> BTreeSet<Served> {
    let mut served = BTreeSet::new();
    for bind in binds.filter(|bind| bind.port() != 0) {
        if bind.ip().is_unspecified() {
            let same = own.iter().filter(|own| own.is_ipv4() == bind.is_ipv4());
            served.extend(same.map(|own| Served::new((*own).into(), bind.port())));
        } else {
            served.insert(Served::new(bind.ip().into(), bind.port()));
        }
    }
    served
}

impl State {
    /// Prepares for floods: learns what answers need, undoes what a process before left, and tells the kernel where listeners are.
    pub(super) fn arm(&mut self, maps: &Maps) {
        if let Some(kernel) = &self.kernel {
            self.syn.has_raw = kernel.has_raw_cookies();
        }
        if !self.syn.is_attack() {
            self.restore_sysctls();
        }
        self.syn.scale = scale::learn();
        self.syn.ways = Ways::default();
        // The map may hold what another process left.
        self.syn.served = BTreeSet::new();
        if let Err(error) = self.syn.serve(&self.config, maps) {
            self.warnings.push(chain(&error));
        }
    }

    /// To be called ten times a second: follows the rate of SYNs.
    pub(super) fn watch_syns(&mut self, now: Instant) {
        let Some(maps) = self.maps.clone() else {
            return;
        };
        if !self.is_proxy {
            return;
        }
        if self.syn.next_refresh.is_none_or(|next| now >= next) {
            self.syn.next_refresh = Some(now + REFRESH);
            if let Err(error) = self.syn.serve(&self.config, &maps) {
                tracing::warn!("{}", chain(&error));
            }
        }
        let Ok(count) = maps.syns() else {
            return;
        };
        match self.syn.attack.take(&self.config.shield.syn, count, now) {
            None => {}
            Some(Change::Begun) => self.begin(&maps),
            Some(Change::Over) => self.relax(&maps),
        }
        self.look_after_answers(now);
    }

    /// The host's settings first: cookies without a socket are refused by listeners that do not expect any.
    fn begin(&mut self, maps: &Maps) {
        self.syn.refused = None;
        self.syn.ways.doubt();
        let watched_only = self.monitored() >> Reason::SynCookie as u32 & 1 != 0;
        if self.config.shield.syn.manage_sysctls && !watched_only {
            let raised = sysctls::raise(&self.config.server.state_dir);
            self.syn.refused = raised.err().map(|error| describe(&error));
        }
        self.syn.scale = scale::learn();
        // What the map remembers are listeners of a process before, or of an attack before.
        let woken = self.syn.served.iter().try_for_each(|one| maps.wake(one));
        if let Err(error) = woken {
            tracing::warn!("{}", chain(&error));
        }
        if let Err(error) = maps.set_config(&self.kernel_config()) {
            tracing::error!("{}", chain(&error));
        }
        let status = self.syn.status(&self.config);
        if status.always {
            tracing::info!(
                cookies = status.cookies,
                "every SYN is answered with a cookie: `shield.syn.mode` is always"
            );
        } else {
            tracing::warn!(
                rate = status.rate,
                cookies = status.cookies,
                "SYN flood: an attack has begun{}",
                if status.watched {
                    "; it is only counted"
                } else {
                    ""
                }
            );
        }
        for missing in status.missing {
            tracing::warn!("SYN flood: {missing}");
        }
    }

    /// The reverse, in reverse order.
    fn relax(&mut self, maps: &Maps) {
        if let Err(error) = maps.set_config(&self.kernel_config()) {
            tracing::error!("{}", chain(&error));
        }
        self.restore_sysctls();
        // Timestamps have their secret again.
        if let Err(error) = maps.set_config(&self.kernel_config()) {
            tracing::error!("{}", chain(&error));
        }
        tracing::info!(
            rate = self.syn.attack.rate(),
            "SYN flood: the attack is over"
        );
    }

    /// Ends an attack because the proxy ends.
    pub(super) fn stand_down(&mut self) {
        if self.syn.is_attack()
            && let Some(maps) = self.maps.clone()
        {
            self.syn.attack.end();
            self.relax(&maps);
        }
    }

    fn restore_sysctls(&self) {
        match sysctls::restore(&self.config.server.state_dir) {
            Ok(false) => {}
            Ok(true) => tracing::info!("tcp_syncookies and tcp_timestamps are as they were"),
            Err(error) => tracing::error!(
                %error,
                "tcp_syncookies and tcp_timestamps could not be restored; the next start tries again"
            ),
        }
    }
}

fn describe(error: &io::Error) -> String {
    format!("tcp_syncookies and tcp_timestamps could not be set to 2: {error}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_wildcard_serves_every_address_of_its_family() {
        let own: Vec<IpAddr> = ["192.0.2.1", "127.0.0.1", "::1"]
            .map(|text| text.parse().unwrap())
            .into();
        let of = |binds: &[&str]| {
            let binds: Vec<SocketAddr> = binds.iter().map(|text| text.parse().unwrap()).collect();
            served(binds.into_iter(), &own)
        };
        let key =
            |address: &str, port| Served::new(address.parse::<IpAddr>().unwrap().into(), port);
        assert_eq!(
            of(&["0.0.0.0:80", "[::]:81", "198.51.100.7:82", "0.0.0.0:0"]),
            BTreeSet::from([
                key("192.0.2.1", 80),
                key("127.0.0.1", 80),
                key("::1", 81),
                key("198.51.100.7", 82),
            ])
        );
    }
}
