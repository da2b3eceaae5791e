//! `[upstream.NAME]`: the origins behind the proxy.

use std::sync::Arc;
use std::time::Duration;

use super::discover::{self, Discover};
use super::endpoint::{self, Endpoint};
use super::health::{self, Health};
use super::hedge::{self, Hedge};
use super::keys::{self, Key};
use super::problem::Complaint;
use super::reader::{Section, Told};
use super::sticky::{self, Sticky};
use super::upstream_tls::{self, UpstreamTls};
use super::upstream_words::{
    BALANCES, Balance, FORWARDED, Forwarded, PROTOCOLS, RETRY_ON, RetryOn, UpstreamProtocol,
};
use super::values;
use crate::health::Rules;
use crate::proxy_protocol::Version;

#[derive(Clone, Debug)]
pub struct Upstream {
    pub name: Arc<str>,
    /// Empty only beside `discover`.
    pub endpoints: Vec<Endpoint>,
    /// Where more of them come from.
    pub discover: Option<Discover>,
    pub balance: Balance,
    pub protocol: UpstreamProtocol,
    /// Absent: in the clear.
    pub tls: Option<UpstreamTls>,
    /// How endpoints are told whose connection it is; absent: they are not.
    pub send_proxy_protocol: Option<Version>,
    pub connect_timeout: Duration,
    /// From the request being sent to the response head, and between two reads of its body.
    pub response_timeout: Duration,
    /// How long an upgraded connection (WebSocket), or a gRPC call that has begun to be answered, may be silent.
    pub tunnel_timeout: Duration,
    /// How long an HTTP/2 connection with streams goes without a PING; absent: for good.
    pub ping: Option<Duration>,
    pub retries: u32,
    /// Idle connections kept per worker.
    pub keepalive: usize,
    /// How many exchanges an endpoint has at once, over all workers.
    pub max_connections: Option<u32>,
    /// How many exchanges wait for a place, over all workers, and how long.
    pub queue: usize,
    pub queue_timeout: Duration,
    /// After which failures another endpoint is asked.
    pub retry_on: Vec<RetryOn>,
    /// How many retries there may be for a hundred requests.
    pub retry_budget: u32,
    /// When another endpoint is asked beside one that is slow.
    pub hedge: Option<Hedge>,
    /// How long it takes until an endpoint that has come, or come back, has all of its share.
    pub slow_start: Option<Duration>,
    /// Where the proxy stands; beside which endpoints it goes by theirs.
    pub zone: Option<Arc<str>>,
    /// So many hundredths of the weight there have to be well for all requests to stay there.
    pub spill_below: u32,
    pub health: Option<Health>,
    pub breaker: Option<Rules>,
    pub sticky: Option<Sticky>,
    pub forwarded: Forwarded,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "upstream",
    doc: "A group of endpoints that serve the same. Routes name it.",
    keys: &[
        Key::required(
            "endpoints",
            "list of endpoints",
            "[\"127.0.0.1:9001\", { address = \"127.0.0.1:9002\", weight = 3 }, \"http://app.internal:8080\"]",
            "Addresses, host names, http:// or https:// URLs, or \"builtin:demo\". A table gives an endpoint a weight. Names are looked up again when the time to live of their addresses is over. May be left out beside `discover`.",
        )
        .fields(&endpoint::KEYS)
        .unless("discover"),
        Key::optional(
            "discover",
            "table",
            "{ dns = \"app.internal:8080\" }",
            "Where endpoints come from that are not written here. What was learnt last is kept while a source does not answer, over restarts as well. Of one source up to 4096 endpoints are taken, 1024 of them names; an entry that nothing can be connected to is left out, and the log says so.",
        )
        .fields(&discover::KEYS),
        Key::default(
            "balance",
            "word",
            "\"round_robin\"",
            "How an endpoint is picked: round_robin, in turn; least_connections, whoever has the fewest exchanges under way; least_time, whoever is expected to answer first; random, the less busy of two drawn at random; ip_hash and maglev, by the client's address; url_hash, by path and query. All go by weights; those by a hash move about one key in n when one of n endpoints goes, and maglev takes the same time for any number of them.",
        ).words(&["round_robin", "least_connections", "least_time", "random", "ip_hash", "maglev", "url_hash"]),
        Key::default(
            "protocol",
            "word",
            "\"h1\"",
            "What the endpoints speak: h1, or h2, which gRPC needs: agreed upon where there is `tls` (ALPN), with prior knowledge in the clear.",
        ).words(&["h1", "h2"]),
        Key::optional(
            "tls",
            "table or boolean",
            "{ ca = \"ca.pem\", server_name = \"app.internal\" }",
            "TLS to the endpoints. `true` is the same as an empty table. Absent: in the clear, unless all endpoints are https:// URLs.",
        )
        .fields(&upstream_tls::KEYS),
        Key::optional(
            "send_proxy_protocol",
            "word",
            "\"v2\"",
            "Tells endpoints the client's address ahead of everything else, TLS too: v1 is a line of text, v2 octets. Each connection is one client's then, so none is kept for the next request; not with `protocol = \"h2\"`, where clients share them. Probes say that they are the proxy's own.",
        ).words(&["v1", "v2"]),
        Key::default(
            "connect_timeout",
            "duration",
            "\"1s\"",
            "How long a connection may take to be made.",
        ),
        Key::default(
            "response_timeout",
            "duration",
            "\"30s\"",
            "The longest wait for the response head, and between two reads of its body.",
        ),
        Key::default(
            "tunnel_timeout",
            "duration",
            "\"1h\"",
            "How long an upgraded connection (WebSocket), or a gRPC call that has begun to be answered, may be silent.",
        ),
        Key::default(
            "ping",
            "duration or \"off\"",
            "\"6m\"",
            "With `protocol = \"h2\"`: so often an endpoint with requests under way is sent a PING. One that does not answer within this time, at most 20 s, is gone: the connection is closed and its requests fail, or are asked again where that is safe. Servers of gRPC take more than one in five minutes amiss, unless they are told otherwise.",
        ),
        Key::default(
            "retries",
            "number",
            "3",
            "How many more endpoints are asked when one has failed and asking again is safe: nothing was sent, or the method may be repeated (GET, HEAD, OPTIONS, TRACE, PUT, DELETE), the client has seen nothing of an answer, and the body, if there is one, has not gone beyond 64 KiB. An endpoint that took no connection does not count while another one is left that is not known to be as bad; with 0 no other one is asked at all.",
        ),
        Key::default(
            "keepalive",
            "number",
            "128",
            "Idle connections kept per worker.",
        ),
        Key::optional(
            "max_connections",
            "number",
            "1000",
            "How many requests an endpoint is given at once, over all workers: with h1 so many connections at work, with h2 so many streams. Idle connections are not counted. When all endpoints have as many, requests wait. Absent: as many as come.",
        ),
        Key::default(
            "queue",
            "number",
            "1024",
            "So many requests may wait for an endpoint, over all workers; the next one is refused at once with 503, upstream.saturated.",
        ),
        Key::default(
            "queue_timeout",
            "duration",
            "\"1s\"",
            "How long a request waits for an endpoint before it is refused with 503, upstream.saturated.",
        ),
        Key::default(
            "retry_on",
            "list of words",
            "[\"connect\", \"reset\", \"bad_response\", \"timeout\"]",
            "After which failures another endpoint is asked: connect, no connection; reset, the endpoint closed before the client had anything of its answer; bad_response, its answer is no HTTP; timeout, it did not answer within `response_timeout`; http_502, http_503 and http_504, it answered so, and another endpoint is there that may do better, else the client gets that answer. After all but connect only if the method may be repeated, or the endpoint says that it has not looked at the request.",
        ),
        Key::default(
            "retry_budget",
            "percent",
            "\"20%\"",
            "So many of a worker's requests may be asked again, besides ten a second: what fails everywhere is not asked everywhere. What is not used up stays, up to a thousand.",
        ),
        Key::optional(
            "hedge",
            "table",
            "{ after = \"50ms\" }",
            "Asks a second endpoint beside one that is slow. Absent: one at a time.",
        )
        .fields(&hedge::KEYS),
        Key::optional(
            "slow_start",
            "duration",
            "\"30s\"",
            "An endpoint that probes or the breaker bring back, that is enabled after a drain, or that is added, begins with a tenth of its weight, and has all of it after this time. Absent: it has all of it at once.",
        ),
        Key::default(
            "spill_below",
            "percent",
            "\"70%\"",
            "Where `[server]` and endpoints have a `zone`: requests stay with the endpoints of the same zone while so much of their weight is well. When less is, as much as is missing goes to other zones: at half of this, half of the requests. With \"0%\" all stay while one is well. When those near have no room or are all gone, others are asked in any case.",
        ),
        Key::optional(
            "health",
            "table",
            "{ path = \"/health\", every = \"5s\", timeout = \"1s\", fall = 3, rise = 2 }",
            "Asks endpoints whether they are well. Absent: nobody is asked.",
        )
        .fields(&health::KEYS),
        Key::optional(
            "breaker",
            "table",
            "{ failures = 5, window = \"10s\", open = \"5s\" }",
            "Leaves endpoints alone that fail. Absent: after a connection that could not be made, or three requests in a row that failed, for 2 s.",
        )
        .fields(&health::BREAKER),
        Key::optional(
            "sticky",
            "table",
            "{ cookie = \"oc_app\" }",
            "Clients stay with their endpoint by a cookie, as long as it is there, well and not drained; `balance` is for those without one.",
        )
        .fields(&sticky::KEYS),
        Key::default(
            "forwarded",
            "word",
            "\"x\"",
            "What tells endpoints of the client: x (X-Forwarded-For, -Proto and -Host), rfc7239 (Forwarded), or both. What trusted_proxies of the listener said goes on; of a proxy that sends both fields, X-Forwarded-For counts. What anybody else said is replaced.",
        ).words(&["x", "rfc7239", "both"]),
    ],
    later: &[],
};

pub(super) fn read(name: String, section: &Section<'_>) -> Option<Upstream> {
    let endpoints = endpoint::read_all(section);
    let discover = table(section, "discover", discover::read);
    let balance = section.value("balance", values::choice(&BALANCES));
    let protocol = section.value("protocol", values::choice(&PROTOCOLS));
    let tls = upstream_tls::read(section, endpoints.as_deref().unwrap_or_default());
    let send_proxy_protocol = read_send_proxy_protocol(section, protocol);
    let connect_timeout = section.value("connect_timeout", values::duration);
    let response_timeout = section.value("response_timeout", values::duration);
    let tunnel_timeout = section.value("tunnel_timeout", values::duration);
    let ping = section.value("ping", values::duration_or_off);
    let retries = section.value("retries", values::count(0, 10));
    let keepalive = section.value("keepalive", values::count(0, 65_536));
    let max_connections = section.optional("max_connections", values::count(1, 1_000_000));
    let queue = section.value("queue", values::count(0, 1_000_000));
    let queue_timeout = section.value("queue_timeout", values::duration);
    let retry_on = section.list("retry_on", values::choice(&RETRY_ON));
    let retry_budget = section.value("retry_budget", values::percent);
    let hedge = table(section, "hedge", hedge::read);
    hedge::check(section);
    let slow_start = section.optional("slow_start", values::duration);
    let spill_below = section.value("spill_below", values::percent);
    let health = table(section, "health", |section| health::read(section, protocol));
    let breaker = table(section, "breaker", health::read_breaker);
    let forwarded = section.value("forwarded", values::choice(&FORWARDED));
    let sticky = table(section, "sticky", sticky::read);
    Some(Upstream {
        name: Arc::from(name),
        endpoints: endpoints?,
        discover: discover.ok()?,
        balance: balance?,
        protocol: protocol?,
        tls: tls.ok()?,
        send_proxy_protocol: send_proxy_protocol.ok()?,
        connect_timeout: connect_timeout?,
        response_timeout: response_timeout?,
        tunnel_timeout: tunnel_timeout?,
        ping: ping?,
        retries: retries?,
        keepalive: keepalive? as usize,
        max_connections: max_connections.ok()?,
        queue: queue? as usize,
        queue_timeout: queue_timeout?,
        retry_on: retry_on?,
        retry_budget: retry_budget?,
        hedge: hedge.ok()?,
        slow_start: slow_start.ok()?,
        zone: None,
        spill_below: spill_below?,
        health: health.ok()?,
        breaker: breaker.ok()?,
        forwarded: forwarded?,
        sticky: sticky.ok()?,
    })
}

/// A table that may be absent; what is wrong with it has been told by then.
fn table<T>(
    section: &Section<'_>,
    key: &str,
    read: impl Fn(&Section<'_>) -> Option<T>,
) -> Result<Option<T>, Told> {
    let table = section.section(key);
    table.map(|table| read(&table).ok_or(Told)).transpose()
}

fn read_send_proxy_protocol(
    section: &Section<'_>,
    protocol: Option<UpstreamProtocol>,
) -> Result<Option<Version>, Told> {
    let key = "send_proxy_protocol";
    let version = section.optional(
        key,
        values::choice(&[("v1", Version::V1), ("v2", Version::V2)]),
    );
    let version = version?;
    if version.is_some() && protocol == Some(UpstreamProtocol::H2) {
        let complaint = Complaint::new(
            "over HTTP/2 clients share a connection, which this can name one client for only",
        );
        section.complain(
            key,
            complaint.hint("leave it out: X-Forwarded-For names the client"),
        );
        return Err(Told);
    }
    Ok(version)
}
