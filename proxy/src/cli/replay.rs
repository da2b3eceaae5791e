//! `openclaw replay`: which requests of an access log would have another fate under a configuration.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use openclaw_core::assay::{Logged, Replayed, World, is_ecs, replay};
use serde_json::{Value, json};

use super::diff::read;
use super::error::CliError;
use super::output::{Outcome, counted};
use crate::shield::Rehearsal;

/// The longest line that is looked at.
const LONGEST: u64 = 1 << 20;
/// Different changes that are told apart; a log that somebody has written could have any number.
const MOST_KINDS: usize = 10_000;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: no request would have another fate; 1: some would, or no line was understood. A log holds neither \
    headers, but for two, nor bodies: where those decide, nothing is said. What a limit or an endpoint would say is not asked; a client is \
    taken to be the peer."
)]
pub(super) struct Arguments {
    /// Our access log, in JSON or in the combined format; - is stdin
    log: PathBuf,
    /// The configuration to be asked
    #[arg(long, value_name = "FILE")]
    against: PathBuf,
    /// The host of lines that name none, as those of the combined format
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    host: String,
    /// How many kinds of changes are shown, the most frequent first
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

/// What came of it.
#[derive(Debug, Default)]
struct Summary {
    same: u64,
    changed: u64,
    /// Lines that are none of an access log.
    broken: u64,
    /// Those of them that are of the ECS format.
    ecs: u64,
    /// By why nothing can be said.
    unknown: BTreeMap<&'static str, u64>,
    /// By what became of them and what would.
    kinds: BTreeMap<(String, String), Kind>,
}

/// Requests that would change alike.
#[derive(Debug)]
struct Kind {
    count: u64,
    /// The first of them.
    line: u64,
    asks: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, CliError> {
    let config = read(&arguments.against)?.config;
    let (gate, notes) = Rehearsal::new(&config);
    let world = World::new(&config, &gate);
    let mut summary = Summary::default();
    let failed = |source| CliError::ReadFile {
        path: arguments.log.clone(),
        source,
    };
    let mut number = 0;
    let mut lines = open(&arguments.log).map_err(failed)?;
    while let Some(line) = next(&mut *lines).map_err(failed)? {
        number += 1;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        if !line.is_empty() {
            let logged = Logged::read(line, &arguments.host);
            summary.ecs += u64::from(logged.is_none() && is_ecs(line));
            summary.take(number, logged, &world);
        }
    }
    let mut outcome = summary.told(arguments);
    outcome.warnings = notes
        .iter()
        .map(|note| format!("warning: {note}"))
        .collect();
    Ok(outcome)
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    Ok(Box::new(BufReader::new(File::open(path)?)))
}

/// The next line, the beginning of one that is longer than any of ours.
fn next(lines: &mut dyn BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut rest = lines.take(LONGEST);
    if rest.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if rest.limit() == 0 && !line.ends_with(b"\n") {
        // The rest of it is no line of its own.
        loop {
            let buffer = lines.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(buffer.len(), |end| end + 1);
            lines.consume(used);
            if end.is_some() || used == 0 {
                break;
            }
        }
    }
    Ok(Some(line))
}

impl Summary {
    fn take(&mut self, line: u64, logged: Option<Logged>, world: &World<'_>) {
        let Some(logged) = logged else {
            self.broken += 1;
            return;
        };
        match replay(world, &logged) {
            Replayed::Same => self.same += 1,
            Replayed::Unknown(why) => *self.unknown.entry(why).or_default() += 1,
            Replayed::Changed(before, after) => {
                self.changed += 1;
                let is_full = self.kinds.len() >= MOST_KINDS;
                let mut kind = (before, after);
                if is_full && !self.kinds.contains_key(&kind) {
                    kind = ("others".to_owned(), "others".to_owned());
                }
                let kind = self.kinds.entry(kind).or_insert_with(|| Kind {
                    count: 0,
                    line,
                    asks: logged.asked.map_or_else(String::new, |asked| asked.text),
                });
                kind.count += 1;
            }
        }
    }

    fn told(&self, arguments: &Arguments) -> Outcome {
        let Self {
            same,
            changed,
            broken,
            unknown,
            kinds,
            ..
        } = self;
        let mut sorted: Vec<_> = kinds.iter().collect();
        sorted.sort_by_key(|(_, kind)| (std::cmp::Reverse(kind.count), kind.line));
        let unsaid: u64 = unknown.values().sum();
        let requests = same + changed + unsaid;
        let problem = self.problem();
        let against = arguments.against.display();
        let (all, lines) = (
            counted(requests, "request"),
            counted(*broken, "broken line"),
        );
        // Writing to a String cannot fail.
        let mut text = format!(
            "{all} against {against}: {same} the same, {changed} would change, {unsaid} cannot be told, {lines}\n"
        );
        if let Some(problem) = problem {
            let _ = writeln!(text, "{problem}");
        }
        for ((before, after), kind) in sorted.iter().take(arguments.limit) {
            let Kind { count, line, asks } = kind;
            let _ = writeln!(
                text,
                "  {count}: {before} -> {after}\n    such as {asks} (line {line})"
            );
        }
        let more = sorted.len().saturating_sub(arguments.limit);
        if more > 0 {
            let _ = writeln!(text, "  and {more} more kinds; --limit shows them");
        }
        for (why, count) in unknown {
            let _ = writeln!(text, "  {count} cannot be told: {why}");
        }
        let shown: Vec<Value> = sorted
            .iter()
            .take(arguments.limit)
            .map(|((before, after), kind)| {
                json!({
                    "count": kind.count,
                    "before": before,
                    "after": after,
                    "example": kind.asks,
                    "line": kind.line,
                })
            })
            .collect();
        let is_ok = *changed == 0 && problem.is_none();
        let json = json!({
            "ok": is_ok,
            "problem": problem,
            "requests": requests,
            "same": same,
            "changed": changed,
            "unknown": unknown,
            "broken": broken,
            "changes": shown,
            "more": more,
        });
        Outcome {
            code: u8::from(!is_ok),
            ..Outcome::new(text, json)
        }
    }

    /// Why the log says nothing at all, where it has lines.
    fn problem(&self) -> Option<&'static str> {
        let understood = self.same + self.changed + self.unknown.values().sum::<u64>();
        match (understood, self.broken, self.ecs) {
            (0, 0, _) | (1.., _, _) => None,
            (0, _, 0) => Some(
                "no line is one of our access log: replay reads its JSON and the combined format",
            ),
            (0, ..) => Some(
                "this is the ecs format, which replay does not read: it reads our JSON and the combined format",
            ),
        }
    }
}
