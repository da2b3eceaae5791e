//! `openclaw shield`, and the way to the shield for all verbs: through the running proxy or, without one, on the pinned maps.

use clap::{Args, Subcommand, ValueEnum};

use super::Context;
use super::error::CliError;
use super::listing;
use super::operator::spared;
use super::output::{Format, Outcome, error_line};
use super::{doctor, drops, switch};
use crate::control::admin::client::CallError;
use crate::control::load;
use crate::shield::kernel::program_name;
use crate::shield::{Answer, ApiError, Request, Shield};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say what is shielded, how, and why not
    Status,
    /// Say what of this machine helps or hinders the shield, and what to do about it; needs no proxy
    ///
    /// Exit code 1 if something fails.
    Doctor,
    /// Show packets that were dropped or, in monitor mode, would have been: a sample (`shield.sample`)
    Drops(drops::Arguments),
    /// Put the kernel program on an interface
    Attach {
        #[arg(value_name = "IFACE")]
        interface: String,
        /// auto: native if the driver can, else generic
        #[arg(long, value_enum, default_value_t = Mode::Auto)]
        mode: Mode,
        /// Displace another's XDP program, which leaves the interface open for a moment
        #[arg(long)]
        replace: bool,
        /// Take it off after this time, such as 60s, unless `confirm` comes before; needs a running proxy
        #[arg(long, value_name = "TIME", conflicts_with = "replace")]
        confirm: Option<String>,
        /// Attach even if the address from which you have logged in over SSH would be dropped
        #[arg(long)]
        force: bool,
    },
    /// Keep what was attached with --confirm
    ///
    /// Exit code 1 if nothing waits for it.
    Confirm,
    /// Take the kernel program off an interface
    Detach {
        #[arg(value_name = "IFACE")]
        interface: String,
    },
    /// The kill switch: everything passes until `on`, over restarts, too
    ///
    /// It works on the pinned maps at once, without configuration, proxy or state directory.
    Off(switch::Arguments),
    /// Apply the lists again
    On(switch::OnArguments),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Auto,
    Native,
    Generic,
}

pub(super) fn run(
    context: &Context,
    arguments: Arguments,
    format: Format,
) -> Result<Outcome, CliError> {
    let request = match arguments.verb {
        Verb::Status => Request::Status,
        Verb::Doctor => return doctor::run(context),
        Verb::Drops(arguments) => return drops::run(context, &arguments, format),
        Verb::Attach {
            interface,
            mode,
            replace,
            confirm,
            force,
        } => {
            let mode = match mode {
                Mode::Auto => "auto",
                Mode::Native => "native",
                Mode::Generic => "generic",
            };
            Request::Attach {
                interface,
                mode: Some(mode.into()),
                replace,
                confirm,
                spare: spared(force),
            }
        }
        Verb::Confirm => Request::ConfirmAttach,
        Verb::Detach { interface } => Request::Detach { interface },
        Verb::Off(arguments) => return switch::throw(context, arguments, false),
        Verb::On(arguments) => return switch::on(context, arguments),
    };
    let answer = context.ask(request).map_err(named)?;
    Ok(listing::outcome(answer))
}

/// A proxy that gave up root's rights cannot ask what the program in its way is called; root's command line can.
fn named(error: CliError) -> CliError {
    let CliError::Shield { message } = error else {
        return error;
    };
    let id = message
        .split_once("`?` (id ")
        .and_then(|(_, rest)| rest.split_once(')')?.0.parse().ok());
    let message = match id {
        Some(id) => message.replacen("`?`", &format!("`{}`", program_name(id)), 1),
        None => message,
    };
    CliError::Shield { message }
}

impl Context {
    /// Asks the shield of the running proxy, or becomes it.
    pub(super) fn ask(&self, request: Request) -> Result<Answer, CliError> {
        let body =
            serde_json::to_vec(&request).map_err(|source| CliError::ForeignAnswer { source })?;
        let answer = match self.call("POST", "/shield", &body.into()) {
            Ok(reply) if reply.is_success() => {
                return serde_json::from_slice(&reply.body)
                    .map_err(|source| CliError::ForeignAnswer { source });
            }
            Ok(reply) => Err(
                serde_json::from_slice(&reply.body).unwrap_or_else(|_| ApiError {
                    error: reply.error(),
                    usage: false,
                }),
            ),
            Err(CliError::Call(CallError::NotRunning { .. })) => self.without_proxy(request)?,
            Err(error) => return Err(error),
        };
        answer.map_err(|ApiError { error, usage }| {
            if usage {
                CliError::Usage { message: error }
            } else {
                CliError::Shield { message: error }
            }
        })
    }

    fn without_proxy(&self, request: Request) -> Result<Result<Answer, ApiError>, CliError> {
        let config = load(&self.origin(None)).map_err(CliError::Refused)?.config;
        let (shield, _lock) = Shield::offline(&config)?;
        // What holds on from before; what the request brings is in its answer.
        let warnings = shield.status().warnings;
        let answer = shield.handle(request);
        for warning in warnings {
            error_line(&format!("warning: {warning}"));
        }
        Ok(answer)
    }
}
