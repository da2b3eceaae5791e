//! `[listener.NAME]`: where clients connect and what they may take.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::error_pages::{self, ErrorPage};
use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Unread};
use super::tree::Node;
use super::{Cdn, Mode, Prefix, Tls, cdn, relay, tls, values};

#[derive(Clone, Debug)]
pub struct Listener {
    pub name: Arc<str>,
    pub bind: Vec<SocketAddr>,
    pub mode: Mode,
    /// None where bytes are forwarded.
    pub protocols: Protocols,
    pub tls: Option<Tls>,
    /// Whose X-Forwarded-For, or Forwarded where that is missing, and X-Request-Id are believed.
    pub trusted_proxies: Vec<Prefix>,
    /// The networks whose ranges are among those, and which may name their clients in fields of their own.
    pub cdns: Vec<Arc<Cdn>>,
    /// Who announces the clients of its connections.
    pub proxy_protocol: Vec<Prefix>,
    pub max_connections: usize,
    pub max_connections_per_ip: usize,
    /// The whole request head must arrive within this.
    pub header_timeout: Duration,
    /// Between requests, and the longest stall inside a body.
    pub idle_timeout: Duration,
    /// A client of HTTP/1 that closes its direction while an endpoint works for it is taken for gone.
    pub abort_on_close: bool,
    /// How long a client of HTTP/2 whose requests run may say nothing until it is sent a PING; absent: for good.
    pub ping: Option<Duration>,
    /// The slowest body that is put up with, in bytes a second; 0: any.
    pub min_body_rate: u64,
    /// What clients read of refusals, where that is not the usual text.
    pub error_pages: Vec<ErrorPage>,
    /// The largest request head; also the decoded size of an h2 header list.
    pub max_header: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    pub h1: bool,
    pub h2: bool,
    /// HTTP/3, over UDP on the same addresses and ports.
    pub h3: bool,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "listener",
    doc: "Where clients connect. The name after the dot is yours; it stands in logs and metrics.",
    keys: &[
        Key::required(
            "bind",
            "list of addresses",
            "[\"0.0.0.0:80\", \"[::]:80\"]",
            "The addresses to listen on.",
        ),
        relay::MODE,
        relay::TO,
        relay::SNI,
        Key::optional(
            "protocols",
            "list of words",
            "[\"h1\", \"h2\"]",
            "h1, h2 and h3. Absent: h1, and h2 too with TLS. h2 without TLS is h2c by prior knowledge. h3 needs TLS and takes the same addresses over UDP; responses of the others tell clients of it (Alt-Svc).",
        ),
        Key::optional(
            "tls",
            "table",
            "{ certificates = [{ cert = \"a.pem\", key = \"a.key\" }], min = \"1.2\" }",
            "TLS. Absent: cleartext.",
        )
        .fields(&tls::KEYS),
        Key::default(
            "trusted_proxies",
            "list of prefixes",
            "[]",
            "Whose X-Forwarded-For, or Forwarded where that is missing, and X-Request-Id are believed. A client that they name is held against the lists of `[shield]`, too: its requests are refused with 403.",
        )
        .example("[\"10.0.0.0/8\"]"),
        Key::default(
            "cdn",
            "list of names",
            "[]",
            "Content delivery networks that clients come through: cloudflare, fastly, or [cdn.NAME]. Their edges are trusted as `trusted_proxies` are, and their field for the client's address counts; endpoints do not see it from anybody else.",
        )
        .example("[\"cloudflare\"]"),
        Key::default(
            "proxy_protocol",
            "list of prefixes",
            "[]",
            "Who tells the client of each TCP connection by a PROXY header, version 1 or 2, ahead of everything else. They have to; of others it is not read. The client that they name is the one of logs, lists, limits and routes.",
        )
        .example("[\"10.0.0.0/8\"]"),
        Key::default(
            "max_connections",
            "number",
            "100000",
            "Connections at one time; more are refused. One of h3 has at most 4 MiB waiting here each way.",
        ),
        Key::default(
            "max_connections_per_ip",
            "number",
            "1000",
            "Connections at one time from one address, or of one client that is announced by `proxy_protocol`. In the clear one more is answered with 503 and Retry-After before it is closed, and else closed without a word.",
        ),
        Key::default(
            "header_timeout",
            "duration",
            "\"10s\"",
            "A request head must arrive whole within this; so must a TLS handshake, a PROXY header, and of a connection that is forwarded its first message.",
        ),
        Key::default(
            "idle_timeout",
            "duration",
            "\"75s\"",
            "The longest silence between requests, and inside a body. Where bytes are forwarded, the longest silence of both sides, and absent 10m, or 2m for datagrams.",
        ),
        Key::default(
            "abort_on_close",
            "boolean",
            "false",
            "Whether a request over HTTP/1 ends, and its endpoint is left, when the client closes its direction before the answer has come. Such a client may have left or may only have said all that it has to say: the two look alike. Off, it gets its answer, and only a reset ends the request. Requests that wait for a place at an endpoint end either way.",
        ),
        Key::default(
            "ping",
            "duration or \"off\"",
            "\"1m\"",
            "A client of HTTP/2 that has requests under way and says nothing for this long, or up to twice as long, is sent a PING. If it does not answer within this time, at most 20 s, it is gone, and its requests end. HTTP/3 has its own way to find out.",
        ),
        Key::default(
            "min_body_rate",
            "size",
            "\"240\"",
            "Bytes a second that a client must send of its body, or take of the response, while it is waited for; falling behind by more than `idle_timeout` ends the exchange. 0: any pace, for endpoints that talk with a client while its body goes on.",
        ),
        Key::default(
            "max_header",
            "size",
            "\"32k\"",
            "The largest request head, from 1k to 1m. A request line that does not fit is answered with 414, fields that do not with 431.",
        ),
        error_pages::KEY,
    ],
    later: &[],
};

pub(super) fn read(
    name: String,
    section: &Section<'_>,
    (upstreams, cdns): (&[String], &[Cdn]),
) -> Option<Listener> {
    let bind = section.list("bind", values::bind_address);
    if bind.as_ref().is_some_and(Vec::is_empty) {
        section.complain(
            "bind",
            Complaint::new("a listener needs at least one address")
                .hint("write bind = [\"0.0.0.0:80\", \"[::]:80\"]"),
        );
    }
    let mode = relay::read(section, upstreams);
    let tls = section.section("tls").map(|section| tls::read(&section));
    let is_http = mode.as_ref().is_none_or(Mode::is_http);
    let protocols = read_protocols(section, tls.is_some(), is_http);
    let trusted_proxies = section.list("trusted_proxies", values::prefix);
    let cdns = section.list("cdn", |node| cdn::named(node, cdns, section.reader));
    let proxy_protocol = section.list("proxy_protocol", values::prefix);
    let max_connections = section.value("max_connections", values::count(1, 100_000_000));
    let per_ip = section.value("max_connections_per_ip", values::count(1, 100_000_000));
    let header_timeout = section.value("header_timeout", values::duration);
    let mut idle_timeout = section.value("idle_timeout", values::duration);
    let of_mode = mode.as_ref().and_then(Mode::idle_timeout);
    if !section.has("idle_timeout") && of_mode.is_some() {
        idle_timeout = of_mode;
    }
    let abort_on_close = section.value("abort_on_close", values::boolean);
    let ping = section.value("ping", values::duration_or_off);
    let min_body_rate = section.value("min_body_rate", min_body_rate);
    let max_header = section.value("max_header", max_header);
    let error_pages = error_pages::read(section);
    let (mut trusted_proxies, cdns) = (trusted_proxies?, cdns?);
    trusted_proxies.extend(cdns.iter().flat_map(|cdn| &cdn.ranges));
    Some(Listener {
        name: Arc::from(name),
        bind: bind?,
        mode: mode?,
        protocols: protocols?,
        tls: match tls {
            Some(tls) => Some(tls?),
            None => None,
        },
        trusted_proxies,
        cdns,
        proxy_protocol: proxy_protocol?,
        max_connections: max_connections? as usize,
        max_connections_per_ip: per_ip? as usize,
        header_timeout: header_timeout?,
        idle_timeout: idle_timeout?,
        abort_on_close: abort_on_close?,
        ping: ping?,
        min_body_rate: min_body_rate?,
        error_pages: error_pages?,
        max_header: max_header?,
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Protocol {
    H1,
    H2,
    H3,
}

fn read_protocols(section: &Section<'_>, has_tls: bool, is_http: bool) -> Option<Protocols> {
    let read = section.list("protocols", |node| {
        let wires = [
            ("h1", Protocol::H1),
            ("h2", Protocol::H2),
            ("h3", Protocol::H3),
        ];
        let protocol = values::choice(&wires)(node)?;
        if protocol == Protocol::H3 && !has_tls {
            let complaint = Complaint::new("HTTP/3 (`h3`) is never in the clear");
            return Err(complaint.hint("give the listener `tls`").into());
        }
        Ok(protocol)
    });
    if !section.has("protocols") {
        return Some(Protocols {
            h1: is_http,
            h2: is_http && has_tls,
            h3: false,
        });
    }
    let list = read?;
    if list.is_empty() {
        section.complain(
            "protocols",
            Complaint::new("a listener needs at least one protocol")
                .hint("write protocols = [\"h1\", \"h2\"], or leave it out"),
        );
    }
    let protocols = Protocols {
        h1: list.contains(&Protocol::H1),
        h2: list.contains(&Protocol::H2),
        h3: list.contains(&Protocol::H3),
    };
    if protocols.h3 && !protocols.h1 && !protocols.h2 {
        section.complain(
            "protocols",
            Complaint::new("`h3` alone: clients that UDP does not reach have nothing to turn to")
                .hint("add \"h1\" and \"h2\""),
        );
    }
    Some(protocols)
}

fn min_body_rate(node: &Node) -> Result<u64, Unread> {
    /// A gigabyte a second is nobody's least.
    const MOST: u64 = 1 << 30;
    match values::size(node)? {
        rate @ 0..=MOST => Ok(rate),
        rate => Err(
            Complaint::new(format!("{rate} bytes a second are out of range"))
                .hint("write a size from \"0\" to \"1g\"")
                .into(),
        ),
    }
}

fn max_header(node: &Node) -> Result<usize, Unread> {
    let bytes = values::size(node)?;
    usize::try_from(bytes)
        .ok()
        .filter(|bytes| (1024..=1 << 20).contains(bytes))
        .ok_or_else(|| {
            Complaint::new(format!("a request head of {bytes} bytes is out of range"))
                .hint("write a size from \"1k\" to \"1m\"")
                .into()
        })
}
