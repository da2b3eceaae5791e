//! `Cache-Status` (RFC 9211): what the cache made of a request.

use super::storing::Refusal;

/// What the cache did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Answered from the store; so many seconds of freshness are left, fewer than none if it is stale.
    Hit {
        /// Seconds.
        ttl: i64,
    },
    /// Asked the origin.
    Forwarded {
        /// Why.
        why: Forwarded,
        /// The origin said that what was stored still holds.
        confirmed: bool,
        /// Whether its answer is stored, or why it is not; unknown where the answer is not the origin's.
        stored: Option<Result<(), Refusal>>,
    },
    /// Answered with what another request was fetching at that time.
    Collapsed {
        /// Why it would have asked the origin.
        why: Forwarded,
    },
}

/// Why a request went to its origin (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// Nothing of that URI.
    UriMiss,
    /// Nothing of that URI for such a request.
    VaryMiss,
    /// What there was is stale.
    Stale,
    /// What the request says.
    Request,
    /// Not a method that is stored.
    Method,
    /// Not asked of the cache.
    Bypass,
}

impl Forwarded {
    /// The token of RFC 9211.
    pub const fn word(self) -> &'static str {
        match self {
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Stale => "stale",
            Self::Request => "request",
            Self::Method => "method",
            Self::Bypass => "bypass",
        }
    }
}

impl Status {
    /// As the value of the field.
    pub fn text(&self) -> String {
        match *self {
            Self::Hit { ttl } => format!("openclaw; hit; ttl={ttl}"),
            Self::Collapsed { why } => format!("openclaw; fwd={}; collapsed", why.word()),
            Self::Forwarded {
                why,
                confirmed,
                stored,
            } => {
                let mut text = format!("openclaw; fwd={}", why.word());
                if confirmed {
                    text.push_str("; fwd-status=304");
                }
                match stored {
                    Some(Ok(())) => text.push_str("; stored"),
                    Some(Err(refusal)) => {
                        text.push_str("; detail=");
                        text.push_str(refusal.word());
                    }
                    None => {}
                }
                text
            }
        }
    }
}
