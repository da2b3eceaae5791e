//! Listeners that forward bytes: `mode` and `to` of `[listener.NAME]`.

use std::time::Duration;

use super::keys::Key;
use super::problem::Complaint;
use super::reader::Section;
use super::route::{self, Target};
use super::values;

/// What becomes of a connection.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Requests are read and routed.
    Http,
    /// Its bytes go to one of these upstreams.
    Tcp(Vec<Target>),
}

/// Silence that a forwarded connection survives, as nginx has it.
const IDLE_TCP: Duration = Duration::from_mins(10);
pub(super) const MODE: Key = Key::default(
    "mode",
    "word",
    "\"http\"",
    "What becomes of a connection: http, its requests are routed; tcp, its bytes go `to` an upstream.",
);

pub(super) const TO: Key = Key::optional(
    "to",
    "upstream",
    "\"app\"",
    "Where a listener of mode tcp forwards to: an upstream, or several with weights: [{ upstream = \"a\", weight = 9 }, { upstream = \"b\" }].",
)
.fields(&route::TARGET);

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
        }
    }

    pub fn is_http(&self) -> bool {
        matches!(self, Self::Http)
    }

    /// The upstreams that it forwards to, some perhaps several times.
    pub fn upstreams(&self) -> Vec<usize> {
        match self {
            Self::Http => Vec::new(),
            Self::Tcp(targets) => targets.iter().map(|target| target.upstream).collect(),
        }
    }

    /// How long a listener waits in silence that does not say so.
    pub(super) fn idle_timeout(&self) -> Option<Duration> {
        match self {
            Self::Http => None,
            Self::Tcp(_) => Some(IDLE_TCP),
        }
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
    let word = word?;
    if matches!(word, Word::Tls | Word::Udp) {
        let complaint = Complaint::new(format!(
            "this version does not support listeners of mode `{}`",
            word.text()
        ));
        section.complain("mode", complaint);
        return None;
    }
    check_keys(section, word);
    match word {
        Word::Http => Some(Mode::Http),
        Word::Tcp => to.map(Mode::Tcp),
        Word::Udp | Word::Tls => None,
    }
}

/// Keys that mean nothing in this mode, and the one that it cannot do without.
fn check_keys(section: &Section<'_>, word: Word) {
    let http = [
        "protocols",
        "tls",
        "trusted_proxies",
        "min_body_rate",
        "max_header",
    ];
    let strangers: &[&str] = match word {
        Word::Http | Word::Tls => &["to"],
        Word::Tcp | Word::Udp => &["header_timeout"],
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
        ("header_timeout", _) => "no head is read; `idle_timeout` bounds silence",
        ("tls", _) => "bytes are forwarded as they come; mode = \"http\" ends TLS here",
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
