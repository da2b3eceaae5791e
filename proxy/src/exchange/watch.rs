//! How long either side of an exchange may be silent, and how slow the client may be; and that the endpoint has begun to answer.

use std::rc::Rc;
use std::task::Context;
use std::time::{Duration, Instant};

use openclaw_core::config;
use openclaw_core::pace::Pace;

use super::error::Error;
use super::forward::Passage;
use crate::time::Deadline;
use crate::upstream::{Busy, Endpoint, Upstream};

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub client: Duration,
    pub min_body_rate: u64,
    pub upstream: Duration,
    pub tunnel: Duration,
    /// For all of the exchange.
    pub whole: Option<Duration>,
}

impl Limits {
    pub(super) fn new(
        listener: &config::Listener,
        upstream: &config::Upstream,
        route: &config::Route,
    ) -> Self {
        Self {
            client: listener.idle_timeout,
            min_body_rate: listener.min_body_rate,
            upstream: route.response_timeout.unwrap_or(upstream.response_timeout),
            tunnel: upstream.tunnel_timeout,
            whole: route.timeout,
        }
    }
}

/// How far an exchange is; as long as it differs from turn to turn nobody is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Of the request, framing included.
    pub sent: usize,
    pub uploaded: bool,
    pub answered: bool,
    pub waiting: Waiting,
    pub alone: Alone,
}

/// Which side the exchange waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    Client,
    Upstream,
    /// The endpoint has begun its response, and the client's body is not over.
    Both,
}

impl Waiting {
    /// For whom, when this is what the two directions wait for.
    pub(super) fn of(upload: Self, download: Self, has_begun: bool) -> Self {
        match (upload, download) {
            (Self::Client, Self::Upstream) if has_begun => Self::Both,
            (Self::Client, _) | (_, Self::Client) => Self::Client,
            _ => Self::Upstream,
        }
    }
}

/// Since when the endpoint is what an exchange waits for, and not the client as well: no other time is the endpoint's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Alone {
    /// From the beginning.
    #[default]
    Always,
    Since(Instant),
    Not,
}

impl Alone {
    /// The exchange waits for this side. The clock is looked at only where that was the client before.
    pub(super) fn note(&mut self, waiting: Waiting) {
        match (waiting, *self) {
            (Waiting::Client | Waiting::Both, _) => *self = Self::Not,
            (Waiting::Upstream, Self::Not) => *self = Self::Since(Instant::now()),
            (Waiting::Upstream, Self::Always | Self::Since(_)) => {}
        }
    }

    /// Of an endpoint that was chosen at that time.
    pub(super) fn since(self, chosen: Instant) -> Option<Instant> {
        match self {
            Self::Always => Some(chosen),
            Self::Since(since) => Some(since),
            Self::Not => None,
        }
    }
}

/// Who is asked, and since when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub upstream: &'a Upstream,
    pub endpoint: &'a Rc<Endpoint>,
    pub since: Instant,
}

/// The clock of one exchange.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    asked: Asked<'a>,
    /// The endpoint has begun to answer.
    has_heard: bool,
    deadline: &'a Deadline,
    limits: Limits,
    pace: Pace,
    timed: Option<Progress>,
    busy: Busy,
}

impl<'a> Watch<'a> {
    pub(super) fn new(asked: Asked<'a>, deadline: &'a Deadline, limits: Limits) -> Self {
        Self {
            asked,
            has_heard: false,
            deadline,
            limits,
            pace: Pace::new(limits.min_body_rate, limits.client),
            timed: None,
            busy: asked.endpoint.busy(),
        }
    }

    /// To be asked when something may have come from the endpoint. That it answers is told at once: the exchange may last for
    /// hours, and end with the client.
    pub(super) fn hear(&mut self, passage: &Passage) {
        if passage.answered.is_some() && !self.has_heard {
            self.has_heard = true;
            let Asked {
                upstream,
                endpoint,
                since,
            } = self.asked;
            // Who is quick with an answer to half a request may have seen all that it needs; that says nothing of others.
            let alone = passage.alone.since(since);
            let answered = passage.answered.filter(|_| alone.is_some());
            upstream.answered(endpoint, alone.unwrap_or(since), answered, passage.status);
        }
    }

    /// To be asked before the task goes to sleep. A tunnel may be as slow as it likes.
    pub(super) fn check(
        &mut self,
        cx: &mut Context<'_>,
        progress: Progress,
        is_tunnel: bool,
    ) -> Result<(), Error> {
        if self.busy.is_cut() {
            return Err(Error::Drained);
        }
        let waiting = progress.waiting;
        let moved = progress.bytes_in.saturating_add(progress.bytes_out);
        let waits = waiting != Waiting::Upstream && !is_tunnel;
        let Some(slack) = self.pace.note(self.deadline.now(), moved, waits) else {
            return Err(Error::ClientTimeout);
        };
        if self.timed != Some(progress) {
            self.timed = Some(progress);
            if is_tunnel {
                self.deadline.cap(None);
            }
            self.deadline.arm(match waiting {
                _ if is_tunnel => self.limits.tunnel,
                Waiting::Client => slack,
                Waiting::Upstream => self.limits.upstream,
                Waiting::Both => slack.min(self.limits.upstream),
            });
        }
        if !self.deadline.poll_expired(cx) {
            return Ok(());
        }
        Err(match waiting {
            Waiting::Client => Error::ClientTimeout,
            Waiting::Upstream | Waiting::Both if self.deadline.is_over() => {
                self.out_of_time(progress.alone)
            }
            // A client without slack has been told already.
            Waiting::Upstream => Error::UpstreamTimeout,
            Waiting::Both => Error::Stalled,
        })
    }

    /// The time of the route is the endpoint's to keep only where it had next to all of it: others may have had it before, or
    /// the client.
    fn out_of_time(&self, alone: Alone) -> Error {
        let had = alone.since(self.asked.since).map(|since| since.elapsed());
        let had_it = |whole: Duration| had.is_some_and(|had| had >= whole * 9 / 10);
        if self.limits.whole.is_some_and(had_it) {
            Error::RouteTimeout
        } else {
            Error::Late
        }
    }

    pub(super) fn stop(&self) {
        self.deadline.disarm();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Alone, Waiting};

    /// Since when, of an endpoint that was chosen at a time that nobody's clock can show yet; nothing: the client is waited for.
    fn after(steps: &[Waiting]) -> (Option<Instant>, Instant) {
        let chosen = Instant::now() + Duration::from_mins(1);
        let mut alone = Alone::default();
        for step in steps {
            alone.note(*step);
        }
        (alone.since(chosen), chosen)
    }

    #[test]
    fn the_time_of_a_client_is_not_the_endpoints() {
        use Waiting::{Both, Client, Upstream};
        for steps in [&[][..], &[Upstream], &[Upstream, Upstream]] {
            let (since, chosen) = after(steps);
            assert_eq!(since, Some(chosen), "{steps:?}");
        }
        for steps in [
            &[Client][..],
            &[Upstream, Client],
            &[Client, Upstream, Both],
        ] {
            assert_eq!(after(steps).0, None, "{steps:?}");
        }
        for steps in [&[Client, Upstream][..], &[Both, Upstream, Upstream]] {
            let (since, chosen) = after(steps);
            assert!(since.is_some_and(|since| since < chosen), "{steps:?}");
        }
    }
}
