//! Operators who work over SSH: neither a reload nor the switch cuts them off unless they insist.

use std::process::Command;

use super::rig::PinDir;
use crate::control::answering;
use crate::support::{Folder, Output, Proxy, Shape, mmdb};

const ALLOWED: &str = "203.0.113.5";
const BLOCKED: &str = "203.0.113.6";
const FRENCH: &str = "9.1.2.3";

struct Stage {
    proxy: Proxy,
    pins: PinDir,
    folder: Folder,
}

impl Stage {
    fn new() -> Self {
        let (pins, folder) = (PinDir::new(), Folder::new());
        let proxy = Proxy::start(&config(&pins, &folder, ""));
        Self {
            proxy,
            pins,
            folder,
        }
    }

    fn rewrite(&self, more: &str) {
        self.proxy.rewrite(&config(&self.pins, &self.folder, more));
    }

    /// A command of somebody who has logged in from there.
    fn from(&self, peer: &str, arguments: &[&str]) -> Output {
        Output::of(
            Command::new(env!("CARGO_BIN_EXE_openclaw"))
                .arg("-c")
                .arg(self.proxy.config())
                .arg("--socket")
                .arg(self.proxy.socket())
                .args(arguments)
                .env("SSH_CONNECTION", format!("{peer} 50000 127.0.0.1 22")),
            "the proxy",
        )
    }
}

/// The state directory is named, as a rewritten configuration must name the same.
fn config(pins: &PinDir, folder: &Folder, more: &str) -> String {
    format!(
        "{}[server]\nstate_dir = \"{}\"\n[shield]\ninterfaces = [\"oc-no-such\"]\npin_dir = \"{}\"\n{more}\n",
        answering("hello"),
        folder.path().join("state").display(),
        pins.0.display()
    )
}

#[test]
fn a_reload_that_cuts_its_operator_off_takes_force() {
    let stage = Stage::new();
    stage.proxy.cli(&["allowlist", "add", ALLOWED]).ok();
    let file = stage.folder.write("drop.netset", "198.51.100.0/24\n");
    let world = mmdb(Shape::Nested, 1_767_225_600, &[("9.0.0.0/8", "FR")]);
    let database = stage.folder.write("country.mmdb", world);
    for (more, cut_off, spared) in [
        ("block = [\"203.0.113.0/24\"]".to_owned(), BLOCKED, ALLOWED),
        (
            format!(
                "lists = [{{ name = \"drop\", file = \"{}\" }}]",
                file.display()
            ),
            "198.51.100.9",
            BLOCKED,
        ),
        (
            format!(
                "geo = {{ database = \"{}\", deny = [\"FR\"] }}",
                database.display()
            ),
            FRENCH,
            BLOCKED,
        ),
    ] {
        stage.rewrite(&more);
        let refused = stage.from(cut_off, &["reload"]);
        assert_eq!(refused.code, 1, "{more}");
        let words = format!("you are logged in from {cut_off}, which the shield would drop then");
        assert!(refused.stderr.contains(&words), "{}", refused.stderr);
        let tested = stage.proxy.cli(&["blocklist", "test", cut_off]).text();
        assert!(tested.contains("is not blocked"), "{tested}");
        stage.from(spared, &["reload"]).ok();
        // Who is cut off already has nothing to lose.
        stage.from(cut_off, &["reload"]).ok();
        stage.rewrite("");
        stage.proxy.cli(&["reload"]).ok();
        stage.rewrite(&more);
        stage.from(cut_off, &["reload", "--force"]).ok();
        stage.rewrite("");
        stage.proxy.cli(&["reload"]).ok();
    }
}

#[test]
fn the_switch_is_not_thrown_on_against_ones_own_country() {
    let stage = Stage::new();
    let world = mmdb(Shape::Nested, 1_767_225_600, &[("9.0.0.0/8", "FR")]);
    let database = stage.folder.write("country.mmdb", world);
    stage.rewrite(&format!(
        "geo = {{ database = \"{}\", deny = [\"FR\"] }}",
        database.display()
    ));
    stage.proxy.cli(&["reload"]).ok();
    stage.from(FRENCH, &["shield", "off"]).ok();
    let refused = stage.from(FRENCH, &["shield", "on"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused
            .stderr
            .contains("the shield stays off: you are logged in from 9.1.2.3"),
        "{}",
        refused.stderr
    );
    stage.from(BLOCKED, &["shield", "on"]).ok();
    stage.from(FRENCH, &["shield", "off"]).ok();
    stage.from(FRENCH, &["shield", "on", "--force"]).ok();
}
