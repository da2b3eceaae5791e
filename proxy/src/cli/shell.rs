//! `openclaw completions` and `openclaw man`: made from the command line itself.

use clap::{Args, Command};
use clap_complete::Shell;
use serde_json::json;

use super::error::CliError;
use super::output::Outcome;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn completions(arguments: &Arguments, mut command: Command) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "openclaw", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    let json = json!({ "shell": arguments.shell.to_string(), "script": script });
    Outcome::new(script, json)
}

/// One page with a section per verb.
pub(super) fn man(command: &Command) -> Result<Outcome, CliError> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .and_then(|()| {
            let verbs = command.get_subcommands().cloned();
            for verb in verbs {
                let name = format!("openclaw {}", verb.get_name());
                let section = clap_mangen::Man::new(verb.display_name(name.clone()).bin_name(name));
                page.extend_from_slice(b".SH VERB\n");
                section.render_synopsis_section(&mut page)?;
                section.render_options_section(&mut page)?;
            }
            Ok(())
        })
        .map_err(|source| CliError::Man { source })?;
    let page = String::from_utf8_lossy(&page).into_owned();
    let json = json!({ "page": page });
    Ok(Outcome::new(page, json))
}
