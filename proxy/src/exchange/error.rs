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
    /// The upstream speaks a protocol that this proxy cannot carry the request over.
    Protocol,
    /// The upstream has no endpoint to offer.
    NoEndpoint,
    /// All endpoints have as many exchanges as they may have.
    Saturated,
    /// No connection to an endpoint; nothing was sent. `TimedOut` is ours as well as the kernel's.
    Connect(io::ErrorKind),
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
    /// The endpoint was silent for `response_timeout`.
    UpstreamTimeout,
    /// The exchange took longer than the `timeout` of the route.
    RouteTimeout,
    /// The client was silent, or took nothing, for `idle_timeout`, or was slower than `min_body_rate`.
    ClientTimeout,
    /// The peer is banned or blocked since.
    TurnedAway(Reason),
    /// A filter of the route refuses.
    Filtered(Refusal),
    /// The body is larger than the route allows.
    BodyTooLarge,
    /// The client's side failed.
    Wire(WireError),
    /// The proxy ended, and the exchange with it.
    Ended,
}

const LATE_HEAD: Fault = Fault {
    reason: Reason::Timeout,
    status: 408,
    detail: "the head was not complete within header_timeout",
};

const ENDED: Fault = Fault {
    reason: Reason::Shutdown,
    status: 503,
    detail: "the proxy ended before the exchange was over",
};

const DRAINED: Fault = Fault {
    reason: Reason::UpstreamDrained,
    status: 503,
    detail: "the endpoint was drained, and the exchange took longer than the time for that",
};

const MISDIRECTED: Fault = Fault {
    reason: Reason::RouteMisdirected,
    status: 421,
    detail: "the connection was opened for another certificate than the one of this host",
};

const TOO_EARLY: Fault = Fault {
    reason: Reason::TooEarly,
    status: 425,
    detail: "early data may have been recorded and sent again",
};

const NOT_STORED: Fault = Fault {
    reason: Reason::NotStored,
    status: 504,
    detail: "only-if-cached, and nothing is stored that may be used",
};

const ROUTE_TIMEOUT: Fault = Fault {
    reason: Reason::UpstreamTimeout,
    status: 504,
    detail: "the exchange took longer than the timeout of the route",
};

impl Error {
    /// Status, code and detail for the client and the log.
    pub(super) fn fault(self) -> Fault {
        let fault = |status, reason, detail| Fault {
            reason,
            status,
            detail,
        };
        match self {
            Self::Misdirected => MISDIRECTED,
            Self::TooEarly => TOO_EARLY,
            Self::LateHead => LATE_HEAD,
            Self::NotStored => NOT_STORED,
            Self::NoRoute => fault(404, Reason::RouteNone, "no route matches"),
            Self::Protocol => fault(
                501,
                Reason::UpstreamProtocol,
                "a WebSocket for endpoints that speak HTTP/2",
            ),
            Self::NoEndpoint => fault(
                503,
                Reason::UpstreamUnhealthy,
                "the upstream has no endpoint",
            ),
            Self::Saturated => fault(
                503,
                Reason::UpstreamSaturated,
                "all endpoints have as many requests as max_connections allows",
            ),
            Self::Connect(kind) => fault(502, Reason::UpstreamConnect, connect_detail(kind)),
            Self::Tls(tls) => fault(502, Reason::UpstreamTls, tls.detail()),
            Self::Closed | Self::HeadCut | Self::Unprocessed | Self::Reset | Self::Truncated => {
                fault(502, Reason::UpstreamReset, self.broken_off())
            }
            Self::Drained => DRAINED,
            Self::Unspeakable => {
                Fault::malformed("a host, target or field that HTTP/2 cannot express")
            }
            Self::BadResponse(fault) | Self::Wire(WireError::Fault(fault)) => fault,
            Self::UpstreamTimeout => fault(
                504,
                Reason::UpstreamTimeout,
                "the endpoint did not answer in time",
            ),
            Self::RouteTimeout => ROUTE_TIMEOUT,
            Self::TurnedAway(reason) => fault(
                499,
                reason,
                "the connection was closed when its peer was turned away",
            ),
            Self::Filtered(Refusal::Rate) => fault(
                429,
                Reason::LimitRate,
                "more requests than the limit of the route allows",
            ),
            Self::ClientTimeout => fault(
                408,
                Reason::Timeout,
                "the client was silent for too long, or too slow",
            ),
            Self::BodyTooLarge => fault(
                413,
                Reason::BodyTooLarge,
                "the body is larger than max_body",
            ),
            Self::Ended => ENDED,
            Self::Wire(WireError::Gone) => {
                fault(499, Reason::ClientAborted, "the client went away")
            }
        }
    }

    /// What the endpoint did instead of answering to the end.
    fn broken_off(self) -> &'static str {
        if self == Self::Unprocessed {
            "the endpoint refused the request without looking at it"
        } else if self == Self::Reset {
            "the endpoint reset the stream before it answered"
        } else if matches!(self, Self::Truncated | Self::HeadCut) {
            "the endpoint closed inside its response"
        } else {
            "the endpoint closed before it answered"
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
            | Self::Drained
            | Self::Saturated
            | Self::ClientTimeout
            | Self::TurnedAway(_)
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
            Self::Closed | Self::HeadCut | Self::Unprocessed | Self::Reset | Self::Drained => {
                Some(RetryOn::Reset)
            }
            Self::BadResponse(_) => Some(RetryOn::BadResponse),
            Self::UpstreamTimeout => Some(RetryOn::Timeout),
            Self::Truncated
            | Self::RouteTimeout
            | Self::Unspeakable
            | Self::Misdirected
            | Self::LateHead
            | Self::TooEarly
            | Self::NoRoute
            | Self::NotStored
            | Self::Protocol
            | Self::NoEndpoint
            | Self::Saturated
            | Self::ClientTimeout
            | Self::TurnedAway(_)
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
        _ => "the connection to the endpoint failed, for example for want of file descriptors",
    }
}
