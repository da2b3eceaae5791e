//! Why a request or a connection was refused: one code for logs, metrics, the error body and `openclaw reasons`.

/// A refusal in user space. The kernel program's reasons are in `openclaw_common::verdict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "the table below says what each means")]
pub enum Reason {
    Malformed,
    Smuggling,
    HeaderTooLarge,
    BodyTooLarge,
    UriTooLong,
    MethodRefused,
    VersionRefused,
    TooEarly,
    Timeout,
    ClientAborted,
    Shutdown,
    Loop,
    ProxyProtocol,
    TlsHandshake,
    TlsNoCertificate,
    H2Abuse,
    H3Abuse,
    NotStored,
    RouteNone,
    RouteMisdirected,
    RelayIdle,
    RelayAborted,
    LimitRate,
    LimitConnections,
    ShieldBan,
    ShieldBlock,
    ShieldGeo,
    UpstreamConnect,
    UpstreamTls,
    UpstreamTimeout,
    UpstreamReset,
    UpstreamBadResponse,
    UpstreamUnhealthy,
    UpstreamProtocol,
    UpstreamDrained,
    UpstreamSaturated,
}

/// Who has to do something about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Whoever sent the request.
    Client,
    /// Whoever wrote the configuration.
    Operator,
    /// The endpoint behind the proxy.
    Origin,
    /// Nobody: a limit or a list did what it is there for.
    Policy,
}

impl Blame {
    /// As `openclaw reasons` has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Operator => "operator",
            Self::Origin => "origin",
            Self::Policy => "policy",
        }
    }
}

/// One line of the table behind `openclaw reasons`.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which one.
    pub reason: Reason,
    /// Its dotted code, as logs and metrics have it.
    pub code: &'static str,
    /// Who has to do something about it.
    pub fault: Blame,
    /// What happened, one sentence.
    pub meaning: &'static str,
    /// What to do about it, one sentence.
    pub advice: &'static str,
}

macro_rules! table {
    ($($reason:ident, $code:literal, $fault:ident, $meaning:literal, $advice:literal;)*) => {
        /// Every reason, in the order of the enum.
        pub const ALL: &[Entry] = &[$(Entry {
            reason: Reason::$reason,
            code: $code,
            fault: Blame::$fault,
            meaning: $meaning,
            advice: $advice,
        },)*];

        impl Reason {
            /// How many there are: the size of a table indexed by `reason as usize`.
            pub const COUNT: usize = ALL.len();

            /// Its line of the table.
            pub const fn entry(self) -> &'static Entry {
                match self { $(Self::$reason => &Entry {
                    reason: Self::$reason,
                    code: $code,
                    fault: Blame::$fault,
                    meaning: $meaning,
                    advice: $advice,
                },)* }
            }

            /// The dotted code of the interface.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$reason => $code,)* }
            }
        }
    };
}

table! {
    Malformed, "http.malformed", Client, "The message breaks the grammar of HTTP (RFC 9110 §5, RFC 9112 §2–5, RFC 9113 §8, RFC 9114 §4).", "Look at the client; the log has the first fault.";
    Smuggling, "http.smuggling", Client, "The framing of the message is ambiguous: two parsers could see different requests (RFC 9112 §6.3).", "Treat the sender as hostile unless it is a test.";
    HeaderTooLarge, "http.header_too_large", Client, "The request head is larger than `max_header`, or has more than 100 fields (431).", "Raise `max_header` of the listener if the client is right, for example with large cookies.";
    BodyTooLarge, "http.body_too_large", Client, "The request body is larger than the route's `max_body`.", "Raise `max_body` of the route if such uploads are wanted.";
    UriTooLong, "http.uri_too_long", Client, "The request line alone is larger than `max_header` (414); over HTTP/2 a target counts with the fields, `http.header_too_large`.", "Raise `max_header` of the listener if the client is right.";
    MethodRefused, "http.method", Client, "The method is CONNECT, which a reverse proxy does not forward, or a TRACE that is to be answered here (`Max-Forwards: 0`).", "Nothing to do: CONNECT asks for a forward proxy, and TRACE may tell secrets.";
    VersionRefused, "http.version", Client, "The HTTP version is neither 1.0, 1.1, 2 nor 3.", "Look at the client.";
    TooEarly, "http.too_early", Client, "A request that is not safe to repeat came as early data of a QUIC handshake, which somebody may have recorded and sent again (425, RFC 8470).", "Nothing to do: clients send it again when the handshake is complete.";
    Timeout, "http.timeout", Client, "The client was too slow to send its head or body, or to take the response.", "Raise `header_timeout` or `idle_timeout` of the listener, or lower its `min_body_rate`, if clients are slow but honest.";
    ClientAborted, "http.client_aborted", Client, "The client went away before the exchange was over.", "Nothing to do; many of these together point at slow responses.";
    Shutdown, "http.shutdown", Operator, "The proxy ended before the exchange was over: `shutdown_grace` had passed.", "Raise `shutdown_grace` of the server, or that of `openclaw stop`, if such exchanges are worth waiting for.";
    Loop, "http.loop", Operator, "The request has been through OpenClaw more than eight times: some endpoint leads back to a listener (RFC 9110 §7.6).", "Look for an upstream whose endpoint is a listener of this proxy, or of one behind it.";
    ProxyProtocol, "http.proxy_protocol", Operator, "A peer that has to announce its clients (`proxy_protocol`) began with something else, with a broken PROXY header, or with none in time.", "Have the peer send the PROXY protocol to this listener, or take it out of the listener's `proxy_protocol`.";
    TlsHandshake, "tls.handshake", Client, "The TLS handshake failed or took too long, HTTP came without TLS (it is answered with 400), or the client's certificate is not one of `client_ca`.", "The log says which; compare the client's TLS versions and ciphers with the listener's `min`.";
    TlsNoCertificate, "tls.no_certificate", Client, "The client showed no certificate, and the listener's `client_ca` asks for one.", "Give the client a certificate that an authority in `client_ca` has signed.";
    H2Abuse, "h2.abuse", Client, "The connection spent its budget of resets, pings, settings or empty frames (RFC 9113 §10.5).", "Treat the sender as hostile.";
    H3Abuse, "h3.abuse", Client, "The connection spent its budget of cancelled requests, or of frames without use (RFC 9114 §10.5).", "Treat the sender as hostile.";
    NotStored, "cache.not_stored", Client, "The request asked for what is stored alone (`only-if-cached`), and nothing is that may be used (504, RFC 9111 §5.2.1.7).", "Nothing to do: the client wanted it so.";
    RouteNone, "route.none", Operator, "No route matches host, path and conditions; or, where TLS is forwarded, no name in `sni` that of the client.", "Add a route, or one without `match` as the last resort; or a name to `sni`, or \"*\".";
    RouteMisdirected, "route.misdirected", Client, "The request names a host of another certificate than the one this TLS connection was opened with (RFC 9110 §7.4).", "Nothing to do: clients open a connection of their own then.";
    RelayIdle, "relay.idle", Policy, "A connection or session that is forwarded (`mode` tcp, tls or udp) was silent on both sides for `idle_timeout`.", "Raise `idle_timeout` of the listener, or have the applications keep their connections alive.";
    RelayAborted, "relay.client_aborted", Client, "The client's side of a forwarded connection broke off instead of ending.", "Nothing to do; many of these together point at slow or failing endpoints.";
    LimitRate, "limit.rate", Policy, "The client, or whom else the route's `limit` counts, sent more requests than it allows (429).", "`openclaw limit list` shows who; raise `rate` or `burst` of the route's `limit` if they are welcome.";
    LimitConnections, "limit.connections", Policy, "The listener has as many connections, in all or from this address, as its limits allow, or as many open files as the process, or its share for one address, allows. Over HTTP/1 in the clear it is answered with 503.", "Raise `max_connections`, `max_connections_per_ip`, or the limit of open files (`LimitNOFILE`).";
    ShieldBan, "shield.ban", Policy, "The address is banned for a time.", "`openclaw blocklist test ADDR` says why and for how long.";
    ShieldBlock, "shield.block", Policy, "The address is on a block list.", "`openclaw blocklist test ADDR` names the list.";
    ShieldGeo, "shield.geo", Policy, "The country of the address is not admitted.", "`openclaw blocklist test ADDR` names the country, `openclaw shield status` what is admitted; an allow list goes before it.";
    UpstreamConnect, "upstream.connect", Origin, "No endpoint of the upstream took a connection within `connect_timeout`.", "Is the origin up, and is the address right?";
    UpstreamTls, "upstream.tls", Operator, "No endpoint of the upstream agreed to TLS: its certificate is not believed, or it does not believe ours, or they have nothing in common.", "The log names the cause; compare `ca`, `server_name`, `certificate` and `min` of the upstream's `tls`, and its `protocol`, with what the endpoint shows (`openssl s_client -connect`).";
    UpstreamTimeout, "upstream.timeout", Origin, "The endpoint did not answer within `response_timeout`.", "Look at the origin, or raise `response_timeout`.";
    UpstreamReset, "upstream.reset", Origin, "The endpoint closed the connection before its answer was whole.", "Look at the origin's log: it crashed, restarted or limits connections.";
    UpstreamBadResponse, "upstream.bad_response", Origin, "The endpoint's answer breaks HTTP: framing, head size or field syntax.", "Look at the origin; the log has the first fault.";
    UpstreamUnhealthy, "upstream.unhealthy", Origin, "No endpoint of the upstream is usable.", "Does one of its endpoints have an address, and a weight above 0? Its `health` and `breaker` leave out who fails; 500 does not count there, 502 to 504 do.";
    UpstreamProtocol, "upstream.protocol", Operator, "The endpoints speak HTTP/2, over which this build opens no WebSocket.", "Send WebSocket by a route of its own to an upstream with `protocol = \"h1\"`.";
    UpstreamDrained, "upstream.drained", Operator, "`openclaw upstream drain` took the endpoint out, and the exchange was not over when the time for that was (503).", "Give `--timeout` as long as your longest requests take.";
    UpstreamSaturated, "upstream.saturated", Policy, "All endpoints of the upstream have as many requests as `max_connections` allows, and none had a place within `queue_timeout`, or `queue` others waited already (503).", "Add endpoints, or raise `max_connections` if they can take more.";
}

impl Reason {
    /// Looks a code up.
    pub fn from_code(code: &str) -> Option<Self> {
        ALL.iter()
            .find(|entry| entry.code == code)
            .map(|entry| entry.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, Reason};

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_codes_are_unique() {
        for (index, entry) in ALL.iter().enumerate() {
            assert_eq!(entry.reason as usize, index, "{}", entry.code);
            assert_eq!(Reason::from_code(entry.code), Some(entry.reason));
            assert_eq!(entry.reason.entry().code, entry.code);
        }
    }
}
