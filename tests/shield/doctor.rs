//! `openclaw shield doctor` on this machine.

use openclaw::shield::kernel::{Mode, Pins};
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

#[test]
fn the_doctor_says_that_a_veth_may_lose_syn_cookies_in_native_mode() {
    let (net, pins) = (Net::new(), PinDir::new());
    let said = |name: &str, more: &str| {
        let config = format!(
            "[listener.web]\nbind = \"127.0.0.1:0\"\n[shield]\npin_dir = \"{}\"\ninterfaces = [\"{name}\"]\n{more}\n",
            pins.0.display()
        );
        let (findings, code) = doctor(&config);
        assert_eq!(code, 0, "{findings:?}");
        let check = format!("{name} answers");
        let mut findings = findings.into_iter();
        findings.find(|(name, _)| *name == check).map(|one| one.1)
    };
    let name = net.interface();
    for mode in ["auto", "native"] {
        let warned = said(name, &format!("mode = \"{mode}\""));
        assert_eq!(warned.as_deref(), Some("warn"), "{mode}");
    }
    for silent in ["mode = \"generic\"", "syn = { mode = \"off\" }"] {
        assert_eq!(said(name, silent), None, "{silent}");
    }
    assert_eq!(said("lo", "mode = \"auto\""), None, "it is no veth");
    let mut shield = load(&pins);
    for (mode, expected) in [(Mode::Generic, None), (Mode::Native, Some("warn"))] {
        shield.attach(name, mode).unwrap();
        assert_eq!(said(name, "").as_deref(), expected, "{mode:?}");
        Pins::new(&pins.0).detach(name).unwrap();
    }
}
