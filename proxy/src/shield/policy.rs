//! What the configuration asks of the kernel program, in its terms: which checks, which limits, which rules only count.

use openclaw_common::abi::{self, Limit, checks};
use openclaw_common::verdict::Reason;
use openclaw_core::config::units::Rate;
use openclaw_core::config::{Config, PacketAction, Shield, ShieldAction};

use super::geo::Policy;
use super::host::HostTables;
use super::ports::Ports;

/// Reasons of the rules that `action` of `syn` is about.
const SYN: &[Reason] = &[
    Reason::RateSyn,
    Reason::SynCookie,
    Reason::SynCapped,
    Reason::CookieError,
    Reason::BadAck,
    Reason::NoListener,
];
const UDP: &[Reason] = &[Reason::RateUdp];
const GEO: &[Reason] = &[Reason::Geo];
const BLOCK: &[Reason] = &[Reason::Ban, Reason::Block];
const FRAGMENTS: &[Reason] = &[Reason::Fragment];
const INVALID: &[Reason] = &[
    Reason::BadFlags,
    Reason::Land,
    Reason::ZeroPort,
    Reason::QuicShort,
];

/// The interface by which a host talks to itself, also from one of its addresses to the same.
pub(super) const LOOPBACK: &str = "lo";

/// What the configuration and its tables decide, however the kernel program fares.
pub(super) fn decided(config: &Config, tables: &HostTables) -> abi::Config {
    let shield = &config.shield;
    let Policy { mode, mask } = tables.policy();
    abi::Config {
        monitored: monitored(shield),
        default6: tables.default6(),
        geo_mode: mode,
        geo_mask: mask,
        checks: checks(shield, &Ports::of(config)),
        syn: limit(shield.syn.per_source, shield.syn.burst),
        udp: limit(shield.udp.per_source, shield.udp.burst),
        ..abi::Config::OFF
    }
}

/// The rules that only count what they would drop: [`openclaw_common::abi::Config::monitored`].
pub(super) fn monitored(shield: &Shield) -> u64 {
    if shield.action == ShieldAction::Monitor {
        return u64::MAX;
    }
    let is_monitored = |action| action == ShieldAction::Monitor;
    let kinds = [
        (is_monitored(shield.block_action), BLOCK),
        (
            shield
                .geo
                .as_ref()
                .is_some_and(|geo| is_monitored(geo.action)),
            GEO,
        ),
        (is_monitored(shield.syn.action), SYN),
        (is_monitored(shield.udp.action), UDP),
        (shield.fragments == PacketAction::Monitor, FRAGMENTS),
        (shield.invalid == PacketAction::Monitor, INVALID),
    ];
    let reasons = kinds
        .iter()
        .filter(|(is_monitored, _)| *is_monitored)
        .flat_map(|(_, reasons)| *reasons);
    reasons.fold(0, |mask, reason| mask | 1 << *reason as u32)
}

/// [`openclaw_common::abi::Config::checks`].
pub(super) fn checks(shield: &Shield, ports: &Ports) -> u32 {
    let is_invalid = shield.invalid != PacketAction::Pass;
    let is_looped = shield.interfaces.iter().any(|name| name == LOOPBACK);
    let is_fragments = shield.fragments != PacketAction::Pass;
    let bits = [
        (is_invalid, checks::INVALID),
        (is_invalid && !is_looped, checks::LAND),
        (is_fragments && !ports.tcp.is_empty(), checks::FRAGMENTS_TCP),
        (is_fragments && !ports.udp.is_empty(), checks::FRAGMENTS_UDP),
        (!ports.tcp.is_empty(), checks::PORTS),
        (!ports.udp.is_empty(), checks::PORTS_UDP),
    ];
    bits.iter()
        .filter(|(is_on, _)| *is_on)
        .fold(0, |all, (_, bit)| all | bit)
}

/// A rate with its burst.
pub(super) fn limit(rate: Rate, burst: u32) -> Limit {
    let cost_ns = rate.interval_ns();
    Limit {
        cost_ns,
        burst_ns: u64::from(burst.saturating_sub(1)).saturating_mul(cost_ns),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use openclaw_core::config::{NoFiles, Source, load, units};

    use super::*;

    fn config(shield: &str) -> Config {
        let text = format!("[listener.web]\nbind = \"127.0.0.1:80\"\n[shield]\n{shield}\n");
        let source = Source {
            name: "openclaw.toml",
            text: &text,
            files: &NoFiles,
            variable: &|_| None,
        };
        load(&source).unwrap().config
    }

    #[test]
    fn each_action_monitors_its_own_rules() {
        let check = |keys: &str, reasons: &[Reason]| {
            let expected = reasons.iter().fold(0, |mask, one| mask | 1 << *one as u64);
            assert_eq!(monitored(&config(keys).shield), expected, "{keys}");
        };
        check("", &[]);
        check("block_action = \"monitor\"", &[Reason::Ban, Reason::Block]);
        let geo = "geo = { database = \"x.mmdb\", deny = [\"DE\"], action = \"monitor\" }";
        check(geo, &[Reason::Geo]);
        check("syn = { action = \"monitor\" }", SYN);
        check("udp = { action = \"monitor\" }", &[Reason::RateUdp]);
        check("fragments = \"monitor\"", &[Reason::Fragment]);
        check("fragments = \"pass\"\ninvalid = \"pass\"", &[]);
        check("invalid = \"monitor\"", INVALID);
        let all = config("action = \"monitor\"").shield;
        assert_eq!(monitored(&all), u64::MAX);
    }

    #[test]
    fn what_is_checked_follows_the_ports() {
        let config = config("");
        let ports = Ports::of(&config);
        assert!(!ports.tcp.is_empty());
        let tcp = checks::INVALID | checks::LAND | checks::FRAGMENTS_TCP | checks::PORTS;
        assert_eq!(checks(&config.shield, &ports), tcp);
        let mut looped = config.shield.clone();
        looped.interfaces = vec!["eth0".into(), LOOPBACK.into()];
        assert_eq!(checks(&looped, &ports), tcp & !checks::LAND);
        let with_udp = Ports {
            udp: ports.tcp.clone(),
            ..ports
        };
        let all = tcp | checks::FRAGMENTS_UDP | checks::PORTS_UDP;
        assert_eq!(checks(&config.shield, &with_udp), all);
        let mut lenient = config.shield;
        lenient.fragments = PacketAction::Pass;
        lenient.invalid = PacketAction::Pass;
        let ports = checks::PORTS | checks::PORTS_UDP;
        assert_eq!(checks(&lenient, &with_udp), ports);
        assert_eq!(checks(&lenient, &Ports::default()), 0);
    }

    #[test]
    fn a_burst_is_as_many_as_it_says() {
        let expected = Limit {
            cost_ns: 5_000_000,
            burst_ns: 399 * 5_000_000,
        };
        assert_eq!(limit(units::rate("200/s").unwrap(), 400), expected);
        assert_eq!(limit(units::rate("1/s").unwrap(), 1).burst_ns, 0);
    }
}
