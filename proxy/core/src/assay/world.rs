//! A configuration that is asked.

use openclaw_common::verdict;

use super::asked::scheme_of;
use super::{Asked, CachePart, Fate, Gate, Packet, Share, Verdict, Wire, gate};
use crate::config::{Action, Asks, Config, HeaderEdit, Listener, Redirect, Route, SplitBy, Target};
use crate::limit::Rendered;
use crate::message::h1::parse_request;
use crate::message::{Fault, Fields, Framing, Kind, Request, authority, client, path};
use crate::reason::Reason;
use crate::route::{Router, Seen, misses, pick, target};
use crate::template::{Facts, Status};

/// The largest head where no listener says how large one may be.
const MAX_HEAD: usize = 1 << 20;
/// What a request that is sent on counts as: the answer is the endpoint's.
const SENT_ON: u16 = 200;

/// See the module.
#[derive(Debug)]
pub struct World<'a> {
    config: &'a Config,
    router: Router,
    gate: &'a dyn Gate,
}

/// A request with what was looked at on its way.
#[derive(Clone, Debug)]
pub struct Examined {
    /// What becomes of it.
    pub fate: Fate,
    /// Absent where it did not get as far as the routes.
    pub line: Option<Line>,
    /// The routes that do not take it.
    pub others: Vec<Other>,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Without a port.
    pub host: String,
    /// In the form that routes see.
    pub path: String,
    /// Path and query as they came.
    pub target: String,
}

/// A route that does not take a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its name.
    pub route: String,
    /// The conditions that do not hold; none: another route goes before.
    pub misses: Vec<String>,
}

impl<'a> World<'a> {
    /// Compiles the routes.
    pub fn new(config: &'a Config, gate: &'a dyn Gate) -> Self {
        Self {
            config,
            router: Router::new(&config.routes),
            gate,
        }
    }

    /// The configuration.
    pub fn config(&self) -> &'a Config {
        self.config
    }

    /// What becomes of a packet where the kernel program runs.
    pub fn packet(&self, packet: &Packet) -> Fate {
        Fate::decided(self.gate.frame(&packet.frame()))
    }

    /// What becomes of what a test asks.
    pub fn asks(&self, asks: &Asks) -> Fate {
        match asks {
            Asks::Request(asked) => self.fate(asked),
            Asks::Packet(packet) => self.packet(packet),
        }
    }

    /// The conditions of a route that a request does not meet, where both get that far.
    pub fn misses(&self, asked: &Asked, route: &str) -> Option<Vec<String>> {
        let mut routes = self.config.routes.iter();
        let route = routes.find(|known| *known.name == *route)?;
        self.with(asked, |_, seen| Some(misses(route, seen?)))
    }

    pub(super) fn hides_clients(&self) -> bool {
        self.config.log.redact.client.is_some()
    }

    /// What becomes of a request.
    pub fn fate(&self, asked: &Asked) -> Fate {
        self.with(asked, |fate, _| fate)
    }

    /// The same, with what was looked at on its way.
    pub fn examine(&self, asked: &Asked) -> Examined {
        self.with(asked, |fate, seen| Examined {
            line: seen.map(|seen| Line {
                host: text(authority::host(seen.request.authority)),
                path: text(seen.path),
                target: text(seen.request.target),
            }),
            others: seen.map_or_else(Vec::new, |seen| self.others(&fate, seen)),
            fate,
        })
    }

    fn others(&self, fate: &Fate, seen: &Seen<'_>) -> Vec<Other> {
        let routes = self.config.routes.iter();
        let others = routes.filter(|route| fate.route.as_deref() != Some(&*route.name));
        let other = |route: &Route| Other {
            route: route.name.to_string(),
            misses: misses(route, seen),
        };
        others.map(other).collect()
    }

    fn with<T>(&self, asked: &Asked, done: impl FnOnce(Fate, Option<&Seen<'_>>) -> T) -> T {
        let listener = match self.listener(asked) {
            Ok(listener) => listener,
            Err(why) => return done(Fate::nowhere(why), None),
        };
        let named = |fate| Fate {
            listener: listener.map(|listener| listener.name.to_string()),
            ..fate
        };
        let decision = self.gate.connection(asked.from);
        if decision.verdict == verdict::Verdict::Drop {
            return done(named(Fate::decided(decision)), None);
        }
        let most = listener.map_or(MAX_HEAD, |listener| listener.max_header);
        let mut fields = Fields::new();
        let request = match parse_request(&asked.head, most, &mut fields) {
            Ok(Some((request, _))) => request,
            Ok(None) => return done(Fate::nowhere("this is no request"), None),
            Err(fault) => return done(named(Fate::refused(&fault)), None),
        };
        let mut written = Vec::new();
        let seen = seen(asked, listener, &request, &mut written);
        let barred = gate::barred(self.gate, asked.from, seen.client);
        let fate = barred.unwrap_or_else(|| self.of_request(&seen, asked.times));
        done(named(fate), Some(&seen))
    }

    /// The one that is named, or that a client of such a URL most likely reaches.
    fn listener(&self, asked: &Asked) -> Result<Option<&'a Listener>, String> {
        let speaks = |listener: &&Listener| {
            let protocols = listener.protocols;
            listener.mode.is_http()
                && asked.wire.is_none_or(|wire| match wire {
                    Wire::H1 => protocols.h1,
                    Wire::H2 => protocols.h2,
                    Wire::H3 => protocols.h3,
                })
        };
        let fits = |listener: &&Listener| {
            let scheme = asked
                .scheme
                .is_none_or(|scheme| scheme == scheme_of(listener));
            scheme && speaks(listener)
        };
        let all = self.config.listeners.iter();
        let Some(name) = &asked.listener else {
            let at_port = |listener: &&Listener| {
                let mut bind = listener.bind.iter();
                bind.any(|address| Some(address.port()) == asked.port)
            };
            let first = all.clone().filter(fits).find(at_port);
            let first = first.or_else(|| all.clone().find(fits));
            if first.is_none() && asked.is_strict {
                // Without a word about the wire the routes are meant, whatever stands before them speaks.
                let any = all.clone().find(speaks).filter(|_| asked.wire.is_none());
                return any.map(Some).ok_or_else(|| unspoken(asked));
            }
            return Ok(first);
        };
        let named = all.clone().find(|listener| *listener.name == **name);
        let listener = named.ok_or_else(|| format!("there is no listener `{name}`"))?;
        if !listener.mode.is_http() {
            let mode = listener.mode.name();
            return Err(format!(
                "the listener `{name}` is of mode {mode} and reads no requests"
            ));
        }
        if let Some(wire) = asked.wire.filter(|_| !speaks(&listener)) {
            return Err(format!(
                "the listener `{name}` does not speak {}",
                wire.word()
            ));
        }
        Ok(Some(listener))
    }

    fn of_request(&self, seen: &Seen<'_>, times: u64) -> Fate {
        let found = self.router.find(seen);
        let Some(route) = found.and_then(|index| self.config.routes.get(index)) else {
            return Fate::refused(&Fault {
                reason: Reason::RouteNone,
                status: 404,
                detail: "no route takes it",
            });
        };
        let fate = refusal(route, seen, times).unwrap_or_else(|| self.action(route, seen));
        Fate {
            route: Some(route.name.to_string()),
            limit: limit(route),
            ..fate
        }
    }

    fn action(&self, route: &Route, seen: &Seen<'_>) -> Fate {
        match &route.action {
            Action::Forward(targets) => self.forward(route, targets, seen),
            Action::Respond(respond) => {
                let own = ("content-type", respond.content_type.as_str());
                Fate {
                    status: Some(respond.status),
                    headers: headers(route, seen, "", respond.status, &[own]),
                    ..Fate::of(Verdict::Respond)
                }
            }
            Action::Redirect(redirect) => {
                let location = location(route, redirect, seen);
                let own = ("location", location.as_str());
                Fate {
                    status: Some(redirect.status),
                    headers: headers(route, seen, "", redirect.status, &[own]),
                    location: Some(location),
                    ..Fate::of(Verdict::Redirect)
                }
            }
        }
    }

    fn forward(&self, route: &Route, targets: &[Target], seen: &Seen<'_>) -> Fate {
        let to = targets.iter().map(|target| Share {
            upstream: self.upstream(target.upstream),
            weight: target.weight,
        });
        let is_drawn = targets.len() > 1 && route.split_by == SplitBy::Random;
        let upstream = (!is_drawn).then(|| self.upstream(pick(targets, &route.split_by, seen, 0)));
        let chosen = upstream.as_deref().unwrap_or_default();
        let facts = facts(route, seen, chosen);
        let target = text(&target::for_endpoint(route, target::groups(route), &facts));
        let mirror = route.mirror.as_ref();
        Fate {
            to: to.collect(),
            target: Some(target),
            mirror: mirror.map(|mirror| (self.upstream(mirror.to), mirror.percent.to_string())),
            cache: Some(CachePart::of(route, seen.request)),
            headers: headers(route, seen, chosen, SENT_ON, &[]),
            upstream,
            ..Fate::of(Verdict::Forward)
        }
    }

    fn upstream(&self, index: usize) -> String {
        let upstream = self.config.upstreams.get(index);
        upstream.map_or_else(String::new, |upstream| upstream.name.to_string())
    }
}

/// That no listener is there for a request.
fn unspoken(asked: &Asked) -> String {
    let wire = asked.wire.map(Wire::word);
    match (wire, asked.scheme) {
        (Some(wire), Some(scheme)) => format!("no listener speaks {wire} for {scheme} URLs"),
        (Some(word), None) | (None, Some(word)) => format!("no listener speaks {word}"),
        (None, None) => "no listener reads requests".to_owned(),
    }
}

/// What a listener makes of a request: whose it is, and over what it came.
fn seen<'s>(
    asked: &Asked,
    listener: Option<&Listener>,
    request: &'s Request<'s>,
    written: &'s mut Vec<u8>,
) -> Seen<'s> {
    let peer = asked.from.to_canonical();
    let proxies = listener.map_or(&[][..], |listener| &listener.trusted_proxies);
    let is_trusted = |address| proxies.iter().any(|prefix| prefix.contains(address));
    let own = asked.scheme.or(listener.map(scheme_of)).unwrap_or("http");
    let said = request.known(Kind::XForwardedProto);
    let scheme = match said.filter(|_| is_trusted(peer)) {
        Some(said) if said.eq_ignore_ascii_case(b"https") => "https",
        Some(said) if said.eq_ignore_ascii_case(b"http") => "http",
        Some(_) | None => own,
    };
    Seen {
        request,
        path: path::normalised(request.path(), written),
        client: if is_trusted(peer) {
            let cdns = listener.map_or(&[][..], |listener| &listener.cdns);
            let cdn = cdns.iter().find(|cdn| cdn.has(peer));
            let named = cdn.and_then(|cdn| cdn.client(request.fields));
            named.unwrap_or_else(|| client(request.fields, peer, is_trusted))
        } else {
            peer
        },
        scheme,
    }
}

/// Why a route does not do what it is there for.
fn refusal(route: &Route, seen: &Seen<'_>, times: u64) -> Option<Fate> {
    let quota = route.limit.as_ref().map(|limit| &limit.quota);
    if let Some(quota) = quota.filter(|quota| times > quota.allowance()) {
        let mut fate = Fate::refused(&Fault {
            reason: Reason::LimitRate,
            status: 429,
            detail: "more requests than the limit of the route allows",
        });
        let told = Rendered::of_refusal(quota, &quota.exhausted());
        let told = told
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), text(value)));
        fate.headers.extend(told);
        return Some(fate);
    }
    let most = route.max_body.unwrap_or(u64::MAX);
    let is_large = matches!(seen.request.framing, Framing::Length(length) if length > most);
    is_large.then(|| {
        Fate::refused(&Fault {
            reason: Reason::BodyTooLarge,
            status: 413,
            detail: "the body is larger than max_body",
        })
    })
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

fn location(route: &Route, redirect: &Redirect, seen: &Seen<'_>) -> String {
    let facts = facts(route, seen, "");
    let made = target::for_client(redirect, target::groups(route), &facts);
    made.map_or_else(|| redirect.written.clone(), |made| text(&made))
}

/// The fields of a response that the route writes, over those that are there anyway.
fn headers(
    route: &Route,
    seen: &Seen<'_>,
    upstream: &str,
    status: u16,
    own: &[(&str, &str)],
) -> Vec<(String, String)> {
    let edits = &route.headers.response;
    let filled: HeaderEdit;
    let edits = if edits.has_variables() {
        filled = edits
            .filled(&facts(route, seen, upstream))
            .filled(&Status(status));
        &filled
    } else {
        edits
    };
    let set = &edits.set;
    let is_edited = |name: &str| set.iter().any(|(it, _)| it.eq_ignore_ascii_case(name));
    let own = own.iter().filter(|(name, _)| !is_edited(name));
    let own = own.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let written = set.iter().chain(&edits.add).map(|(name, value)| {
        let value = text(value.plain().unwrap_or_default());
        (name.to_ascii_lowercase(), value)
    });
    own.chain(written).collect()
}

fn limit(route: &Route) -> Option<String> {
    let quota = &route.limit.as_ref()?.quota;
    let (allowance, window) = (quota.allowance(), quota.window());
    Some(format!("{allowance} per {window} s, else 429"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
