//! A try with a second endpoint beside it where the first one is slow (`hedge`): both are asked, whoever has a response head
//! first serves, and the connection or stream of the other one is closed.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use openclaw_core::config::After;
use openclaw_core::message::{Framing, Method};
use tokio::time::sleep;

use super::race::{Race, Runner};
use super::{Failure, Tries};
use crate::exchange::error::Error;
use crate::exchange::forward::Passage;
use crate::exchange::given_up::GivenUp;
use crate::exchange::wire::Wire;
use crate::exchange::{Story, tried};
use crate::snapshot::UnderWay;
use crate::telemetry::{Hedged, Tried};
use crate::time::Deadline;
use crate::upstream::{Choice, Chosen, Endpoint};

/// Who was asked, since when, and what came of it.
pub(super) struct Outcome {
    pub endpoint: Rc<Endpoint>,
    pub since: Instant,
    /// In its trace, if it is not the first one's.
    pub span: Option<u64>,
    pub result: Result<(), Failure>,
}

/// Who is asked, and since when.
struct Asked {
    endpoint: Rc<Endpoint>,
    since: Instant,
    span: Option<u64>,
}

impl Asked {
    fn outcome(&self, result: Result<(), Failure>) -> Outcome {
        Outcome {
            endpoint: Rc::clone(&self.endpoint),
            since: self.since,
            span: self.span,
            result,
        }
    }
}

/// What is told of an exchange, beside its passage.
struct Told<'s> {
    endpoint: &'s mut Option<Rc<Endpoint>>,
    sent: &'s mut Option<Instant>,
    span: &'s mut Option<u64>,
    tries: &'s mut Vec<Tried>,
    given_up: &'s mut GivenUp,
    hedge: &'s mut Option<Hedged>,
}

/// An endpoint that is asked.
type Leg<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

/// Writes what came of a try where its exchange finds it, if its answer had begun.
struct Passing<'a> {
    own: Passage,
    into: &'a Cell<Passage>,
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        if self.own.answered.is_some() {
            self.into.set(self.own);
        }
    }
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    First,
    Second,
}

/// What happens next with the two.
enum Event {
    /// The other one has begun to answer: this one is let go.
    Outrun(Side),
    Ended(Side, Result<(), Failure>),
}

/// Both that are asked.
struct Pair<'l, 'w> {
    first: Option<Leg<'l>>,
    second: Option<Leg<'l>>,
    race: &'l Race<'w>,
    /// To be told of next.
    ended: Option<(Side, Result<(), Failure>)>,
}

impl Pair<'_, '_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some((side, result)) = self.ended.take() {
            return Poll::Ready(Event::Ended(side, result));
        }
        for side in [Side::First, Side::Second] {
            let (leg, other) = match side {
                Side::First => (&mut self.first, &mut self.second),
                Side::Second => (&mut self.second, &mut self.first),
            };
            let Some(running) = leg else {
                continue;
            };
            let polled = running.as_mut().poll(cx);
            if polled.is_ready() {
                *leg = None;
            }
            let is_first_to_answer = self.race.is_won() && other.take().is_some();
            match polled {
                Poll::Ready(result) if is_first_to_answer => self.ended = Some((side, result)),
                Poll::Ready(result) => return Poll::Ready(Event::Ended(side, result)),
                Poll::Pending => {}
            }
            if is_first_to_answer {
                return Poll::Ready(Event::Outrun(side.other()));
            }
        }
        Poll::Pending
    }

    fn is_over(&self) -> bool {
        self.first.is_none() && self.second.is_none()
    }
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

impl<'a> Tries<'a> {
    /// How long the first endpoint is waited for alone, where a second one may be asked.
    pub(super) fn hedges_after(&self) -> Option<Duration> {
        let hedge = self.upstream.config.hedge.filter(|_| self.may_hedge)?;
        let outbound = self.outbound;
        let asked = outbound.asked;
        let is_bare =
            outbound.framing == Framing::None && !asked.upgrade && asked.websocket.is_none();
        let mut words = outbound.head.split(|byte| *byte == b' ');
        let is_safe = words.next().is_some_and(|word| Method::of(word).is_safe());
        if !is_bare || !is_safe || !self.tried.is_empty() {
            return None;
        }
        match hedge.after {
            After::Time(after) => Some(after),
            After::Percent(percent) => self.upstream.usual(percent),
        }
    }

    /// Asks an endpoint, and a second one when that has not begun to answer after this time.
    pub(super) async fn hedged(
        &mut self,
        (endpoint, under_way, since): (Rc<Endpoint>, Option<UnderWay>, Instant),
        after: Duration,
        wire: &mut dyn Wire,
        story: &mut Story,
    ) -> Outcome {
        let race = Race::new(wire);
        let passage = Cell::from_mut(&mut story.passage);
        let first = Asked {
            endpoint,
            since,
            span: story.span,
        };
        let first_asked = (&first, &self.outbound.head[..]);
        let mut leg = self.leg(first_asked, self.deadline, (&race, passage), under_way);
        if let Some(result) = alone(&mut leg, &race, after).await {
            return first.outcome(result);
        }
        let Some(chosen) = self.beside(&first.endpoint) else {
            return first.outcome(leg.await);
        };
        self.may_hedge = false;
        let renamed = self.renamed();
        let second = Asked {
            endpoint: chosen.endpoint,
            since: Instant::now(),
            span: renamed.as_ref().map(|renamed| renamed.0),
        };
        let second_asked = (&second, self.head_of(renamed.as_ref()));
        let deadline = self.deadline.beside();
        let beside = (&race, passage);
        let pair = Pair {
            first: Some(leg),
            second: Some(self.leg(second_asked, &deadline, beside, chosen.under_way)),
            race: &race,
            ended: None,
        };
        let told = Told {
            endpoint: &mut story.endpoint,
            sent: &mut story.sent,
            span: &mut story.span,
            tries: &mut story.tries,
            given_up: &mut story.given_up,
            hedge: &mut story.hedge,
        };
        self.both(pair, [&first, &second], told).await
    }

    /// Waits for one of the two to answer. Who failed while the other one was still asked is told of here.
    async fn both(
        &mut self,
        mut pair: Pair<'_, '_>,
        [first, second]: [&Asked; 2],
        told: Told<'_>,
    ) -> Outcome {
        *told.hedge = Some(Hedged::Lost);
        loop {
            let event = poll_fn(|cx| pair.poll(cx)).await;
            let (Event::Outrun(side) | Event::Ended(side, _)) = event;
            let asked = match side {
                Side::First => first,
                Side::Second => second,
            };
            match event {
                Event::Outrun(Side::First) => {
                    self.upstream.outrun(&first.endpoint, first.since.elapsed());
                    *told.hedge = Some(Hedged::Won);
                }
                Event::Outrun(Side::Second) => {}
                Event::Ended(_, Err(failure)) if !pair.is_over() => {
                    if self.fell(asked, failure, told.tries) {
                        told.given_up.note(&asked.endpoint, failure.error);
                    }
                }
                Event::Ended(_, result) => {
                    *told.hedge = Some(match side {
                        _ if !pair.race.is_won() => Hedged::Failed,
                        Side::First => Hedged::Lost,
                        Side::Second => Hedged::Won,
                    });
                    return asked.outcome(result);
                }
            }
            if side == Side::First {
                // Whoever asks of the exchange now hears of the one that has it.
                self.deadline.disarm();
                *told.endpoint = Some(Rc::clone(&second.endpoint));
                *told.sent = Some(second.since);
                *told.span = second.span;
            }
        }
    }

    /// Asks one endpoint.
    fn leg<'l>(
        &self,
        (asked, head): (&'l Asked, &'l [u8]),
        deadline: &'l Deadline,
        (race, into): (&'l Race<'_>, &'l Cell<Passage>),
        under_way: Option<UnderWay>,
    ) -> Leg<'l>
    where
        'a: 'l,
    {
        let attempt = self.attempt((&asked.endpoint, asked.since), deadline, head);
        Box::pin(async move {
            let _under_way = under_way;
            let mut runner = Runner::new(race);
            let own = Passage::default();
            let mut passing = Passing { own, into };
            attempt.run(&mut runner, &mut passing.own).await
        })
    }

    /// Another endpoint that is fit and has room, if the budget has one more.
    fn beside(&self, first: &Endpoint) -> Option<Chosen> {
        let now = Instant::now();
        let has_another = self.upstream.has_another(&self.tried, first, now);
        if !has_another || !self.upstream.may_hedge(now) {
            return None;
        }
        let random = self.local.random.borrow_mut().u64(..);
        let choice = (self.outbound.key, random);
        match self.upstream.choose(&[first.address], choice, now) {
            Choice::Endpoint(chosen) => Some(chosen),
            Choice::Full | Choice::Nobody => None,
        }
    }

    /// One of the two has failed; the other one may still answer. Tells whether that was the endpoint, not only its connection.
    fn fell(&mut self, asked: &Asked, failure: Failure, tries: &mut Vec<Tried>) -> bool {
        let Failure { error, reused } = failure;
        if self.was_stale(error, reused) {
            return false;
        }
        let is_well = matches!(error, Error::Declined(status) if !matches!(status, 502..=504));
        if error.is_of_endpoint() && !is_well {
            let took = asked.since.elapsed();
            let why = error.fault().detail;
            self.upstream.failed(&asked.endpoint, took, why);
        }
        tries.push(tried(&asked.endpoint, error, asked.since, asked.span));
        self.tried.push(asked.endpoint.address);
        true
    }
}

/// What came of the one that is asked alone, unless it has not begun to answer in time.
async fn alone(leg: &mut Leg<'_>, race: &Race<'_>, after: Duration) -> Option<Result<(), Failure>> {
    let mut time = pin!(sleep(after));
    let ended = poll_fn(|cx| match leg.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending if race.is_won() => Poll::Pending,
        Poll::Pending => time.as_mut().poll(cx).map(|()| None),
    });
    ended.await
}
