//! Packets that no list decides: impossible headers, fragments and short QUIC Initials, in the kernel and on the host.

use openclaw_common::{
    abi::{Config, checks, class},
    ports::Set,
    verdict::Reason::{
        self, Allow, BadFlags, Block, Fragment, Land, Malformed, Pass, QuicShort, WouldBlock,
        ZeroPort,
    },
};

use super::{
    frames::{Ip4, Ip6, QINQ, VLAN, extension, fragment, tcp, udp},
    rig::{Rig, block},
    rows::{Row, STRANGER},
};

const STRANGER6: &str = "2600::7";

const ALL: u32 = checks::INVALID
    | checks::LAND
    | checks::FRAGMENTS_TCP
    | checks::FRAGMENTS_UDP
    | checks::PORTS
    | checks::PORTS_UDP;

fn rig() -> Rig {
    let mut rig = Rig::new();
    rig.class4([10, 1, 1, 0], class::ALLOWED);
    rig.class6("2001:db9::", class::ALLOWED);
    rig.class4([203, 0, 113, 0], class::BLOCKED);
    rig.protect(Set::Tcp, &[443]);
    rig.protect(Set::Udp, &[443, 53]);
    rig.protect(Set::Quic, &[443]);
    rig.configure(Config {
        checks: ALL,
        ..rig.config
    });
    rig
}

/// A TCP header with these flags and this length in words.
fn flags(flags: u8, words: u8) -> Vec<u8> {
    let mut header = tcp(40000, 443);
    header[12] = words << 4;
    header[13] = flags;
    header
}

/// A UDP datagram to a port with `payload` bytes that begin as said.
fn datagram(port: u16, start: &[u8], payload: usize) -> Vec<u8> {
    let mut bytes = udp(40000, port)[..8].to_vec();
    bytes[4..6].copy_from_slice(&(8 + payload as u16).to_be_bytes());
    bytes.extend(start);
    bytes.resize(8 + payload, 0);
    bytes
}

/// Both families, plain and behind tags and extension headers.
fn frames(protocol: u8, payload: &[u8]) -> Vec<Vec<u8>> {
    let v4 = Ip4::new(STRANGER, protocol, payload.to_vec());
    let with_options = Ip4 {
        options: vec![1; 12],
        ..v4.clone()
    };
    let v6 = Ip6::new(STRANGER6, protocol, payload.to_vec());
    let extended = v6.clone().with(&[extension(0, 0), extension(60, 1)]);
    vec![
        v4.frame(&[]),
        with_options.frame(&[QINQ, VLAN]),
        v6.frame(&[]),
        extended.frame(&[VLAN]),
    ]
}

/// A header, and what becomes of it in either family.
#[rustfmt::skip]
fn transports() -> Vec<(&'static str, u8, Vec<u8>, Reason)> {
    const V1: [u8; 5] = [0xc0, 0, 0, 0, 1];
    const V2: [u8; 5] = [0xd0, 0x6b, 0x33, 0x43, 0xcf];
    vec![
        ("a SYN", 6, flags(0x02, 5), Pass),
        ("an ACK", 6, flags(0x10, 8), Pass),
        ("FIN and ACK", 6, flags(0x11, 5), Pass),
        ("a SYN with ECN", 6, flags(0xc2, 5), Pass),
        ("SYN and FIN", 6, flags(0x03, 5), BadFlags),
        ("SYN and RST", 6, flags(0x06, 5), BadFlags),
        ("all flags", 6, flags(0xff, 5), BadFlags),
        ("no flags", 6, flags(0x00, 5), BadFlags),
        ("FIN without ACK", 6, flags(0x29, 5), BadFlags),
        ("a reset alone", 6, flags(0x04, 5), Pass),
        ("ECN flags alone", 6, flags(0xc0, 5), BadFlags),
        ("a header of four words", 6, flags(0x10, 4), BadFlags),
        ("a header of no words", 6, flags(0x10, 0), BadFlags),
        ("TCP from port 0", 6, tcp(0, 443), ZeroPort),
        ("TCP to port 0", 6, tcp(40000, 0), ZeroPort),
        ("UDP from port 0", 17, udp(0, 9), ZeroPort),
        ("UDP to port 0", 17, udp(9, 0), ZeroPort),
        ("UDP elsewhere", 17, udp(9, 9), Pass),
        ("an Initial of 1,199 bytes", 17, datagram(443, &V1, 1199), QuicShort),
        ("an Initial of 1,200 bytes", 17, datagram(443, &V1, 1200), Pass),
        ("a short Initial of version 2", 17, datagram(443, &V2, 700), QuicShort),
        ("a Handshake of version 1", 17, datagram(443, &[0xe0, 0, 0, 0, 1], 60), Pass),
        ("0-RTT of version 2", 17, datagram(443, &[0xe0, 0x6b, 0x33, 0x43, 0xcf], 60), Pass),
        ("a short one of an unknown version", 17, datagram(443, &[0xc0, 0xff, 0, 0, 29], 60), Pass),
        ("a short header", 17, datagram(443, &[0x40, 0, 0, 0, 1], 60), Pass),
        ("less than a version", 17, datagram(443, &V1[..4], 4), Pass),
        ("nothing", 17, datagram(443, &[], 0), Pass),
        ("the same to a port without QUIC", 17, datagram(53, &V1, 60), Pass),
        ("the same to a port of nobody", 17, datagram(5353, &V1, 60), Pass),
        ("another protocol", 47, vec![0; 8], Pass),
    ]
}

/// Fragments and packets to oneself.
#[rustfmt::skip]
fn packets() -> Vec<Row> {
    let piece = |source, protocol, fragment, payload| Ip4 { fragment, ..Ip4::new(source, protocol, payload) }.frame(&[]);
    let piece6 = |source, protocol, offset, payload| Ip6::new(source, protocol, payload).with(&[fragment(offset)]).frame(&[]);
    let here = [198, 51, 100, 1];
    vec![
        ("first fragment", piece(STRANGER, 6, 0x2000, tcp(40000, 443)), Fragment),
        ("first fragment to a port of nobody", piece(STRANGER, 17, 0x2000, udp(9, 9)), Fragment),
        ("later fragment", piece(STRANGER, 17, 0x00b9, vec![0; 64]), Fragment),
        ("first fragment, cut within the header", piece(STRANGER, 6, 0x2000, vec![0; 8]), Fragment),
        ("a fragment of a protocol without ports", piece(STRANGER, 1, 0x2000, vec![8; 8]), Pass),
        ("an allowed fragment", piece([10, 1, 1, 7], 6, 0x2000, tcp(40000, 443)), Allow),
        ("a blocked fragment", piece([203, 0, 113, 7], 6, 0x2000, tcp(40000, 443)), Block),
        ("a loopback fragment", piece([127, 0, 0, 9], 6, 0x2000, tcp(40000, 443)), Pass),
        ("whole, cut within the header", piece(STRANGER, 6, 0x4000, vec![0; 8]), Malformed),
        ("v6 first fragment", piece6(STRANGER6, 6, 1, tcp(40000, 443)), Fragment),
        ("v6 later fragment", piece6(STRANGER6, 17, 0x0101, vec![0; 64]), Fragment),
        ("v6 allowed fragment", piece6("2001:db9::1", 17, 1, udp(9, 9)), Allow),
        ("v6 ICMP fragment", piece6(STRANGER6, 58, 1, vec![128; 8]), Pass),
        ("from and to the same address", Ip4::tcp(here).frame(&[]), Land),
        ("the same by UDP", Ip4::new(here, 17, udp(9, 9)).frame(&[VLAN]), Land),
        ("v6 from and to the same address", Ip6::tcp("2001:db8:ffff::1").frame(&[]), Land),
        ("from and to the same allowed address", to_itself(Ip4::tcp([10, 1, 1, 7]).frame(&[])), Land),
        ("from and to the same loopback address", to_itself(Ip4::tcp([127, 0, 0, 9]).frame(&[])), Pass),
        ("an allowed source with impossible flags", Ip4::new([10, 1, 1, 7], 6, flags(3, 5)).frame(&[]), Allow),
    ]
}

/// Without tags.
fn to_itself(mut frame: Vec<u8>) -> Vec<u8> {
    frame.copy_within(26..30, 30);
    frame
}

#[test]
fn impossible_headers_and_fragments_are_dropped() {
    let mut rig = rig();
    for (name, protocol, payload, expected) in transports() {
        for frame in frames(protocol, &payload) {
            rig.check(name, &frame, expected);
        }
    }
    for (name, frame, expected) in packets() {
        rig.check(name, &frame, expected);
    }
}

#[test]
fn what_is_monitored_is_counted_and_what_is_off_is_not_looked_at() {
    let mut rig = rig();
    let enforced = rig.config;
    for (monitored, checks) in [(u64::MAX, ALL), (0, 0)] {
        rig.configure(Config {
            monitored,
            checks,
            ..enforced
        });
        let becomes = |expected: Reason| match (checks, expected) {
            (0, BadFlags | Land | ZeroPort | QuicShort) => Pass,
            (0, other) => other,
            (_, other) => other.monitored(),
        };
        for (name, protocol, payload, expected) in transports() {
            for frame in frames(protocol, &payload) {
                rig.check(name, &frame, becomes(expected));
            }
        }
    }
    rig.configure(Config {
        checks: ALL & !checks::FRAGMENTS_UDP,
        ..enforced
    });
    let piece = |protocol| {
        let whole = Ip4::new(STRANGER, protocol, vec![0; 64]);
        Ip4 {
            fragment: 7,
            ..whole
        }
        .frame(&[])
    };
    rig.check("a fragment of UDP, which may pass", &piece(17), Pass);
    rig.check("a fragment of TCP, which may not", &piece(6), Fragment);
}

#[test]
fn a_monitored_rule_does_not_shield_a_source_from_the_others() {
    let mut rig = rig();
    let source = [203, 0, 113, 7];
    rig.fine4([203, 0, 113, 0], 25, block());
    let plain = Ip4::tcp(source).frame(&[]);
    let impossible = Ip4::new(source, 6, flags(3, 5)).frame(&[]);
    let monitored = |reasons: &[Reason]| {
        let bits = reasons.iter().map(|reason| 1 << *reason as u64);
        bits.fold(0, |all, bit: u64| all | bit)
    };
    for (rules, on_plain, on_impossible) in [
        (vec![], Block, Block),
        (vec![Block], WouldBlock, BadFlags),
        (vec![BadFlags], Block, Block),
        (vec![Block, BadFlags], WouldBlock, WouldBlock),
    ] {
        rig.configure(Config {
            monitored: monitored(&rules),
            ..rig.config
        });
        rig.check("a blocked source", &plain, on_plain);
        rig.check("its impossible flags", &impossible, on_impossible);
    }
}
