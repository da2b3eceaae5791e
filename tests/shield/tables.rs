//! The maps as the list store uses them.

use openclaw::shield::kernel::{Class4, Kernel, KernelError, Maps, Pins};
use openclaw_common::{
    abi::{Config, Counter, Entry, Prefix6, class, flags},
    maps::{BAN4_ENTRIES, BAN6_ENTRIES, CLS6_ENTRIES, FINE4_ENTRIES},
    verdict::Reason,
};

use super::rig::{PinDir, block};

fn maps() -> (PinDir, std::sync::Arc<Maps>) {
    let pins = PinDir::new();
    let kernel =
        Kernel::load(&pins.0).expect("these tests need root, BPF and an embedded kernel program");
    (pins, kernel.maps())
}

fn address(number: u32) -> [u8; 16] {
    let [a, b, c, d] = number.to_be_bytes();
    [0x20, 1, 0xd, 0xb8, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn prefix(number: u32) -> Prefix6 {
    Prefix6::new(address(number), 64)
}

#[test]
fn a_table_takes_batches_up_to_its_capacity_and_then_says_that_it_is_full() {
    let (_pins, maps) = maps();
    let entries: Vec<_> = (0..BAN6_ENTRIES).map(|at| (address(at), block())).collect();
    let table = &maps.host6;
    table.insert_many(&entries).unwrap();
    // What is there can still be replaced.
    table.insert_many(&entries[..5000]).unwrap();
    let one_more = (address(BAN6_ENTRIES), block());
    let error = table.insert(&one_more.0, &one_more.1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the map HOST6 is full with 65536 entries"
    );
    let error = table.insert_many(&[one_more]).unwrap_err();
    assert!(
        matches!(
            error,
            KernelError::Full {
                map: "HOST6",
                capacity: BAN6_ENTRIES
            }
        ),
        "{error}"
    );
    assert_eq!(table.keys().unwrap().len(), entries.len());
    assert_eq!(maps.fine4().capacity(), FINE4_ENTRIES);
}

#[test]
fn replacing_leaves_exactly_the_new_entries() {
    let (_pins, maps) = maps();
    let entry = |rule| Entry { rule, ..block() };
    let old: Vec<_> = (0..9000).map(|at| (prefix(at), entry(1))).collect();
    let new: Vec<_> = (5000..10_000).map(|at| (prefix(at), entry(2))).collect();
    let table = maps.fine6();
    table.replace(&old).unwrap();
    assert_eq!(table.entries().unwrap().len(), old.len());
    table.replace(&new).unwrap();
    let mut left = table.entries().unwrap();
    left.sort_by_key(|(key, _)| *key);
    assert_eq!(left, new);
    assert_eq!(table.remove_many(&[prefix(4999), prefix(5000)]).unwrap(), 1);
    assert!(!table.remove(&prefix(5000)).unwrap());
    assert_eq!(table.get(&prefix(5000)).unwrap(), None);
    assert_eq!(table.get(&prefix(5001)).unwrap(), Some(entry(2)));
    table.replace(&[]).unwrap();
    assert_eq!(table.keys().unwrap(), []);
}

#[test]
fn class_words_are_seen_through_every_mapping() {
    let (pins, maps) = maps();
    let other = Maps::open(&Pins::new(&pins.0)).unwrap();
    let last = class::index4([255, 255, 255, 255]);
    assert_eq!(maps.class4.load(last), 0);
    maps.class4.store(last, class::BANNED | class::FINE);
    assert_eq!(other.class4.load(last), class::BANNED | class::FINE);
    other.class4.store(last, class::FINE);
    assert_eq!(maps.class4.load(last), class::FINE);

    let mut words = vec![0; Class4::WORDS];
    words[7] = 77;
    maps.class4.replace(&words);
    assert_eq!((other.class4.load(7), other.class4.load(last)), (77, 0));
    maps.class4.replace(&[]);
    assert_eq!(other.class4.load(7), 0);
    maps.class4.store(last + 1, 1);
    assert_eq!(maps.class4.load(last + 1), 0);
}

#[test]
fn configuration_and_lists_are_taken_over_by_the_next_load() {
    let (pins, maps) = maps();
    assert_eq!(maps.config().unwrap().flags, 0);
    let config = Config {
        flags: flags::ENABLED,
        geo_mask: [1, 2, 3, 4],
        default6: 9,
        ..Config::OFF
    };
    maps.begin(&config).unwrap();
    maps.ban4.insert([192, 0, 2, 1], 77).unwrap();
    drop(maps);
    let next = Kernel::load(&pins.0).unwrap().maps();
    assert_eq!(next.config().unwrap(), config);
    let bans = next.ban4.entries();
    assert_eq!(bans.len(), 1);
    assert_eq!((bans[0].0, bans[0].1.end()), ([192, 0, 2, 1], 77));
    let stats = next.counters.total().unwrap();
    assert_eq!(stats.len(), Reason::ALL.len());
    assert!(
        stats
            .iter()
            .all(|(_, counter)| *counter == Counter::default())
    );
}

#[test]
fn the_bans_take_what_they_promise_and_then_say_that_they_are_full() {
    let (pins, maps) = maps();
    let address = |at: u32| (0x0a00_0000 + at * 7).to_be_bytes();
    for at in 0..BAN4_ENTRIES {
        maps.ban4.insert(address(at), u64::from(at) + 9).unwrap();
    }
    let error = maps.ban4.insert(address(BAN4_ENTRIES), 9).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the map BAN4 is full with 262144 entries"
    );
    // What is there can still be changed, and another process finds all of it.
    maps.ban4.insert(address(5), 4).unwrap();
    let other = Maps::open(&Pins::new(&pins.0)).unwrap();
    assert_eq!(other.ban4.get(address(5)).map(|ban| ban.end()), Some(4));
    for at in (0..BAN4_ENTRIES).filter(|at| *at != 5) {
        assert_eq!(
            other.ban4.get(address(at)).map(|ban| ban.end()),
            Some(u64::from(at) + 9)
        );
    }
    assert!(other.ban4.remove(address(5)) && !other.ban4.remove(address(5)));
    assert_eq!(other.ban4.entries().len(), BAN4_ENTRIES as usize - 1);
    assert_eq!(other.ban4.get([0; 4]), None);
}

#[test]
fn the_bans_of_subnets_take_what_they_promise_and_are_found_by_all_64_bits() {
    let (pins, maps) = maps();
    // /64s side by side, and /48s.
    let subnet = |at: u32| {
        let shift = if at & 1 == 0 { 0 } else { 16 };
        (0x2001_0db8 << 32 | u64::from(at) << shift).to_be_bytes()
    };
    for at in 0..BAN6_ENTRIES {
        maps.ban6.insert(subnet(at), u64::from(at) + 9).unwrap();
    }
    let error = maps.ban6.insert([0xff; 8], 9).unwrap_err();
    assert_eq!(error.to_string(), "the map BAN6 is full with 65536 entries");
    maps.ban6.insert(subnet(5), 0).unwrap();
    let other = Maps::open(&Pins::new(&pins.0)).unwrap();
    for at in 0..BAN6_ENTRIES {
        let end = if at == 5 { 0 } else { u64::from(at) + 9 };
        let found = other.ban6.get(subnet(at)).map(|ban| ban.end());
        assert_eq!(found, Some(end), "{at}");
    }
    assert!(other.ban6.remove(subnet(5)) && !other.ban6.remove(subnet(5)));
    assert_eq!(other.ban6.entries().len(), BAN6_ENTRIES as usize - 1);
    assert_eq!(other.ban6.get([0; 8]), None);
}

#[test]
fn the_words_of_ipv6_take_what_they_promise_and_a_replacement_leaves_exactly_the_new_ones() {
    let (pins, maps) = maps();
    let words = &maps.class6;
    let key = |at: u32| (0x2001_0000 + at * 3).to_be_bytes();
    let word = |at: u32| class::FINE | (at as u16 & class::COUNTRY);
    for at in 0..CLS6_ENTRIES {
        words.store(key(at), word(at)).unwrap();
    }
    let error = words.store(key(CLS6_ENTRIES), 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the map CLS6 is full with 524288 entries"
    );
    // 0 takes no room, and gives what it took.
    words.store(key(CLS6_ENTRIES), 0).unwrap();
    words.store(key(5), 0).unwrap();
    words.store(key(CLS6_ENTRIES), 1).unwrap();
    words.store(key(6), class::BLOCKED).unwrap();
    let other = Maps::open(&Pins::new(&pins.0)).unwrap().class6;
    for at in 0..=CLS6_ENTRIES {
        let expected = match at {
            5 => 0,
            6 => class::BLOCKED,
            CLS6_ENTRIES => 1,
            at => word(at),
        };
        assert_eq!(other.load(key(at)), expected, "{at}");
    }
    // New ones need room before old ones go.
    words.store(key(9), 0).unwrap();
    let left: Vec<_> = (4..8).map(|at| (key(at), word(at))).collect();
    words.replace(&left).unwrap();
    for at in 0..=CLS6_ENTRIES {
        let expected = if (4..8).contains(&at) { word(at) } else { 0 };
        assert_eq!(other.load(key(at)), expected, "{at}");
    }
}
