//! `openclaw diff`: what is different between two configurations, in terms of what they do.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use openclaw_core::assay::{Difference, Kind, Shifted, Side, Turned, World, difference};
use openclaw_core::config::Loaded;
use serde_json::json;

use super::error::CliError;
use super::output::Outcome;
use crate::control::{Origin, Refused, load};
use crate::shield::Rehearsal;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: they do the same; 1: something is different; 2: one of them cannot be read. Defaults, units, comments and the \
    order of what has no order are no difference. The tests of both files are asked of both, and those are shown of which something \
    else becomes."
)]
pub(super) struct Arguments {
    old: PathBuf,
    new: PathBuf,
}

pub(super) fn diff(arguments: &Arguments) -> Result<Outcome, CliError> {
    let (old, new) = (read(&arguments.old)?, read(&arguments.new)?);
    let (old_gate, mut notes) = Rehearsal::new(&old.config);
    let (new_gate, more) = Rehearsal::new(&new.config);
    notes.extend(more);
    notes.dedup();
    let (old_world, new_world) = (
        World::new(&old.config, &old_gate),
        World::new(&new.config, &new_gate),
    );
    let (old_plain, new_plain) = (old.places.plain(), new.places.plain());
    let found = difference(
        Side {
            world: &old_world,
            plain: &old_plain,
        },
        Side {
            world: &new_world,
            plain: &new_plain,
        },
    );
    let json = json!({
        "ok": found.is_empty(),
        "old": arguments.old.display().to_string(),
        "new": arguments.new.display().to_string(),
        "changes": found.changes,
        "moved": found.moved,
        "unreachable": found.unreachable,
        "tests": found.tests,
        "warnings": notes,
    });
    Ok(Outcome {
        warnings: notes
            .iter()
            .map(|note| format!("warning: {note}"))
            .collect(),
        code: u8::from(!found.is_empty()),
        ..Outcome::new(text(&found), json)
    })
}

/// A file that cannot be read is no difference.
pub(super) fn read(path: &Path) -> Result<Loaded, CliError> {
    load(&Origin::File(path.to_owned())).map_err(|refused: Refused| {
        if refused.is_of_the_system() {
            CliError::Usage {
                message: refused.to_string().trim_start_matches("error: ").to_owned(),
            }
        } else {
            CliError::Refused(refused)
        }
    })
}

fn text(found: &Difference) -> String {
    if found.is_empty() {
        return "they do the same\n".to_owned();
    }
    let mut text = String::new();
    for change in &found.changes {
        let sign = match change.kind {
            Kind::Added => '+',
            Kind::Removed => '-',
            Kind::Changed => '~',
        };
        // Writing to a String cannot fail.
        let _ = match change.keys.as_slice() {
            [all] if change.kind != Kind::Changed => {
                writeln!(text, "{sign} {}: {all}", change.what)
            }
            _ => writeln!(text, "{sign} {}", change.what),
        };
        let keys = change.keys.iter().filter(|_| change.kind == Kind::Changed);
        for key in keys {
            let _ = writeln!(text, "    {key}");
        }
    }
    for Shifted { route, other } in &found.moved {
        let place = other.as_ref().map_or_else(
            || "before all others".to_owned(),
            |other| format!("after {other}"),
        );
        let _ = writeln!(text, "> route {route} is asked {place}");
    }
    for Shifted { route, other } in &found.unreachable {
        let other = other.as_deref().unwrap_or_default();
        let _ = writeln!(
            text,
            "! no request comes to the route {route} any more: {other} takes all that it would take"
        );
    }
    for Turned { asks, old, new } in &found.tests {
        let _ = writeln!(text, "? {asks}\n    {old}\n    -> {new}");
        let (before, after) = (old.to_string(), new.to_string());
        if before == after {
            let _ = writeln!(
                text,
                "    with another path, cache or fields of the response"
            );
        }
    }
    text
}
