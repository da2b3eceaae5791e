//! `openclaw test`: asks the `[[test]]`s of a configuration. No socket is opened, no proxy is asked and no privilege is needed.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use openclaw_core::assay::{Fate, Unmet, World, unmet};
use openclaw_core::config::{Asks, Complaint, Loaded, Places, Problem, Severity, Test};
use serde_json::{Value, json};

use super::Context;
use super::error::CliError;
use super::output::Outcome;
use super::request;
use crate::control::load;
use crate::shield::Rehearsal;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 1: a test fails, or none is called like --filter. Each is told with its place, what is there in place of what \
    is expected, and the way that the request takes. A request over a `protocol` that no listener speaks comes nowhere. No \
    endpoint is asked: a status from 200 to 299 stands for a request that is sent on to one. The shield is what the file and its lists say, \
    wherever the test runs."
)]
pub(super) struct Arguments {
    /// The file; else the one that `run` would take
    file: Option<PathBuf>,
    /// Only tests whose name has this in it; one without a name is called by what it asks
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

/// A test that was asked.
struct Asked<'a> {
    /// Its place among all.
    index: usize,
    test: &'a Test,
    fate: Fate,
    unmet: Vec<Unmet>,
}

pub(super) fn test(context: &Context, arguments: &Arguments) -> Result<Outcome, CliError> {
    let origin = context.origin(arguments.file.as_deref());
    let Loaded { config, places, .. } = load(&origin).map_err(CliError::Refused)?;
    let (gate, notes) = Rehearsal::new(&config);
    let world = World::new(&config, &gate);
    let wanted = |test: &Test| {
        let filter = arguments.filter.as_deref().unwrap_or_default();
        test.name.contains(filter)
    };
    let tests = config.tests.iter().enumerate();
    let asked: Vec<Asked<'_>> = tests
        .filter(|(_, test)| wanted(test))
        .map(|(index, test)| {
            let fate = world.asks(&test.asks);
            let unmet = unmet(test, &fate, &config);
            Asked {
                index,
                test,
                fate,
                unmet,
            }
        })
        .collect();
    let failed = asked.iter().filter(|it| !it.unmet.is_empty()).count();
    let passed = asked.len() - failed;
    // A filter that is spelt wrong must not look like success.
    let is_missed = asked.is_empty() && arguments.filter.is_some();
    let is_ok = failed == 0 && !is_missed;
    let mut text = String::new();
    let mut tests = Vec::new();
    for one in &asked {
        let problems = problems(one, &places);
        if !problems.is_empty() {
            text.push_str(&told(one, &problems, &world));
        }
        tests.push(json(one, &problems, &places));
    }
    let name = origin.name();
    // Writing to a String cannot fail.
    let _ = match (asked.len(), config.tests.len()) {
        (0, 0) => writeln!(text, "{name}: no tests; write them as [[test]]"),
        (0, all) => writeln!(text, "{name}: none of {all} tests is called like this"),
        _ if failed == 0 => writeln!(text, "{name}: ok ({passed} passed)"),
        _ => writeln!(text, "{name}: {failed} failed, {passed} passed"),
    };
    let json = json!({
        "ok": is_ok,
        "config": name,
        "passed": passed,
        "failed": failed,
        "tests": tests,
        "warnings": notes,
    });
    Ok(Outcome {
        warnings: notes
            .iter()
            .map(|note| format!("warning: {note}"))
            .collect(),
        code: u8::from(!is_ok),
        ..Outcome::new(text, json)
    })
}

/// What is not met, each with its place in the file.
fn problems(asked: &Asked<'_>, places: &Places) -> Vec<Problem> {
    let problem = |unmet: &Unmet| {
        let start = ["test", &asked.index.to_string(), "expect"].map(str::to_owned);
        let path: Vec<String> = start.into_iter().chain(unmet.key.iter().cloned()).collect();
        let key = unmet.key.join(".");
        let Unmet { expected, got, .. } = unmet;
        let message = format!("{}: {key} is {got}, not {expected}", asked.test.name);
        let mut complaint = Complaint::new(message);
        complaint.hint.clone_from(&unmet.hint);
        places.problem(Severity::Error, &path, complaint)
    };
    asked.unmet.iter().filter_map(problem).collect()
}

/// What is wrong, and the way that led there.
fn told(asked: &Asked<'_>, problems: &[Problem], world: &World<'_>) -> String {
    // Writing to a String cannot fail.
    let mut text = String::new();
    for problem in problems {
        let _ = write!(text, "{problem}");
    }
    let _ = match &asked.test.asks {
        Asks::Request(request) => {
            let method = request.text.split(' ').next().unwrap_or_default();
            let from = request.from.to_string();
            let way = request::told(method, &from, &world.examine(request));
            writeln!(text, "{}", indented(&way))
        }
        Asks::Packet(packet) => {
            let does = asked.fate.does();
            writeln!(text, "  {}\n    {does}\n", packet.text)
        }
    };
    text
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("  {line}\n"));
    lines.collect()
}

fn json(asked: &Asked<'_>, problems: &[Problem], places: &Places) -> Value {
    let index = asked.index.to_string();
    let place = places.problem(Severity::Error, &["test", &index], Complaint::new(""));
    let failures: Vec<Value> = asked
        .unmet
        .iter()
        .zip(problems)
        .map(|(unmet, problem)| {
            json!({
                "key": unmet.key.join("."),
                "expected": unmet.expected,
                "got": unmet.got,
                "hint": unmet.hint,
                "line": problem.location.line,
                "column": problem.location.column,
            })
        })
        .collect();
    json!({
        "name": asked.test.name,
        "asks": asked.test.asks.text(),
        "ok": asked.unmet.is_empty(),
        "place": place.map(|problem| problem.location),
        "failures": failures,
        "got": asked.fate,
    })
}
