//! Where a server listens.

use std::net::SocketAddr;

use super::Notes;
use super::block::Directive;
use super::scope::Scope;

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

/// Who has signed the certificates that clients of a port have to show.
pub(super) fn authority<'a>(
    servers: &[(&Directive, &Scope<'a>)],
    notes: &mut Notes,
) -> Option<&'a str> {
    let own = |scope: &Scope<'a>| {
        let verify = scope.last("ssl_verify_client")?;
        let authority = scope.last("ssl_client_certificate")?;
        (verify.word(0) == "on").then(|| authority.word(0))
    };
    for (_, scope) in servers {
        let verify = scope.last("ssl_verify_client");
        if let Some(verify) = verify.filter(|it| !matches!(it.word(0), "on" | "off")) {
            notes.add(
                verify,
                "is not converted: certificates are asked for with `on` alone",
            );
        }
    }
    let authority = servers.iter().find_map(|(_, scope)| own(scope))?;
    for (server, scope) in servers {
        match own(scope) {
            Some(other) if other != authority => notes.add(
                server,
                format!("WHO MAY COME IN IS NOT CONVERTED: a listener has one `client_ca`, so who shows a certificate of {authority} comes in here, too; give it a port of its own"),
            ),
            Some(_) => {}
            None => notes.add(
                server,
                "every client has to show a certificate here, as another server of this port asks for one",
            ),
        }
    }
    Some(authority)
}
