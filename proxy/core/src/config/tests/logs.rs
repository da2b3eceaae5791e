//! What `[log]` accepts, and what it does not.

use std::time::Duration;

use super::{accepted, rejected};
use crate::config::{AccessFormat, AccessTarget, Level, Log};
use crate::redact::Redact;

const BEFORE: &str = "[listener.web]\nbind = [\"127.0.0.1:80\"]\n[[route]]\nrespond = {}\n";

fn log(keys: &str) -> Log {
    accepted(&format!("{BEFORE}[log]\n{keys}\n")).log
}

/// Each row of keys must give exactly one problem, with this message.
fn wrong(rows: &[(&str, &str)]) {
    for (keys, message) in rows {
        let problems = rejected(&format!("{BEFORE}[log]\n{keys}\n")).0;
        let told: Vec<_> = problems.iter().map(|problem| &*problem.message).collect();
        assert!(
            told.len() == 1 && told[0].contains(message),
            "{keys}\n{told:#?}"
        );
    }
}

#[test]
fn what_is_remembered_is_bounded_in_bytes_and_begins_at_a_second() {
    let usual = log("");
    assert_eq!(usual.slow, Duration::from_secs(1));
    assert_eq!(usual.recent, 1 << 20);
    let own = log("slow = \"250ms\"\nrecent = \"0\"");
    assert_eq!((own.slow, own.recent), (Duration::from_millis(250), 0));
    wrong(&[
        ("slow = \"0s\"", "longer than zero"),
        ("slow = 3", "a unit"),
        ("recent = \"much\"", "much"),
    ]);
}

#[test]
fn nothing_is_left_out_and_no_security_log_is_written_unless_that_is_wanted() {
    let usual = log("");
    assert!(usual.redact.is_empty());
    assert_eq!(usual.security.to, AccessTarget::Off);
    assert!((usual.access.sample - 1.0).abs() < f32::EPSILON);
    let own = log(
        "access = { to = \"off\", format = \"ecs\", sample = 0.25 }\nsecurity = { to = \"security.log\", format = \"ecs\" }\n\
         redact = { query = [\"Token\"], headers = [\"referer\"], client = \"/24\" }",
    );
    assert_eq!(own.access.format, AccessFormat::Ecs);
    assert!((own.access.sample - 0.25).abs() < f32::EPSILON);
    assert_eq!(own.security.to, AccessTarget::File("security.log".into()));
    assert_eq!(own.security.format, AccessFormat::Ecs);
    let redact = Redact {
        query: vec!["token".into()],
        user_agent: false,
        referer: true,
        client: Some(24),
    };
    assert_eq!(own.redact, redact);
    assert!(
        log("redact = { headers = [\"user-agent\"] }")
            .redact
            .user_agent
    );
    wrong(&[
        ("access = { sample = 0 }", "0 is not a part of one"),
        ("access = { sample = 1.5 }", "1.5 is not a part of one"),
        ("access = { sample = \"10%\" }", "expected a number"),
        (
            "security = { format = \"combined\" }",
            "`combined` is not known here",
        ),
        (
            "redact = { headers = [\"cookie\"] }",
            "`cookie` is not known here",
        ),
        ("redact = { client = \"/4\" }", "not how much of an address"),
        ("redact = { client = \"24\" }", "not how much of an address"),
        ("redact = { client = 24 }", "expected"),
        ("redact = { body = true }", "body"),
    ]);
}

#[test]
fn every_level_has_its_word() {
    for level in [
        Level::Error,
        Level::Warn,
        Level::Info,
        Level::Debug,
        Level::Trace,
    ] {
        assert_eq!(Level::of(level.word()), Some(level));
    }
    assert_eq!(Level::of("loud"), None);
}
