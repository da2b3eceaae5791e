//! The packet table: each row is a frame and the reason that the kernel program and the host must both give for it.

use openclaw_common::{
    abi::{Config, Entry, class, flags, geo},
    packet::{Packet as _, Parsed, Transport, parse},
    verdict::Reason::{
        self, Allow, Ban, Block, Geo, Malformed, NonIp, Off, Pass, WouldBan, WouldBlock, WouldGeo,
    },
};

use super::{
    frames::{Ip4, Ip6, QINQ, VLAN, authentication, ethernet, extension, fragment, icmp6, udp},
    rig::{Rig, allow, block, ending},
};

const HOUR: i64 = 3_600_000_000_000;
const STRANGER: [u8; 4] = [192, 0, 2, 7];
const BLOCKED: [u8; 4] = [203, 0, 113, 9];
const BANNED: [u8; 4] = [100, 64, 0, 5];

/// Lists that exercise every bit; see the rows for what they mean.
fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.class4(BLOCKED, class::BLOCKED);
    rig.class4([10, 1, 1, 0], class::ALLOWED | class::BLOCKED);
    rig.ban4([10, 1, 1, 9], block());
    rig.ban4(BANNED, ending(block(), HOUR));
    rig.ban4([100, 64, 0, 6], ending(block(), -1));
    rig.ban4([100, 64, 0, 7], block());
    // A block within a free /24, and an allowed part of a blocked one that also has a ban inside.
    rig.fine4([172, 16, 5, 64], 26, block());
    rig.class4([172, 16, 6, 0], class::BLOCKED);
    rig.fine4([172, 16, 6, 128], 25, allow());
    rig.ban4([172, 16, 6, 200], block());
    rig.ban4([172, 16, 6, 3], block());
    rig.fine4([172, 16, 7, 0], 24, ending(block(), HOUR));
    rig.fine4([172, 16, 8, 0], 24, ending(block(), -1));
    rig.fine4([172, 16, 9, 0], 25, ending(allow(), -1));
    rig.class4([172, 16, 9, 0], class::BLOCKED);
    // Everything that must never be lost, on a block list.
    rig.class4([127, 0, 0, 0], class::BLOCKED);
    rig.class4([0, 0, 0, 0], class::BLOCKED);
    rig.class6("::", class::BLOCKED);
    rig.class6("fe80::", class::BLOCKED);

    rig.class6("2001:db8::", class::BLOCKED);
    rig.class6("2001:db9::", class::ALLOWED | class::BLOCKED);
    rig.ban6("2001:dba:0:1::", 64, ending(block(), HOUR));
    rig.ban6("2001:dba:0:2::5", 128, block());
    rig.ban6("2001:dba:0:3::", 64, ending(block(), -1));
    rig.fine6("2001:dbb:1::", 48, block());
    rig.class6("2001:dbb::", class::FINE);
    rig.class6("2001:dbc::", class::FINE | class::BLOCKED);
    rig.fine6("2001:dbc:1::", 48, allow());
    // Wider than a /32: reached through the default word.
    rig.fine6("fc00::", 7, block());
    let config = Config {
        flags: flags::ENABLED,
        default6: class::FINE,
        ..Config::OFF
    };
    rig.configure(config);
    rig
}

fn v4_rows() -> Vec<(&'static str, Vec<u8>, Reason)> {
    let tcp = |source| Ip4::tcp(source).frame(&[]);
    let options = |length| {
        Ip4 {
            options: vec![1; length],
            ..Ip4::tcp(BLOCKED)
        }
        .frame(&[])
    };
    let fragment = |fragment| {
        Ip4 {
            fragment,
            payload: vec![0; 3],
            ..Ip4::tcp(BLOCKED)
        }
        .frame(&[])
    };
    let dhcp = |source, destination| Ip4::new([0; 4], 17, udp(source, destination)).frame(&[]);
    vec![
        ("a stranger", tcp(STRANGER), Pass),
        (
            "a stranger by UDP",
            Ip4::new(STRANGER, 17, udp(4000, 443)).frame(&[]),
            Pass,
        ),
        (
            "a stranger by another protocol",
            Ip4::new(STRANGER, 47, vec![0; 8]).frame(&[]),
            Pass,
        ),
        ("a blocked /24", tcp(BLOCKED), Block),
        ("its neighbour", tcp([203, 0, 114, 9]), Pass),
        (
            "blocked, in a VLAN",
            Ip4::tcp(BLOCKED).frame(&[VLAN]),
            Block,
        ),
        (
            "blocked, in an 802.1ad tag",
            Ip4::tcp(BLOCKED).frame(&[QINQ]),
            Block,
        ),
        (
            "blocked, in QinQ",
            Ip4::tcp(BLOCKED).frame(&[QINQ, VLAN]),
            Block,
        ),
        (
            "blocked, in two VLAN tags",
            Ip4::tcp(BLOCKED).frame(&[VLAN, VLAN]),
            Block,
        ),
        (
            "three tags",
            Ip4::tcp(BLOCKED).frame(&[QINQ, VLAN, VLAN]),
            Malformed,
        ),
        (
            "a stranger in QinQ",
            Ip4::tcp(STRANGER).frame(&[QINQ, VLAN]),
            Pass,
        ),
        ("blocked, with options", options(4), Block),
        ("blocked, with all options", options(40), Block),
        ("blocked, first fragment", fragment(0x2000), Block),
        ("blocked, later fragment", fragment(0x2010), Block),
        (
            "a stranger's later fragment",
            Ip4 {
                fragment: 5,
                payload: vec![0; 3],
                ..Ip4::tcp(STRANGER)
            }
            .frame(&[]),
            Pass,
        ),
        (
            "blocked, transport header cut",
            Ip4::new(BLOCKED, 6, vec![0; 3]).frame(&[]),
            Block,
        ),
        (
            "a stranger, transport header cut",
            Ip4::new(STRANGER, 6, vec![0; 3]).frame(&[]),
            Malformed,
        ),
        (
            "a stranger, no transport header",
            Ip4::new(STRANGER, 17, vec![]).frame(&[]),
            Malformed,
        ),
        (
            "allowed beats blocked and banned, whole /24",
            tcp([10, 1, 1, 9]),
            Allow,
        ),
        ("banned", tcp(BANNED), Ban),
        (
            "banned, by UDP",
            Ip4::new(BANNED, 17, udp(4000, 443)).frame(&[VLAN]),
            Ban,
        ),
        ("a ban that has ended", tcp([100, 64, 0, 6]), Pass),
        ("banned for good", tcp([100, 64, 0, 7]), Ban),
        ("beside a banned address", tcp([100, 64, 0, 8]), Pass),
        ("a fine block, first address", tcp([172, 16, 5, 64]), Block),
        ("a fine block, last address", tcp([172, 16, 5, 127]), Block),
        ("below a fine block", tcp([172, 16, 5, 63]), Pass),
        ("above a fine block", tcp([172, 16, 5, 128]), Pass),
        (
            "a fine allow beats the block around it",
            tcp([172, 16, 6, 130]),
            Allow,
        ),
        ("a fine allow beats a ban", tcp([172, 16, 6, 200]), Allow),
        ("outside the fine allow", tcp([172, 16, 6, 2]), Block),
        ("ban comes before block", tcp([172, 16, 6, 3]), Ban),
        ("a fine block with an end", tcp([172, 16, 7, 1]), Block),
        ("a fine block that has ended", tcp([172, 16, 8, 1]), Pass),
        ("a fine allow that has ended", tcp([172, 16, 9, 1]), Block),
        ("the local host on a block list", tcp([127, 0, 0, 1]), Pass),
        (
            "another loopback address on a block list",
            tcp([127, 0, 0, 2]),
            Block,
        ),
        ("a DHCP client on a block list", dhcp(68, 67), Pass),
        ("a DHCP server on a block list", dhcp(67, 68), Pass),
        ("not DHCP", dhcp(68, 53), Block),
        (
            "a header length below five words",
            {
                let mut f = tcp(BLOCKED);
                f[14] = 0x44;
                f
            },
            Malformed,
        ),
        (
            "not version 4",
            {
                let mut f = tcp(BLOCKED);
                f[14] = 0x65;
                f
            },
            Malformed,
        ),
    ]
}

fn v6_rows() -> Vec<(&'static str, Vec<u8>, Reason)> {
    let tcp = |source| Ip6::tcp(source).frame(&[]);
    let chain = |source, extensions: &[_]| Ip6::tcp(source).with(extensions).frame(&[]);
    let discovery = |kind| Ip6 {
        hop_limit: 255,
        ..Ip6::new("fe80::1", 58, icmp6(kind))
    };
    let many = |count: usize| vec![extension(60, 1); count];
    vec![
        ("v6 stranger", tcp("2600::1"), Pass),
        ("v6 blocked /32", tcp("2001:db8::1"), Block),
        ("v6 its neighbour", tcp("2001:db7::1"), Pass),
        (
            "v6 blocked, in a VLAN",
            Ip6::tcp("2001:db8::1").frame(&[VLAN]),
            Block,
        ),
        (
            "v6 blocked, in QinQ",
            Ip6::tcp("2001:db8::1").frame(&[QINQ, VLAN]),
            Block,
        ),
        ("v6 allowed beats blocked", tcp("2001:db9::1"), Allow),
        ("v6 banned /64", tcp("2001:dba:0:1:ffff::9"), Ban),
        ("v6 banned /128", tcp("2001:dba:0:2::5"), Ban),
        ("v6 beside a banned /128", tcp("2001:dba:0:2::6"), Pass),
        ("v6 a ban that has ended", tcp("2001:dba:0:3::1"), Pass),
        ("v6 fine block", tcp("2001:dbb:1:ffff::1"), Block),
        ("v6 outside the fine block", tcp("2001:dbb:2::1"), Pass),
        ("v6 fine allow", tcp("2001:dbc:1::1"), Allow),
        ("v6 outside the fine allow", tcp("2001:dbc:2::1"), Block),
        ("v6 wider than a /32", tcp("fd00::1"), Block),
        ("v6 the local host on a block list", tcp("::1"), Pass),
        ("v6 beside the local host", tcp("::2"), Block),
        (
            "v6 hop-by-hop",
            chain("2001:db8::1", &[extension(0, 0)]),
            Block,
        ),
        ("v6 six extension headers", chain("2600::1", &many(6)), Pass),
        (
            "v6 seven extension headers",
            chain("2600::1", &many(7)),
            Malformed,
        ),
        (
            "v6 blocked, seven extension headers",
            chain("2001:db8::1", &many(7)),
            Block,
        ),
        (
            "v6 every kind",
            chain(
                "2600::1",
                &[
                    extension(0, 0),
                    extension(43, 2),
                    fragment(1),
                    authentication(4),
                    extension(60, 0),
                ],
            ),
            Pass,
        ),
        (
            "v6 long extension headers",
            chain("2600::1", &[extension(60, 255), extension(60, 90)]),
            Pass,
        ),
        (
            "v6 first fragment",
            chain("2001:db8::1", &[fragment(1)]),
            Block,
        ),
        (
            "v6 later fragment with nothing behind",
            Ip6::new("2600::1", 6, vec![0; 2])
                .with(&[fragment(0x0100)])
                .frame(&[]),
            Pass,
        ),
        (
            "v6 no next header",
            Ip6::new("2600::1", 59, vec![]).frame(&[]),
            Pass,
        ),
        (
            "v6 transport header cut behind a chain",
            Ip6::new("2600::1", 6, vec![0; 5]).with(&many(2)).frame(&[]),
            Malformed,
        ),
        (
            "v6 extension longer than the frame",
            {
                let mut f = chain("2600::1", &many(1));
                f[55] = 200;
                f
            },
            Malformed,
        ),
        (
            "v6 neighbour solicitation on a block list",
            discovery(135).frame(&[]),
            Pass,
        ),
        (
            "v6 router advertisement in a VLAN",
            discovery(134).frame(&[VLAN]),
            Pass,
        ),
        ("v6 redirect", discovery(137).frame(&[]), Pass),
        (
            "v6 discovery through a router",
            Ip6 {
                hop_limit: 64,
                ..discovery(135)
            }
            .frame(&[]),
            Block,
        ),
        (
            "v6 discovery in a fragment",
            discovery(135).with(&[fragment(1)]).frame(&[]),
            Block,
        ),
        ("v6 echo request", discovery(128).frame(&[]), Block),
        (
            "v6 DHCP client",
            Ip6::new("fe80::1", 17, udp(546, 547)).frame(&[]),
            Pass,
        ),
        (
            "v6 DHCP server",
            Ip6::new("fe80::1", 17, udp(547, 546)).frame(&[]),
            Pass,
        ),
        (
            "v6 not DHCP",
            Ip6::new("fe80::1", 17, udp(68, 67)).frame(&[]),
            Block,
        ),
        (
            "v6 not version 6",
            {
                let mut f = tcp("2001:db8::1");
                f[14] = 0x45;
                f
            },
            Malformed,
        ),
        (
            "ARP",
            {
                let mut f = ethernet(&[], [8, 6]);
                f.extend([0; 28]);
                f
            },
            NonIp,
        ),
        (
            "ARP in a VLAN",
            {
                let mut f = ethernet(&[VLAN], [8, 6]);
                f.extend([0; 28]);
                f
            },
            NonIp,
        ),
        (
            "802.3 with a length",
            {
                let mut f = ethernet(&[], [0, 40]);
                f.extend([0x42; 40]);
                f
            },
            NonIp,
        ),
        ("nothing but Ethernet", ethernet(&[], [8, 0]), Malformed),
        ("a tag and no more", ethernet(&[], VLAN), Malformed),
    ]
}

#[test]
fn kernel_and_host_decide_every_row_as_expected() {
    let mut rig = rig();
    for (name, frame, expected) in v4_rows().into_iter().chain(v6_rows()) {
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
        flags: flags::MONITOR,
        ..rig.config
    });
    for (name, frame, _) in v4_rows().into_iter().chain(v6_rows()) {
        rig.check(name, &frame, Off);
    }
    rig.configure(Config::OFF);
    rig.check("an empty configuration", &Ip4::tcp(BLOCKED).frame(&[]), Off);
}

#[test]
fn monitor_mode_counts_what_it_would_drop_and_passes() {
    let mut rig = rig();
    rig.configure(Config {
        flags: rig.config.flags | flags::MONITOR,
        ..rig.config
    });
    for (name, frame, expected) in v4_rows().into_iter().chain(v6_rows()) {
        let expected = match expected {
            Ban => WouldBan,
            Block => WouldBlock,
            other => other,
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
        })
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
        flags: flags::ENABLED | flags::MONITOR,
        ..rig.config
    });
    rig.check("away, monitored", &Ip4::tcp(away).frame(&[]), WouldGeo);
}

#[test]
fn an_entry_ends_by_itself_and_counts_its_hits() {
    let mut rig = Rig::new();
    let source = [100, 64, 9, 9];
    let frame = Ip4::tcp(source).frame(&[]);
    let entry = Entry {
        rule: 42,
        ..ending(block(), HOUR)
    };
    rig.ban4(source, entry);
    for _ in 0..3 {
        rig.check("while it lasts", &frame, Ban);
    }
    let held = rig.maps.ban4.get(&source).unwrap().unwrap();
    assert_eq!(
        (held.hits, held.rule, held.until_ns),
        (3, 42, entry.until_ns)
    );
    assert_eq!(rig.host.ban4[&source].hits.get(), 3);

    let end = ending(block(), 50_000_000);
    rig.ban4(source, end);
    while openclaw::shield::kernel::monotonic_ns() <= end.until_ns {
        std::thread::yield_now();
    }
    rig.check("afterwards", &frame, Pass);
    assert_eq!(rig.maps.ban4.get(&source).unwrap().unwrap().hits, 0);

    rig.fine4([172, 31, 0, 0], 28, block());
    rig.check(
        "a fine block",
        &Ip4::tcp([172, 31, 0, 15]).frame(&[]),
        Block,
    );
    let entries = rig.maps.fine4.entries().unwrap();
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
    for (name, frame, expected) in v4_rows().into_iter().chain(v6_rows()) {
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
    assert_eq!(
        flow.transport,
        Transport::Tcp {
            source: 40000,
            destination: 443,
            flags: 2
        }
    );
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
    assert_eq!(
        flow.transport,
        Transport::Udp {
            source: 53,
            destination: 4000
        }
    );
    assert!(!flow.fragment);
    assert_eq!(frame[..].load::<2>(frame.len() - 1), None);
    assert_eq!(frame[..].load::<2>(usize::MAX), None);
}

/// Frames of the table, changed at random but repeatably: kernel and host must agree whatever comes.
#[test]
fn kernel_and_host_agree_on_mutated_frames() {
    let mut rig = rig();
    let seeds: Vec<Vec<u8>> = v4_rows()
        .into_iter()
        .chain(v6_rows())
        .map(|(_, frame, _)| frame)
        .collect();
    let mut random = fastrand::Rng::with_seed(0x6f70_656e_636c_6177);
    let mut seen = std::collections::HashSet::new();
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
