//! `openclaw run`: the proxy itself.

use std::net::SocketAddr;
use std::path::Path;

use clap::Args;
use openclaw_core::config::units;
use serde_json::{Value, json};

use super::Context;
use super::check;
use super::error::CliError;
use super::output::{Outcome, error_line};
use crate::control::{self, ControlError, Ended, Given, Heir, Options, Origin};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Check certificates and names before anything listens, and say so
    #[arg(long)]
    check_first: bool,
    /// Do not touch the kernel: no XDP program
    #[arg(long)]
    no_shield: bool,
    /// Proxy to this origin, without a configuration file
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Where to listen with --to
    #[arg(long, value_name = "ADDR", requires = "to", default_value = "127.0.0.1:8080", value_parser = listen_address)]
    listen: SocketAddr,
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    units::bind_address(text).map_err(|complaint| match complaint.hint {
        Some(hint) => format!("{}; {hint}", complaint.message),
        None => complaint.message,
    })
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Outcome, CliError> {
    // Before anything is opened that could have the number of what is given.
    let given = Given::find().map_err(ControlError::from)?;
    let mut heir = Heir::find().map_err(ControlError::from)?;
    let ended = serve(context, arguments, heir.as_mut(), given);
    if let (Err(error), Some(heir)) = (&ended, heir) {
        heir.refuse(&error.told(), error.problems());
    }
    ended
}

fn serve(
    context: &Context,
    arguments: &Arguments,
    heir: Option<&mut Heir>,
    given: Given,
) -> Result<Outcome, CliError> {
    let origin = match &arguments.to {
        Some(_) if context.config.is_some() => {
            return Err(CliError::Usage {
                message: "--to makes its own configuration; it does not go with --config".into(),
            });
        }
        Some(url) => Origin::Given(generated(url, arguments.listen)?),
        None => context.origin(None),
    };
    if arguments.check_first {
        let checked = check::whole(&origin)?;
        checked
            .warnings
            .iter()
            .for_each(|warning| error_line(warning));
        error_line(&checked.text);
    }
    let level = control::log::start();
    let ended = control::run(
        Options {
            origin: origin.anchored(),
            shield: !arguments.no_shield,
            socket: context.socket.as_deref().map(absolute),
        },
        level,
        heir,
        given,
    )?;
    let code = match ended {
        Ended::Drained => 0,
        Ended::AtOnce => 1,
    };
    Ok(Outcome {
        code,
        ..Outcome::new(String::new(), Value::Null)
    })
}

fn absolute(path: &Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The configuration that `--to` stands for.
fn generated(url: &str, listen: SocketAddr) -> Result<String, CliError> {
    // What TOML would have to escape cannot be part of an address anyway.
    if url.contains(|character: char| character.is_control() || "\"\\$".contains(character)) {
        return Err(CliError::Usage {
            message: format!("--to {url:?} is no address"),
        });
    }
    // JSON strings without escapes are TOML strings.
    let (listen, url) = (json!(listen.to_string()), json!(url));
    Ok(format!(
        "[listener.web]\nbind = [{listen}]\n\n[upstream.app]\nendpoints = [{url}]\n\n[[route]]\nname = \"app\"\nto = \"app\"\n"
    ))
}
