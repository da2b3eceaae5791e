//! What `[log]` accepts, and what it does not.

use std::time::Duration;

use super::{accepted, rejected};
use crate::config::Log;

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
