//! The whole of a configuration: every section, then what must fit together across sections.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::keys::{self, Key};
use super::problem::{Complaint, Problem, Problems, Severity};
use super::reader::{Reader, Section};
use super::relay::Transport;
use super::tree::{self, Place, Table};
use super::{
    Action, Cdn, Config, Listener, Mode, Places, Source, Upstream, admin, assay, autoban, caching,
    cdn, circles, document, doubts, listener, log, mentioned, relay, route, server, shield, trace,
    upstream, values,
};

/// A configuration that can be used.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// What is probably not meant, though it works.
    pub warnings: Vec<Problem>,
    /// For problems that only show when files are read and names are resolved.
    pub places: Places,
}

pub(super) static ROOT: keys::Section = keys::Section {
    name: "",
    doc: "",
    keys: &[
        Key::default(
            "include",
            "list of patterns",
            "[]",
            "Further files, relative to this one; their tables are merged with this file's and their routes follow its own.",
        )
        .example("[\"conf.d/*.toml\"]"),
        Key::default("server", "table", "{}", "").fields(&server::KEYS),
        Key::default("admin", "table", "{}", "").fields(&admin::KEYS),
        Key::default("log", "table", "{}", "").fields(&log::KEYS),
        Key::default("trace", "table", "{}", "").fields(&trace::KEYS),
        Key::default("shield", "table", "{}", "").fields(&shield::KEYS),
        Key::default("autoban", "table", "{}", "").fields(&autoban::KEYS),
        Key::default("cache", "table", "{}", "").fields(&caching::KEYS),
        Key::default("cdn", "tables by name", "{}", "").fields(&cdn::KEYS),
        Key::default("listener", "tables by name", "{}", "").fields(&listener::KEYS),
        Key::default("upstream", "tables by name", "{}", "").fields(&upstream::KEYS),
        Key::default("route", "list of tables", "[]", "").fields(&route::KEYS),
        Key::default("test", "list of tables", "[]", "").fields(&assay::KEYS),
    ],
    later: &[],
};

/// Reads a configuration whole: either it is right, or every mistake in it is told.
///
/// # Errors
/// All problems, in file order.
pub fn load(source: &Source<'_>) -> Result<Loaded, Problems> {
    let mut reader = Reader::new(source.variable);
    reader.set_base(source.name);
    let read = read_all(source, &reader);
    let failed = reader.has_errors();
    let (files, problems) = reader.finish();
    match read {
        Some((config, document)) if !failed => {
            let places = Places::new(files, document);
            let mut warnings = problems;
            warnings.extend(doubts::find(&config, &places));
            warnings.extend(mentioned::find(&config, &places));
            Ok(Loaded {
                config,
                warnings,
                places,
            })
        }
        Some(_) | None => Err(Problems(
            problems
                .into_iter()
                .filter(|problem| problem.severity == Severity::Error)
                .collect(),
        )),
    }
}

/// Whether this version knows a key, by its path from the top, names of the operator's own left out: `["route", "limit"]`.
pub fn has_key(path: &[&str]) -> bool {
    let mut section = Some(&ROOT);
    path.iter().all(|step| {
        let key = section.and_then(|section| section.key(step));
        section = key.and_then(|key| key.fields);
        key.is_some()
    })
}

/// Looks whether a text is TOML, whatever its keys are.
///
/// # Errors
/// All problems, in file order.
pub fn syntax(name: &str, text: &str) -> Result<(), Problems> {
    // Which variables are set is not asked here.
    let reader = Reader::new(&|_| Some(String::new()));
    let file = reader.add_file(name, text);
    let parsed = tree::parse(&reader, file, text).filter(|_| !reader.has_errors());
    let (_, problems) = reader.finish();
    parsed.map(|_| ()).ok_or(Problems(problems))
}

/// `None` only with a problem.
pub(super) fn read_all(source: &Source<'_>, reader: &Reader<'_>) -> Option<(Config, Table)> {
    let table = document::gather(source, reader)?;
    let start = Place::default();
    let root = Section::open(reader, &ROOT, String::new(), start, table);
    let config = read(&root);
    if config.is_none() && !reader.has_errors() {
        reader.report(
            start,
            "",
            Complaint::new("this configuration cannot be read"),
        );
    }
    Some((config?, root.into_table()))
}

fn read(root: &Section<'_>) -> Option<Config> {
    let server = root
        .section("server")
        .and_then(|section| server::read(&section));
    let admin = root
        .section("admin")
        .and_then(|section| admin::read(&section));
    let log = root.section("log").and_then(|section| log::read(&section));
    let trace = root
        .section("trace")
        .and_then(|section| trace::read(&section));
    let shield = root
        .section("shield")
        .and_then(|section| shield::read(&section));
    let autoban = root
        .section("autoban")
        .and_then(|section| autoban::read(&section));
    let cache = root
        .section("cache")
        .and_then(|section| caching::read(&section));
    let upstreams = root.named("upstream");
    let names: Vec<String> = upstreams
        .iter()
        .flatten()
        .map(|(name, _, _)| name.clone())
        .collect();
    let operator = admin
        .as_ref()
        .map_or([None; 2], |admin| [admin.metrics, admin.web]);
    let cdns = read_cdns(root);
    let others = (&*names, cdns.as_deref().unwrap_or_default());
    let listeners = read_listeners(root, operator, others);
    let routes = read_routes(root, &names);
    let tests = read_tests(root);
    let places: Vec<(String, Place)> = upstreams
        .iter()
        .flatten()
        .map(|(name, place, _)| (name.clone(), *place))
        .collect();
    let upstreams: Option<Vec<Upstream>> = upstreams.and_then(|sections| {
        let read: Vec<Option<Upstream>> = sections
            .into_iter()
            .map(|(name, place, section)| {
                check_name(root, "upstream", &name, place);
                upstream::read(name, &section?)
            })
            .collect();
        read.into_iter().collect()
    });
    let mut config = Config {
        server: server?,
        admin: admin?,
        log: log?,
        trace: trace?,
        shield: shield?,
        autoban: autoban?,
        cache: cache?,
        listeners: cdns.and(listeners)?,
        upstreams: upstreams?,
        routes: routes?,
        tests: tests?,
    };
    for upstream in &mut config.upstreams {
        upstream.zone.clone_from(&config.server.zone);
    }
    forbid_keys_of_relays(root, &config, &places);
    circles::forbid(root, &config, &places);
    warn_of_unused(root, &config, &places);
    Some(config)
}

/// What a listener of mode tls forwards is TLS already, and of datagrams no TLS is made; nor are they announced.
fn forbid_keys_of_relays(root: &Section<'_>, config: &Config, places: &[(String, Place)]) {
    let as_they_come = |mode: &Mode| matches!(mode, Mode::Tls(_) | Mode::Udp(_));
    let listeners = config.listeners.iter();
    for listener in listeners.filter(|one| as_they_come(&one.mode)) {
        for upstream in listener.mode.upstreams() {
            let Some((upstream, (_, place))) =
                config.upstreams.get(upstream).zip(places.get(upstream))
            else {
                continue;
            };
            let mode = listener.mode.name();
            if upstream.tls.is_some() {
                let complaint = format!(
                    "`tls` does nothing for listener `{}` of mode {mode}, which forwards bytes as they come",
                    listener.name
                );
                let complaint = Complaint::new(complaint).hint(
                    "let clients speak TLS with the endpoints themselves, or use mode = \"tcp\" or \"http\"",
                );
                let at = format!("upstream.{}.tls", upstream.name);
                root.reader.report(*place, &at, complaint);
            }
            if upstream.send_proxy_protocol.is_some() && listener.mode.is_udp() {
                let complaint = format!(
                    "`send_proxy_protocol` means nothing to listener `{}` of mode {mode}: only connections are announced, not datagrams",
                    listener.name
                );
                let hint = "leave it out, or make another upstream for the connections";
                let at = format!("upstream.{}.send_proxy_protocol", upstream.name);
                root.reader
                    .report(*place, &at, Complaint::new(complaint).hint(hint));
            }
        }
    }
}

fn read_cdns(root: &Section<'_>) -> Option<Vec<Cdn>> {
    let read: Vec<Option<Cdn>> = root
        .named("cdn")?
        .into_iter()
        .map(|(name, place, section)| {
            check_name(root, "cdn", &name, place);
            cdn::read(&name, &section?)
        })
        .collect();
    read.into_iter().collect()
}

fn read_listeners(
    root: &Section<'_>,
    operator: [Option<SocketAddr>; 2],
    others: (&[String], &[Cdn]),
) -> Option<Vec<Listener>> {
    let sections = root.named("listener")?;
    if sections.is_empty() {
        let hint = "add [listener.web] with bind = [\"0.0.0.0:80\"]";
        let complaint = Complaint::new("a configuration needs at least one listener").hint(hint);
        root.complain("listener", complaint);
    }
    let mut bound = Bound::new();
    for address in operator.into_iter().flatten() {
        bound.insert((address, Transport::Tcp), root.place_of("admin"));
    }
    let read: Vec<Option<Listener>> = sections
        .into_iter()
        .map(|(name, place, section)| {
            check_name(root, "listener", &name, place);
            let section = section?;
            check_bind(&section, &mut bound);
            listener::read(name, &section, others)
        })
        .collect();
    read.into_iter().collect()
}

/// Where what was bound first stands.
type Bound = HashMap<(SocketAddr, Transport), Place>;

/// An address can be bound once over each transport; port 0 is another one each time.
fn check_bind(section: &Section<'_>, bound: &mut Bound) {
    let transports = relay::transports(section);
    for item in section.items_if_present("bind") {
        let Ok(address) = values::bind_address(&item.node) else {
            continue;
        };
        if address.port() == 0 {
            continue;
        }
        let first = transports
            .iter()
            .find_map(|one| bound.get(&(address, *one)));
        if let Some(first) = first {
            section.reader.conflict(
                *first,
                item.node.place,
                &item.path,
                Complaint::new(format!("{address} is bound twice"))
                    .hint("each listener needs an address or a port of its own"),
            );
        }
        for one in &transports {
            bound.entry((address, *one)).or_insert(item.node.place);
        }
    }
}

fn check_name(root: &Section<'_>, kind: &str, name: &str, place: Place) {
    if let Err(complaint) = values::name(name) {
        root.reader.report(place, kind, complaint);
    }
}

fn read_routes(root: &Section<'_>, upstreams: &[String]) -> Option<Vec<super::Route>> {
    let items = root.items("route")?;
    let read: Vec<Option<route::Named>> = items
        .into_iter()
        .enumerate()
        .map(|(index, item)| {
            let section = root.item_section("route", item)?;
            route::read(index + 1, &section, upstreams)
        })
        .collect();
    let routes: Vec<route::Named> = read.into_iter().collect::<Option<_>>()?;
    let mut known: HashMap<&str, Place> = HashMap::new();
    for named in &routes {
        let name = &*named.route.name;
        match known.get(name) {
            Some(first) => root.reader.conflict(
                *first,
                named.place,
                "route",
                Complaint::new(format!("two routes are named `{name}`"))
                    .hint("give each a name of its own"),
            ),
            None => {
                known.insert(name, named.place);
            }
        }
    }
    Some(routes.into_iter().map(|named| named.route).collect())
}

fn read_tests(root: &Section<'_>) -> Option<Vec<assay::Test>> {
    let items = root.items("test")?;
    let read: Vec<Option<assay::Test>> = items
        .into_iter()
        .map(|item| assay::read(&root.item_section("test", item)?))
        .collect();
    read.into_iter().collect()
}

fn warn_of_unused(root: &Section<'_>, config: &Config, upstreams: &[(String, Place)]) {
    let mut used = vec![false; upstreams.len()];
    for route in &config.routes {
        let targets: &[super::Target] = match &route.action {
            Action::Forward(targets) => targets,
            Action::Respond(_) | Action::Redirect(_) => &[],
        };
        let mirror = route.mirror.iter().map(|mirror| mirror.to);
        for upstream in targets.iter().map(|target| target.upstream).chain(mirror) {
            if let Some(used) = used.get_mut(upstream) {
                *used = true;
            }
        }
    }
    for target in config.listeners.iter().flat_map(|one| one.mode.upstreams()) {
        if let Some(used) = used.get_mut(target) {
            *used = true;
        }
    }
    for ((name, place), used) in upstreams.iter().zip(used) {
        if !used {
            let complaint = Complaint::new(format!("no route leads to the upstream `{name}`"))
                .hint(format!("add a route with to = \"{name}\", or remove it"));
            root.reader
                .warn(*place, &format!("upstream.{name}"), complaint);
        }
    }
    let takes_requests = config.listeners.iter().any(|one| one.mode.is_http());
    if !takes_requests && !config.routes.is_empty() {
        let complaint =
            Complaint::new("no listener takes requests: routes are for those of mode `http`")
                .hint("add [listener.web] with bind = [\"0.0.0.0:80\"], or remove the routes");
        root.reader.warn(root.place_of("route"), "route", complaint);
    }
    if config.routes.is_empty() && takes_requests {
        let complaint = Complaint::new("without a route every request is answered with 404")
            .hint("add [[route]] with to = \"UPSTREAM\"");
        root.reader.warn(root.place, "route", complaint);
    }
}
