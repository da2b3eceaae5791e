//! `openclaw shield doctor` on this machine.

use openclaw::shield::kernel::Mode;
use serde_json::Value;

use super::lists::json;
use super::rig::{PinDir, load};
use crate::support::{Folder, Namespace, Net, Output, ip, openclaw};

/// The findings of `openclaw shield doctor`, by what they are about, and its exit code.
fn doctor(config: &str) -> (Vec<(String, String)>, i32) {
    let folder = Folder::new();
    let file = folder.write("openclaw.toml", config);
    let file = file.to_str().unwrap();
    let output = openclaw(&["-c", file, "-o", "json", "shield", "doctor"]);
    let findings = json(&output)["findings"].as_array().unwrap().clone();
    let text = openclaw(&["-c", file, "shield", "doctor"]).text();
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    for finding in &findings {
        assert!(text.contains(&word(finding, "found")), "{text}");
        let has_advice = !finding["advice"].is_null();
        assert_eq!(has_advice, finding["status"] != "ok", "{finding}");
    }
    let findings = findings.iter();
    let findings = findings.map(|one| (word(one, "check"), word(one, "status")));
    (findings.collect(), output.code)
}

#[test]
fn the_doctor_examines_a_machine_without_a_proxy() {
    let (net, pins) = (Net::new(), PinDir::new());
    let config = |more: &str| {
        format!(
            "[listener.web]\nbind = \"127.0.0.1:0\"\n[shield]\npin_dir = \"{}\"\n{more}\n",
            pins.0.display()
        )
    };
    let name = net.interface();
    let (findings, code) = doctor(&config(&format!("interfaces = [\"{name}\"]")));
    let status = |check: &str| {
        let found = findings.iter().find(|(name, _)| name == check);
        found.map(|(_, status)| status.as_str())
    };
    for check in ["program", "kernel", "capabilities", "memlock"] {
        assert_eq!(status(check), Some("ok"), "{findings:?}");
    }
    for check in ["driver", "program", "mtu", "lro"] {
        assert_eq!(
            status(&format!("{name} {check}")),
            Some("ok"),
            "{findings:?}"
        );
    }
    for check in ["bpffs", "tcp_syncookies", "tcp_timestamps"] {
        assert!(status(check).is_some(), "{findings:?}");
    }
    assert_eq!(code, 0);
    let (findings, code) = doctor(&config("interfaces = [\"no-such-if\"]"));
    assert!(findings.contains(&("no-such-if".into(), "fail".into())));
    assert_eq!(code, 1);
    let (findings, code) = doctor(&config("mode = \"off\""));
    assert!(findings.contains(&("interfaces".into(), "warn".into())));
    assert_eq!(code, 0);
}

#[test]
fn the_doctor_names_a_program_that_is_not_ours() {
    let (net, theirs, ours) = (Net::new(), PinDir::new(), PinDir::new());
    let mut foreign = load(&theirs);
    foreign.attach(net.interface(), Mode::Native).unwrap();
    let config = |pins: &PinDir| {
        format!(
            "[listener.web]\nbind = \"127.0.0.1:0\"\n[shield]\npin_dir = \"{}\"\ninterfaces = [\"{}\"]\n",
            pins.0.display(),
            net.interface()
        )
    };
    let check = format!("{} program", net.interface());
    let (findings, code) = doctor(&config(&ours));
    assert!(
        findings.contains(&(check.clone(), "fail".into())),
        "{findings:?}"
    );
    assert_eq!(code, 1);
    let (findings, code) = doctor(&config(&theirs));
    assert!(findings.contains(&(check, "ok".into())), "{findings:?}");
    assert_eq!(code, 0);
}

#[test]
fn the_doctor_sees_the_interfaces_of_its_own_network_namespace() {
    let namespace = Namespace::new();
    let pair = ["type", "veth", "peer", "name", "oc-other"];
    let add = ["-n", namespace.name(), "link", "add", "oc-only"];
    ip(&[&add[..], &pair].concat());
    let folder = Folder::new();
    let file = folder.write(
        "openclaw.toml",
        "[listener.web]\nbind = \"127.0.0.1:0\"\n[shield]\ninterfaces = [\"oc-only\"]\n",
    );
    let run = |verb: &[&str]| {
        let mut command = namespace.command(env!("CARGO_BIN_EXE_openclaw"));
        Output::of(command.arg("-c").arg(&file).args(verb), "the proxy")
    };
    let said = run(&["shield", "doctor"]).text();
    assert!(
        said.contains("oc-only mtu") && said.contains("1500"),
        "{said}"
    );
    let check = run(&["check"]).ok().stderr;
    assert!(!check.contains("there is no network interface"), "{check}");
}
