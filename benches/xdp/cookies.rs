//! Under attack: a SYN made into its answer, and the ACK that follows, with a cookie and without one. The kernel makes and checks
//! cookies, and looks for the listener: there is a real one, on every address of the namespace that the bench runs in.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use anyhow::{Context as _, Result};
use openclaw::shield::kernel::{Maps, Subject};
use openclaw_common::{
    abi::{Config, Cookies, Limit, Served, checks, cookies, flags},
    packet::Address,
    ports::Set,
};

use crate::{
    ANYWHERE, Bench, ONE,
    frames::{LINUX, SERVER4, SERVER6, Segment},
    rounds::Pair,
};

const FRESH: Pair = [Subject::FreshSyn, Subject::FreshFloor];
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const SEQUENCE: u32 = 7;

/// The shield as it is under attack, with a cap on answers that is never reached.
const ATTACK: Config = Config {
    flags: flags::ENABLED,
    checks: checks::PORTS,
    attack: 1,
    cookies: Cookies {
        flags: cookies::ARMED
            | cookies::RAW
            | cookies::TIMESTAMPS
            | cookies::SACK
            | cookies::SCALING,
        mss4: 1460,
        mss6: 1440,
        scale: 10,
        keep_ns: u64::MAX,
        answers: Limit {
            cost_ns: 1,
            burst_ns: 1 << 62,
        },
        ..Cookies::NONE
    },
    ..Config::OFF
};

pub(crate) fn run(bench: &mut Bench, maps: &Maps) -> Result<()> {
    let listeners = [
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?,
        TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))?,
    ];
    let addresses = [Address::V4(SERVER4), Address::V6(SERVER6)];
    let ports = listeners
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect::<Result<Vec<u16>, _>>()?;
    for (address, port) in addresses.into_iter().zip(&ports) {
        maps.served.insert(&Served::new(address, *port), &1)?;
    }
    maps.set_ports(Set::Tcp, ports.iter().copied())?;
    maps.begin(&ATTACK)?;
    for (is_v6, port) in [false, true].into_iter().zip(ports) {
        family(bench, is_v6, port)?;
    }
    Ok(())
}

fn family(bench: &mut Bench, is_v6: bool, port: u16) -> Result<()> {
    let name = if is_v6 { "IPv6" } else { "IPv4" };
    let syn = Segment {
        is_v6,
        port,
        flags: SYN,
        numbers: [SEQUENCE, 0],
        options: &LINUX,
    };
    let syn = syn.frame();
    for (sources, which) in [(ONE, "one source"), (ANYWHERE, "random sources")] {
        let fresh = [&sources.parameters()[..], &syn, &syn].concat();
        bench.measure(
            &format!("cookie, SYN answered, all options, {name}, {which}"),
            FRESH,
            &fresh,
        )?;
    }
    let (_, answer) = bench.kernel.test_frame(Subject::Shield, &syn)?;
    let cookie = sequence(&answer, is_v6).context("a SYN is not answered")?;
    let ack = |number| {
        let ack = Segment {
            is_v6,
            port,
            flags: ACK,
            numbers: [SEQUENCE + 1, number],
            options: &[],
        };
        ack.frame()
    };
    let good = [ack(cookie.wrapping_add(1)), ONE.parameters().into()].concat();
    bench.stage(
        &format!("cookie, ACK that has one, {name}, one source"),
        &good,
    )?;
    let bad = [ack(1), ANYWHERE.parameters().into()].concat();
    bench.stage(
        &format!("cookie, ACK that has none, {name}, random sources"),
        &bad,
    )
}

/// The sequence number of an answer.
fn sequence(answer: &[u8], is_v6: bool) -> Option<u32> {
    let tcp = answer.get(14 + if is_v6 { 40 } else { 20 }..)?;
    tcp.get(4..8)?.try_into().ok().map(u32::from_be_bytes)
}
