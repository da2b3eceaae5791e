//! `openclaw explain request`: which route takes a request, and why the others do not. It asks the configuration, not the proxy.

use std::fmt::Write;
use std::net::IpAddr;

use clap::Args;
use openclaw_core::config::{Action, Config, Route, SplitBy, Target};
use openclaw_core::message::h1::parse_request;
use openclaw_core::message::{Fault, Fields, Request, authority, path};
use openclaw_core::reason::Reason;
use openclaw_core::route::{Router, misses, pick};
use openclaw_core::template::Facts;
use serde_json::{Value, json};

use super::Context;
use super::error::CliError;
use super::output::Outcome;
use super::relayed;
use crate::control::load;
use crate::exchange::{Seen, target};

/// The largest head; what listeners allow differs from one to the other.
const MAX_HEAD: usize = 1 << 20;

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
    let head = head(arguments)?;
    let mut fields = Fields::new();
    match parse_request(&head, MAX_HEAD, &mut fields) {
        Ok(Some((request, _))) => Ok(explained(&config, arguments, &request)),
        Err(fault) => Ok(refused(&fault)),
        Ok(None) => Err(CliError::Usage {
            message: "this is no request".to_owned(),
        }),
    }
}

/// As a client would send it.
fn head(arguments: &Arguments) -> Result<Vec<u8>, CliError> {
    let usage = |message: String| CliError::Usage { message };
    let Arguments {
        method,
        url,
        headers,
        ..
    } = arguments;
    let is_line = |text: &str| !text.contains(['\r', '\n']);
    let words = [method, url];
    if words.iter().any(|word| word.contains(char::is_whitespace))
        || !headers.iter().all(|it| is_line(it))
    {
        return Err(usage(
            "a method, URL or header has a line break or space too many".to_owned(),
        ));
    }
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    let (host, target) = match rest {
        Some(rest) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (host, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
            (Some(host), target)
        }
        None => (None, url.as_str()),
    };
    // A fragment stays with the client (RFC 9110 §4.2.5).
    let target = target.split('#').next().unwrap_or_default();
    let slash = if target.starts_with('/') || target == "*" {
        ""
    } else if rest.is_some() {
        "/"
    } else {
        return Err(usage(format!("`{url}` is neither a URL nor a path")));
    };
    let mut head = format!("{method} {slash}{target} HTTP/1.1\r\n");
    if let Some(host) = host {
        head.extend(["Host: ", host, "\r\n"]);
    }
    for header in headers {
        if !header.contains(':') {
            return Err(usage(format!(
                "`{header}` is no header; write 'Name: value'"
            )));
        }
        head.extend([header.as_str(), "\r\n"]);
    }
    head.push_str("\r\n");
    Ok(head.into_bytes())
}

fn refused(fault: &Fault) -> Outcome {
    let (status, code) = (fault.status, fault.reason.code());
    let text = format!("refused with {status}, {code}: {}\n", fault.detail);
    let json = json!({
        "verdict": "refuse",
        "status": status,
        "reason": code,
        "detail": fault.detail,
    });
    Outcome::new(text, json)
}

fn explained(config: &Config, arguments: &Arguments, request: &Request<'_>) -> Outcome {
    let mut written = Vec::new();
    let seen = Seen {
        request,
        path: path::normalised(request.path(), &mut written),
        client: arguments.from.to_canonical(),
        scheme: if arguments.url.starts_with("https://") {
            "https"
        } else {
            "http"
        },
    };
    let found = Router::new(&config.routes).find(&seen);
    let taker = found.and_then(|index| config.routes.get(index));
    let host = String::from_utf8_lossy(authority::host(request.authority));
    let path = String::from_utf8_lossy(seen.path);
    let mut text = format!(
        "{} {host}{path} from {}\n",
        arguments.method, arguments.from
    );
    let action = taker.map(|route| action(config, route, &seen));
    match (taker, &action) {
        (Some(route), Some(action)) => {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  route {}: {}", route.name, action.text);
            for line in &action.more {
                let _ = writeln!(text, "  {line}");
            }
            if let Some(limit) = limit(route) {
                let _ = writeln!(text, "  limit: {limit}");
            }
        }
        _ => {
            let _ = writeln!(
                text,
                "  no route takes it: 404, {}",
                Reason::RouteNone.code()
            );
        }
    }
    let others = others(config, found, &seen, &mut text);
    let mut json = json!({
        "method": arguments.method,
        "host": host,
        "path": path,
        "client": arguments.from,
        "route": taker.map(|route| &*route.name),
        "limit": taker.and_then(limit),
        "others": others,
    });
    let verdict = action.map_or_else(
        || json!({ "verdict": "refuse", "status": 404, "reason": Reason::RouteNone.code() }),
        |action| action.json,
    );
    if let (Value::Object(json), Value::Object(verdict)) = (&mut json, verdict) {
        json.extend(verdict);
    }
    Outcome::new(text, json)
}

/// Why the other routes do not take it.
fn others(config: &Config, found: Option<usize>, seen: &Seen<'_>, text: &mut String) -> Vec<Value> {
    let routes = config.routes.iter().enumerate();
    let others = routes.filter(|(index, _)| Some(*index) != found);
    others
        .map(|(_, route)| {
            let misses = misses(route, seen);
            let why = if misses.is_empty() {
                "would take it, but the other goes before".to_owned()
            } else {
                format!("does not match: {}", misses.join(", "))
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  not {}: {why}", route.name);
            json!({ "route": &*route.name, "misses": misses })
        })
        .collect()
}

/// What a route does.
struct Does {
    text: String,
    /// Lines of what becomes of this request.
    more: Vec<String>,
    json: Value,
}

fn action(config: &Config, route: &Route, seen: &Seen<'_>) -> Does {
    match &route.action {
        Action::Forward(targets) => forward(config, (route, targets), seen),
        Action::Respond(respond) => Does {
            text: format!("answers {} itself", respond.status),
            more: Vec::new(),
            json: json!({ "verdict": "respond", "status": respond.status }),
        },
        Action::Redirect(redirect) => {
            let made = target::for_client(redirect, target::groups(route), &facts(route, seen, ""));
            let made = made.map(|made| String::from_utf8_lossy(&made).into_owned());
            let to = made.unwrap_or_else(|| redirect.written.clone());
            let status = redirect.status;
            Does {
                text: format!("redirects to {to} with {status}"),
                more: Vec::new(),
                json: json!({ "verdict": "redirect", "status": status, "to": to }),
            }
        }
    }
}

fn forward(config: &Config, (route, targets): (&Route, &[Target]), seen: &Seen<'_>) -> Does {
    let name = |index: usize| {
        let upstream = config.upstreams.get(index);
        upstream.map_or("", |upstream| &*upstream.name)
    };
    let mut more = Vec::new();
    let mut to = Vec::new();
    let mut parts = Vec::new();
    for target in targets {
        let (upstream, weight) = (name(target.upstream), target.weight);
        parts.push(format!("{upstream} ({weight})"));
        to.push(json!({ "upstream": upstream, "weight": weight }));
    }
    let is_drawn = targets.len() > 1 && route.split_by == SplitBy::Random;
    let chosen = (!is_drawn).then(|| name(pick(targets, &route.split_by, seen, 0)));
    let text = if let [only] = targets {
        format!("to {}", name(only.upstream))
    } else {
        more.extend(chosen.map(|chosen| format!("for this client: {chosen}")));
        format!("to one of {}", parts.join(", "))
    };
    let facts = facts(route, seen, chosen.unwrap_or_default());
    let target = target::for_endpoint(route, target::groups(route), &facts);
    let target = String::from_utf8_lossy(&target);
    if target.as_bytes() != seen.request.target {
        more.push(format!("as {target}"));
    }
    let mirror = route.mirror.as_ref();
    more.extend(mirror.map(|mirror| format!("{} % copied to {}", mirror.percent, name(mirror.to))));
    let json = json!({
        "verdict": "forward",
        "to": to,
        "upstream": chosen,
        "target": target,
        "mirror": mirror.map(|mirror| name(mirror.to)),
    });
    Does { text, more, json }
}

fn facts<'a>(route: &'a Route, seen: &'a Seen<'a>, upstream: &'a str) -> Facts<'a, Seen<'a>> {
    Facts {
        request: seen,
        target: seen.request.target,
        id: "ID",
        route: &route.name,
        upstream,
        local: (seen.client, 0).into(),
    }
}

fn limit(route: &Route) -> Option<String> {
    let quota = &route.limit.as_ref()?.quota;
    let (allowance, window) = (quota.allowance(), quota.window());
    Some(format!("{allowance} per {window} s, else 429"))
}
