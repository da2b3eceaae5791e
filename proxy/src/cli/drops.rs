//! `openclaw shield drops`: which packets the kernel program drops, or would drop.

use std::fmt::Write;
use std::ops::ControlFlow;

use clap::Args;
use serde_json::Value;

use super::Context;
use super::error::CliError;
use super::listing;
use super::output::{Format, Outcome, print};
use crate::control::admin::client::Followed;
use crate::shield::{DropView, Request};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show drops as they come, until interrupted; with -o json one object a line
    #[arg(long)]
    follow: bool,
    /// How many at most [default: 100; with --follow without end]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

pub(super) fn run(
    context: &Context,
    arguments: &Arguments,
    format: Format,
) -> Result<Outcome, CliError> {
    if arguments.follow {
        return follow(context, arguments.limit, format);
    }
    let limit = arguments.limit.map(|limit| limit as usize);
    // Nobody but a running proxy keeps them.
    let body = serde_json::to_vec(&Request::Drops { limit })
        .map_err(|source| CliError::ForeignAnswer { source })?;
    let reply = context.call("POST", "/shield", &body.into())?;
    if !reply.is_success() {
        return Err(CliError::Answer {
            message: reply.error(),
        });
    }
    let answer = serde_json::from_slice(&reply.body);
    Ok(listing::outcome(
        answer.map_err(|source| CliError::ForeignAnswer { source })?,
    ))
}

fn follow(context: &Context, limit: Option<u64>, format: Format) -> Result<Outcome, CliError> {
    let mut left = limit;
    let refused = context.follow("/shield/drops", |line| {
        match format {
            Format::Json => print(&String::from_utf8_lossy(line)),
            Format::Text => {
                if let Ok(drop) = serde_json::from_slice(line) {
                    print(&row(&drop));
                }
            }
        }
        left = left.map(|left| left.saturating_sub(1));
        if left == Some(0) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    match refused {
        Followed::Refused(reply) => Err(CliError::Answer {
            message: reply.error(),
        }),
        Followed::Enough | Followed::Ended => Ok(Outcome::new(String::new(), Value::Null)),
    }
}

/// The last drops, one a line.
pub(super) fn text(drops: &[DropView]) -> String {
    if drops.is_empty() {
        return "no drops are known; `--follow` shows them as they come\n".into();
    }
    drops.iter().map(row).collect()
}

fn row(drop: &DropView) -> String {
    let DropView {
        time,
        verdict,
        reason,
        source,
        source_port,
        destination,
        destination_port,
        protocol,
        interface,
        bytes: _,
        country,
        list,
        prefix,
    } = drop;
    let at = |address, port: &Option<u16>| match port {
        Some(port) => std::net::SocketAddr::new(address, *port).to_string(),
        None => address.to_string(),
    };
    let mut row = format!(
        "{time} {verdict} {reason} {} > {} {protocol}",
        at(*source, source_port),
        at(*destination, destination_port)
    );
    for (word, value) in [
        ("on", interface),
        ("country", country),
        ("list", list),
        ("by", prefix),
    ] {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(row, " {word} {value}");
        }
    }
    row + "\n"
}
