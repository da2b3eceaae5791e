//! The command line: one verb a file. Each gives back what it found, as text and as JSON, or why not.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use serde_json::json;

use self::error::CliError;
use self::output::{Format, Outcome};
use crate::control::Origin;
use crate::shield::Kind;

mod adapt;
mod blocklist;
mod cache;
mod cert;
mod check;
mod diff;
mod doctor;
mod drops;
mod error;
mod exchange;
mod explain;
mod fmt;
mod init;
mod limit;
mod listing;
mod listwatch;
mod log;
mod operator;
mod output;
mod reasons;
mod relayed;
mod reload;
mod replay;
mod request;
mod route;
mod run;
mod schema;
mod shell;
mod shield;
mod socket;
mod standing;
mod status;
mod stop;
mod switch;
mod tail;
mod test;
mod top;
mod upgrade;
mod upstream;
mod version;

/// An eBPF-accelerated L4/L7 reverse proxy.
#[derive(Debug, Parser)]
#[command(name = "openclaw", version, max_term_width = 100)]
struct Cli {
    /// The configuration; else `$OPENCLAW_CONFIG`, ./openclaw.toml, /etc/openclaw/openclaw.toml, an embedded default
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The admin socket; else the configuration's
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// How answers are printed
    ///
    /// With json every answer is one JSON value on standard output, also a refusal: `ok` is false, `error` says why, `problems` has what is
    /// wrong with a configuration, and `usage` is true where the command line is. What follows something, such as `tail`, prints one
    /// value a line. Exit codes are the same.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve until told to stop
    Run(run::Arguments),
    /// Say whether a configuration is right, and what is wrong with it
    Check(check::Arguments),
    /// Ask the tests inside a configuration what becomes of requests and packets; needs no proxy
    Test(test::Arguments),
    /// Make a configuration of another program's
    Adapt(adapt::Arguments),
    /// Say what is different between two configurations, in terms of what they do
    Diff(diff::Arguments),
    /// Say which requests of an access log would have another fate under a configuration
    Replay(replay::Arguments),
    /// Write a configuration in the one way, with all its comments
    Fmt(fmt::Arguments),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Write a first configuration
    Init(init::Arguments),
    /// Let the running proxy take its configuration anew
    Reload(reload::Arguments),
    /// Keep the configuration that `reload --confirm` has taken
    Confirm,
    /// Go back to the configuration that served before
    ///
    /// Up to five are kept as text with what they include, in history.json of `server.state_dir`; certificates, keys, lists and variables
    /// are read from where they are. The file stays as it is: until it says something else, or `openclaw reload` takes it, a restart
    /// goes on with what was gone back to.
    Rollback,
    /// Let another program, or the same anew, take over without losing a request
    ///
    /// The new process inherits every socket, checks the configuration, and serves beside the old one, which then finishes what it has
    /// within `server.shutdown_grace` and ends; tunnels end with the grace. If the new one does not come up the old one serves on. XDP
    /// programs, lists, bans, and who was banned before go along. What begins anew: counters, offences that have not led to a ban,
    /// the keys of route limits, what the cache has in memory, TLS sessions to resume, endpoints that were
    /// changed without --persist. server.workers stays. SIGUSR2 does the same.
    Upgrade(upgrade::Arguments),
    /// Drain the running proxy and end it
    Stop(stop::Arguments),
    /// Show what the running proxy does
    Status,
    /// Keep addresses out, and see who is
    Blocklist(blocklist::Arguments),
    /// Let addresses in, whatever the block lists say
    Allowlist(blocklist::Arguments),
    /// Control the XDP shield
    Shield(shield::Arguments),
    /// See what the cache holds and saves, and take things out of it
    Cache(cache::Arguments),
    /// See the endpoints of upstreams, and change them while the proxy runs
    Upstream(upstream::Arguments),
    /// See the routes, and shift traffic between their upstreams while the proxy runs
    Route(route::Arguments),
    /// See the certificates of listeners
    Cert(cert::Arguments),
    /// See whom the limits of routes refuse, and let them begin anew
    Limit(limit::Arguments),
    /// Say what touches something, and why it comes out as it does
    Explain(explain::Arguments),
    /// Watch the running proxy: interfaces, shield, listeners, routes, upstreams, bans
    Top(top::Arguments),
    /// See requests as they end, in the running proxy
    Tail(tail::Arguments),
    /// Change how much the running proxy says, and open its logs anew
    Log(log::Arguments),
    /// Say what this program is
    Version,
    /// Explain the codes of refusals
    Reasons(reasons::Arguments),
    /// Print a completion script
    Completions(shell::Arguments),
    /// Print the manual page, of everything or of one verb
    Man(shell::ManArguments),
}

/// What every verb may need.
#[derive(Clone, Debug)]
struct Context {
    config: Option<PathBuf>,
    socket: Option<PathBuf>,
}

impl Context {
    fn origin(&self, file: Option<&Path>) -> Origin {
        Origin::find(file.or(self.config.as_deref()))
    }
}

/// The whole program: parses the command line, runs the verb, prints.
pub fn main() -> ExitCode {
    run_with(std::env::args_os())
}

fn run_with(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, &arguments),
    };
    let format = cli.output;
    let context = Context {
        config: cli.config,
        socket: cli.socket,
    };
    match obey(&context, cli.verb, format) {
        Ok(outcome) => {
            outcome.print(format);
            outcome.code.into()
        }
        Err(error) => {
            error.print(format);
            error.code().into()
        }
    }
}

/// Help and version, which are asked for, or what is wrong with the command line.
fn refuse(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    if error.use_stderr() && output::wants_json(arguments) {
        // clap shows help in place of a message.
        let message = if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            "a verb is missing".to_owned()
        } else {
            let text = error.render().to_string();
            let first = text.split("\n\n").next().unwrap_or_default();
            first.trim_start_matches("error: ").trim().to_owned()
        };
        let json = json!({ "ok": false, "error": message, "usage": true });
        output::print(&format!("{json:#}\n"));
    } else {
        // A closed pipe is no reason to fail.
        let _ = error.print();
    }
    u8::try_from(error.exit_code()).unwrap_or(2).into()
}

fn obey(context: &Context, verb: Verb, format: Format) -> Result<Outcome, CliError> {
    match verb {
        Verb::Run(arguments) => run::run(context, &arguments),
        Verb::Check(arguments) => check::check(context, &arguments),
        Verb::Test(arguments) => test::test(context, &arguments),
        Verb::Adapt(arguments) => adapt::run(arguments),
        Verb::Diff(arguments) => diff::diff(&arguments),
        Verb::Replay(arguments) => replay::run(&arguments),
        Verb::Fmt(arguments) => fmt::fmt(context, &arguments),
        Verb::Schema => Ok(schema::schema()),
        Verb::Init(arguments) => init::init(context, &arguments),
        Verb::Reload(arguments) => reload::reload(context, &arguments),
        Verb::Confirm => reload::confirm(context),
        Verb::Rollback => reload::rollback(context),
        Verb::Upgrade(arguments) => upgrade::upgrade(context, &arguments),
        Verb::Stop(arguments) => stop::stop(context, &arguments),
        Verb::Status => status::status(context),
        Verb::Blocklist(arguments) => {
            blocklist::run(context, Kind::Block, arguments, format == Format::Json)
        }
        Verb::Allowlist(arguments) => {
            blocklist::run(context, Kind::Allow, arguments, format == Format::Json)
        }
        Verb::Shield(arguments) => shield::run(context, arguments, format),
        Verb::Cache(arguments) => cache::run(context, arguments),
        Verb::Upstream(arguments) => upstream::run(context, arguments),
        Verb::Route(arguments) => route::run(context, arguments),
        Verb::Cert(arguments) => cert::run(context, &arguments),
        Verb::Limit(arguments) => limit::run(context, arguments),
        Verb::Explain(arguments) => explain::run(context, arguments),
        Verb::Top(arguments) => top::run(context, &arguments, format),
        Verb::Tail(arguments) => tail::run(context, &arguments, format),
        Verb::Log(arguments) => log::run(context, &arguments),
        Verb::Version => Ok(version::version()),
        Verb::Reasons(arguments) => reasons::reasons(&arguments),
        Verb::Completions(arguments) => Ok(shell::completions(&arguments, Cli::command())),
        Verb::Man(arguments) => shell::man(&arguments, Cli::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
