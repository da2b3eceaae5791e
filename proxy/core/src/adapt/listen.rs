//! Where a server listens.

use super::Notes;
use super::block::Directive;

/// One `listen`.
#[derive(Clone, Debug)]
pub(super) struct Listen {
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) has_tls: bool,
    pub(super) has_quic: bool,
    pub(super) is_default: bool,
}

pub(super) fn listen(directive: &Directive, notes: &mut Notes) -> Option<Listen> {
    let word = directive.word(0);
    let (host, port) = match word.parse::<u16>() {
        Ok(port) => ("0.0.0.0", port),
        Err(_) => match word.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
            _ => (word, 80),
        },
    };
    let host = match host {
        "*" => "0.0.0.0",
        "localhost" => "127.0.0.1",
        host => host,
    };
    let address = format!("{host}:{port}");
    if address.parse::<std::net::SocketAddr>().is_err() {
        notes.add(directive, "is no address and port");
        return None;
    }
    let has = |word: &str| directive.words.iter().any(|it| it == word);
    if has("proxy_protocol") {
        notes.add(
            directive,
            "see `proxy_protocol` of listeners: it names who announces clients",
        );
    }
    Some(Listen {
        address,
        port,
        has_tls: has("ssl") || has("quic"),
        has_quic: has("quic"),
        is_default: has("default_server") || has("default"),
    })
}
