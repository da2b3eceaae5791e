//! Lists of many ranges change, and nobody waits for that: neither who looks nor who bans.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::Duration;

use openclaw::shield::kernel::{Maps, Pins};
use openclaw::shield::{Answer, Banned, Import, Kind, Request, Shield};
use openclaw_common::abi::class;
use openclaw_core::reason::Reason;

use super::rig::{PinDir, unattached};
use crate::support::Folder;

const RANGES: u32 = 400_000;
const HOUR: Duration = Duration::from_hours(1);

fn peer(number: u32) -> IpAddr {
    if number.is_multiple_of(2) {
        Ipv4Addr::from_bits(0xcb00_7100 + number % 256).into()
    } else {
        Ipv6Addr::from_bits((0x2001_0db8_0000_0000 + u128::from(number)) << 64 | 5).into()
    }
}

fn import() -> Request {
    let text = (0..RANGES).fold(String::new(), |mut text, range| {
        let first = Ipv4Addr::from_bits(0x1400_0000 + range * 16);
        writeln!(text, "{first}/28").unwrap();
        text
    });
    Request::Import(Import {
        kind: Kind::Block,
        text,
        format: None,
        ttl: None,
        reason: None,
        list: None,
        replace: false,
        dry_run: false,
        spare: None,
        confirm: None,
    })
}

fn start(pins: &PinDir, folder: &Folder) -> Shield {
    let config = unattached(pins, folder, "allow = [\"198.51.100.7\"]");
    Shield::start(&config, false).0
}

#[test]
fn who_looks_and_who_bans_does_not_wait_for_an_import() {
    let (pins, folder) = (PinDir::new(), Folder::new());
    let shield = start(&pins, &folder);
    let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
    let peers = shield.peers();
    let request = import();
    let allowed: IpAddr = [198, 51, 100, 7].into();
    let banned = thread::scope(|scope| {
        let importing = scope.spawn(|| shield.handle(request));
        let mut banned = Vec::new();
        while !importing.is_finished() {
            assert!(shield.status().on);
            let peer = peer(banned.len() as u32);
            if banned.len() < 200 {
                let ban = shield.ban(peer, HOUR, "test");
                assert!(matches!(ban, Banned::Now { .. }), "{peer}: {ban:?}");
                assert_eq!(peers.check(peer), Some(Reason::ShieldBan), "{peer}");
                banned.push(peer);
            }
            let refused = shield.ban(allowed, HOUR, "test");
            assert!(matches!(refused, Banned::Refused(_)), "{refused:?}");
        }
        let imported = importing.join().unwrap();
        assert!(matches!(imported, Ok(Answer::Changed(_))), "{imported:?}");
        banned
    });
    // Each of them would have waited for the end.
    assert!(banned.len() > 20, "{} bans during an import", banned.len());
    assert_eq!(shield.status().blocked, RANGES as usize + banned.len());
    for peer in banned {
        assert_eq!(peers.check(peer), Some(Reason::ShieldBan), "{peer}");
        assert_eq!(shield.ban(peer, HOUR, "test"), Banned::Already, "{peer}");
        let (is_banned, word) = match peer {
            IpAddr::V4(address) => {
                let key = address.octets();
                let word = maps.class4.load(class::index4(key));
                (maps.ban4.get(key).is_some(), word)
            }
            IpAddr::V6(address) => {
                let key = address.octets();
                let network = *key.first_chunk().unwrap();
                let word = maps.class6.load(class::key6(key));
                (maps.ban6.get(network).is_some(), word)
            }
        };
        assert!(is_banned && word & class::BANNED != 0, "{peer}: {word:x}");
    }
}
