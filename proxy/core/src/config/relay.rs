//! Listeners that forward bytes: `mode`, `to` and `sni` of `[listener.NAME]`.

use std::time::Duration;

use super::keys::{self, Key};
use super::matcher::{self, HostPattern};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::route::{self, Target};
use super::tree::{self, Entry, Node, Value};
use super::values;

/// What becomes of a connection.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Requests are read and routed.
    Http,
    /// Its bytes go to one of these upstreams.
    Tcp(Vec<Target>),
    /// The same, by the name that the client asks for in its TLS handshake.
    Tls(ServerNames),
    /// Datagrams of one client are a session, which goes to one of these upstreams.
    Udp(Vec<Target>),
}

/// Which upstream a server name leads to.
#[derive(Clone, Debug)]
pub struct ServerNames(Vec<(Option<HostPattern>, Vec<NameTarget>)>);

/// Where clients go that ask for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTarget {
    /// Index into `Config::upstreams`.
    pub upstream: usize,
    /// The protocols of which the client must offer one (RFC 7301); empty: any client.
    pub alpn: Vec<String>,
}

/// Silence that a forwarded connection survives, as nginx has it.
const IDLE_TCP: Duration = Duration::from_mins(10);
/// RFC 4787 §4.3 asks for two minutes at least.
const IDLE_UDP: Duration = Duration::from_mins(2);

pub(super) const MODE: Key = Key::default(
    "mode",
    "word",
    "\"http\"",
    "What becomes of a connection: http, its requests are routed; tcp, its bytes go `to` an upstream, out of TLS where the listener has `tls`, and into TLS where the upstream has; tls, they do so untouched, by the server name of the handshake (`sni`); udp, datagrams of a client go `to` one endpoint. All but http have no routes.",
).words(&["http", "tcp", "tls", "udp"]);

pub(super) const TO: Key = Key::optional(
    "to",
    "upstream",
    "\"app\"",
    "Where a listener of mode tcp or udp forwards to: an upstream, or several with weights: [{ upstream = \"a\", weight = 9 }, { upstream = \"b\" }].",
)
.fields(&route::TARGET);

pub(super) const SNI: Key = Key::optional(
    "sni",
    "table of upstreams",
    "{ \"a.example.com\" = \"app\", \"*.example.com\" = \"app\", \"*\" = \"app\" }",
    "Where a listener of mode tls forwards to, by the server name that the client asks for: exact, then the longest wildcard, then \"*\", which takes clients that name none as well; without it they are refused. A list goes by the protocols that the client offers: [{ upstream = \"acme\", alpn = [\"acme-tls/1\"] }, \"app\"].",
)
.fields(&NAME);

static NAME: keys::Section = keys::Section {
    name: "listener.sni",
    doc: "An upstream for clients that offer certain protocols.",
    keys: &[
        Key::required("upstream", "upstream", "\"app\"", "The upstream."),
        Key::default(
            "alpn",
            "list of words",
            "[]",
            "The client must offer one of these protocols (ALPN). Empty: any client.",
        )
        .example("[\"h2\", \"http/1.1\"]"),
    ],
    later: &[],
};

#[derive(Clone, Copy, PartialEq)]
enum Word {
    Http,
    Tcp,
    Tls,
    Udp,
}

impl Mode {
    /// As it is written.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp(_) => "tcp",
            Self::Tls(_) => "tls",
            Self::Udp(_) => "udp",
        }
    }

    pub fn is_http(&self) -> bool {
        matches!(self, Self::Http)
    }

    pub fn is_udp(&self) -> bool {
        matches!(self, Self::Udp(_))
    }

    /// The upstreams that it forwards to, some perhaps several times.
    pub fn upstreams(&self) -> Vec<usize> {
        match self {
            Self::Http => Vec::new(),
            Self::Tcp(targets) | Self::Udp(targets) => {
                targets.iter().map(|target| target.upstream).collect()
            }
            Self::Tls(names) => names.targets().map(|target| target.upstream).collect(),
        }
    }

    /// How long a listener waits in silence that does not say so.
    pub(super) fn idle_timeout(&self) -> Option<Duration> {
        match self {
            Self::Http => None,
            Self::Tcp(_) | Self::Tls(_) => Some(IDLE_TCP),
            Self::Udp(_) => Some(IDLE_UDP),
        }
    }
}

impl ServerNames {
    fn targets(&self) -> impl Iterator<Item = &NameTarget> {
        self.0.iter().flat_map(|(_, targets)| targets)
    }

    /// The upstream for a client that asks for `name`, in lower case, and offers protocols, of which `offers` tells whether one is
    /// among them.
    pub fn find(&self, name: Option<&str>, offers: impl Fn(&str) -> bool) -> Option<usize> {
        let fits = |target: &&NameTarget| {
            target.alpn.is_empty() || target.alpn.iter().any(|protocol| offers(protocol))
        };
        let rank = |pattern: &Option<HostPattern>| match (pattern, name) {
            (None, _) => Some(0),
            (Some(_), None) => None,
            (Some(HostPattern::Exact(exact)), Some(name)) => (exact == name).then_some(usize::MAX),
            (Some(HostPattern::Suffix(suffix)), Some(name)) => {
                let is_below = name.len() > suffix.len() && name.ends_with(suffix.as_str());
                is_below.then_some(suffix.len())
            }
        };
        let ranked = self.0.iter().filter_map(|(pattern, targets)| {
            Some((rank(pattern)?, targets.iter().find(fits)?.upstream))
        });
        ranked
            .max_by_key(|(rank, _)| *rank)
            .map(|(_, upstream)| upstream)
    }
}

/// What comes over a socket's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Transport {
    Tcp,
    Udp,
}

/// The transports that a listener binds, as far as can be told before it is read.
pub(super) fn transports(section: &Section<'_>) -> Vec<Transport> {
    let holds = |key: &str, word: &str| {
        let items = section.items_if_present(key);
        let mut items = items.iter();
        items.any(|item| values::string(&item.node).is_ok_and(|text| text == word))
    };
    if holds("mode", "udp") {
        vec![Transport::Udp]
    } else if holds("protocols", "h3") {
        vec![Transport::Tcp, Transport::Udp]
    } else {
        vec![Transport::Tcp]
    }
}

pub(super) fn read(section: &Section<'_>, upstreams: &[String]) -> Option<Mode> {
    let words = [
        ("http", Word::Http),
        ("tcp", Word::Tcp),
        ("tls", Word::Tls),
        ("udp", Word::Udp),
    ];
    let word = section.value("mode", values::choice(&words));
    let to = section
        .items("to")
        .and_then(|items| route::read_targets(section, items, upstreams));
    let sni = section
        .value("sni", |node| Ok(node.clone()))
        .and_then(|node| read_names(section, &node, upstreams));
    let word = word?;
    check_keys(section, word);
    match word {
        Word::Http => Some(Mode::Http),
        Word::Tcp => to.map(Mode::Tcp),
        Word::Udp => to.map(Mode::Udp),
        Word::Tls => sni.map(Mode::Tls),
    }
}

/// Keys that mean nothing in this mode, and the one that it cannot do without.
fn check_keys(section: &Section<'_>, word: Word) {
    let http = [
        "protocols",
        "trusted_proxies",
        "cdn",
        "min_body_rate",
        "abort_on_close",
        "ping",
        "error_pages",
        "max_header",
    ];
    let strangers: &[&str] = match word {
        Word::Http => &["to", "sni"],
        Word::Tcp if section.has("tls") => &["sni"],
        Word::Tcp => &["sni", "header_timeout"],
        Word::Udp => &["sni", "header_timeout", "tls", "proxy_protocol"],
        Word::Tls => &["to", "tls"],
    };
    let of_http = http.iter().filter(|_| word != Word::Http);
    for key in of_http.chain(strangers) {
        if section.has(key) {
            let complaint = Complaint::new(format!(
                "`{key}` means nothing on a listener of mode `{}`",
                word.text()
            ));
            section.complain(key, complaint.hint(instead(key, word)));
        }
    }
    let needed = match word {
        Word::Http => return,
        Word::Tcp | Word::Udp => "to",
        Word::Tls => "sni",
    };
    if !section.has(needed) {
        let hint = match word {
            Word::Tls => "add sni = { \"a.example.com\" = \"UPSTREAM\" }",
            Word::Http | Word::Tcp | Word::Udp => "add to = \"UPSTREAM\"",
        };
        let complaint = Complaint::new(format!(
            "a listener of mode `{}` needs `{needed}`",
            word.text()
        ));
        section.complain(needed, complaint.hint(hint));
    }
}

/// What is written in place of a key that means nothing.
fn instead(key: &str, word: Word) -> &'static str {
    match (key, word) {
        ("to", Word::Http) => "routes say where requests go; or write mode = \"tcp\"",
        ("sni", Word::Http) => {
            "`tls` picks certificates by name; to forward TLS unread write mode = \"tls\""
        }
        ("to", _) => "write sni = { \"*\" = \"UPSTREAM\" }, or mode = \"tcp\"",
        ("sni", _) => "write mode = \"tls\"",
        ("header_timeout", _) => "no head is read; `idle_timeout` bounds silence",
        ("tls", _) => {
            "bytes are forwarded as they come; mode = \"tcp\" and mode = \"http\" end TLS here"
        }
        ("proxy_protocol", _) => "only connections are announced, not datagrams",
        _ => "it is for mode = \"http\"",
    }
}

impl Word {
    fn text(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Udp => "udp",
        }
    }
}

fn read_names(section: &Section<'_>, node: &Node, upstreams: &[String]) -> Option<ServerNames> {
    let path = section.key_path("sni");
    let entries = section.parse(&path, node, |node| {
        let Value::Table(entries) = &node.value else {
            return Err(values::expected("a table of server names", node));
        };
        if entries.is_empty() {
            return Err(Complaint::new("this table names no upstream")
                .hint("write sni = { \"a.example.com\" = \"UPSTREAM\" }")
                .into());
        }
        Ok(entries.clone())
    })?;
    let read: Vec<_> = entries
        .iter()
        .map(|entry| read_name(section, &tree::join(&path, &entry.key), entry, upstreams))
        .collect();
    read.into_iter().collect::<Option<_>>().map(ServerNames)
}

fn read_name(
    section: &Section<'_>,
    path: &str,
    entry: &Entry,
    upstreams: &[String],
) -> Option<(Option<HostPattern>, Vec<NameTarget>)> {
    let pattern = matcher::host_pattern(&entry.key);
    if let Err(complaint) = &pattern {
        section.reader.report(entry.place, path, complaint.clone());
    }
    let of = |path: &str, node: &Node| read_target(section, path, node, upstreams);
    let targets: Vec<Option<NameTarget>> = if let Value::Array(items) = &entry.node.value {
        if items.is_empty() {
            let complaint =
                Complaint::new("this list names no upstream").hint("write the name of one");
            section.reader.report(entry.node.place, path, complaint);
            return None;
        }
        let items = items.iter().enumerate();
        items
            .map(|(index, node)| of(&format!("{path}[{index}]"), node))
            .collect()
    } else {
        vec![of(path, &entry.node)]
    };
    let targets = targets.into_iter().collect::<Option<_>>();
    Some((pattern.ok()?, targets?))
}

fn read_target(
    section: &Section<'_>,
    path: &str,
    node: &Node,
    upstreams: &[String],
) -> Option<NameTarget> {
    let find = |node: &Node| route::find_upstream(values::string(node)?, upstreams);
    let Value::Table(table) = &node.value else {
        let upstream = section.parse(path, node, find)?;
        let alpn = Vec::new();
        return Some(NameTarget { upstream, alpn });
    };
    let path = path.to_owned();
    let section = Section::open(section.reader, &NAME, path, node.place, table.clone());
    let upstream = section.value("upstream", find);
    let alpn = section.list("alpn", protocol);
    Some(NameTarget {
        upstream: upstream?,
        alpn: alpn?,
    })
}

/// RFC 7301 §3.1: 1 to 255 bytes.
fn protocol(node: &Node) -> Result<String, Unread> {
    let text = values::text(node)?;
    if text.len() > 255 {
        return Err(Complaint::new("a protocol has at most 255 bytes")
            .hint("write one such as \"http/1.1\"")
            .into());
    }
    Ok(text)
}
