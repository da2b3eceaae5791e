//! `shield attach --confirm`: what nobody confirms is taken off again, whatever becomes of the proxy; and the operator's own connection.

use std::process::Command;

use crate::control::answering;
use crate::shield::net::INTERFACE;
use crate::support::{Output, Proxy, wait_until};

use super::net::{CLIENT4, Net};
use super::privileges::in_namespace;
use super::rig::PinDir;

/// A proxy in a namespace that is attached to nothing.
struct Stage {
    proxy: Proxy,
    net: Net,
    pins: PinDir,
}

impl Stage {
    fn new(shield: &str) -> Self {
        let (net, pins) = (Net::new(), PinDir::new());
        let config = format!(
            "{}[shield]\npin_dir = \"{}\"\n{shield}\n",
            answering("hello"),
            pins.0.display()
        );
        let proxy = Proxy::start_through(&config, 0, &["nsenter", &in_namespace(&net)], &[]);
        Self { proxy, net, pins }
    }

    fn is_attached(&self) -> bool {
        self.pins.0.read_dir().is_ok_and(|versions| {
            let mut versions = versions.flatten();
            versions.any(|one| one.path().join(format!("link-{INTERFACE}")).exists())
        })
    }

    /// What somebody orders who is logged in from the other end.
    fn over_ssh(&self, arguments: &[&str]) -> Output {
        Output::of(
            Command::new("nsenter")
                .arg(in_namespace(&self.net))
                .arg(env!("CARGO_BIN_EXE_openclaw"))
                .arg("-c")
                .arg(self.proxy.config())
                .args(arguments)
                .env("SSH_CONNECTION", format!("{CLIENT4} 50000 10.77.0.1 22")),
            "the proxy",
        )
    }
}

#[test]
fn an_attachment_is_taken_off_unless_it_is_confirmed() {
    let mut stage = Stage::new("");
    let attach = |stage: &Stage, time: &str| {
        stage
            .proxy
            .cli(&["shield", "attach", INTERFACE, "--confirm", time])
    };
    let alone = stage.proxy.cli(&["shield", "confirm"]);
    assert_eq!(alone.code, 1);
    assert!(
        alone
            .stderr
            .contains("no interface waits for a confirmation"),
        "{}",
        alone.stderr
    );
    assert_eq!(attach(&stage, "2d").code, 2);

    attach(&stage, "1s").ok();
    stage.proxy.wait_for("nobody has confirmed it");
    assert!(!stage.is_attached());

    let attached = attach(&stage, "10m").ok().text();
    let words = "\n    it is taken off at 2";
    assert!(attached.contains(words), "{attached}");
    assert!(
        attached.contains(" unless `openclaw shield confirm` comes before\n"),
        "{attached}"
    );
    let again = attach(&stage, "10m");
    assert_eq!(again.code, 1);
    assert!(
        again.stderr.contains("the shield is on oc0 already"),
        "{}",
        again.stderr
    );
    let confirmed = stage.proxy.cli(&["shield", "confirm"]).ok().text();
    assert!(!confirmed.contains("taken off"), "{confirmed}");
    assert!(stage.is_attached());
    stage.proxy.cli(&["shield", "detach", INTERFACE]).ok();

    // Nobody is left to take it off: neither after an end nor after a sudden one.
    attach(&stage, "10m").ok();
    stage.proxy.signal("TERM");
    assert!(stage.proxy.wait().success());
    assert!(!stage.is_attached());
    let nobody = attach(&stage, "10m");
    assert_eq!(nobody.code, 1);
    assert!(
        nobody.stderr.contains("takes a running proxy"),
        "{}",
        nobody.stderr
    );
    stage.proxy.start_again();
    attach(&stage, "10m").ok();
    stage.proxy.kill();
    assert!(stage.is_attached());
    stage.proxy.start_again();
    wait_until("it is taken off", || !stage.is_attached());
    assert_eq!(stage.proxy.cli(&["shield", "confirm"]).code, 1);
}

#[test]
fn an_order_that_cuts_off_its_operator_is_refused() {
    let stage = Stage::new(&format!("block = [\"{CLIENT4}\"]"));
    let attach = ["shield", "attach", INTERFACE];
    let insist = |order: &[&str]| {
        stage.over_ssh(&[order, &["--force"]].concat()).ok();
    };
    let refused = |order: &[&str], words: &str| {
        let refused = stage.over_ssh(order);
        assert_eq!(refused.code, 1, "{}", refused.text());
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    };
    let words = "you are logged in from 10.77.0.2, which it would drop (shield.block)";
    refused(&attach, words);
    assert!(!stage.is_attached());
    insist(&attach);
    assert!(stage.is_attached());
    stage.proxy.cli(&["shield", "detach", INTERFACE]).ok();

    let allow = |address: &str| stage.proxy.cli(&["allowlist", "add", address]).ok();
    allow("10.77.0.0/24");
    allow(CLIENT4);
    stage.over_ssh(&attach).ok();
    assert!(stage.is_attached());
    // The other entry allows them still.
    stage.over_ssh(&["allowlist", "del", CLIENT4]).ok();
    let words = "nothing is deleted: you are logged in from 10.77.0.2, which would be cut off";
    let orders = [
        &["allowlist", "del", "203.0.113.7", "10.77.0.0/24"][..],
        &["allowlist", "flush", "--list", "manual"],
        &["allowlist", "flush"],
    ];
    for order in orders {
        refused(order, words);
        insist(&[order[0], "del", "10.77.0.0/24"]);
        allow("10.77.0.0/24");
    }
    stage.over_ssh(&["shield", "off"]).ok();
    stage.over_ssh(&["allowlist", "flush"]).ok();
    refused(
        &["shield", "on"],
        "the shield stays off: you are logged in from 10.77.0.2",
    );
    insist(&["shield", "on"]);
}
