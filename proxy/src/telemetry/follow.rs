//! Who follows exchanges while they happen. Each worker has its own list of followers, empty as a rule, and offers them lines through
//! a bounded channel; what a slow reader misses is counted and told.

use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use openclaw_core::config::Prefix;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::line::{self, Stamp};
use super::{LogFields, Record};

/// Lines on their way to one follower, from all workers.
const BACKLOG: usize = 1000;
/// What a client wrote at length is told up to here, in bytes: with [`BACKLOG`] lines, that bounds what waits.
const LONGEST: usize = 1024;
/// Those who may follow at a time.
pub const FOLLOWERS: usize = 8;

/// Which exchanges somebody wants to see; what is absent admits all.
#[derive(Clone, Debug, Default)]
pub struct Sift {
    /// A code, or its first part: `upstream` or `upstream.*`.
    pub reason: Option<String>,
    pub listener: Option<String>,
    pub route: Option<String>,
    pub upstream: Option<String>,
    pub host: Option<String>,
    /// Both inclusive.
    pub status: Option<(u16, u16)>,
    pub client: Option<Prefix>,
    /// At least so long.
    pub slower: Option<Duration>,
    /// Refused, failed or answered with 5xx.
    pub only_bad: bool,
}

impl Sift {
    pub(super) fn takes(&self, record: &Record<'_>, fields: &LogFields) -> bool {
        let named = |wanted: &Option<String>, name: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == name)
        };
        let status = |(least, most)| (least..=most).contains(&record.status);
        let inside = |prefix: Prefix| {
            let client = fields.client.parse::<IpAddr>();
            client.is_ok_and(|client| prefix.contains(client))
        };
        self.reason.as_ref().is_none_or(|wanted| {
            record
                .reason
                .is_some_and(|reason| is_of(wanted, reason.code()))
        }) && named(&self.listener, &fields.listener)
            && named(&self.route, &fields.route)
            && named(&self.upstream, &fields.upstream)
            && named(&self.host, &fields.host)
            && self.status.is_none_or(status)
            && self.client.is_none_or(inside)
            && self.slower.is_none_or(|least| record.duration() >= least)
            && (!self.only_bad || record.reason.is_some() || record.status >= 500)
    }
}

/// Whether a code is the wanted one, or below it.
pub fn is_of(wanted: &str, code: &str) -> bool {
    let wanted = wanted.trim_end_matches('*').trim_end_matches('.');
    let rest = code.strip_prefix(wanted);
    wanted.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// One who follows, as a worker knows him.
#[derive(Clone, Debug)]
pub struct Follower {
    sift: Arc<Sift>,
    lines: mpsc::Sender<Arc<str>>,
    /// Lines of this worker that were lost and are not told of yet.
    lost: u64,
}

impl Follower {
    /// For all workers, with the end where their lines come out.
    pub fn new(sift: Sift) -> (Self, mpsc::Receiver<Arc<str>>) {
        let (lines, receiver) = mpsc::channel(BACKLOG);
        let follower = Self {
            sift: Arc::new(sift),
            lines,
            lost: 0,
        };
        (follower, receiver)
    }

    /// Lives for as long as somebody follows.
    pub fn life(&self) -> Weak<Sift> {
        Arc::downgrade(&self.sift)
    }

    fn send(&mut self, line: &Arc<str>) {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Arc::clone(line)) {
            self.lost += 1;
        }
    }

    /// Tells what was lost, as soon as there is room; whether he is still there.
    fn remind(&mut self) -> bool {
        if self.lost > 0 {
            let lost = format!("{{\"lost\":{}}}\n", self.lost);
            if self.lines.try_send(lost.into()).is_ok() {
                self.lost = 0;
            }
        }
        !self.lines.is_closed()
    }
}

/// Those who follow a worker.
#[derive(Debug, Default)]
pub(super) struct Followers {
    all: Vec<Follower>,
    stamp: Stamp,
}

impl Followers {
    pub(super) fn add(&mut self, follower: Follower) {
        self.all.push(follower);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Looks who is still there.
    pub(super) fn tick(&mut self) {
        self.all.retain_mut(Follower::remind);
    }

    /// Something happened of which nobody is told more.
    pub(super) fn miss(&mut self) {
        self.all.iter_mut().for_each(|follower| follower.lost += 1);
    }

    /// Tells those who want to know. The line is that of the access log as JSON.
    pub(super) fn tell(&mut self, record: &Record<'_>, fields: &LogFields) {
        let mut line = None;
        let wanting = self.all.iter_mut();
        for follower in wanting.filter(|one| one.sift.takes(record, fields)) {
            let line = line.get_or_insert_with(|| {
                let mut text = Vec::new();
                let now = SystemTime::now();
                let mut fields = fields.clone();
                fields.shorten(LONGEST);
                line::json(&mut text, &mut self.stamp, now, record, &fields);
                String::from_utf8_lossy(&text).into()
            });
            follower.send(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use openclaw_core::config::units;
    use openclaw_core::reason::Reason;

    use super::*;

    fn record(status: u16, reason: Option<Reason>) -> Record<'static> {
        let started = Instant::now();
        Record {
            status,
            ended: started + Duration::from_millis(20),
            reason,
            ..Record::of_connection(0, Reason::Timeout, started)
        }
    }

    #[test]
    fn a_sift_takes_what_fits_in_every_way() {
        let fields = LogFields {
            route: "app".into(),
            client: "192.0.2.7".into(),
            ..LogFields::default()
        };
        let bad = record(502, Some(Reason::UpstreamReset));
        let none = Sift::default();
        assert!(none.takes(&bad, &fields) && none.takes(&record(200, None), &fields));
        let reason = |code: &str| Sift {
            reason: Some(code.to_owned()),
            ..Sift::default()
        };
        for code in ["upstream.reset", "upstream", "upstream.*", "*"] {
            assert!(reason(code).takes(&bad, &fields), "{code}");
            assert!(!reason(code).takes(&record(200, None), &fields), "{code}");
        }
        for code in ["up", "upstream.res", "limit"] {
            assert!(!reason(code).takes(&bad, &fields), "{code}");
        }
        let client = |range: &str| Sift {
            client: units::prefix(range).ok(),
            route: Some("app".into()),
            status: Some((500, 599)),
            slower: Some(Duration::from_millis(20)),
            only_bad: true,
            ..Sift::default()
        };
        assert!(client("192.0.2.0/24").takes(&bad, &fields));
        assert!(!client("192.0.3.0/24").takes(&bad, &fields));
        let sift = client("192.0.2.0/24");
        assert!(!sift.takes(&record(404, Some(Reason::RouteNone)), &fields));
        let other = LogFields {
            route: "other".into(),
            ..fields.clone()
        };
        assert!(!sift.takes(&bad, &other));
        let slower = Sift {
            slower: Some(Duration::from_millis(21)),
            ..sift
        };
        assert!(!slower.takes(&bad, &fields));
    }

    #[test]
    fn a_reader_that_is_too_slow_is_told_what_it_missed() {
        let (follower, mut lines) = Follower::new(Sift::default());
        let mut followers = Followers::default();
        followers.add(follower);
        for _ in 0..BACKLOG + 5 {
            followers.tell(&record(200, None), &LogFields::default());
        }
        followers.tick();
        let mut read = 0;
        while let Ok(line) = lines.try_recv() {
            assert!(line.starts_with("{\"time\":"), "{line}");
            read += 1;
        }
        assert_eq!(read, BACKLOG);
        followers.tick();
        assert_eq!(lines.try_recv().as_deref(), Ok("{\"lost\":5}\n"));
        drop(lines);
        followers.tick();
        assert!(followers.is_empty());
    }
}
