//! What outlives the end of a proxy, and what does not.

use openclaw::shield::kernel::{Maps, Pins};
use openclaw_common::abi::flags;
use openclaw_common::verdict::Reason;

use super::attach::Wire;
use super::net::{CLIENT4, INTERFACE, Net, SERVER4};
use super::privileges::in_namespace;
use super::rig::PinDir;
use crate::control::{address, answering};
use crate::support::{Folder, Proxy, curl, openclaw};

#[test]
fn the_kill_switch_stays_as_it_was_thrown_and_nobody_is_told_of_drops_that_nobody_reads() {
    let (net, pins) = (Net::new(), PinDir::new());
    let config = |pins: &PinDir| {
        format!(
            "[shield]\ninterfaces = [\"{INTERFACE}\"]\npin_dir = \"{}\"\nblock = [\"{CLIENT4}\"]\n[log]\nlevel = \"debug\"\n{}",
            pins.0.display(),
            answering("hello")
        )
    };
    let through = ["nsenter", &in_namespace(&net)];
    let mut proxy = Proxy::start_through(&config(&pins), 0, &through, &[]);
    let wire = Wire::new(&net, SERVER4, CLIENT4);
    let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
    let flags = || maps.config().unwrap().flags;
    wire.assert_dropped(&maps, Reason::Block);
    let told = flags::EVENTS | flags::DEBUG;
    assert_eq!(flags() & told, told);

    proxy.cli(&["shield", "off"]).ok();
    proxy.kill();
    proxy.start_again();
    proxy.wait_for("the shield is OFF, as it was before this start");
    wire.assert_open();
    proxy.cli(&["shield", "on"]).ok();
    wire.assert_dropped(&maps, Reason::Block);
    // Thrown on the pins while nobody runs.
    proxy.signal("TERM");
    assert!(proxy.wait().success());
    assert_eq!(flags() & (told | flags::ENABLED), flags::ENABLED);
    let pin_dir = pins.0.to_str().unwrap();
    openclaw(&["shield", "off", "--pin-dir", pin_dir]).ok();
    proxy.start_again();
    wire.assert_open();
    // The proxy goes on with the pins that it has.
    let other = PinDir::new();
    proxy.rewrite(&config(&other));
    let reloaded = proxy.cli(&["reload"]).ok();
    let words = format!("`shield.pin_dir` stays {pin_dir} until the proxy is restarted");
    assert!(reloaded.stderr.contains(&words), "{}", reloaded.stderr);
    assert!(!other.0.exists());
    proxy.cli(&["shield", "on"]).ok();
    wire.assert_dropped(&maps, Reason::Block);
}

#[test]
fn the_kill_switch_outlives_a_restart_where_there_is_no_kernel_program() {
    let mut proxy = Proxy::start(&answering("hello"));
    proxy.cli(&["blocklist", "add", "127.0.0.2"]).ok();
    let get = |proxy: &Proxy| {
        let url = format!("http://{}/", address(proxy, "web"));
        curl(&["--interface", "127.0.0.2", &url]).code
    };
    assert!(matches!(get(&proxy), 52 | 56));
    proxy.cli(&["shield", "off"]).ok();
    for _ in 0..2 {
        assert_eq!(get(&proxy), 0);
        proxy.kill();
        proxy.start_again();
    }
    proxy.cli(&["shield", "on"]).ok();
    proxy.kill();
    proxy.start_again();
    assert!(matches!(get(&proxy), 52 | 56));
}

#[test]
fn an_export_in_any_format_keeps_what_ends() {
    let proxy = Proxy::start(&answering("hello"));
    let folder = Folder::new();
    let cli = |arguments: &[&str]| proxy.cli(arguments).ok().text();
    cli(&["blocklist", "add", "203.0.113.7", "--ttl", "2h"]);
    cli(&["blocklist", "add", "203.0.113.8", "--list", "feed"]);
    for format in ["plain", "netset", "csv", "json"] {
        let text = cli(&["blocklist", "export", "--format", format]);
        let file = folder.write(format, text);
        cli(&["blocklist", "flush"]);
        let imported = cli(&["blocklist", "import", file.to_str().unwrap()]);
        assert!(imported.contains("2 added"), "{format}: {imported}");
        let listed = cli(&["blocklist", "list"]);
        let ends = |address: &str, end: &str| {
            let mut lines = listed.lines();
            lines.any(|line| line.starts_with(address) && line.contains(end))
        };
        assert!(ends("203.0.113.7", " in "), "{format}: {listed}");
        assert!(ends("203.0.113.8", " never"), "{format}: {listed}");
    }
}
