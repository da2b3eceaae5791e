//! Why an exchange did not end with the endpoint's answer, whose fault that is, and what the client is told.
//! The only place where such an error becomes a status; what breaks HTTP itself comes from `core::message` with its own.

use std::io;

use openclaw_core::config::RetryOn;
use openclaw_core::message::Fault;
use openclaw_core::reason::Reason;

use super::wire::WireError;
use crate::filter::Refusal;
use crate::tls::TlsFault;

/// A TRACE that is to be answered here: what it would reflect may be secret.
pub(super) const NOT_REFLECTED: Fault = Fault {
    reason: Reason::MethodRefused,
    status: 405,
    detail: "a TRACE with Max-Forwards 0 (RFC 9110 §7.6.2)",
};

/// The request has come round in a circle.
pub(super) const LOOP: Fault = Fault {
    reason: Reason::Loop,
    status: 508,
    detail: "the request has been through OpenClaw more than eight times, as its Via has it",
};

/// What went wrong while an exchange was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// The host belongs to another certificate than the connection's.
    Misdirected,
    /// The head was not whole within `header_timeout`.
    LateHead,
    /// It came as early data, and doing it twice is not as good as once.
    TooEarly,
    /// No route takes the request.
    NoRoute,
    /// The client wants only what is stored, and that is nothing.
    NotStored,
    /// The endpoint's HTTP/2 cannot carry the request.
    Protocol,
    /// The upstream has no endpoint to offer.
    NoEndpoint,
    /// All endpoints have as many exchanges as they may have.
    Saturated,
    /// No connection to an endpoint; nothing was sent. `TimedOut` is ours as well as the kernel's.
    Connect(io::ErrorKind),
    /// The proxy has no file descriptor left for one: the endpoint was not asked.
    Exhausted,
    /// The endpoint and the proxy did not come to TLS.
    Tls(TlsFault),
    /// The endpoint closed before the first byte of a response.
    Closed,
    /// The endpoint closed inside the head of its response.
    HeadCut,
    /// The endpoint refused the stream, or closes the connection, without having looked at the request.
    Unprocessed,
    /// The endpoint reset the stream before it answered.
    Reset,
    /// The request has something in it that HTTP/2 towards the endpoint cannot express.
    Unspeakable,
    /// The endpoint closed inside its response, of which the client has the head.
    Truncated,
    /// The endpoint drains, and the time for what ran was over.
    Drained,
    /// The endpoint's response breaks HTTP.
    BadResponse(Fault),
    /// The endpoint answered that it cannot serve, and another one is asked in its place.
    Declined(u16),
    /// The endpoint was silent for `response_timeout`.
    UpstreamTimeout,
    /// The exchange took longer than the `timeout` of the route, and the endpoint had that time.
    RouteTimeout,
    /// The same where others had much of it: the client, or endpoints before.
    Late,
    /// The endpoint has begun to answer, and then neither it nor the client went on for `response_timeout`.
    Stalled,
    /// The client was silent, or took nothing, for `idle_timeout`, or was slower than `min_body_rate`.
    ClientTimeout,
    /// The peer is banned or blocked since.
    TurnedAway(Reason),
    /// The shield turns away the client that a trusted proxy names.
    Barred(Reason),
    /// A filter of the route refuses.
    Filtered(Refusal),
    /// The body is larger than the route allows.
    BodyTooLarge,
    /// The client's side failed.
    Wire(WireError),
    /// The proxy ended, and the exchange with it.
    Ended,
}

impl Error {
    /// Status, code and detail for the client and the log.
    pub(super) fn fault(self) -> Fault {
        let (status, reason) = match self {
            Self::BadResponse(fault) | Self::Wire(WireError::Fault(fault)) => return fault,
            Self::Unspeakable => (400, Reason::Malformed),
            Self::Barred(reason) => (403, reason),
            Self::NoRoute => (404, Reason::RouteNone),
            Self::LateHead | Self::ClientTimeout => (408, Reason::Timeout),
            Self::BodyTooLarge => (413, Reason::BodyTooLarge),
            Self::Misdirected => (421, Reason::RouteMisdirected),
            Self::TooEarly => (425, Reason::TooEarly),
            Self::Filtered(Refusal::Rate) => (429, Reason::LimitRate),
            Self::TurnedAway(reason) => (499, reason),
            Self::Wire(WireError::Gone) => (499, Reason::ClientAborted),
            Self::Protocol => (501, Reason::UpstreamProtocol),
            Self::Connect(_) | Self::Exhausted => (502, Reason::UpstreamConnect),
            Self::Tls(_) => (502, Reason::UpstreamTls),
            Self::Closed | Self::HeadCut | Self::Unprocessed | Self::Reset | Self::Truncated => {
                (502, Reason::UpstreamReset)
            }
            Self::NoEndpoint => (503, Reason::UpstreamUnhealthy),
            Self::Declined(status) => (status, Reason::UpstreamUnhealthy),
            Self::Saturated => (503, Reason::UpstreamSaturated),
            Self::Drained => (503, Reason::UpstreamDrained),
            Self::Ended => (503, Reason::Shutdown),
            Self::NotStored => (504, Reason::NotStored),
            Self::UpstreamTimeout | Self::RouteTimeout | Self::Late | Self::Stalled => {
                (504, Reason::UpstreamTimeout)
            }
        };
        Fault {
            reason,
            status,
            detail: self.detail(),
        }
    }

    /// What went wrong, for the log alone.
    fn detail(self) -> &'static str {
        match self {
            Self::BadResponse(fault) | Self::Wire(WireError::Fault(fault)) => fault.detail,
            Self::Misdirected => {
                "the connection was opened for another certificate than the one of this host"
            }
            Self::LateHead => "the head was not complete within header_timeout",
            Self::TooEarly => "early data may have been recorded and sent again",
            Self::NoRoute => "no route matches",
            Self::NotStored => "only-if-cached, and nothing is stored that may be used",
            Self::Protocol => {
                "a WebSocket, and the endpoint's HTTP/2 has no extended CONNECT (RFC 8441 §3)"
            }
            Self::NoEndpoint => "the upstream has no endpoint",
            Self::Saturated => "all endpoints have as many requests as max_connections allows",
            Self::Connect(kind) => connect_detail(kind),
            Self::Exhausted => EXHAUSTED,
            Self::Tls(tls) => tls.detail(),
            Self::Closed => "the endpoint closed before it answered",
            Self::HeadCut | Self::Truncated => "the endpoint closed inside its response",
            Self::Unprocessed => "the endpoint refused the request without looking at it",
            Self::Reset => "the endpoint reset the stream before it answered",
            Self::Unspeakable => "a host, target or field that HTTP/2 cannot express",
            Self::Drained => {
                "the endpoint was drained, and the exchange took longer than the time for that"
            }
            Self::Declined(_) => "the endpoint answered that it cannot serve",
            Self::UpstreamTimeout => "the endpoint did not answer in time",
            Self::RouteTimeout | Self::Late => {
                "the exchange took longer than the timeout of the route"
            }
            Self::Stalled => {
                "neither the client nor the endpoint, which had begun to answer, went on"
            }
            Self::ClientTimeout => "the client was silent for too long, or too slow",
            Self::TurnedAway(_) => "the connection was closed when its peer was turned away",
            Self::Barred(_) => "the client that a trusted proxy names is turned away",
            Self::Filtered(Refusal::Rate) => "more requests than the limit of the route allows",
            Self::BodyTooLarge => "the body is larger than max_body",
            Self::Wire(WireError::Gone) => "the client went away",
            Self::Ended => "the proxy ended before the exchange was over",
        }
    }

    /// Whether the endpoint did not do what it is there for.
    pub(super) fn is_of_endpoint(self) -> bool {
        match self {
            Self::Connect(_)
            | Self::Tls(_)
            | Self::Closed
            | Self::HeadCut
            | Self::Unprocessed
            | Self::Reset
            | Self::Truncated
            | Self::BadResponse(_)
            | Self::Declined(_)
            | Self::UpstreamTimeout
            | Self::RouteTimeout => true,
            Self::Misdirected
            | Self::LateHead
            | Self::TooEarly
            | Self::NoRoute
            | Self::NotStored
            | Self::Protocol
            | Self::Unspeakable
            | Self::NoEndpoint
            | Self::Exhausted
            | Self::Drained
            | Self::Late
            | Self::Stalled
            | Self::Saturated
            | Self::ClientTimeout
            | Self::TurnedAway(_)
            | Self::Barred(_)
            | Self::Filtered(_)
            | Self::BodyTooLarge
            | Self::Wire(_)
            | Self::Ended => false,
        }
    }

    /// What another endpoint may be asked for; nothing where no other could do better.
    pub(super) fn retry_on(self) -> Option<RetryOn> {
        match self {
            Self::Connect(_) | Self::Tls(_) => Some(RetryOn::Connect),
            Self::Closed
            | Self::HeadCut
            | Self::Unprocessed
            | Self::Reset
            | Self::Truncated
            | Self::Drained => Some(RetryOn::Reset),
            Self::BadResponse(_) => Some(RetryOn::BadResponse),
            Self::Declined(status) => Some(RetryOn::Status(status)),
            Self::UpstreamTimeout => Some(RetryOn::Timeout),
            Self::RouteTimeout
            | Self::Late
            | Self::Stalled
            | Self::Unspeakable
            | Self::Misdirected
            | Self::LateHead
            | Self::TooEarly
            | Self::NoRoute
            | Self::NotStored
            | Self::Protocol
            | Self::NoEndpoint
            | Self::Exhausted
            | Self::Saturated
            | Self::ClientTimeout
            | Self::TurnedAway(_)
            | Self::Barred(_)
            | Self::Filtered(_)
            | Self::BodyTooLarge
            | Self::Wire(_)
            | Self::Ended => None,
        }
    }

    /// No endpoint has done anything with the request, whatever it asks for.
    pub(super) fn is_without_effect(self) -> bool {
        matches!(self, Self::Connect(_) | Self::Tls(_) | Self::Unprocessed)
    }
}

/// Whether an exchange that came to this was failed by its endpoint, and not by others.
pub(super) fn is_of_endpoint(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::UpstreamConnect
            | Reason::UpstreamTls
            | Reason::UpstreamTimeout
            | Reason::UpstreamReset
            | Reason::UpstreamBadResponse
    )
}

/// Why an endpoint was not even asked for a connection, for the log.
pub const EXHAUSTED: &str = "no file descriptor is left for a connection to the endpoint";

/// Why there is no connection to an endpoint, for the log.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "most kinds of error do not come from connecting"
)]
pub fn connect_detail(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => "the endpoint refused the connection",
        io::ErrorKind::TimedOut => "no connection to the endpoint within connect_timeout",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "the endpoint's address cannot be reached from here"
        }
        io::ErrorKind::AddrNotAvailable => "no local port is left for a connection to the endpoint",
        io::ErrorKind::PermissionDenied => {
            "this host's own rules forbid a connection to the endpoint"
        }
        _ => "the connection to the endpoint failed",
    }
}
