//! `openclaw completions` and `openclaw man`: made from the command line itself.

use std::io::{self, Write as _};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use serde_json::json;

use super::error::CliError;
use super::output::Outcome;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// Only the page of this verb, such as `blocklist` or `blocklist import`
    #[arg(value_name = "VERB")]
    verb: Vec<String>,
}

pub(super) fn completions(arguments: &Arguments, mut command: Command) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "openclaw", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let json = json!({ "shell": arguments.shell.to_string(), "script": script });
    Outcome::new(script, json)
}

/// One page, with a section for every verb below.
pub(super) fn man(arguments: &ManArguments, mut root: Command) -> Result<Outcome, CliError> {
    // Gives the verbs their full names.
    root.build();
    let mut command = &root;
    for verb in &arguments.verb {
        let found = command.find_subcommand(verb);
        command = found.ok_or_else(|| CliError::Usage {
            message: format!("{} has no verb `{verb}`", full_name(command)),
        })?;
    }
    let mut page = Vec::new();
    let name = full_name(command);
    let titled = command.clone().display_name(name.replace(' ', "-"));
    Man::new(titled)
        .source(concat!("openclaw ", env!("CARGO_PKG_VERSION")))
        .manual("OpenClaw")
        .render(&mut page)
        .and_then(|()| sections(command, &mut page))
        .map_err(|source| CliError::Man { source })?;
    let page = String::from_utf8_lossy(&page).into_owned();
    let json = json!({ "page": page });
    Ok(Outcome::new(page, json))
}

/// A section for each verb below, and for those below it.
fn sections(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    for verb in command.get_subcommands() {
        // It would only say how to ask for help.
        if verb.get_name() == "help" {
            continue;
        }
        writeln!(page, ".SH \"{}\"", full_name(verb).to_uppercase())?;
        let mut parts = Vec::new();
        let man = Man::new(verb.clone());
        man.render_synopsis_section(&mut parts)?;
        man.render_description_section(&mut parts)?;
        man.render_options_section(&mut parts)?;
        let parts = String::from_utf8_lossy(&parts).replace(".SH ", ".SS ");
        page.extend_from_slice(parts.as_bytes());
        sections(verb, page)?;
    }
    Ok(())
}

fn full_name(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    name.to_owned()
}
