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
}

impl Limits {
    pub(super) fn new(listener: &config::Listener, upstream: &config::Upstream) -> Self {
        Self {
            client: listener.idle_timeout,
            min_body_rate: listener.min_body_rate,
            upstream: upstream.response_timeout,
            tunnel: upstream.tunnel_timeout,
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
            upstream.answered(endpoint, since, passage.answered, passage.status);
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
            Waiting::Upstream | Waiting::Both if self.deadline.is_over() => Error::RouteTimeout,
            // A client without slack has been told already.
            Waiting::Upstream | Waiting::Both => Error::UpstreamTimeout,
        })
    }

    pub(super) fn stop(&self) {
        self.deadline.disarm();
    }
}
