//! The kill switch, whatever the matter is with everything else.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use openclaw::shield::Shield;
use openclaw::shield::kernel::{self, Maps, Pins};
use openclaw_common::abi::{Prefix4, flags};
use openclaw_common::verdict::Reason;

use super::attach::Wire;
use super::lists::json;
use super::net::{CLIENT4, INTERFACE, Net, SERVER4};
use super::privileges::in_namespace;
use super::rig::{PinDir, unattached};
use crate::support::{Folder, Output, Proxy, Shape, mmdb, openclaw};

struct Stage {
    proxy: Proxy,
    wire: Wire,
    maps: Maps,
    pins: PinDir,
    net: Net,
}

/// A proxy that drops what the client of a namespace sends.
fn stage() -> Stage {
    let (net, pins) = (Net::new(), PinDir::new());
    let proxy = start(&net, &pins);
    let wire = Wire::new(&net, SERVER4, CLIENT4);
    let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
    wire.assert_dropped(&maps, Reason::Block);
    Stage {
        proxy,
        wire,
        maps,
        pins,
        net,
    }
}

/// With a state directory of its own: of another proxy it knows what the pins tell.
fn start(net: &Net, pins: &PinDir) -> Proxy {
    let config = format!(
        "[shield]\ninterfaces = [\"{INTERFACE}\"]\npin_dir = \"{}\"\nblock = [\"{CLIENT4}\"]\n[listener.web]\nbind = [\"{SERVER4}:0\"]\n\
         [[route]]\nrespond = {{ body = \"hello\" }}\n",
        pins.0.display()
    );
    Proxy::start_through(&config, 0, &["nsenter", &in_namespace(net)], &[])
}

/// `openclaw shield on` or `off` with the pin directory alone.
fn throw(pins: &PinDir, verb: &str) -> Output {
    openclaw(&["shield", verb, "--pin-dir", pins.0.to_str().unwrap()])
}

#[test]
fn the_pin_directory_is_enough_and_a_running_proxy_follows() {
    let stage = stage();
    let Stage {
        proxy,
        wire,
        maps,
        pins,
        ..
    } = &stage;
    let off = throw(pins, "off").ok().text();
    assert!(
        off.starts_with("shield: OFF by the kill switch: everything passes; "),
        "{off}"
    );
    wire.assert_open();
    let is_on = || json(&proxy.cli(&["-o", "json", "shield", "status"]).ok())["on"] == true;
    assert!(!is_on());
    // What the proxy writes for reasons of its own leaves the switch as it is.
    proxy.cli(&["reload"]).ok();
    proxy.cli(&["blocklist", "add", "2a00::/12"]).ok();
    wire.assert_open();
    throw(pins, "on").ok();
    wire.assert_dropped(maps, Reason::Block);
    assert!(is_on());
    // The configuration may say what it wants.
    fs::write(proxy.config(), "this is no configuration").unwrap();
    let (file, pins) = (proxy.config().to_str().unwrap(), pins.0.to_str().unwrap());
    openclaw(&["-c", file, "shield", "off", "--pin-dir", pins]).ok();
    wire.assert_open();
}

#[test]
fn a_version_with_other_maps_leaves_it_as_it_was_thrown() {
    let Stage {
        mut proxy,
        wire,
        maps,
        pins,
        net,
    } = stage();
    throw(&pins, "off").ok();
    proxy.kill();
    drop(maps);
    // A number that is no version's any more.
    let own = Pins::new(&pins.0);
    fs::rename(own.directory(), pins.0.join("v0")).unwrap();
    let next = start(&net, &pins);
    wire.assert_open();
    let status = next.cli(&["shield", "status"]).ok().text();
    assert!(status.contains("OFF by the kill switch"), "{status}");
    next.cli(&["shield", "on"]).ok();
    let maps = Maps::open(&own).unwrap();
    wire.assert_dropped(&maps, Reason::Block);
}

#[test]
fn a_proxy_that_hangs_holds_nothing_up() {
    let mut stage = stage();
    let Stage {
        proxy, wire, maps, ..
    } = &mut stage;
    proxy.signal("STOP");
    let started = Instant::now();
    let off = proxy.cli(&["shield", "off"]).ok();
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "its usual patience is longer"
    );
    assert!(
        off.stderr.contains("the proxy was not told"),
        "{}",
        off.stderr
    );
    wire.assert_open();
    let started = Instant::now();
    let add = proxy.cli(&["blocklist", "add", "203.0.113.7"]);
    assert_eq!(add.code, 1);
    assert!(started.elapsed() < Duration::from_secs(15));
    let words = "has not answered anything for 5 seconds: it is stopped, or hangs";
    assert!(add.stderr.contains(words), "{}", add.stderr);
    proxy.signal("CONT");
    let status = proxy.cli(&["shield", "status"]).ok().text();
    assert!(status.contains("OFF by the kill switch"), "{status}");
    wire.assert_open();
    let on = proxy.cli(&["shield", "on"]).ok().text();
    assert!(on.contains("XDP on oc0 (native)"), "{on}");
    wire.assert_dropped(maps, Reason::Block);
}

#[test]
fn neither_proxy_nor_state_directory_is_asked() {
    let mut stage = stage();
    let Stage {
        proxy,
        wire,
        maps,
        pins,
        ..
    } = &mut stage;
    proxy.kill();
    let lock = File::create(proxy.folder().path().join("state/lists.lock")).unwrap();
    lock.lock().unwrap();
    proxy.cli(&["shield", "off"]).ok();
    wire.assert_open();
    fs::remove_dir_all(proxy.folder().path().join("state")).unwrap();
    let on = json(&proxy.cli(&["-o", "json", "shield", "on"]).ok());
    assert_eq!(on["on"], true);
    wire.assert_dropped(maps, Reason::Block);
    throw(pins, "off").ok();
    wire.assert_open();
    // Nothing to throw is a no.
    let folder = Folder::new();
    let nowhere = openclaw(&[
        "shield",
        "off",
        "--pin-dir",
        folder.path().to_str().unwrap(),
    ]);
    assert_eq!(nowhere.code, 1);
    assert!(
        nowhere.stderr.contains("no shield is loaded"),
        "{}",
        nowhere.stderr
    );
}

#[test]
fn telling_more_or_fewer_drops_leaves_the_switch_as_it_was_thrown() {
    let (pins, folder) = (PinDir::new(), Folder::new());
    let (shield, _) = Shield::start(&unattached(&pins, &folder, ""), false);
    let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
    let flags = || maps.config().unwrap().flags;
    assert_eq!(flags() & flags::ENABLED, flags::ENABLED);
    throw(&pins, "off").ok();
    let _follower = shield.follow_drops().unwrap();
    shield.read_drops();
    assert_eq!(flags() & (flags::ENABLED | flags::EVENTS), flags::EVENTS);
}

#[test]
fn a_switch_that_is_thrown_while_a_start_writes_its_lists_stays_thrown() {
    let (pins, folder) = (PinDir::new(), Folder::new());
    drop(Shield::start(&unattached(&pins, &folder, ""), false));
    let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
    assert_ne!(maps.config().unwrap().flags & flags::ENABLED, 0);
    let ranges = (0..100_000_u32).fold(String::new(), |text, range| {
        text + &format!("{}/28\n", Ipv4Addr::from(0x1400_0000 + range * 16))
    });
    let file = folder.write("ranges", ranges);
    let lists = format!(
        "lists = [{{ name = \"many\", file = \"{}\" }}]",
        file.display()
    );
    let config = unattached(&pins, &folder, &lists);
    let (_, status) = thread::scope(|scope| {
        let started = scope.spawn(|| Shield::start(&config, false));
        let first = || maps.fine4().get(&Prefix4::new([20, 0, 0, 1], 32)).unwrap();
        while first().is_none() && !started.is_finished() {
            thread::yield_now();
        }
        kernel::throw(&pins.0, false).unwrap();
        started.join().unwrap()
    });
    assert_eq!(maps.config().unwrap().flags & flags::ENABLED, 0);
    assert!(!status.on);
}

#[test]
fn other_countries_leave_the_switch_as_it_was_thrown() {
    let (pins, folder) = (PinDir::new(), Folder::new());
    let world = mmdb(Shape::Nested, 1_767_225_600, &[("9.0.0.0/8", "FR")]);
    let file = folder.write("country.mmdb", world);
    let from = |rule: &str| {
        let geo = format!(
            "geo = {{ database = \"{}\", deny = [\"{rule}\"] }}",
            file.display()
        );
        unattached(&pins, &folder, &geo)
    };
    let (running, _) = Shield::start(&from("FR"), false);
    let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
    for config in [from("US"), unattached(&pins, &folder, "")] {
        running.tick();
        throw(&pins, "off").ok();
        running.reload(&config, false);
        let found = maps.config().unwrap();
        assert_eq!(found.flags & flags::ENABLED, 0);
        throw(&pins, "on").ok();
    }
}
