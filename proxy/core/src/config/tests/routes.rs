//! What routes and their kin accept, and what they do not.

use super::{accepted, rejected};
use crate::config::{Route, SplitBy};

const BEFORE: &str = "[listener.web]\nbind = [\"127.0.0.1:80\"]\n[upstream.app]\nendpoints = [\"127.0.0.1:80\"]\n[upstream.next]\nendpoints = [\"127.0.0.1:81\"]\n[[route]]\n";

fn route(keys: &str) -> Route {
    accepted(&format!("{BEFORE}{keys}\n")).routes.remove(0)
}

/// Each row of keys must give exactly one problem, with this message and hint.
fn wrong(rows: &[(&str, &str, &str)]) {
    for (keys, message, hint) in rows {
        let problems = rejected(&format!("{BEFORE}{keys}\n")).0;
        let told: Vec<_> = problems.iter().map(|problem| &*problem.message).collect();
        assert!(
            told.len() == 1 && told[0].contains(message),
            "{keys}\n{told:#?}"
        );
        let given = problems[0].hint.as_deref().unwrap_or_default();
        assert!(given.contains(hint), "{keys}\n{given}");
    }
}

#[test]
fn a_split_goes_by_address_unless_it_is_told() {
    let split = |keys: &str| route(&format!("to = [\"app\", \"next\"]\n{keys}")).split_by;
    assert_eq!(split(""), SplitBy::ClientIp);
    for (word, expected) in [
        ("client_ip", SplitBy::ClientIp),
        ("random", SplitBy::Random),
        ("header:X-User", SplitBy::Header("x-user".to_owned())),
        ("cookie:User", SplitBy::Cookie("User".to_owned())),
    ] {
        assert_eq!(split(&format!("split_by = \"{word}\"")), expected);
    }
    wrong(&[
        (
            "to = \"app\"\nsplit_by = \"ip\"",
            "nothing is split by `ip`",
            "write client_ip",
        ),
        (
            "to = \"app\"\nsplit_by = \"cookie\"",
            "nothing is split",
            "name it",
        ),
        (
            "to = \"app\"\nsplit_by = \"cookie:\"",
            "nothing is split",
            "write",
        ),
        ("to = \"app\"\nsplit_by = 5", "expected a string", ""),
    ]);
}
