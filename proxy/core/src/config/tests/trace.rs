//! What `[trace]` accepts, and what it does not.

use super::{accepted, rejected};
use crate::config::Trace;

const BEFORE: &str =
    "[listener.web]\nbind = [\"127.0.0.1:80\"]\n[[route]]\nrespond = {}\n[trace]\n";

fn trace(keys: &str) -> Trace {
    accepted(&format!("{BEFORE}{keys}\n")).trace
}

#[test]
fn nothing_is_recorded_unless_there_is_a_collector() {
    let usual = trace("");
    assert_eq!(usual.otlp, None);
    assert_eq!((&*usual.service, usual.queue), ("openclaw", 2048));
    let own = trace("otlp = \"https://collector.test:4318/\"\nservice = \"edge\"\nqueue = 16");
    assert_eq!(own.otlp.as_deref(), Some("https://collector.test:4318"));
    assert_eq!((&*own.service, own.queue), ("edge", 16));
}

#[test]
fn a_share_goes_down_to_a_thousandth_of_a_percent() {
    let takes =
        |text: &str, random: u32| trace(&format!("sample = \"{text}\"")).sample.takes(random);
    assert!(!takes("0%", 0));
    assert!(takes("100%", u32::MAX) && takes("100.000%", u32::MAX));
    assert!(takes("0.001%", 0) && !takes("0.001%", u32::MAX / 90_000));
    assert!(takes("0.5%", u32::MAX / 201) && !takes("0.5%", u32::MAX / 199));
    assert_eq!(trace("").sample, trace("sample = \"1%\"").sample);
    assert_eq!(
        trace("sample = \"1.50%\"").sample,
        trace("sample = \"1.5%\"").sample
    );
}

#[test]
fn what_makes_no_sense_is_told() {
    for (keys, message) in [
        ("otlp = \"127.0.0.1:4318\"", "not a URL"),
        ("otlp = \"grpc://127.0.0.1:4317\"", "not a URL"),
        ("otlp = \"\"", "empty"),
        ("sample = \"101%\"", "not a share"),
        ("sample = \"100.001%\"", "not a share"),
        ("sample = \"1\"", "not a share"),
        ("sample = \"1.2345%\"", "not a share"),
        ("sample = \".5%\"", "not a share"),
        ("sample = \"5.%\"", "not a share"),
        ("sample = \"-1%\"", "not a share"),
        ("sample = \"99999999999%\"", "not a share"),
        ("sample = 0.01", "expected a string"),
        ("service = \"\"", "empty"),
        ("queue = 1", "out of range"),
        ("collector = \"x\"", "unknown key"),
    ] {
        let problems = rejected(&format!("{BEFORE}{keys}\n")).0;
        let told: Vec<_> = problems.iter().map(|problem| &*problem.message).collect();
        assert!(
            told.len() == 1 && told[0].contains(message),
            "{keys}\n{told:#?}"
        );
    }
}
