//! A request of an access log under another configuration: would become of it what has become of it?
//!
//! A log holds neither headers, but for two, nor bodies: where those decide, nothing is said.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Asked, Fate, Verdict, World};

/// What a line of the access log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Absent where no request was understood, or bytes were forwarded.
    pub asked: Option<Asked>,
    /// Whether the line knows more than the status.
    is_whole: bool,
    route: Option<String>,
    status: Option<u16>,
    reason: Option<String>,
    upstream: Option<String>,
    is_cached: bool,
}

/// What has come of asking again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// The same, as far as it can be told.
    Same,
    /// Something else: before and after, in words.
    Changed(String, String),
    /// The log does not say enough.
    Unknown(&'static str),
}

/// A line of JSON.
#[derive(Deserialize)]
struct Json<'a> {
    #[serde(borrow)]
    listener: Option<Cow<'a, str>>,
    route: Option<Cow<'a, str>>,
    client: Option<Cow<'a, str>>,
    method: Option<Cow<'a, str>>,
    host: Option<Cow<'a, str>>,
    path: Option<Cow<'a, str>>,
    protocol: Option<Cow<'a, str>>,
    status: Option<u16>,
    reason: Option<Cow<'a, str>>,
    upstream: Option<Cow<'a, str>>,
    cache: Option<Cow<'a, str>>,
    user_agent: Option<Cow<'a, str>>,
    referer: Option<Cow<'a, str>>,
}

/// What tells a line by the Elastic Common Schema, with its version as one member or as two.
#[derive(Deserialize)]
struct Elastic {
    #[serde(rename = "@timestamp")]
    timestamp: Option<IgnoredAny>,
    #[serde(rename = "ecs.version")]
    version: Option<IgnoredAny>,
    ecs: Option<IgnoredAny>,
}

/// What of a request both formats have.
struct Line<'a> {
    method: &'a str,
    path: &'a str,
    host: &'a str,
    client: &'a str,
    user_agent: &'a str,
    referer: &'a str,
}

impl Logged {
    /// Reads a line of the access log, JSON or combined, which holds no host: `host` stands for it. `None`: it is neither.
    pub fn read(line: &str, host: &str) -> Option<Self> {
        if line.starts_with('{') {
            return json(line);
        }
        combined(line, host)
    }
}

/// Whether a line is one of our log by the Elastic Common Schema, which [`Logged::read`] does not take.
pub fn is_ecs(line: &str) -> bool {
    let line: Result<Elastic, _> = serde_json::from_str(line);
    line.is_ok_and(|line| line.timestamp.is_some() || line.version.is_some() || line.ecs.is_some())
}

fn json(line: &str) -> Option<Logged> {
    let line: Json<'_> = serde_json::from_str(line).ok()?;
    let text = |value: &Option<Cow<'_, str>>| value.as_deref().unwrap_or_default().to_owned();
    let owned = |value: &Option<Cow<'_, str>>| value.as_deref().map(str::to_owned);
    // Every line of ours says where it came, or over what.
    line.protocol.as_deref().or(line.listener.as_deref())?;
    let asked = request(&Line {
        method: &text(&line.method),
        path: &text(&line.path),
        host: &text(&line.host),
        client: &text(&line.client),
        user_agent: &text(&line.user_agent),
        referer: &text(&line.referer),
    });
    Some(Logged {
        asked: asked.map(|asked| Asked {
            listener: owned(&line.listener),
            ..asked
        }),
        is_whole: true,
        route: owned(&line.route),
        status: line.status,
        reason: owned(&line.reason),
        upstream: owned(&line.upstream),
        is_cached: line.cache.is_some(),
    })
}

/// `CLIENT - - [TIME] "METHOD PATH PROTOCOL" STATUS BYTES "REFERER" "AGENT"`.
fn combined(line: &str, host: &str) -> Option<Logged> {
    let (start, rest) = line.split_once(" \"")?;
    let client = start.split(' ').next()?;
    start.ends_with(']').then_some(())?;
    let (asked, rest) = rest.split_once("\" ")?;
    let mut fields = rest.split(' ');
    let status = fields.next()?;
    let status = match status {
        "-" => None,
        status => Some(status.parse().ok()?),
    };
    let mut quoted = rest.split('"');
    let referer = quoted.nth(1).unwrap_or_default();
    let user_agent = quoted.nth(1).unwrap_or_default();
    let mut words = asked.split(' ');
    let (method, path) = (words.next()?, words.next().unwrap_or_default());
    Some(Logged {
        asked: request(&Line {
            method,
            path,
            host,
            client,
            user_agent,
            referer,
        }),
        is_whole: false,
        route: None,
        status,
        reason: None,
        upstream: None,
        is_cached: false,
    })
}

fn request(line: &Line<'_>) -> Option<Asked> {
    if line.method.is_empty() || line.method == "-" {
        return None;
    }
    let known = [
        ("Host", line.host),
        ("User-Agent", line.user_agent),
        ("Referer", line.referer),
    ];
    let known = known
        .into_iter()
        .filter(|(_, value)| !matches!(*value, "" | "-"));
    let fields: Vec<(String, String)> = known
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let asked = Asked::new(line.method, line.path, &fields).ok()?;
    Some(Asked {
        from: line.client.parse().unwrap_or(Asked::NOBODY),
        text: format!("{} {}{}", line.method, line.host, line.path),
        ..asked
    })
}

/// Asks again.
pub fn replay(world: &World<'_>, logged: &Logged) -> Replayed {
    let Some(asked) = &logged.asked else {
        return Replayed::Unknown("no request was understood");
    };
    if let Some(why) = unsaid(logged) {
        return Replayed::Unknown(why);
    }
    let fate = world.fate(asked);
    if is_same(logged, &fate) {
        return Replayed::Same;
    }
    let is_hidden = world.hides_clients();
    if is_hidden && fate.verdict == Verdict::Drop {
        return Replayed::Unknown("addresses decide of which the log holds the beginnings alone");
    }
    let taker = logged.route.as_deref();
    let misses = taker.and_then(|route| world.misses(asked, route));
    // A trusted proxy says in a header how its client came.
    let of_headers = |miss: &String| {
        ["header ", "cookie "]
            .iter()
            .any(|start| miss.starts_with(start))
            || miss == "scheme"
            || (is_hidden && miss == "client")
    };
    if misses.is_some_and(|misses| !misses.is_empty() && misses.iter().all(of_headers)) {
        return Replayed::Unknown("headers decide that the log does not hold");
    }
    Replayed::Changed(before(logged), fate.to_string())
}

/// Why nothing can be said.
fn unsaid(logged: &Logged) -> Option<&'static str> {
    let reason = logged.reason.as_deref()?;
    if reason == "http.body_too_large" {
        return Some("bodies decide that the log does not hold");
    }
    let is_of_routes = ["route.none", "limit.rate"].contains(&reason);
    let is_sent_on = logged.upstream.is_some() || reason.starts_with("upstream.");
    let is_open = is_of_routes || is_sent_on;
    (!is_open).then_some("it was refused for what no configuration of routes decides")
}

fn was_sent_on(logged: &Logged) -> bool {
    let reason = logged.reason.as_deref().unwrap_or_default();
    logged.upstream.is_some() || logged.is_cached || reason.starts_with("upstream.")
}

fn is_same(logged: &Logged, fate: &Fate) -> bool {
    if !logged.is_whole {
        // Who answered is not known: only what the proxy answers itself can be another status.
        let is_limited = logged.status == Some(429) && fate.limit.is_some();
        let is_answered_so = fate.status.is_some() && fate.status == logged.status;
        return fate.verdict != Verdict::Drop
            && (fate.is_sent_on() || is_limited || is_answered_so);
    }
    if logged.route != fate.route {
        return false;
    }
    match logged.reason.as_deref() {
        Some("limit.rate") => fate.limit.is_some(),
        Some("route.none") => fate.reason == Some("route.none"),
        Some(_) | None if was_sent_on(logged) => fate.is_sent_on() && may_go_to(logged, fate),
        Some(_) | None => !fate.is_sent_on() && fate.status == logged.status,
    }
}

fn may_go_to(logged: &Logged, fate: &Fate) -> bool {
    let Some(upstream) = &logged.upstream else {
        return true;
    };
    // By what clients are split the log may not hold.
    fate.to
        .iter()
        .any(|share| share.weight > 0 && share.upstream == *upstream)
}

fn before(logged: &Logged) -> String {
    let status = logged
        .status
        .map_or_else(|| "no answer".to_owned(), |it| it.to_string());
    let route = logged.route.as_ref();
    let route = route.map_or_else(String::new, |route| format!("route {route}, "));
    if let Some(upstream) = &logged.upstream {
        return format!("{route}to {upstream}");
    }
    match &logged.reason {
        Some(reason) => format!("{route}refused with {status}, {reason}"),
        None => format!("{route}answered with {status}"),
    }
}
