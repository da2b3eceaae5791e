//! `openclaw blocklist` and `openclaw allowlist`: the same verbs on the two kinds of lists.

use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::Context;
use super::error::CliError;
use super::operator::{spared, ssh_peer};
use super::output::Outcome;
use super::{listing, listwatch};
use crate::shield::{Format, Import, Kind, Request};

/// The largest file that is read; the admin API takes no more either.
const MAX_FILE: u64 = 60 << 20;

#[derive(Debug, Args)]
#[command(
    after_help = "Changes go through the running proxy; without one, to the pinned maps and to lists.json in the state \
directory. An entry with --ttl ends by itself. Own addresses, default gateways, trusted proxies and allowed ranges cannot be blocked."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Put addresses or prefixes on a list; again: give them a new end and reason
    ///
    /// Exit code 1 if one was refused; the others are taken.
    Add {
        /// An address or a prefix, such as 203.0.113.7 or 203.0.113.0/24
        #[arg(required = true, value_name = "ADDR")]
        addresses: Vec<String>,
        /// How long, such as 90s, 15m, 4h, 7d; else for good
        #[arg(long)]
        ttl: Option<String>,
        /// Why, for those who look later
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// The list; made if need be [default: manual]
        #[arg(long, value_name = "NAME")]
        list: Option<String>,
        /// Take it back after this time, such as 60s, unless `confirm` comes before
        #[arg(long, value_name = "TIME")]
        confirm: Option<String>,
        /// Also block the address from which you have logged in over SSH
        #[arg(long)]
        force: bool,
    },
    /// Keep what was added with --confirm
    ///
    /// Exit code 1 if nothing waits for it.
    Confirm,
    /// Take addresses or prefixes off one list, or off all that are not the configuration's
    ///
    /// Exit code 1 if one was on none.
    Del {
        #[arg(required = true, value_name = "ADDR")]
        addresses: Vec<String>,
        #[arg(long, value_name = "NAME")]
        list: Option<String>,
        /// Even if it cuts off the address from which you have logged in over SSH
        #[arg(long)]
        force: bool,
    },
    /// Show the entries
    ///
    /// HITS are the packets that an entry has decided; - where the kernel does not count them entry by entry.
    List {
        /// Only those around this address or prefix
        #[arg(long, value_name = "IP")]
        containing: Option<String>,
        /// Only this list
        #[arg(long, value_name = "NAME")]
        list: Option<String>,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Say what happens to an address, and which entry decides
    ///
    /// Exit code 0 if it is on a list of this kind (blocklist test: blocked; allowlist test: allowed), 1 if not.
    Test {
        #[arg(value_name = "ADDR")]
        address: String,
    },
    /// Empty one list, or all that are not the configuration's
    Flush {
        #[arg(long, value_name = "NAME")]
        list: Option<String>,
        /// Even if it cuts off the address from which you have logged in over SSH
        #[arg(long)]
        force: bool,
    },
    /// Put the addresses of a file on a list
    ///
    /// Lines that cannot be used are reported and left out; exit code 1 if none can be used.
    Import(ImportArguments),
    /// Print the entries so that import takes them back; without --list all that are not the configuration's
    Export {
        #[arg(long, value_name = "NAME")]
        list: Option<String>,
        /// All keep TTLs, plain and netset in comments [default: plain; json with -o json]
        #[arg(long, value_enum)]
        format: Option<Format>,
    },
    /// Show how many entries there are, what they have decided, and what the tables take
    Stats,
    /// Show what comes to the lists and goes from them, as it happens; with -o json one object a line
    ///
    /// It needs a running proxy, and ends with it.
    Watch,
}

#[derive(Debug, Args)]
struct ImportArguments {
    /// - is the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How it is written [default: by its content]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// For entries that have none of their own
    #[arg(long)]
    ttl: Option<String>,
    /// For entries that have none of their own
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The list; made if need be [default: the lists that the file names, else manual]
    #[arg(long, value_name = "NAME")]
    list: Option<String>,
    /// Take everything else off the list
    #[arg(long)]
    replace: bool,
    /// Only say what would happen
    #[arg(long)]
    dry_run: bool,
    /// Take it back after this time, such as 60s, unless `confirm` comes before
    #[arg(long, value_name = "TIME", conflicts_with = "replace")]
    confirm: Option<String>,
    /// Also block the address from which you have logged in over SSH
    #[arg(long)]
    force: bool,
}

pub(super) fn run(
    context: &Context,
    kind: Kind,
    arguments: Arguments,
    is_json: bool,
) -> Result<Outcome, CliError> {
    let request = match arguments.verb {
        Verb::Add {
            addresses,
            ttl,
            reason,
            list,
            confirm,
            force,
        } => {
            if kind == Kind::Block && !force {
                spare_operator(&addresses)?;
            }
            Request::Add {
                kind,
                addresses,
                ttl,
                reason,
                list,
                confirm,
            }
        }
        Verb::Confirm => Request::Confirm { kind },
        Verb::Del {
            addresses,
            list,
            force,
        } => Request::Del {
            kind,
            addresses,
            list,
            spare: spared(force),
        },
        Verb::List {
            containing,
            list,
            limit,
        } => Request::List {
            kind,
            containing,
            list,
            limit: Some(limit),
        },
        Verb::Test { address } => Request::Test { kind, address },
        Verb::Flush { list, force } => Request::Flush {
            kind,
            list,
            spare: spared(force),
        },
        Verb::Import(arguments) => Request::Import(import(kind, arguments)?),
        Verb::Export { list, format } => {
            let default = if is_json { Format::Json } else { Format::Plain };
            Request::Export {
                kind,
                list,
                format: format.unwrap_or(default),
            }
        }
        Verb::Stats => Request::Stats { kind },
        Verb::Watch => return listwatch::run(context, kind, is_json),
    };
    Ok(listing::outcome(context.ask(request)?))
}

/// Whoever works over SSH would cut the branch on which they sit.
fn spare_operator(addresses: &[String]) -> Result<(), CliError> {
    let Some(peer) = ssh_peer() else {
        return Ok(());
    };
    let around = addresses.iter().find(|text| covers(text, peer));
    around.map_or(Ok(()), |text| {
        Err(CliError::Shield {
            message: format!(
                "{text} is not blocked: you are logged in from {peer}, which would be cut off; --force blocks it all the same"
            ),
        })
    })
}

/// Host bits do not matter: the shield takes `192.0.2.7/24` as 192.0.2.0/24. What cannot be read is refused there.
fn covers(text: &str, peer: IpAddr) -> bool {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, length.parse().ok()),
        None => (text, Some(128)),
    };
    let (Ok(address), Some(length)) = (address.parse::<IpAddr>(), length) else {
        return false;
    };
    let differ = |one: u128, other: u128, width: u32| {
        let host_bits = width - u32::min(length, width);
        (one ^ other).checked_shr(host_bits).unwrap_or(0)
    };
    match (address.to_canonical(), peer.to_canonical()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            differ(one.to_bits().into(), other.to_bits().into(), 32) == 0
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => differ(one.to_bits(), other.to_bits(), 128) == 0,
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

fn import(kind: Kind, arguments: ImportArguments) -> Result<Import, CliError> {
    let ImportArguments {
        file,
        format,
        ttl,
        reason,
        list,
        replace,
        dry_run,
        confirm,
        force,
    } = arguments;
    let text = read(&file)?;
    Ok(Import {
        kind,
        text,
        format,
        ttl,
        reason,
        list,
        replace,
        dry_run,
        confirm,
        spare: spared(force),
    })
}

fn read(path: &Path) -> Result<String, CliError> {
    let unreadable = |source| CliError::ReadFile {
        path: path.to_owned(),
        source,
    };
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(unreadable)?)
    };
    let mut bytes = Vec::new();
    input
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(unreadable(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is larger than 60 MiB",
        )));
    }
    // A comment in another encoding is no reason to refuse a list.
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::covers;

    #[test]
    fn a_range_covers_what_is_inside_however_it_is_written() {
        let check = |text: &str, peer: &str, expected: bool| {
            assert_eq!(
                covers(text, peer.parse().unwrap()),
                expected,
                "{text} {peer}"
            );
        };
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.8", false);
        check("192.0.2.9/24", "192.0.2.7", true);
        check("192.0.3.0/24", "192.0.2.7", false);
        check("0.0.0.0/0", "192.0.2.7", true);
        check("192.0.2.0/24", "::ffff:192.0.2.7", true);
        check("2001:db8::/32", "2001:db8::1", true);
        check("2001:db8::/64", "2001:db8:0:1::1", false);
        check("::/0", "2001:db8::1", true);
        check("::/0", "192.0.2.7", false);
        check("nonsense", "192.0.2.7", false);
        check("192.0.2.0/x", "192.0.2.7", false);
    }
}
