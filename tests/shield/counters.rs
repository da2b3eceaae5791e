//! Whose packets are counted where: frames without an interface, then two interfaces of one proxy.

use std::net::Ipv4Addr;

use openclaw::shield::kernel::{Maps, Pins};
use openclaw_common::{
    abi::{Config, class, flags},
    slot::{INTERFACES, SHARED},
    verdict::Reason,
};

use super::{
    frames::Ip4,
    lists::{addresses, json},
    rig::{PinDir, Rig},
    rows::STRANGER,
};
use crate::control::sample;
use crate::support::{Net, Proxy, wait_until};

/// The number of the loopback interface, by which the kernel runs a frame without an interface.
const LOOPBACK: u32 = 1;

fn passed(maps: &Maps, slot: u8) -> u64 {
    let mut counted = maps.counters.of(slot).unwrap().into_iter();
    let (_, pass) = counted.find(|(reason, _)| *reason == Reason::Pass).unwrap();
    pass.packets
}

#[test]
fn an_interface_has_counters_of_its_own_from_its_slot_on() {
    let pins = PinDir::new();
    let mut kernel = super::rig::load(&pins);
    let maps = kernel.maps();
    let frame = Ip4::tcp(STRANGER).frame(&[]);
    let mut run = |count| {
        let subject = openclaw::shield::kernel::Subject::Shield;
        kernel.test_run(subject, &frame, count).unwrap();
    };
    run(3);
    assert_eq!(maps.counters.slot(LOOPBACK), SHARED);
    assert_eq!(maps.counters.claim(LOOPBACK, &[]).unwrap(), 1);
    run(5);
    assert_eq!((passed(&maps, SHARED), passed(&maps, 1)), (3, 5));

    // Another process, the interface still shielded.
    let next = Maps::open(&Pins::new(&pins.0)).unwrap();
    assert_eq!(next.counters.claim(LOOPBACK, &[LOOPBACK]).unwrap(), 1);
    run(2);
    assert_eq!(passed(&next, 1), 7);

    // No room in the table, then one that takes the place of the first.
    let beyond = INTERFACES as u32;
    assert_eq!(next.counters.claim(beyond, &[LOOPBACK]).unwrap(), SHARED);
    assert_eq!(next.counters.claim(beyond - 1, &[]).unwrap(), 1);
    assert_eq!(passed(&next, 1), 0);
    run(4);
    assert_eq!((passed(&next, SHARED), passed(&next, 1)), (7, 0));
}

#[test]
fn the_sample_of_drops_is_one_of_so_many_of_each_interface() {
    let mut rig = Rig::new();
    rig.class4(STRANGER, class::BLOCKED);
    rig.configure(Config {
        flags: flags::ENABLED | flags::EVENTS,
        sample_mask: 3,
        ..Config::OFF
    });
    let frame = Ip4::tcp(STRANGER).frame(&[]);
    let mut events = rig.maps.events().unwrap();
    let mut told = |rig: &mut Rig, drops| {
        let subject = openclaw::shield::kernel::Subject::Shield;
        rig.kernel.test_run(subject, &frame, drops).unwrap();
        std::iter::from_fn(|| events.take()).count()
    };
    // The first of four, and the first of the next four.
    assert_eq!(told(&mut rig, 6), 2);
    rig.maps.counters.claim(LOOPBACK, &[]).unwrap();
    assert_eq!(told(&mut rig, 2), 1);
    assert_eq!(told(&mut rig, 2), 0);
}

/// A series of the metrics page, with one interface, verdict and reason.
fn series(proxy: &Proxy, interface: &str, verdict: &str, reason: &str) -> Option<u64> {
    let name = format!(
        "openclaw_xdp_packets_total{{interface=\"{interface}\",verdict=\"{verdict}\",reason=\"shield.{reason}\"}}"
    );
    sample(proxy, &name).map(|count| count.parse().unwrap())
}

fn reaches(net: &Net, server: Ipv4Addr, port: u16) -> bool {
    let url = format!("http://{server}:{port}/");
    let output = net.curl(&["--max-time", "2", &url]);
    assert!(matches!(output.code, 0 | 28), "{}", output.stderr);
    output.code == 0
}

#[test]
fn two_interfaces_are_counted_apart_over_restarts_until_one_goes() {
    let (loud, calm, pins) = (Net::new(), Net::new(), PinDir::new());
    let config = format!(
        "[listener.web]\nbind = \"0.0.0.0:0\"\n[[route]]\nname = \"all\"\nrespond = {{ body = \"hello\" }}\n\
         [shield]\ninterfaces = [\"{}\", \"{}\"]\nblock = [\"{}\"]\npin_dir = \"{}\"\n",
        loud.interface(),
        calm.interface(),
        loud.inside4,
        pins.0.display()
    );
    let dropped = |proxy: &Proxy, net: &Net| series(proxy, net.interface(), "drop", "block");
    let mut proxy = Proxy::start(&config);
    let port = addresses(&proxy)[0].port();
    assert!(!reaches(&loud, loud.outside4, port));
    assert!(reaches(&calm, calm.outside4, port));
    let seen = dropped(&proxy, &loud).unwrap();
    assert!(seen > 0);
    assert_eq!(dropped(&proxy, &calm), Some(0));
    assert!(series(&proxy, calm.interface(), "pass", "pass").unwrap() > 0);
    assert_eq!(series(&proxy, "other", "pass", "pass"), None);
    let status = json(&proxy.cli(&["-o", "json", "shield", "status"]).ok());
    for (net, is_loud) in [(&loud, true), (&calm, false)] {
        let interfaces = status["interfaces"].as_array().unwrap();
        let mut named = interfaces
            .iter()
            .filter(|one| one["name"] == net.interface());
        let traffic = &named.next().unwrap()["traffic"];
        assert!(traffic["packets"].as_u64().unwrap() > 0, "{status}");
        assert_eq!(
            traffic["dropped"].as_u64().unwrap() > 0,
            is_loud,
            "{status}"
        );
    }
    assert_eq!(status["other_interfaces"], serde_json::Value::Null);
    let text = proxy.cli(&["shield", "status"]).ok().text();
    let line = text
        .lines()
        .find(|line| line.contains(&format!("  {}: native; ", calm.interface())));
    assert!(line.unwrap().ends_with(" packets, 0 dropped"), "{text}");

    proxy.signal("TERM");
    proxy.wait();
    let proxy = Proxy::start(&config);
    let port = addresses(&proxy)[0].port();
    assert!(dropped(&proxy, &loud).unwrap() >= seen);
    let calm_before = series(&proxy, calm.interface(), "pass", "pass").unwrap();
    assert!(calm_before > 0);

    loud.unplug();
    wait_until("the interface is missed", || {
        dropped(&proxy, &loud).is_none()
    });
    loud.plug();
    wait_until("the interface is counted again", || {
        dropped(&proxy, &loud).is_some()
    });
    assert_eq!(
        dropped(&proxy, &loud),
        Some(0),
        "what came before is not its own"
    );
    assert!(!reaches(&loud, loud.outside4, port));
    assert!(dropped(&proxy, &loud).unwrap() > 0);
    assert_eq!(dropped(&proxy, &calm), Some(0));
    assert!(series(&proxy, calm.interface(), "pass", "pass").unwrap() >= calm_before);
}
