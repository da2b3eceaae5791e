//! SYNs answered with cookies, frame by frame, and the ACKs that bring them back. The kernel makes and checks the cookies, so these
//! run in a namespace with a listener.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    sync::Arc,
};

use openclaw::shield::kernel::{Kernel, Maps, Subject};
use openclaw_common::{
    abi::{Config, Cookies, Limit, Served, checks, cookies, flags},
    ports::Set,
    verdict::{Reason, Verdict},
};

use super::{
    frames::{QINQ, VLAN, ethernet},
    net::{CLIENT4, CLIENT6, Net, SERVER4, SERVER6, inside},
    rig::{PinDir, load},
};

const FULL: u32 = cookies::TIMESTAMPS | cookies::SACK | cookies::SCALING;
const OUR_SCALE: u8 = 9;
/// MSS 1460, SACK permitted, timestamps, window scale 7, as Linux sends them.
pub const LINUX: [u8; 20] = [
    2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7,
];
const SEQUENCE: u32 = 0xffff_ffff;
const PORT: u16 = 40_000;

/// A namespace with a listener, and the program.
struct Bed {
    net: Net,
    kernel: Kernel,
    maps: Arc<Maps>,
    listeners: Vec<TcpListener>,
    _pins: PinDir,
}

/// An answer, taken apart.
#[derive(Debug, PartialEq)]
struct Answer {
    hop_limit: u8,
    sequence: u32,
    acknowledged: u32,
    flags: u8,
    window: u16,
    options: Vec<u8>,
}

impl Bed {
    fn new() -> Self {
        let (net, pins) = (Net::new(), PinDir::new());
        let kernel = load(&pins);
        let listeners = [SERVER4, SERVER6]
            .map(|address| inside(&net.server, || TcpListener::bind((address, 0)).unwrap()))
            .into();
        let maps = kernel.maps();
        let bed = Self {
            net,
            kernel,
            maps,
            listeners,
            _pins: pins,
        };
        for listener in &bed.listeners {
            let address = listener.local_addr().unwrap();
            let served = Served::new(address.ip().into(), address.port());
            bed.maps.served.insert(&served, &1).unwrap();
        }
        let ports: Vec<u16> = [bed.server(4).port(), bed.server(6).port()].into();
        bed.maps.set_ports(Set::Tcp, ports).unwrap();
        bed.configure(1, cookies::RAW | FULL);
        bed
    }

    fn configure(&self, attack: u32, flags: u32) {
        self.set(attack, flags, Limit::NONE, u64::MAX);
    }

    fn set(&self, attack: u32, flags: u32, answers: Limit, keep_ns: u64) {
        let cookies = Cookies {
            flags,
            mss4: 1400,
            mss6: 1380,
            scale: OUR_SCALE,
            keep_ns,
            answers,
            ..Cookies::NONE
        };
        let config = Config {
            flags: flags::ENABLED,
            checks: checks::PORTS,
            attack,
            cookies,
            ..Config::OFF
        };
        self.maps.begin(&config).unwrap();
    }

    fn sysctl(&self, name: &str, value: &str) {
        let path = format!("/proc/sys/net/ipv4/{name}");
        inside(&self.net.server, || std::fs::write(path, value).unwrap());
    }

    fn server(&self, family: u8) -> SocketAddr {
        self.listeners[usize::from(family == 6)]
            .local_addr()
            .unwrap()
    }

    /// A segment from the client to the listener of the family, behind these tags.
    fn segment(
        &self,
        family: u8,
        tags: &[[u8; 2]],
        flags: u8,
        numbers: [u32; 2],
        options: &[u8],
    ) -> Vec<u8> {
        let server = self.server(family);
        let client: IpAddr = if family == 6 { CLIENT6 } else { CLIENT4 }.parse().unwrap();
        let mut tcp = [PORT.to_be_bytes(), server.port().to_be_bytes()].concat();
        tcp.extend(numbers[0].to_be_bytes());
        tcp.extend(numbers[1].to_be_bytes());
        tcp.extend([
            ((20 + options.len()) as u8 / 4) << 4,
            flags,
            0xfa,
            0xf0,
            0,
            0,
            0,
            0,
        ]);
        tcp.extend(options);
        packet(tags, client, server.ip(), &tcp)
    }

    fn syn(&self, family: u8, tags: &[[u8; 2]], options: &[u8]) -> Vec<u8> {
        self.segment(family, tags, 0x02, [SEQUENCE, 0], options)
    }

    /// What the program makes of the frame, and the reason that it counted.
    fn run(&mut self, frame: &[u8]) -> (Reason, Verdict, Vec<u8>) {
        let before = self.maps.counters.total().unwrap();
        let (kernel, namespace) = (&mut self.kernel, &*self.net.server);
        let (run, after) = inside(namespace, || kernel.test_frame(Subject::Shield, frame)).unwrap();
        let stats = self.maps.counters.total().unwrap();
        let mut moved = before
            .iter()
            .zip(&stats)
            .filter(|(before, after)| before.1.packets != after.1.packets);
        let (_, (reason, _)) = moved.next().unwrap();
        assert_eq!(moved.next(), None);
        (*reason, run.verdict, after)
    }

    #[track_caller]
    fn check(&mut self, frame: &[u8], expected: Reason) -> Vec<u8> {
        let (reason, verdict, after) = self.run(frame);
        assert_eq!((reason, verdict), (expected, expected.verdict()));
        if verdict == Verdict::Tx {
            return after;
        }
        assert_eq!(after, frame, "only an answer changes the frame");
        after
    }

    /// Checks addresses, lengths and checksums of an answer to `syn`, and takes it apart.
    #[track_caller]
    fn answer(&mut self, family: u8, tags: &[[u8; 2]], syn: &[u8]) -> Answer {
        let frame = self.check(syn, Reason::SynCookie);
        assert_eq!((&frame[..6], &frame[6..12]), (&syn[6..12], &syn[..6]));
        let network = 14 + 4 * tags.len();
        assert_eq!(frame[12..network], syn[12..network]);
        let ip = &frame[network..];
        let (tcp, hop_limit, pseudo) = if family == 6 {
            let length = usize::from(u16::from_be_bytes([ip[4], ip[5]]));
            assert_eq!((ip[0], ip[6]), (0x60, 6));
            assert_eq!(
                (&ip[8..24], &ip[24..40]),
                (
                    &syn[network + 24..network + 40],
                    &syn[network + 8..network + 24]
                )
            );
            (&ip[40..40 + length], ip[7], ip[8..40].to_vec())
        } else {
            let length = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
            assert_eq!((ip[0], ip[6], ip[9]), (0x45, 0x40, 6));
            assert_eq!(sum(&ip[..20]), 0xffff, "checksum of the IPv4 header");
            assert_eq!(
                (&ip[12..16], &ip[16..20]),
                (
                    &syn[network + 16..network + 20],
                    &syn[network + 12..network + 16]
                )
            );
            (&ip[20..length], ip[8], ip[12..20].to_vec())
        };
        let mut covered = pseudo;
        covered.extend([0, 6]);
        covered.extend((tcp.len() as u16).to_be_bytes());
        covered.extend(tcp);
        assert_eq!(sum(&covered), 0xffff, "checksum of the segment");
        assert_eq!(usize::from(tcp[12] >> 4) * 4, tcp.len());
        assert_eq!(tcp[..2], self.server(family).port().to_be_bytes());
        assert_eq!(tcp[2..4], PORT.to_be_bytes());
        let word = |at: usize| u32::from_be_bytes(tcp[at..at + 4].try_into().unwrap());
        Answer {
            hop_limit,
            sequence: word(4),
            acknowledged: word(8),
            flags: tcp[13],
            window: u16::from_be_bytes([tcp[14], tcp[15]]),
            options: tcp[20..].to_vec(),
        }
    }
}

/// A packet with its headers; checksums are left at zero, as a virtual interface delivers them.
fn packet(tags: &[[u8; 2]], from: IpAddr, to: IpAddr, tcp: &[u8]) -> Vec<u8> {
    let length = tcp.len() as u16;
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut frame = ethernet(tags, [8, 0]);
            frame.extend([0x45, 0]);
            frame.extend((20 + length).to_be_bytes());
            frame.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
            frame.extend(from.octets());
            frame.extend(to.octets());
            frame.extend(tcp);
            frame
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut frame = ethernet(tags, [0x86, 0xdd]);
            frame.extend([0x60, 0, 0, 0]);
            frame.extend(length.to_be_bytes());
            frame.extend([6, 64]);
            frame.extend(from.octets());
            frame.extend(to.octets());
            frame.extend(tcp);
            frame
        }
        _ => panic!("two families"),
    }
}

/// Sum in ones' complement of words of two bytes (RFC 1071).
pub fn sum(bytes: &[u8]) -> u32 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

#[test]
fn a_syn_is_answered_with_its_options_behind_any_tags() {
    let mut bed = Bed::new();
    for family in [4, 6] {
        let mss = if family == 6 { 1380_u16 } else { 1400 }.to_be_bytes();
        for tags in [&[][..], &[VLAN], &[QINQ, VLAN]] {
            let syn = bed.syn(family, tags, &LINUX);
            let answer = bed.answer(family, tags, &syn);
            assert_eq!((answer.hop_limit, answer.flags), (64, 0x12));
            assert_eq!((answer.acknowledged, answer.window), (0, 64_240));
            let (head, stamps) = (&answer.options[..8], &answer.options[8..16]);
            assert_eq!(head, [2, 4, mss[0], mss[1], 4, 2, 8, 10]);
            assert_eq!(stamps[4..], LINUX[8..12], "their timestamp comes back");
            assert_eq!(
                stamps[3] & 0x3f,
                7 | 0x10,
                "scale and SACK in our timestamp"
            );
            assert_eq!(answer.options[16..], [1, 3, 3, OUR_SCALE]);

            let syn = bed.syn(family, tags, &[]);
            let bare = bed.answer(family, tags, &syn);
            assert_eq!(bare.options, [2, 4, mss[0], mss[1]]);
            assert_ne!(bare.sequence, 0);
        }
    }
}

#[test]
fn a_payload_and_options_of_ip_make_no_difference() {
    let mut bed = Bed::new();
    for family in [4, 6] {
        let plain = bed.syn(family, &[], &LINUX);
        let expected = bed.answer(family, &[], &plain);
        let mut long = plain.clone();
        long.extend([7; 900]);
        assert_eq!(
            bed.answer(family, &[], &long).options[..8],
            expected.options[..8]
        );
    }
    let mut options = bed.syn(4, &[], &LINUX);
    options[14] = 0x46;
    options.splice(34..34, [1, 1, 1, 1]);
    bed.answer(4, &[], &options);
    let mut extended = bed.syn(6, &[], &LINUX);
    extended[20] = 0;
    extended.splice(54..54, [6, 0, 1, 4, 0, 0, 0, 0]);
    bed.answer(6, &[], &extended);
}

#[test]
fn options_are_answered_only_as_far_as_this_host_speaks_them() {
    let mut bed = Bed::new();
    let syn = bed.syn(4, &[], &LINUX);
    let mut with = |flags| {
        bed.configure(1, cookies::RAW | flags);
        bed.answer(4, &[], &syn).options
    };
    assert_eq!(with(0).len(), 4);
    let no_sack = with(cookies::TIMESTAMPS | cookies::SCALING);
    assert_eq!(
        (&no_sack[4..8], no_sack[11] & 0x3f),
        (&[1, 1, 8, 10][..], 7)
    );
    assert_eq!(no_sack[16..], [1, 3, 3, OUR_SCALE]);
    let no_scale = with(cookies::TIMESTAMPS | cookies::SACK);
    assert_eq!(
        (&no_scale[4..8], no_scale[11] & 0x3f),
        (&[4, 2, 8, 10][..], 0x1f)
    );
    assert_eq!(no_scale[16..], [1, 1, 1, 1]);
}

#[test]
fn what_is_not_served_is_left_alone() {
    let mut bed = Bed::new();
    let syn = bed.syn(4, &[], &LINUX);
    let mut other_port = syn.clone();
    other_port[37] ^= 1;
    bed.check(&other_port, Reason::Pass);
    // The same port of a host behind this one.
    let mut transit = syn.clone();
    transit[33] = 99;
    bed.check(&transit, Reason::Pass);
    let mut fragment = syn.clone();
    fragment[20] = 0x20;
    bed.check(&fragment, Reason::Pass);
    let syn_ack = bed.segment(4, &[], 0x12, [1, 1], &LINUX);
    bed.check(&syn_ack, Reason::Pass);
    let before = bed.maps.syns().unwrap();
    bed.check(&syn, Reason::SynCookie);
    assert_eq!(bed.maps.syns().unwrap() - before, 1);
    bed.configure(0, 0);
    bed.check(&syn, Reason::Pass);
}

#[test]
fn an_ack_passes_with_a_cookie_or_a_connection_only() {
    for maker in [cookies::RAW, 0] {
        let mut bed = Bed::new();
        bed.sysctl("tcp_syncookies", "2");
        bed.configure(1, maker | FULL);
        for family in [4, 6] {
            let syn = bed.syn(family, &[], &LINUX);
            let cookie = bed.answer(family, &[], &syn).sequence;
            let numbers = [SEQUENCE.wrapping_add(1), cookie.wrapping_add(1)];
            let ack = bed.segment(family, &[], 0x10, numbers, &[]);
            bed.check(&ack, Reason::CookieAck);
            let with_data = bed.segment(family, &[], 0x18, numbers, &[]);
            bed.check(&with_data, Reason::CookieAck);
            let forged = bed.segment(family, &[], 0x10, [numbers[0], numbers[1] ^ 0x100], &[]);
            bed.check(&forged, Reason::BadAck);
            let reset = bed.segment(family, &[], 0x14, [numbers[0], 7], &[]);
            bed.check(&reset, Reason::Pass);
            bed.configure(0, maker | FULL);
            bed.check(&forged, Reason::Pass);
            bed.configure(1, maker | FULL);
        }
        let forged = bed.segment(4, &[], 0x10, [1, 2], &[]);
        bed.listeners.remove(0);
        bed.check(&forged, Reason::NoListener);
    }
}

#[test]
fn a_listener_with_room_gets_its_syns() {
    let mut bed = Bed::new();
    for family in [4, 6] {
        let syn = bed.syn(family, &[], &LINUX);
        for (attack, syncookies, expected) in [
            (0, "1", Reason::Pass),
            (0, "2", Reason::SynCookie),
            (1, "1", Reason::Pass),
            (1, "2", Reason::SynCookie),
        ] {
            bed.sysctl("tcp_syncookies", syncookies);
            bed.configure(attack, cookies::ARMED | FULL);
            bed.check(&syn, expected);
        }
    }
}

#[test]
fn answers_are_capped_and_each_listener_is_kept_awake() {
    let mut bed = Bed::new();
    let second = Limit {
        cost_ns: 1_000_000_000_000,
        burst_ns: 1_000_000_000_000,
    };
    bed.set(1, cookies::RAW | FULL, second, u64::MAX);
    let (v4, v6) = (bed.syn(4, &[], &LINUX), bed.syn(6, &[], &LINUX));
    bed.check(&v4, Reason::SynCookie);
    bed.check(&v6, Reason::SynCookie);
    bed.check(&v4, Reason::SynCapped);
    bed.set(1, cookies::RAW | FULL, Limit::NONE, 1_000_000_000_000);
    for syn in [&v4, &v6] {
        bed.check(syn, Reason::SynKeep);
        bed.check(syn, Reason::SynCookie);
    }
}

#[test]
fn monitor_mode_answers_nobody() {
    let mut bed = Bed::new();
    let config = bed.maps.config().unwrap();
    let monitored = Config {
        monitored: u64::MAX,
        ..config
    };
    bed.maps.begin(&monitored).unwrap();
    let syn = bed.syn(6, &[VLAN], &LINUX);
    bed.check(&syn, Reason::WouldSynCookie);
    let forged = bed.segment(4, &[], 0x10, [1, 2], &[]);
    bed.check(&forged, Reason::WouldBadAck);
}
