//! The unit for systemd: what it says is what the program needs.

use std::collections::BTreeSet;
use std::io;
use std::process::Command;

use super::{answering, status};
use crate::support::{Folder, Proxy};

const UNIT: &str = include_str!("../../config/openclaw.service");
const PROGRAM: &str = "/usr/local/bin/openclaw";

/// The values of a key, of all its lines.
fn values(key: &str) -> Vec<&'static str> {
    let lines = UNIT.lines().filter_map(|line| line.split_once('='));
    lines
        .filter(|(name, _)| *name == key)
        .flat_map(|(_, value)| value.split(' '))
        .collect()
}

#[test]
fn the_unit_gives_the_capabilities_that_the_program_keeps() {
    let proxy = Proxy::start(&answering("hello"));
    let status = status(&proxy);
    let kept = status["privileges"]["capabilities"].as_array().unwrap();
    let kept: BTreeSet<String> = kept
        .iter()
        .map(|name| name.as_str().unwrap().to_uppercase())
        .collect();
    assert_eq!(kept.len(), 4, "{kept:?}");
    for key in ["AmbientCapabilities", "CapabilityBoundingSet"] {
        let given: BTreeSet<String> = values(key).into_iter().map(str::to_owned).collect();
        assert_eq!(given, kept, "{key}");
    }
}

#[test]
fn the_unit_makes_the_places_of_the_default_configuration() {
    let reference = include_str!("../../config/openclaw.toml");
    for (directory, key) in [
        ("StateDirectory", "state_dir = \"/var/lib/"),
        ("RuntimeDirectory", "socket = \"/run/"),
    ] {
        let [name] = values(directory)[..] else {
            panic!("one {directory}");
        };
        let expected = format!("{key}{name}");
        assert!(reference.contains(&expected), "{expected}");
    }
    assert!(reference.contains("pin_dir = \"/sys/fs/bpf/openclaw\""));
    assert!(values("ExecStartPre").contains(&"/sys/fs/bpf/openclaw"));
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let folder = Folder::new();
    let program = env!("CARGO_BIN_EXE_openclaw");
    let unit = folder.write("openclaw.service", UNIT.replace(PROGRAM, program));
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&unit)
        .output();
    match verified {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{said}");
        }
        // Without systemd its own words are all there is to look at.
        Err(error) if error.kind() == io::ErrorKind::NotFound => assert_well_formed(),
        Err(error) => panic!("systemd-analyze: {error}"),
    }
}

fn assert_well_formed() {
    for line in UNIT.lines() {
        let is_section = ["[Unit]", "[Service]", "[Install]"].contains(&line);
        let is_setting = line.split_once('=').is_some_and(|(key, value)| {
            !value.is_empty() && key.chars().all(|letter| letter.is_ascii_alphanumeric())
        });
        let is_other = line.is_empty() || line.starts_with('#');
        assert!(is_section || is_setting || is_other, "{line}");
    }
    for key in ["ExecStart", "ExecReload"] {
        assert_eq!(values(key)[0], PROGRAM);
    }
}

#[test]
fn the_lines_of_the_unit_are_well_formed() {
    assert_well_formed();
}
