//! Where a server listens.

use std::net::SocketAddr;

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
    /// Nobody but this machine gets there.
    pub(super) is_local: bool,
}

pub(super) fn listen(directive: &Directive, notes: &mut Notes) -> Option<Listen> {
    let word = directive.word(0);
    if word.starts_with("unix:") {
        notes.add(
            directive,
            "clients come over TCP here: the Unix socket is left out",
        );
        return None;
    }
    let (host, port) = match word.parse::<u16>() {
        Ok(port) => ("0.0.0.0", Some(port)),
        Err(_) => match word.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
            _ => (word, Some(80)),
        },
    };
    let host = match host {
        "*" => "0.0.0.0",
        "localhost" => "127.0.0.1",
        host => host,
    };
    let address = port.and_then(|port| format!("{host}:{port}").parse::<SocketAddr>().ok());
    let Some(address) = address else {
        notes.add(directive, "is no address and port: it is left out");
        return None;
    };
    let has = |word: &str| directive.words.iter().any(|it| it == word);
    if has("proxy_protocol") {
        notes.add(
            directive,
            "see `proxy_protocol` of listeners: it names who announces clients",
        );
    }
    Some(Listen {
        address: address.to_string(),
        port: address.port(),
        is_local: address.ip().is_loopback(),
        has_tls: has("ssl") || has("quic"),
        has_quic: has("quic"),
        is_default: has("default_server") || has("default"),
    })
}
