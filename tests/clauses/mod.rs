//! What RFC 9110, 9112, 9113 and 9114 (with 9204, QPACK) ask of a gateway, clause by clause, as tables over the real binary: the bytes that a client or an
//! origin sends, and what must come of them. `table` says how a table is written.
//!
//! Clauses about what this proxy is not (an origin, a cache, a user agent) have no rows. Where the specification leaves a choice,
//! the row says which one was made.

mod http1;
mod http3;
mod lists;
mod origin;
mod table;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use self::table::Row;

const TABLES: [&str; 4] = [
    include_str!("rfc9110.txt"),
    include_str!("rfc9112.txt"),
    include_str!("rfc9113.txt"),
    include_str!("rfc9114.txt"),
];

/// Sections with a clause for a gateway: a table that loses the last row of one fails.
const REQUIRED: [(&str, &[&str]); 5] = [
    (
        "9110",
        &[
            "2.2", "4.2.1", "4.2.4", "5.1", "5.3", "5.4", "5.5", "5.6.1", "5.6.3", "6.2", "6.5.1",
            "6.6.1", "6.6.2", "7.2", "7.4", "7.6", "7.6.1", "7.6.2", "7.6.3", "7.7", "7.8", "8.6",
            "9.1", "9.2.2", "9.3.2", "9.3.6", "9.3.7", "9.3.8", "10.1.1", "10.1.3", "10.1.4",
            "10.2.1", "11.7.2", "13.2.1", "14.2", "15", "15.2", "15.2.2", "15.3.6", "15.3.7",
            "15.4.5", "15.5.6", "15.5.22", "15.6.6", "17.5",
        ],
    ),
    (
        "9112",
        &[
            "2.2", "2.3", "3", "3.2", "3.2.1", "3.2.2", "3.2.3", "3.2.4", "4", "5.1", "5.2", "6.1",
            "6.2", "6.3", "7.1", "7.1.1", "7.1.2", "7.2", "7.4", "8", "9.2", "9.3", "9.3.1",
            "9.3.2", "9.5", "9.6", "11.1", "C.2.2",
        ],
    ),
    (
        "9113",
        &[
            "8.1", "8.1.1", "8.2.1", "8.2.2", "8.2.3", "8.3", "8.3.1", "8.3.2", "8.4", "8.5",
            "8.8", "10.3", "10.5.1",
        ],
    ),
    (
        "9114",
        &[
            "3.1.1", "3.2", "3.3", "4.1", "4.1.1", "4.1.2", "4.2", "4.2.1", "4.2.2", "4.3",
            "4.3.1", "4.3.2", "4.4", "4.5", "4.6", "5.2", "6.1", "6.2", "6.2.1", "6.2.2", "7.1",
            "7.2.1", "7.2.2", "7.2.3", "7.2.4", "7.2.4.1", "7.2.5", "7.2.6", "7.2.7", "7.2.8",
            "8.1", "9", "10.3", "10.5", "10.8", "10.9", "10.10",
        ],
    ),
    (
        "9204",
        &["2.2.3", "3.1", "4.2", "4.3.1", "4.3.2", "4.4.1", "4.4.3"],
    ),
];

/// How many rows each clause has.
fn counts() -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for row in TABLES.into_iter().flat_map(table::rows) {
        *counts.entry(row.clause).or_default() += 1;
    }
    counts
}

#[test]
fn every_clause_for_a_gateway_is_covered() {
    let counts = counts();
    let mut missing = Vec::new();
    for (rfc, sections) in REQUIRED {
        missing.extend(
            sections
                .iter()
                .map(|section| format!("{rfc} §{section}"))
                .filter(|clause| !counts.contains_key(clause.as_str())),
        );
    }
    let mut covered = String::new();
    for (clause, rows) in &counts {
        let _ = writeln!(covered, "{clause}: {rows}");
    }
    assert!(
        missing.is_empty(),
        "no row for {missing:?}; covered clauses, with the number of their rows:\n{covered}"
    );
}

#[test]
fn a_clause_that_another_test_holds_names_one_that_is_there() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for row in TABLES.into_iter().flat_map(table::rows) {
        let Some((file, name)) = row.test else {
            continue;
        };
        let text = std::fs::read_to_string(tests.join(file));
        let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(&format!("fn {name}(")), "{file}: {name}");
    }
}

/// Runs the rows for which something is to be sent, and tells all that went wrong at once.
fn run_all<'a>(
    rows: impl IntoIterator<Item = &'a Row>,
    mut run: impl FnMut(&Row) -> Result<(), String>,
) {
    let mut wrong = Vec::new();
    let mut count = 0;
    for row in rows {
        count += 1;
        if let Err(what) = run(row) {
            wrong.push(format!(
                "line {}, {}, {}:\n    {what}",
                row.line, row.clause, row.rule
            ));
        }
    }
    assert!(count > 0, "no rows");
    assert!(
        wrong.is_empty(),
        "{} of {count} rows:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What of `expected` is not in `text`, and what of `unwanted` is, whatever the case of letters.
fn compare(
    what: &str,
    text: &[u8],
    expected: &[Vec<u8>],
    unwanted: &[Vec<u8>],
) -> Result<(), String> {
    let lower = text.to_ascii_lowercase();
    let has = |part: &Vec<u8>| {
        let part = part.to_ascii_lowercase();
        lower.windows(part.len()).any(|window| window == part)
    };
    let lacking = expected
        .iter()
        .find(|part| !has(part))
        .map(|part| ("lacks", part));
    let superfluous = unwanted
        .iter()
        .find(|part| has(part))
        .map(|part| ("has", part));
    match lacking.or(superfluous) {
        None => Ok(()),
        Some((verb, part)) => Err(format!(
            "{what} {verb} {:?}: {:?}",
            String::from_utf8_lossy(part),
            String::from_utf8_lossy(text)
        )),
    }
}
