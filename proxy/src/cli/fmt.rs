//! `openclaw fmt`: the one way to write a configuration.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use openclaw_core::config;
use serde_json::json;

use super::Context;
use super::error::CliError;
use super::output::Outcome;
use crate::control::{MAX_FILE, Origin, Refused, Trouble};
use crate::files;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 2: a file cannot be read, or is no TOML; then none is written. Comments and the order of everything stay. Files that a configuration includes are named for themselves."
)]
pub(super) struct Arguments {
    /// The files, `-` for standard input to standard output; else the one that `run` would take
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write nothing; exit with 1 if something would be
    #[arg(long)]
    check: bool,
}

pub(super) fn fmt(context: &Context, arguments: &Arguments) -> Result<Outcome, CliError> {
    let files = match (arguments.files.as_slice(), context.origin(None)) {
        ([], Origin::File(path)) => vec![path],
        ([], Origin::Embedded | Origin::Given(_)) => {
            let message = "there is no configuration file; name one".to_owned();
            return Err(CliError::Usage { message });
        }
        (files, _) => files.to_vec(),
    };
    if let [file] = files.as_slice()
        && file == Path::new("-")
    {
        return piped(arguments.check);
    }
    let mut changed = Vec::new();
    // All of them are looked at before the first is written.
    for path in files {
        let text = read(&path)?;
        let formatted = formatted(&path.display().to_string(), &text)?;
        if formatted != text {
            changed.push((path, formatted));
        }
    }
    if !arguments.check {
        for (path, text) in &changed {
            fs::write(path, text).map_err(|source| CliError::WriteFile {
                path: path.clone(),
                source,
            })?;
        }
    }
    let names: Vec<String> = changed
        .iter()
        .map(|(path, _)| path.display().to_string())
        .collect();
    let what = if arguments.check {
        "would be written anew"
    } else {
        "written anew"
    };
    let lines = names.iter().map(|name| format!("{name}: {what}\n"));
    let is_right = names.is_empty() || !arguments.check;
    Ok(Outcome {
        code: u8::from(!is_right),
        ..Outcome::new(
            lines.collect(),
            json!({ "ok": is_right, "changed": names, "check": arguments.check }),
        )
    })
}

fn piped(is_check: bool) -> Result<Outcome, CliError> {
    let mut text = String::new();
    let read = std::io::stdin().lock().read_to_string(&mut text);
    read.map_err(|source| CliError::ReadFile {
        path: "standard input".into(),
        source,
    })?;
    let formatted = formatted("standard input", &text)?;
    let is_same = formatted == text;
    let json = json!({ "ok": is_same || !is_check, "text": formatted });
    let text = if is_check { String::new() } else { formatted };
    Ok(Outcome {
        code: u8::from(is_check && !is_same),
        ..Outcome::new(text, json)
    })
}

fn read(path: &Path) -> Result<String, CliError> {
    files::read_text(path, MAX_FILE).map_err(|source| {
        let path = path.to_owned();
        CliError::Refused(Trouble::Read { path, source }.into())
    })
}

fn formatted(name: &str, text: &str) -> Result<String, CliError> {
    config::syntax(name, text).map_err(|problems| CliError::Refused(Refused::from(problems)))?;
    Ok(config::format(text))
}
