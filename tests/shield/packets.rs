//! What the kernel program and the host decide about the packet table, whole, cut, mutated, and in every mode.

use std::collections::HashSet;

use openclaw::shield::kernel::monotonic_ns;
use openclaw_common::{
    abi::{Config, flags, geo},
    decide::decide,
    packet::{Flow, Packet as _, Parsed, Transport, parse},
    verdict::Reason::{
        Allow, Ban, Block, Geo, Malformed, Off, Pass, WouldBan, WouldBlock, WouldGeo,
    },
};

use super::{
    frames::{Ip4, Ip6, QINQ, VLAN, authentication, extension, fragment, udp},
    rig::{Rig, block, ending},
    rows::{BLOCKED, HOUR, STRANGER, rig, rows},
};

#[test]
fn kernel_and_host_decide_every_row_as_expected() {
    let mut rig = rig();
    for (name, frame, expected) in rows() {
        rig.check(name, &frame, expected);
    }
}

#[test]
fn a_frame_cut_at_any_length_is_judged_alike_and_never_let_past_a_list() {
    let mut rig = rig();
    let v4 = Ip4 {
        options: vec![1; 8],
        ..Ip4::tcp(BLOCKED)
    }
    .frame(&[QINQ, VLAN]);
    let v6 = Ip6::tcp("2001:db8::1")
        .with(&[extension(0, 0), authentication(1), extension(60, 1)])
        .frame(&[VLAN]);
    for (frame, source_known) in [(&v4, 22 + 20), (&v6, 18 + 40)] {
        for length in 0..=frame.len() {
            let expected = if length < source_known {
                Malformed
            } else {
                Block
            };
            rig.check(
                &format!("{length} bytes of {}", frame.len()),
                &frame[..length],
                expected,
            );
        }
    }
}

#[test]
fn the_kill_switch_passes_everything() {
    let mut rig = rig();
    rig.configure(Config {
        flags: 0,
        monitored: u64::MAX,
        ..rig.config
    });
    for (name, frame, _) in rows() {
        rig.check(name, &frame, Off);
    }
    rig.configure(Config::OFF);
    rig.check("an empty configuration", &Ip4::tcp(BLOCKED).frame(&[]), Off);
}

#[test]
fn monitor_mode_counts_what_it_would_drop_and_passes() {
    let mut rig = rig();
    rig.configure(Config {
        monitored: u64::MAX,
        ..rig.config
    });
    for (name, frame, expected) in rows() {
        let expected = if expected == Ban {
            WouldBan
        } else if expected == Block {
            WouldBlock
        } else {
            expected
        };
        rig.check(name, &frame, expected);
    }
}

#[test]
fn countries_are_denied_or_the_only_ones() {
    let mut rig = rig();
    let (home, away): ([u8; 4], [u8; 4]) = ([81, 2, 69, 1], [81, 2, 70, 1]);
    rig.class4(home, 7);
    rig.class4(away, 200);
    rig.class6("2a00:1::", 200);
    rig.class6("2a00:2::", 7);
    let with = |rig: &mut Rig, mode, geo_mask| {
        rig.configure(Config {
            geo_mode: mode,
            geo_mask,
            ..rig.config
        });
    };
    with(&mut rig, geo::DENY, [0, 0, 0, 1 << (200 - 192)]);
    for (name, source, expected) in [
        ("home", home, Pass),
        ("away", away, Geo),
        ("unknown", STRANGER, Pass),
    ] {
        rig.check(name, &Ip4::tcp(source).frame(&[]), expected);
    }
    rig.check("v6 away", &Ip6::tcp("2a00:1::1").frame(&[]), Geo);
    rig.check("v6 home", &Ip6::tcp("2a00:2::1").frame(&[]), Pass);
    rig.check(
        "blocked comes before country",
        &Ip4::tcp(BLOCKED).frame(&[]),
        Block,
    );
    with(&mut rig, geo::ONLY, [1 << 7, 0, 0, 0]);
    for (name, source, expected) in [
        ("home", home, Pass),
        ("away", away, Geo),
        ("unknown", STRANGER, Geo),
    ] {
        rig.check(name, &Ip4::tcp(source).frame(&[]), expected);
    }
    rig.check(
        "allowed beats country",
        &Ip4::tcp([10, 1, 1, 1]).frame(&[]),
        Allow,
    );
    with(&mut rig, geo::ONLY, [1 << 7 | 1, 0, 0, 0]);
    rig.check("unknown, admitted", &Ip4::tcp(STRANGER).frame(&[]), Pass);
    with(&mut rig, geo::DENY, [0, 0, 0, 1 << (200 - 192)]);
    rig.configure(Config {
        monitored: u64::MAX,
        ..rig.config
    });
    rig.check("away, monitored", &Ip4::tcp(away).frame(&[]), WouldGeo);
}

/// The longest that a kernel takes between two ticks, in nanoseconds.
const TICK: u64 = 10_000_000;

#[test]
fn an_entry_ends_by_itself_and_counts_its_hits() {
    let mut rig = Rig::new();
    let source = [100, 64, 9, 9];
    let frame = Ip4::tcp(source).frame(&[]);
    let entry = ending(block(), HOUR);
    rig.ban4(source, entry);
    for _ in 0..3 {
        rig.check("while it lasts", &frame, Ban);
    }
    let held = rig.maps.ban4.get(source).unwrap();
    assert_eq!((held.hits, held.end()), (3, entry.until_ns));
    assert_eq!(rig.host.ban4[&source].hits.get(), 3);

    let end = ending(block(), 50_000_000);
    rig.ban4(source, end);
    // The kernel program may be a tick behind.
    while monotonic_ns() <= end.until_ns + TICK {
        std::thread::yield_now();
    }
    rig.check("afterwards", &frame, Pass);
    assert_eq!(rig.maps.ban4.get(source).unwrap().hits, 3);

    rig.fine4([172, 31, 0, 0], 28, block());
    rig.check(
        "a fine block",
        &Ip4::tcp([172, 31, 0, 15]).frame(&[]),
        Block,
    );
    let entries = rig.maps.fine4().entries().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].1.hits, 1);
}

#[test]
fn the_debug_log_changes_no_verdict() {
    let mut rig = rig();
    rig.configure(Config {
        flags: rig.config.flags | flags::DEBUG,
        ..rig.config
    });
    for (name, frame, expected) in rows() {
        rig.check(name, &frame, expected);
    }
}

#[test]
fn a_parsed_flow_has_the_ports_behind_every_header() {
    let frame = Ip6::tcp("2600::1")
        .with(&[extension(0, 0), fragment(1), authentication(3)])
        .frame(&[QINQ, VLAN]);
    let Parsed::Flow(flow) = parse(&frame[..]) else {
        panic!("not a flow")
    };
    assert_eq!(flow.transport, Transport::tcp(40000, 443, 2));
    assert!(flow.fragment);
    assert_eq!(flow.protocol, 6);
    let frame = Ip4 {
        options: vec![1; 12],
        ..Ip4::new(STRANGER, 17, udp(53, 4000))
    }
    .frame(&[VLAN]);
    let Parsed::Flow(flow) = parse(&frame[..]) else {
        panic!("not a flow")
    };
    assert_eq!(flow.transport, Transport::udp(53, 4000, 12));
    assert!(!flow.fragment);
    assert_eq!(frame[..].load::<2>(frame.len() - 1), None);
    assert_eq!(frame[..].load::<2>(usize::MAX), None);
}

#[test]
fn an_accepted_connection_is_judged_by_the_same_lists() {
    let rig = rig();
    for (peer, expected) in [
        ("203.0.113.9:1", Block),
        ("[::ffff:203.0.113.9]:1", Block),
        ("10.1.1.9:1", Allow),
        ("100.64.0.5:1", Ban),
        ("127.0.0.1:1", Pass),
        ("192.0.2.7:68", Pass),
        ("[2001:dba:0:1::9]:1", Ban),
        ("[fd00::1]:1", Block),
    ] {
        let flow = Flow::accepted(peer.parse().unwrap(), "198.51.100.1:67".parse().unwrap());
        let decision = decide(&rig.config, &flow, &&rig.host);
        assert_eq!(
            (decision.reason, decision.verdict),
            (expected, expected.verdict()),
            "{peer}"
        );
    }
    assert_eq!(
        decide(
            &Config::OFF,
            &Flow::accepted(
                "203.0.113.9:1".parse().unwrap(),
                "198.51.100.1:1".parse().unwrap()
            ),
            &&rig.host
        )
        .reason,
        Off
    );
}

/// Frames of the table, changed at random but repeatably: kernel and host must agree whatever comes.
#[test]
fn kernel_and_host_agree_on_mutated_frames() {
    let mut rig = rig();
    let seeds: Vec<Vec<u8>> = rows().into_iter().map(|(_, frame, _)| frame).collect();
    let mut random = fastrand::Rng::with_seed(0x6f70_656e_636c_6177);
    let mut seen = HashSet::new();
    for round in 0..4000 {
        let mut frame = seeds[round % seeds.len()].clone();
        for _ in 0..random.usize(1..6) {
            // Headers are where it matters.
            let at = random
                .usize(12..frame.len().clamp(13, 80))
                .min(frame.len() - 1);
            frame[at] = match random.u8(0..4) {
                0 => random.u8(..),
                1 => frame[at] ^ (1 << random.u8(0..8)),
                2 => [0, 4, 6, 17, 43, 44, 51, 58, 60, 0x81, 0x88, 0xff][random.usize(0..12)],
                _ => frame[at].wrapping_add(1),
            };
        }
        if random.u8(0..4) == 0 {
            frame.truncate(random.usize(14..=frame.len()));
        }
        let host = rig.host(&frame);
        assert_eq!(rig.kernel(&frame), host, "round {round}: {frame:02x?}");
        seen.insert(host.reason);
    }
    assert!(seen.len() >= 6, "mutations reach too little: {seen:?}");
}
