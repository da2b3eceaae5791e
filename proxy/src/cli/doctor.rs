//! `openclaw shield doctor`: whether this machine can run the shield, and what to do where it cannot.

use std::fmt::Write;

use serde_json::json;

use super::Context;
use super::error::CliError;
use super::output::Outcome;
use crate::control::load;
use crate::shield::{Finding, Health, examine};

/// Exit code 1 if something fails.
pub(super) fn run(context: &Context) -> Result<Outcome, CliError> {
    let config = load(&context.origin(None))
        .map_err(CliError::Refused)?
        .config;
    let findings = examine(&config);
    let worst = findings.iter().map(|one| one.status).max();
    let json = json!({ "status": worst, "findings": findings });
    Ok(Outcome {
        code: u8::from(worst == Some(Health::Fail)),
        ..Outcome::new(text(&findings), json)
    })
}

fn text(findings: &[Finding]) -> String {
    let width = findings
        .iter()
        .map(|one| one.check.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for Finding {
        check,
        status,
        found,
        advice,
    } in findings
    {
        let mark = match status {
            Health::Ok => "ok  ",
            Health::Warn => "warn",
            Health::Fail => "FAIL",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{mark}  {check:width$}  {found}");
        if let Some(advice) = advice {
            let _ = writeln!(text, "      {:width$}  {advice}", "");
        }
    }
    text
}
