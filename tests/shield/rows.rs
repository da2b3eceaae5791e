//! The packet table: lists that exercise every bit of them, and frames with the reason that both sides must give.

use openclaw_common::{
    abi::{Config, class, flags},
    verdict::Reason::{self, Allow, Ban, Block, Malformed, NonIp, Pass},
};

use super::{
    frames::{Ip4, Ip6, QINQ, VLAN, authentication, ethernet, extension, fragment, icmp6, udp},
    rig::{Rig, allow, block, ending},
};

pub const HOUR: i64 = 3_600_000_000_000;
pub const STRANGER: [u8; 4] = [192, 0, 2, 7];
pub const BLOCKED: [u8; 4] = [203, 0, 113, 9];
pub const BANNED: [u8; 4] = [100, 64, 0, 5];

pub type Row = (&'static str, Vec<u8>, Reason);

/// Every row.
pub fn rows() -> Vec<Row> {
    [plain4(), listed4(), plain6(), listed6(), others()].concat()
}

/// Lists that exercise every bit; see the rows for what they mean.
pub fn rig() -> Rig {
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

// One row a line reads better than one field a line.
#[rustfmt::skip]
fn plain4() -> Vec<Row> {
    let tcp = |source| Ip4::tcp(source).frame(&[]);
    let options = |length| Ip4 { options: vec![1; length], ..Ip4::tcp(BLOCKED) }.frame(&[]);
    let fragment = |source, fragment| Ip4 { fragment, payload: vec![0; 3], ..Ip4::tcp(source) }.frame(&[]);
    vec![
        ("a stranger", tcp(STRANGER), Pass),
        ("a stranger by UDP", Ip4::new(STRANGER, 17, udp(4000, 443)).frame(&[]), Pass),
        ("a stranger by another protocol", Ip4::new(STRANGER, 47, vec![0; 8]).frame(&[]), Pass),
        ("a blocked /24", tcp(BLOCKED), Block),
        ("its neighbour", tcp([203, 0, 114, 9]), Pass),
        ("blocked, in a VLAN", Ip4::tcp(BLOCKED).frame(&[VLAN]), Block),
        ("blocked, in an 802.1ad tag", Ip4::tcp(BLOCKED).frame(&[QINQ]), Block),
        ("blocked, in QinQ", Ip4::tcp(BLOCKED).frame(&[QINQ, VLAN]), Block),
        ("blocked, in two VLAN tags", Ip4::tcp(BLOCKED).frame(&[VLAN, VLAN]), Block),
        ("blocked, in three tags", Ip4::tcp(BLOCKED).frame(&[QINQ, VLAN, VLAN]), Block),
        ("allowed, in three tags", Ip4::tcp([10, 1, 1, 9]).frame(&[VLAN; 3]), Allow),
        ("a stranger in three tags", Ip4::tcp(STRANGER).frame(&[QINQ, QINQ, VLAN]), Pass),
        ("four tags", Ip4::tcp(BLOCKED).frame(&[QINQ, VLAN, VLAN, VLAN]), Malformed),
        ("a stranger in QinQ", Ip4::tcp(STRANGER).frame(&[QINQ, VLAN]), Pass),
        ("blocked, with options", options(4), Block),
        ("blocked, with all options", options(40), Block),
        ("blocked, first fragment", fragment(BLOCKED, 0x2000), Block),
        ("blocked, later fragment", fragment(BLOCKED, 0x2010), Block),
        ("a stranger's later fragment", fragment(STRANGER, 5), Pass),
        ("blocked, transport header cut", Ip4::new(BLOCKED, 6, vec![0; 3]).frame(&[]), Block),
        ("a stranger, transport header cut", Ip4::new(STRANGER, 6, vec![0; 3]).frame(&[]), Malformed),
        ("a stranger, no transport header", Ip4::new(STRANGER, 17, vec![]).frame(&[]), Malformed),
        ("a header length below five words", with_byte(tcp(BLOCKED), 14, 0x44), Malformed),
        ("not version 4", with_byte(tcp(BLOCKED), 14, 0x65), Malformed),
    ]
}

#[rustfmt::skip]
fn listed4() -> Vec<Row> {
    let tcp = |source| Ip4::tcp(source).frame(&[]);
    let dhcp = |source, destination| Ip4::new([0; 4], 17, udp(source, destination)).frame(&[]);
    vec![
        ("allowed beats blocked and banned, whole /24", tcp([10, 1, 1, 9]), Allow),
        ("banned", tcp(BANNED), Ban),
        ("banned, by UDP", Ip4::new(BANNED, 17, udp(4000, 443)).frame(&[VLAN]), Ban),
        ("a ban that has ended", tcp([100, 64, 0, 6]), Pass),
        ("banned for good", tcp([100, 64, 0, 7]), Ban),
        ("beside a banned address", tcp([100, 64, 0, 8]), Pass),
        ("a fine block, first address", tcp([172, 16, 5, 64]), Block),
        ("a fine block, last address", tcp([172, 16, 5, 127]), Block),
        ("below a fine block", tcp([172, 16, 5, 63]), Pass),
        ("above a fine block", tcp([172, 16, 5, 128]), Pass),
        ("a fine allow beats the block around it", tcp([172, 16, 6, 130]), Allow),
        ("a fine allow beats a ban", tcp([172, 16, 6, 200]), Allow),
        ("outside the fine allow", tcp([172, 16, 6, 2]), Block),
        ("ban comes before block", tcp([172, 16, 6, 3]), Ban),
        ("a fine block with an end", tcp([172, 16, 7, 1]), Block),
        ("a fine block that has ended", tcp([172, 16, 8, 1]), Pass),
        ("a fine allow that has ended", tcp([172, 16, 9, 1]), Block),
        ("the local host on a block list", tcp([127, 0, 0, 1]), Pass),
        ("another loopback address on a block list", tcp([127, 0, 0, 2]), Block),
        ("a DHCP client on a block list", dhcp(68, 67), Pass),
        ("a DHCP server on a block list", dhcp(67, 68), Pass),
        ("not DHCP", dhcp(68, 53), Block),
    ]
}

#[rustfmt::skip]
fn plain6() -> Vec<Row> {
    let tcp = |source| Ip6::tcp(source).frame(&[]);
    let chain = |source, extensions: &[_]| Ip6::tcp(source).with(extensions).frame(&[]);
    let many = |count: usize| vec![extension(60, 1); count];
    let every_kind = [extension(0, 0), extension(43, 2), fragment(1), authentication(4), extension(60, 0)];
    let cut = Ip6::new("2600::1", 6, vec![0; 5]).with(&many(2)).frame(&[]);
    // The kernel tests frames over about 3,500 bytes in several buffers.
    let long = [extension(60, 255), extension(60, 255), extension(60, 60)];
    let dhcp_far = Ip6::new("fe80::1", 17, udp(546, 547)).with(&long).frame(&[VLAN]);
    let later = Ip6::new("2600::1", 6, vec![0; 2]).with(&[fragment(0x0100)]).frame(&[]);
    vec![
        ("v6 stranger", tcp("2600::1"), Pass),
        ("v6 blocked, in a VLAN", Ip6::tcp("2001:db8::1").frame(&[VLAN]), Block),
        ("v6 blocked, in QinQ", Ip6::tcp("2001:db8::1").frame(&[QINQ, VLAN]), Block),
        ("v6 blocked, in three tags", Ip6::tcp("2001:db8::1").frame(&[QINQ, VLAN, VLAN]), Block),
        ("v6 six extension headers in three tags", Ip6::tcp("2001:db8::1").with(&many(6)).frame(&[VLAN; 3]), Block),
        ("v6 four tags", Ip6::tcp("2001:db8::1").frame(&[VLAN; 4]), Malformed),
        ("v6 hop-by-hop", chain("2001:db8::1", &[extension(0, 0)]), Block),
        ("v6 six extension headers", chain("2600::1", &many(6)), Pass),
        ("v6 seven extension headers", chain("2600::1", &many(7)), Malformed),
        ("v6 blocked, seven extension headers", chain("2001:db8::1", &many(7)), Block),
        ("v6 every kind", chain("2600::1", &every_kind), Pass),
        ("v6 long extension headers", chain("2600::1", &[extension(60, 255), extension(60, 90)]), Pass),
        ("v6 transport header behind the first buffer", chain("2600::1", &long), Pass),
        ("v6 blocked, chain over the first buffer", chain("2001:db8::1", &long), Block),
        ("v6 essential, behind the first buffer", dhcp_far, Pass),
        ("v6 first fragment", chain("2001:db8::1", &[fragment(1)]), Block),
        ("v6 later fragment with nothing behind", later, Pass),
        ("v6 no next header", Ip6::new("2600::1", 59, vec![]).frame(&[]), Pass),
        ("v6 transport header cut behind a chain", cut, Malformed),
        ("v6 extension longer than the frame", with_byte(chain("2600::1", &many(1)), 55, 200), Malformed),
        ("v6 not version 6", with_byte(tcp("2001:db8::1"), 14, 0x45), Malformed),
    ]
}

#[rustfmt::skip]
fn listed6() -> Vec<Row> {
    let tcp = |source| Ip6::tcp(source).frame(&[]);
    let link = |hop_limit, kind| Ip6 { hop_limit, ..Ip6::new("fe80::1", 58, icmp6(kind)) };
    let dhcp = |source, destination| Ip6::new("fe80::1", 17, udp(source, destination)).frame(&[]);
    vec![
        ("v6 blocked /32", tcp("2001:db8::1"), Block),
        ("v6 its neighbour", tcp("2001:db7::1"), Pass),
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
        ("v6 neighbour solicitation on a block list", link(255, 135).frame(&[]), Pass),
        ("v6 router advertisement in a VLAN", link(255, 134).frame(&[VLAN]), Pass),
        ("v6 redirect", link(255, 137).frame(&[]), Pass),
        ("v6 discovery through a router", link(64, 135).frame(&[]), Block),
        ("v6 discovery in a fragment", link(255, 135).with(&[fragment(1)]).frame(&[]), Block),
        ("v6 echo request", link(255, 128).frame(&[]), Block),
        ("v6 DHCP client", dhcp(546, 547), Pass),
        ("v6 DHCP server", dhcp(547, 546), Pass),
        ("v6 not DHCP", dhcp(68, 67), Block),
    ]
}

#[rustfmt::skip]
fn others() -> Vec<Row> {
    let with_zeros = |tags: &[_], ethertype, length| [ethernet(tags, ethertype), vec![0; length]].concat();
    vec![
        ("ARP", with_zeros(&[], [8, 6], 28), NonIp),
        ("ARP in a VLAN", with_zeros(&[VLAN], [8, 6], 28), NonIp),
        ("802.3 with a length", with_zeros(&[], [0, 40], 40), NonIp),
        ("nothing but Ethernet", ethernet(&[], [8, 0]), Malformed),
        ("ARP in three tags", with_zeros(&[VLAN; 3], [8, 6], 28), NonIp),
        ("three tags and no more", ethernet(&[VLAN; 2], VLAN), Malformed),
        ("a tag and no more", ethernet(&[], VLAN), Malformed),
    ]
}

fn with_byte(mut frame: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    frame[at] = byte;
    frame
}
