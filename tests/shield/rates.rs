//! Limits of each source and what is told of drops, in the kernel program.

use std::time::{Duration, Instant};

use openclaw_common::{
    abi::{Config, Event, Limit, checks, class, flags},
    ports::Set,
    verdict::Reason::{Block, Pass, RateSyn, RateUdp, WouldRateSyn},
};

use super::{
    frames::{Ip4, Ip6, VLAN, tcp, udp},
    rig::Rig,
    rows::STRANGER,
};

/// So slow that no second packet comes due while a test runs.
const HOUR_NS: u64 = 3_600_000_000_000;

fn slow(burst: u64) -> Limit {
    Limit {
        cost_ns: HOUR_NS,
        burst_ns: (burst - 1) * HOUR_NS,
    }
}

fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.protect(Set::Tcp, &[443, 8443]);
    rig.protect(Set::Udp, &[443, 53]);
    rig.protect(Set::Quic, &[443]);
    rig.configure(Config {
        checks: checks::PORTS | checks::PORTS_UDP,
        syn: slow(3),
        udp: slow(2),
        ..rig.config
    });
    rig
}

fn long_header(port: u16) -> Vec<u8> {
    let mut bytes = udp(40000, port);
    bytes[8] = 0xe0;
    bytes.extend([0; 8]);
    bytes
}

#[test]
fn a_source_has_its_burst_of_syns_and_no_more() {
    let mut rig = rig();
    let syn = |source| Ip4::tcp(source).frame(&[]);
    let to = |port| Ip4::new(STRANGER, 6, tcp(40000, port)).frame(&[VLAN]);
    for _ in 0..3 {
        rig.check("within the burst", &syn(STRANGER), Pass);
    }
    for _ in 0..3 {
        rig.check("beyond it", &syn(STRANGER), RateSyn);
    }
    rig.check("to another protected port", &to(8443), RateSyn);
    rig.check("to a port of nobody", &to(80), Pass);
    rig.check("from a neighbour", &syn([192, 0, 2, 8]), Pass);
    let mut ack = tcp(40000, 443);
    ack[13] = 0x10;
    rig.check(
        "an ACK",
        &Ip4::new(STRANGER, 6, ack.clone()).frame(&[]),
        Pass,
    );
    ack[13] = 0x12;
    rig.check("a SYN-ACK", &Ip4::new(STRANGER, 6, ack).frame(&[]), Pass);
    let datagram = Ip4::new(STRANGER, 17, long_header(443)).frame(&[]);
    rig.check("UDP has a share of its own", &datagram, Pass);
    rig.configure(Config {
        monitored: 1 << RateSyn as u64,
        ..rig.config
    });
    rig.check("monitored", &syn(STRANGER), WouldRateSyn);
    rig.configure(Config {
        monitored: 0,
        attack: 1,
        ..rig.config
    });
    rig.check("under attack", &syn(STRANGER), Pass);
}

#[test]
fn an_ipv6_source_is_its_64() {
    let mut rig = rig();
    let syn = |source| Ip6::tcp(source).frame(&[]);
    for source in ["2600::1", "2600::2", "2600::ffff:3"] {
        rig.check("within the burst", &syn(source), Pass);
    }
    rig.check("a fourth address", &syn("2600::4"), RateSyn);
    rig.check("another /64", &syn("2600:0:0:1::1"), Pass);
    assert_eq!(rig.maps.rate6.keys().unwrap().len(), 2);
    assert_eq!(rig.maps.rate4.keys().unwrap().len(), 0);
}

#[test]
fn udp_is_limited_where_quic_begins_and_everywhere_else() {
    let mut rig = rig();
    let v4 = |payload| Ip4::new(STRANGER, 17, payload).frame(&[]);
    let v6 = |payload| Ip6::new("2600::1", 17, payload).frame(&[]);
    for frame in [v4, v6] {
        for _ in 0..3 {
            rig.check("an open connection", &frame(udp(40000, 443)), Pass);
        }
        for _ in 0..2 {
            rig.check("within the burst", &frame(long_header(443)), Pass);
        }
        rig.check("beyond it", &frame(long_header(443)), RateUdp);
        rig.check(
            "without QUIC every packet counts",
            &frame(udp(40000, 53)),
            RateUdp,
        );
        rig.check("to a port of nobody", &frame(udp(40000, 5353)), Pass);
        rig.check("still an open connection", &frame(udp(40000, 443)), Pass);
    }
}

#[test]
fn a_rate_is_kept_over_time() {
    let mut rig = rig();
    let limit = Limit {
        cost_ns: 2_000_000,
        burst_ns: 9 * 2_000_000,
    };
    rig.configure(Config {
        syn: limit,
        ..rig.config
    });
    let frame = Ip4::tcp(STRANGER).frame(&[]);
    let start = Instant::now();
    let mut passed = 0_u64;
    while start.elapsed() < Duration::from_millis(300) {
        passed += u64::from(rig.kernel(&frame).reason == Pass);
    }
    let most = 10 + start.elapsed().as_nanos() as u64 / limit.cost_ns + 1;
    assert!(passed <= most, "{passed} passed, at most {most} may");
    // The burst, and then some: how many depends on how often this machine lets the test run.
    assert!(passed > 10, "{passed} passed");
}

#[test]
fn drops_are_told_with_what_is_known_of_them() {
    let mut rig = rig();
    let mut events = rig.maps.events().unwrap();
    let source = [203, 0, 113, 9];
    rig.class4(source, class::BLOCKED | 7);
    rig.class6("2001:db8::", class::BLOCKED);
    let v4 = Ip4::tcp(source).frame(&[]);
    rig.check("nobody listens", &v4, Block);
    assert_eq!(events.take(), None);
    rig.configure(Config {
        flags: rig.config.flags | flags::EVENTS,
        ..rig.config
    });
    rig.check("told", &v4, Block);
    let event = events.take().unwrap();
    let mut address = [0; 16];
    address[..4].copy_from_slice(&source);
    assert_eq!(event.source, address);
    assert_eq!(&event.destination[..4], [198, 51, 100, 1]);
    let told = (
        event.family,
        event.protocol,
        event.source_port,
        event.destination_port,
    );
    assert_eq!(told, (4, 6, 40000, 443));
    assert_eq!((event.reason, event.country), (Block as u8, 7));
    assert_eq!(event.bytes as usize, v4.len());
    assert!(event.time_ns > 0);
    let v6 = Ip6::new("2001:db8::9", 17, udp(53, 443)).frame(&[VLAN]);
    rig.check("told", &v6, Block);
    let event = events.take().unwrap();
    assert_eq!(event.source, super::rig::v6("2001:db8::9"));
    let told = (
        event.family,
        event.protocol,
        event.source_port,
        event.destination_port,
    );
    assert_eq!(told, (6, 17, 53, 443));
    rig.check(
        "what passes is not told",
        &Ip4::tcp(STRANGER).frame(&[]),
        Pass,
    );
    assert_eq!(events.take(), None);
    assert_eq!(rig.maps.countries().unwrap(), [(7, 2)]);
    let noted: Vec<_> = rig.host.noted.borrow().clone();
    assert_eq!(noted, [(Block, 7), (Block, 7), (Block, 0)]);
}

#[test]
fn a_sample_is_one_in_so_many() {
    let mut rig = rig();
    let mut events = rig.maps.events().unwrap();
    rig.class4([203, 0, 113, 9], class::BLOCKED);
    rig.configure(Config {
        flags: rig.config.flags | flags::EVENTS,
        sample_mask: 15,
        ..rig.config
    });
    let frame = Ip4::tcp([203, 0, 113, 9]).frame(&[]);
    let run = rig
        .kernel
        .test_run(openclaw::shield::kernel::Subject::Shield, &frame, 1600);
    assert!(run.is_ok());
    let told = std::iter::from_fn(|| events.take()).count();
    // A run may move to another CPU, which counts for itself.
    assert!((90..=110).contains(&told), "{told} of 1,600");
    // A full ring loses events and nothing else.
    rig.configure(Config {
        sample_mask: 0,
        ..rig.config
    });
    let run = rig
        .kernel
        .test_run(openclaw::shield::kernel::Subject::Shield, &frame, 40_000);
    assert!(run.is_ok());
    let told = std::iter::from_fn(|| events.take()).count();
    let most = (1 << 20) / size_of::<Event>();
    assert!((10_000..=most).contains(&told), "{told} of 40,000");
}
