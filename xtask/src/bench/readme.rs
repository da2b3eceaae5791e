//! The table in README.md, between two markers that only this file writes between.

use std::env;
use std::fs;

use anyhow::{Context as _, Result};

use super::report::Report;
use crate::shell::{self, say};

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// The table with all that is needed to judge and to repeat it.
pub(crate) fn section(report: &Report, machine: &str, versions: &str) -> String {
    let routes = report.routes().map(|ratio| {
        format!(
            "\n\nA request costs OpenClaw {ratio:.2} times as much with 1000 routes as with one."
        )
    });
    // The program's own path is no part of what one types.
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|word| word != "--write")
        .collect();
    format!(
        "CPU time per request (user and system, the whole proxy) and requests per second; last, the cost of OpenClaw \
         divided by that of the cheapest other: below 1 is cheaper. Medians of rounds in turn, \
         the last one of the ratios within each round; one worker on a core of \
         its own, the load and the origin on another, which bounds the requests per second. Routing, metrics and \
         request ids are on, access logs are off.\n\n{}{}\n\n\
         Made by `cargo xtask {}` on {machine}, with {versions}.",
        report.table(),
        routes.unwrap_or_default(),
        arguments.join(" "),
    )
}

/// Replaces what stands between the markers.
pub(crate) fn write(section: &str) -> Result<()> {
    let file = shell::root().join("README.md");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = replace(&text, section)
        .with_context(|| format!("{} has no lines {BEGIN} and {END}", file.display()))?;
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    say("README.md is written");
    Ok(())
}

fn replace(text: &str, section: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{section}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let text = "a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nb\n";
        let expected = "a\n<!-- bench:begin -->\nnew\n<!-- bench:end -->\nb\n";
        assert_eq!(replace(text, "new").as_deref(), Some(expected));
        assert_eq!(replace("no markers", "new"), None);
        assert_eq!(replace("<!-- bench:begin -->", "new"), None);
    }
}
