//! `openclaw explain`: what touches something, and why it comes out as it does.

use std::fmt::Write;

use clap::{Args, Subcommand};

use super::Context;
use super::error::CliError;
use super::exchange;
use super::listing;
use super::output::Outcome;
use super::request;
use crate::shield::{Explained, Request, show_seconds};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// An address: every list, range, ban, country and limit around it, and what happens to its packets
    Ip {
        #[arg(value_name = "ADDR")]
        address: String,
    },
    /// A request: the route that takes it, what that does, and why no other takes it; needs no proxy
    Request(request::Arguments),
    /// A request that was refused, failed or was slow lately: what became of it, where, and what to do about it
    Id {
        /// As the answer has it in `X-Request-Id` and the access log in `id`
        #[arg(value_name = "REQUEST_ID")]
        id: String,
    },
}

pub(super) fn run(context: &Context, arguments: Arguments) -> Result<Outcome, CliError> {
    match arguments.what {
        What::Ip { address } => {
            let answer = context.ask(Request::Explain { address })?;
            Ok(listing::outcome(answer))
        }
        What::Request(arguments) => request::run(context, &arguments),
        What::Id { id } => exchange::run(context, &id),
    }
}

pub(super) fn text(explained: &Explained) -> String {
    let Explained {
        address,
        verdict,
        reason,
        meaning,
        country,
        allow,
        block,
        limits,
        relays,
        kernel,
        agree,
        notes,
    } = explained;
    // Writing to a String cannot fail.
    let mut text = format!("{address}: {verdict} ({reason})\n  {meaning}\n");
    let country = country.as_deref().unwrap_or("unknown");
    let _ = writeln!(text, "  country: {country}");
    for (word, entries) in [("allow", allow), ("block", block)] {
        if entries.is_empty() {
            let _ = writeln!(text, "  {word}: on no list");
        }
        for entry in entries {
            let ends = entry.expires_in.map_or_else(
                || "no end".to_owned(),
                |left| format!("ends in {}", show_seconds(left)),
            );
            let reason = entry.reason.as_ref();
            let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
            let (address, list) = (&entry.address, &entry.list);
            let _ = writeln!(
                text,
                "  {word}: {address} on the list `{list}`, {ends}{reason}"
            );
        }
    }
    for limit in limits {
        let used = limit.used.zip(limit.burst);
        let used = used.map_or_else(String::new, |(used, burst)| {
            format!(", {used} of {burst} used")
        });
        let _ = writeln!(text, "  limit: {} {}{used}", limit.name, limit.limit);
    }
    for relay in relays {
        let (listener, mode) = (&relay.listener, &relay.mode);
        let upstream = relay.upstream.as_deref();
        let to = upstream.map_or_else(
            || "by the name that it asks for".to_owned(),
            |upstream| format!("to {upstream}"),
        );
        let _ = writeln!(text, "  relay: listener {listener} (mode {mode}), {to}");
    }
    let kernel = match kernel {
        None => "has no maps here".to_owned(),
        Some(_) if *agree => "agrees".to_owned(),
        Some(kernel) => format!("says {} ({})", kernel.verdict, kernel.reason),
    };
    let _ = writeln!(text, "  kernel: {kernel}");
    for note in notes {
        let _ = writeln!(text, "  note: {note}");
    }
    text
}
