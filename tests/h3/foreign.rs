//! Clients by others, in other languages: aioquic (QUIC in Python), niquests over qh3 (QUIC in Rust), curl over ngtcp2 (in C).

use std::path::PathBuf;
use std::process::Command;

use super::{Stage, echo};
use crate::support::Output;

/// Runs a script with the clients that `cargo xtask setup` installs.
fn python(stage: &Stage, script: &str) -> Output {
    let target = PathBuf::from(env!("CARGO_BIN_EXE_openclaw"));
    let target = target.ancestors().nth(2).unwrap();
    let port = stage.webs.port().to_string();
    let mut command = Command::new("timeout");
    command
        .arg("30")
        .arg(target.join("tools/clients/bin/python"))
        .args(["-c", script, &port]);
    let output = Output::of(&mut command, "coreutils");
    assert_ne!(
        output.code, 127,
        "run `cargo xtask setup`: {}",
        output.stderr
    );
    output
}

fn check(script: &str) {
    let origin = echo();
    let stage = Stage::before(&origin);
    let output = python(&stage, script).ok();
    assert!(
        output.text().ends_with("all is well\n"),
        "{}",
        output.text()
    );
    let line = stage.proxy.wait_for_access("/foreign");
    assert!(line.contains("\"HTTP/3\""), "{line}");
}

#[test]
fn aioquic_is_served_and_may_change_its_address() {
    check(include_str!("aioquic.py"));
}

#[test]
fn niquests_is_served() {
    check(include_str!("niquests.py"));
}

#[test]
fn curl_is_served() {
    check(include_str!("curl.py"));
}
