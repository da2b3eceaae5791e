//! What becomes of a request or a packet.

use std::fmt;

use openclaw_common::judgement::Decision;
use openclaw_common::verdict;
use serde::Serialize;

use super::CachePart;
use crate::message::Fault;

/// What is done, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It goes on to an endpoint.
    Forward,
    /// The route answers it.
    Respond,
    /// The route sends the client elsewhere.
    Redirect,
    /// It is answered with an error.
    Refuse,
    /// The shield takes it away, without an answer.
    Drop,
    /// The shield lets the packet pass.
    Pass,
    /// The shield answers the packet.
    Tx,
    /// It cannot be asked like this.
    Nowhere,
}

impl Verdict {
    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Respond => "respond",
            Self::Redirect => "redirect",
            Self::Refuse => "refuse",
            Self::Drop => "drop",
            Self::Pass => "pass",
            Self::Tx => "tx",
            Self::Nowhere => "nowhere",
        }
    }
}

/// One of the upstreams of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Its name.
    pub upstream: String,
    /// Beside the others'.
    pub weight: u32,
}

/// See the module. What does not apply is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// What is done.
    pub verdict: Verdict,
    /// Whose name it has in logs.
    pub listener: Option<String>,
    /// The one that takes it.
    pub route: Option<String>,
    /// Of an answer that the proxy gives itself.
    pub status: Option<u16>,
    /// Dotted code of a refusal, or of what the shield decides.
    pub reason: Option<&'static str>,
    /// Why, in words.
    pub detail: Option<String>,
    /// Where it may go.
    pub to: Vec<Share>,
    /// Where it goes; absent where that is drawn anew each time.
    pub upstream: Option<String>,
    /// Path and query that the endpoint gets.
    pub target: Option<String>,
    /// The upstream that gets copies, and of how many in a hundred.
    pub mirror: Option<(String, String)>,
    /// Where the client is sent.
    pub location: Option<String>,
    /// Of a request that goes on.
    pub cache: Option<CachePart>,
    /// Of the route, in words.
    pub limit: Option<String>,
    /// Fields of the response that the configuration writes, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Fate {
    pub(super) const fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            listener: None,
            route: None,
            status: None,
            reason: None,
            detail: None,
            to: Vec::new(),
            upstream: None,
            target: None,
            mirror: None,
            location: None,
            cache: None,
            limit: None,
            headers: Vec::new(),
        }
    }

    /// For what cannot be asked like this.
    pub(super) fn nowhere(why: impl Into<String>) -> Self {
        Self {
            detail: Some(why.into()),
            ..Self::of(Verdict::Nowhere)
        }
    }

    pub(super) fn refused(fault: &Fault) -> Self {
        let fields = [
            ("content-type", "text/plain; charset=utf-8"),
            ("cache-control", "no-store"),
        ];
        let owned = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            status: Some(fault.status),
            reason: Some(fault.reason.code()),
            detail: Some(fault.detail.to_owned()),
            headers: owned.to_vec(),
            ..Self::of(Verdict::Refuse)
        }
    }

    /// Of a packet, or of a connection that is not accepted.
    pub(super) fn decided(decision: Decision) -> Self {
        let verdict = match decision.verdict {
            verdict::Verdict::Pass => Verdict::Pass,
            verdict::Verdict::Drop => Verdict::Drop,
            verdict::Verdict::Tx => Verdict::Tx,
        };
        Self {
            reason: Some(decision.reason.code()),
            ..Self::of(verdict)
        }
    }

    /// Whether it goes on to an endpoint.
    pub fn is_sent_on(&self) -> bool {
        self.verdict == Verdict::Forward
    }

    /// Whether a client or an endpoint would notice a difference, or a log.
    pub fn is_same(&self, other: &Self) -> bool {
        let upstreams = |fate: &Self| -> Vec<String> {
            let drawn = fate.to.iter().filter(|share| share.weight > 0);
            let mut names: Vec<String> = drawn.map(|share| share.upstream.clone()).collect();
            names.sort();
            fate.upstream.clone().map_or(names, |chosen| vec![chosen])
        };
        let rest = |fate: &Self| Self {
            listener: None,
            detail: None,
            to: Vec::new(),
            upstream: None,
            mirror: None,
            limit: None,
            ..fate.clone()
        };
        upstreams(self) == upstreams(other) && rest(self) == rest(other)
    }

    /// What is done, without the route: `to app as /x`.
    pub fn does(&self) -> String {
        let status = self.status.unwrap_or_default();
        let reason = self.reason.unwrap_or_default();
        match self.verdict {
            Verdict::Forward => self.goes_to(),
            Verdict::Respond => format!("answers {status} itself"),
            Verdict::Redirect => {
                let to = self.location.as_deref().unwrap_or_default();
                format!("redirects to {to} with {status}")
            }
            Verdict::Refuse => format!("refused with {status}, {reason}"),
            Verdict::Drop => format!("dropped, {reason}"),
            Verdict::Pass => format!("passes, {reason}"),
            Verdict::Tx => format!("answered in the kernel, {reason}"),
            Verdict::Nowhere => self.detail.clone().unwrap_or_default(),
        }
    }

    fn goes_to(&self) -> String {
        if let [only] = self.to.as_slice() {
            return format!("to {}", only.upstream);
        }
        let parts: Vec<String> = self
            .to
            .iter()
            .map(|share| format!("{} ({})", share.upstream, share.weight))
            .collect();
        format!("to one of {}", parts.join(", "))
    }
}

/// On one line.
impl fmt::Display for Fate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let does = self.does();
        match &self.route {
            Some(route) => write!(out, "route {route}, {does}"),
            None => out.write_str(&does),
        }
    }
}
