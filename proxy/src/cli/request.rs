//! `openclaw explain request`: which route takes a request, and why the others do not. It asks the configuration, not the proxy.

use std::fmt::Write;
use std::net::IpAddr;

use clap::Args;
use openclaw_core::assay::{Asked, Examined, Fate, Line, Other, Verdict, World};
use openclaw_core::reason::Reason;
use serde_json::{Value, json};

use super::Context;
use super::error::CliError;
use super::output::Outcome;
use super::relayed;
use crate::control::load;
use crate::shield::Rehearsal;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Such as GET
    method: String,
    #[arg(
        help = "Such as http://www.example.com/a?b=c, or the path alone with the host in -H; for the port of a listener that forwards, such as tcp://db.example.com:5432 or udp://dns.example.com:53"
    )]
    url: String,
    /// A header, such as 'X-Beta: 1'
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The client's address
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    from: IpAddr,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Outcome, CliError> {
    let config = load(&context.origin(None))
        .map_err(CliError::Refused)?
        .config;
    if let Some(relayed) = relayed::explained(&config, &arguments.url, arguments.from) {
        return Ok(relayed);
    }
    let asked = asked(arguments).map_err(|message| CliError::Usage { message })?;
    let (gate, notes) = Rehearsal::new(&config);
    let examined = World::new(&config, &gate).examine(&asked);
    let fate = &examined.fate;
    if fate.verdict == Verdict::Nowhere {
        let message = fate.does();
        return Err(CliError::Usage { message });
    }
    let mut outcome = if examined.line.is_some() {
        explained(arguments, &examined)
    } else {
        early(fate)
    };
    outcome.warnings = notes;
    if names_no_host(arguments) {
        let host = Asked::HOST;
        outcome.warnings.push(format!(
            "note: no host is named, so this asks {host}; write http://HOST{} or -H 'Host: HOST'",
            arguments.url
        ));
    }
    Ok(outcome)
}

/// Whether neither the URL nor a header names a host.
fn names_no_host(arguments: &Arguments) -> bool {
    let is_host = |header: &String| {
        let name = header.split(':').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case("host")
    };
    arguments.url.starts_with('/') && !arguments.headers.iter().any(is_host)
}

fn asked(arguments: &Arguments) -> Result<Asked, String> {
    let fields: Result<Vec<(String, String)>, String> = arguments
        .headers
        .iter()
        .map(|header| {
            let wrong = || format!("`{header}` is no header; write 'Name: value'");
            let (name, value) = header.split_once(':').ok_or_else(wrong)?;
            Ok((name.to_owned(), value.trim().to_owned()))
        })
        .collect();
    let mut fields = fields?;
    if Asked::names_no_host(&arguments.url, &fields) {
        fields.push(("Host".to_owned(), Asked::HOST.to_owned()));
    }
    let asked = Asked::new(&arguments.method, &arguments.url, &fields)?;
    Ok(Asked {
        from: arguments.from,
        ..asked
    })
}

/// It does not get as far as the routes.
fn early(fate: &Fate) -> Outcome {
    let (does, detail) = (fate.does(), fate.detail.as_deref());
    let detail = detail.map_or_else(String::new, |detail| format!(": {detail}"));
    let json = json!({
        "verdict": fate.verdict,
        "status": fate.status,
        "reason": fate.reason,
        "detail": fate.detail,
    });
    Outcome::new(format!("{does}{detail}\n"), json)
}

fn explained(arguments: &Arguments, examined: &Examined) -> Outcome {
    let Examined { fate, line, others } = examined;
    let (host, path) = line.as_ref().map(|line| (&line.host, &line.path)).unzip();
    let text = told(&arguments.method, &arguments.from.to_string(), examined);
    let others: Vec<Value> = others
        .iter()
        .map(|Other { route, misses }| json!({ "route": route, "misses": misses }))
        .collect();
    let mut json = json!({
        "method": arguments.method,
        "host": host,
        "path": path,
        "client": arguments.from,
        "listener": fate.listener,
        "route": fate.route,
        "limit": fate.limit,
        "others": others,
    });
    if let (Value::Object(json), Value::Object(verdict)) = (&mut json, verdict(fate)) {
        json.extend(verdict);
    }
    Outcome::new(text, json)
}

/// What is done, each kind with what it has.
fn verdict(fate: &Fate) -> Value {
    match fate.verdict {
        Verdict::Forward => json!({
            "verdict": fate.verdict,
            "to": fate.to,
            "upstream": fate.upstream,
            "target": fate.target,
            "mirror": fate.mirror.as_ref().map(|(upstream, _)| upstream),
            "cache": fate.cache,
        }),
        Verdict::Redirect => json!({
            "verdict": fate.verdict,
            "status": fate.status,
            "to": fate.location,
        }),
        Verdict::Respond => json!({ "verdict": fate.verdict, "status": fate.status }),
        Verdict::Refuse | Verdict::Drop | Verdict::Pass | Verdict::Tx | Verdict::Nowhere => json!({
            "verdict": fate.verdict,
            "status": fate.status,
            "reason": fate.reason,
        }),
    }
}

/// The way of a request, for people: who asks, the route that takes it, and why no other does.
pub(super) fn told(method: &str, from: &str, examined: &Examined) -> String {
    let Examined { fate, line, others } = examined;
    let Some(Line { host, path, target }) = line else {
        return format!("  {}\n", fate.does());
    };
    // Writing to a String cannot fail.
    let mut text = format!("{method} {host}{path} from {from}\n");
    let code = Reason::RouteNone.code();
    let _ = match &fate.route {
        Some(route) => writeln!(text, "  route {route}: {}", fate.does()),
        None => writeln!(text, "  no route takes it: 404, {code}"),
    };
    if let Some(upstream) = fate.upstream.as_ref().filter(|_| fate.to.len() > 1) {
        let _ = writeln!(text, "  for this client: {upstream}");
    }
    if let Some(target) = fate.target.as_ref().filter(|own| *own != target) {
        let _ = writeln!(text, "  as {target}");
    }
    if let Some((upstream, percent)) = &fate.mirror {
        let _ = writeln!(text, "  {percent} % copied to {upstream}");
    }
    if let Some(limit) = &fate.limit {
        let _ = writeln!(text, "  limit: {limit}");
    }
    for Other { route, misses } in others {
        let why = if misses.is_empty() {
            "would take it, but the other goes before".to_owned()
        } else {
            format!("does not match: {}", misses.join(", "))
        };
        let _ = writeln!(text, "  not {route}: {why}");
    }
    text
}
