//! What happened: counters, histograms and the access log. Each worker owns a [`Recorder`]; the control plane asks for
//! reports and merges them, so that counting takes no atomic and no lock.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openclaw_core::reason::Reason;
use openclaw_core::redact::Redact;
use openclaw_core::trace::Ids;

pub use self::access::{AccessLog, AccessWriter, Output};
pub use self::follow::{FOLLOWERS, Follower, Sift, is_of};
pub use self::metrics::{Metric, MetricsText};
pub use self::recent::Recent;
pub use self::recorder::Recorder;
pub use self::report::{Report, Summary};
pub use self::ring::{Exchange, Recollection};
pub use self::spans::{SpanBatch, SpanQueue};
pub use self::sums::{ListenerFigures, RouteFigures};

mod access;
mod buffer;
mod coded;
mod ecs;
mod endpoint;
mod escape;
mod follow;
pub mod histogram;
mod line;
pub mod metrics;
mod recent;
mod recorder;
mod report;
mod ring;
mod shard;
mod spans;
mod sums;
#[cfg(test)]
mod tests;

/// An error with its causes, on one line, as logs and notes have it. Errors of libraries that name their cause themselves name it once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let told = cause.to_string();
        if !text.ends_with(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        next = cause.source();
    }
    text
}

/// Where the listeners, routes and upstreams of one snapshot are counted. Names keep their slots over reloads.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    pub listeners: Vec<u32>,
    pub routes: Vec<u32>,
    pub upstreams: Vec<u32>,
    /// Per upstream, per endpoint.
    pub endpoints: Vec<Vec<u32>>,
}

/// What became of the copy of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirrored {
    Sent,
    Failed,
    /// Not made: as many as may be are under way, or the request never came to its end.
    Dropped,
    /// Not made: the body is larger than `max_body`.
    TooLarge,
}

impl Mirrored {
    /// The labels, in the order of the variants.
    const NAMES: [&'static str; 4] = ["sent", "failed", "dropped", "too_large"];
}

/// What came of asking a second endpoint beside one that was slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hedged {
    /// The second one answered first.
    Won,
    /// The first one did, or nobody waited any more.
    Lost,
    /// Neither answered.
    Failed,
}

impl Hedged {
    pub(super) const ALL: [Self; 3] = [Self::Won, Self::Lost, Self::Failed];

    /// For labels and logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Failed => "failed",
        }
    }
}

/// One finished exchange. Indexes are slots.
#[derive(Debug)]
pub struct Record<'a> {
    pub listener: u32,
    pub route: Option<u32>,
    pub method: &'a [u8],
    pub status: u16,
    pub reason: Option<Reason>,
    pub started: Instant,
    pub ended: Instant,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub upstream: Option<u32>,
    pub endpoint: Option<u32>,
    /// From the request being sent to the response head.
    pub upstream_time: Option<Duration>,
    pub retries: u32,
    /// From the beginning to the last try, where an endpoint was asked.
    pub waited: Option<Duration>,
    /// The endpoints that were asked in vain.
    pub tries: &'a [Tried],
    /// What the cache made of it, on routes that have one.
    pub cache: Option<Cache>,
    /// Where it is recorded for the collector of traces; and the span of the last try, if that is not the first one's.
    pub ids: Option<(&'a Ids, Option<u64>)>,
}

/// An endpoint that was asked in vain.
#[derive(Clone, Debug)]
pub struct Tried {
    pub endpoint: Arc<str>,
    pub reason: Reason,
    pub detail: &'static str,
    pub begun: Instant,
    pub took: Duration,
    /// In its trace, if it is not the first one's.
    pub span: Option<u64>,
}

impl Record<'_> {
    /// A connection that was refused before, or instead of, an exchange. Its status is 0: none was sent.
    fn of_connection(listener: u32, reason: Reason, since: Instant) -> Self {
        Self {
            listener,
            route: None,
            method: b"",
            status: 0,
            reason: Some(reason),
            started: since,
            ended: Instant::now(),
            bytes_in: 0,
            bytes_out: 0,
            upstream: None,
            endpoint: None,
            upstream_time: None,
            retries: 0,
            waited: None,
            tries: &[],
            cache: None,
            ids: None,
        }
    }

    fn duration(&self) -> Duration {
        self.ended.saturating_duration_since(self.started)
    }

    /// How long it took until an endpoint's answer began: what streams for hours is not slow.
    fn patience(&self) -> Option<Duration> {
        Some(self.waited? + self.upstream_time?)
    }
}

/// What a cache made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Answered from the store.
    Hit,
    /// Answered from the store although it was stale.
    Stale,
    /// The origin said that what was stored still holds.
    Revalidated,
    /// Answered by the origin.
    Miss,
    /// Not asked.
    Bypass,
}

/// Requests of which a cache made the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cached {
    pub(crate) requests: u64,
    /// Of the bodies that clients got.
    pub(crate) bytes: u64,
}

impl Cache {
    pub(crate) const ALL: [Self; 5] = [
        Self::Hit,
        Self::Stale,
        Self::Revalidated,
        Self::Miss,
        Self::Bypass,
    ];

    /// The client got what was stored.
    pub(crate) const fn is_from_store(self) -> bool {
        match self {
            Self::Hit | Self::Stale | Self::Revalidated => true,
            Self::Miss | Self::Bypass => false,
        }
    }

    /// As logs and metrics have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Revalidated => "revalidated",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

/// What only the access log wants to know of a request; made when it is on.
#[derive(Clone, Debug, Default)]
pub struct LogFields {
    pub id: String,
    pub listener: String,
    pub route: String,
    pub client: String,
    pub method: String,
    pub host: String,
    /// Path and query as received.
    pub path: String,
    /// `HTTP/1.1`, `HTTP/2`; of a request that is refused what it claims.
    pub protocol: Cow<'static, str>,
    pub upstream: String,
    pub endpoint: String,
    /// `TLSv1.3`, or empty.
    pub tls: &'static str,
    pub user_agent: String,
    pub referer: String,
    /// What is wrong, when the request was refused.
    pub detail: &'static str,
    /// What came of a second endpoint that was asked; empty where none was.
    pub hedge: &'static str,
    /// Path and query are those that the endpoint got: nothing was kept of the others.
    pub is_as_sent: bool,
    /// It is not one of those that are drawn for the log.
    pub is_left_out: bool,
}

impl LogFields {
    /// Leaves out what must not be kept.
    fn redact(&mut self, redact: &Redact) {
        if redact.client.is_some()
            && let Ok(client) = self.client.parse()
        {
            self.client = redact.address(client).to_string();
        }
        for text in [&mut self.path, &mut self.referer] {
            if let Cow::Owned(kept) = redact.target(text) {
                *text = kept;
            }
        }
        if redact.user_agent {
            self.user_agent.clear();
        }
        if redact.referer {
            self.referer.clear();
        }
    }
}

/// What is wanted of a request besides its counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its [`LogFields`].
    pub fields: bool,
    /// A line in the access log, even when it goes well.
    pub line: bool,
}
