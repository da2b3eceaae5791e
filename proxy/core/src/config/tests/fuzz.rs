//! Whatever the text: no panic, and either a configuration or problems whose places are inside the text.

use proptest::prelude::*;

use crate::config::{DEFAULT, reference};

use super::load_text;

/// The fuzz function.
fn loads_or_says_why(text: &str) {
    let Err(problems) = load_text(text) else {
        return;
    };
    assert!(!problems.0.is_empty(), "{text}");
    for problem in &problems.0 {
        // What follows the last newline is a line too.
        let line = text.split('\n').nth(problem.location.line - 1);
        let line = line.unwrap_or_else(|| panic!("{problem:?} in\n{text}"));
        let columns = line.chars().count() + 1;
        assert!(
            (1..=columns).contains(&problem.location.column),
            "{problem:?} in\n{text}"
        );
        assert!(!problem.message.is_empty());
    }
    assert!(problems.to_string().starts_with("error: "));
    serde_json::to_string(&problems).unwrap();
}

const EXAMPLES: &[&str] = &[
    include_str!("../../../../../config/examples/canary.toml"),
    include_str!("../../../../../config/examples/h2c.toml"),
    include_str!("../../../../../config/examples/many-hosts.toml"),
    include_str!("../../../../../config/examples/reverse-proxy.toml"),
    include_str!("../../../../../config/examples/shield.toml"),
];

/// Pieces that mean something to some parser on the way.
const PIECES: &[&str] = &[
    "",
    "\n",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "\"",
    "'",
    "\"\"\"",
    "=",
    ",",
    ".",
    "#",
    "\\",
    "\\u00e9",
    "\u{e9}",
    "\u{1f980}",
    "\t",
    "\r\n",
    "\0",
    "${",
    "}",
    "${PORT}",
    "${X:-y}",
    "$${",
    "0",
    "-1",
    "1e400",
    "99999999999999999999",
    "true",
    "2020-01-01",
    "\"10s\"",
    "\"64k\"",
    "\"10.0.0.1/8\"",
    "\"[::]:0\"",
    "[]",
    "{}",
    "[route]",
    "[[route]]",
    "[listener.x]",
    "[upstream.x]",
    "include = [\"*\"]",
    "to = \"x\"",
    "respond = {}",
    "tls = {}",
    "match = { path = \"/\" }",
];

fn mutated() -> impl Strategy<Value = String> {
    let corpus: Vec<String> = EXAMPLES
        .iter()
        .map(|text| (*text).to_owned())
        .chain([DEFAULT.to_owned(), reference()])
        .collect();
    let edit = (
        any::<prop::sample::Index>(),
        0_usize..40,
        prop::sample::select(PIECES),
    );
    (
        prop::sample::select(corpus),
        prop::collection::vec(edit, 1..6),
    )
        .prop_map(|(text, edits)| {
            edits.into_iter().fold(text, |text, (at, cut, piece)| {
                let at = text.floor_char_boundary(at.index(text.len() + 1));
                let end = text.floor_char_boundary((at + cut).min(text.len()));
                format!(
                    "{}{piece}{}",
                    text.split_at(at).0,
                    text.split_at(end.max(at)).1
                )
            })
        })
}

#[test]
fn the_corpus_and_its_ends_are_handled() {
    for text in EXAMPLES
        .iter()
        .copied()
        .chain([DEFAULT, "", "\n", "\u{feff}", "a", "[", "é", "\"é"])
    {
        loads_or_says_why(text);
        for cut in (0..text.len()).step_by(37) {
            loads_or_says_why(text.split_at(text.floor_char_boundary(cut)).0);
        }
    }
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let deep = 100_000;
    loads_or_says_why(&format!("a = {}", "[".repeat(deep)));
    loads_or_says_why(&format!("a = {}", "{a=".repeat(deep)));
    loads_or_says_why(&format!("{} = 1", vec!["a"; deep].join(".")));
    loads_or_says_why(&format!("[{}]", vec!["a"; deep].join(".")));
}

proptest! {
    #[test]
    fn mutated_files_load_or_say_why(text in mutated()) {
        loads_or_says_why(&text);
    }

    #[test]
    fn any_text_loads_or_says_why(text in "\\PC{0,200}") {
        loads_or_says_why(&text);
    }
}
