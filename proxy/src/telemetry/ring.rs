//! Exchanges that an operator may ask about by their id: those that were refused, failed or were slow. Each worker remembers its
//! own, in a bounded number of bytes; a request that goes well costs nothing here.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use openclaw_core::reason::Reason;

use super::{Cache, LogFields, Record, Tried};

/// What a client may have said of itself at length is remembered up to here, in bytes.
const LONGEST: usize = 1024;

/// A finished exchange, as far as it is worth telling.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub ended: SystemTime,
    pub fields: LogFields,
    pub status: u16,
    pub reason: Option<Reason>,
    pub duration: Duration,
    /// From the beginning to the last try, where an endpoint was asked.
    pub waited: Option<Duration>,
    /// From the last try to the head of its answer.
    pub upstream_time: Option<Duration>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub retries: u32,
    pub tries: Vec<Tried>,
    pub cache: Option<Cache>,
}

/// What one worker remembers of an id.
#[derive(Debug, Default)]
pub struct Recollection {
    /// The newest first: an id that a trusted proxy made may come more than once.
    pub found: Vec<Exchange>,
    /// How many exchanges are remembered.
    pub kept: usize,
    pub oldest: Option<SystemTime>,
}

/// What a worker remembers. A flood of requests that are turned away does not push out what went wrong behind.
#[derive(Debug, Default)]
pub(super) struct Ring {
    turned_away: Half,
    gone_wrong: Half,
}

#[derive(Debug, Default)]
struct Half {
    exchanges: VecDeque<Exchange>,
    bytes: u64,
    limit: u64,
}

impl Exchange {
    pub(super) fn of(record: &Record<'_>, mut fields: LogFields, ended: SystemTime) -> Self {
        fields.shorten(LONGEST);
        Self {
            ended,
            fields,
            status: record.status,
            reason: record.reason,
            duration: record.duration(),
            waited: record.waited,
            upstream_time: record.upstream_time,
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            retries: record.retries,
            tries: record.tries.to_vec(),
            cache: record.cache,
        }
    }

    /// Whether it is about endpoints, and not about who asked for what.
    fn is_of_endpoints(&self) -> bool {
        self.reason.is_none_or(|reason| {
            reason.code().starts_with("upstream.") || reason == Reason::Shutdown
        })
    }

    fn bytes(&self) -> u64 {
        let text = self.fields.texts().map(String::len).iter().sum::<usize>();
        (size_of::<Self>() + text + self.tries.len() * size_of::<Tried>()) as u64
    }
}

impl LogFields {
    fn texts(&self) -> [&String; 11] {
        let Self {
            id,
            listener,
            route,
            client,
            method,
            host,
            path,
            protocol: _,
            upstream,
            endpoint,
            tls: _,
            user_agent,
            referer,
            detail: _,
            is_as_sent: _,
            is_left_out: _,
            hedge: _,
        } = self;
        [
            id, listener, route, client, method, host, path, upstream, endpoint, user_agent,
            referer,
        ]
    }

    /// Cuts what a client wrote at length to so many bytes.
    pub(super) fn shorten(&mut self, longest: usize) {
        let Self {
            method,
            host,
            path,
            user_agent,
            referer,
            ..
        } = self;
        for text in [method, host, path, user_agent, referer] {
            if text.len() > longest {
                text.truncate(text.floor_char_boundary(longest));
                text.push('…');
            }
            text.shrink_to_fit();
        }
    }
}

impl Ring {
    /// In all, in bytes; nothing is remembered with 0.
    pub(super) fn set_limit(&mut self, bytes: u64) {
        for half in [&mut self.turned_away, &mut self.gone_wrong] {
            half.limit = bytes / 2;
            half.make_room(0);
        }
    }

    pub(super) fn push(&mut self, exchange: Exchange) {
        if exchange.is_of_endpoints() {
            self.gone_wrong.push(exchange);
        } else {
            self.turned_away.push(exchange);
        }
    }

    pub(super) fn recall(&self, id: &str) -> Recollection {
        let halves = [&self.gone_wrong, &self.turned_away];
        let all = halves.iter().flat_map(|half| half.exchanges.iter().rev());
        let oldest = halves.iter().filter_map(|half| half.exchanges.front());
        Recollection {
            found: all.filter(|one| one.fields.id == id).cloned().collect(),
            kept: halves.iter().map(|half| half.exchanges.len()).sum(),
            oldest: oldest.map(|one| one.ended).min(),
        }
    }
}

impl Half {
    fn push(&mut self, exchange: Exchange) {
        let bytes = exchange.bytes();
        if bytes > self.limit {
            return;
        }
        self.make_room(bytes);
        self.bytes += bytes;
        self.exchanges.push_back(exchange);
    }

    fn make_room(&mut self, bytes: u64) {
        while self.bytes + bytes > self.limit {
            let Some(oldest) = self.exchanges.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

    use super::*;

    fn exchange(id: &str, reason: Reason, path: usize) -> Exchange {
        let mut fields = LogFields {
            id: id.to_owned(),
            path: "x".repeat(path),
            ..LogFields::default()
        };
        fields.shorten(LONGEST);
        Exchange {
            ended: SystemTime::UNIX_EPOCH,
            fields,
            status: 502,
            reason: Some(reason),
            duration: Duration::ZERO,
            waited: None,
            upstream_time: None,
            bytes_in: 0,
            bytes_out: 0,
            retries: 0,
            tries: Vec::new(),
            cache: None,
        }
    }

    #[test]
    fn a_flood_pushes_out_its_own_kind_alone_and_the_bytes_are_bounded() {
        let mut ring = Ring::default();
        ring.set_limit(64 << 10);
        ring.push(exchange("behind", Reason::UpstreamReset, 10));
        for number in 0..1000 {
            ring.push(exchange(&number.to_string(), Reason::LimitRate, 5000));
            assert!(ring.turned_away.bytes <= 32 << 10);
        }
        let sum: u64 = ring.turned_away.exchanges.iter().map(Exchange::bytes).sum();
        assert_eq!(sum, ring.turned_away.bytes);
        assert_eq!(ring.recall("behind").found.len(), 1);
        assert_eq!(
            ring.recall("999").found[0].fields.path.chars().count(),
            1025
        );
        let gone = ring.recall("0");
        assert!(
            gone.found.is_empty() && (10..40).contains(&gone.kept),
            "{gone:?}"
        );
        ring.set_limit(0);
        assert_eq!(ring.recall("behind").kept, 0);
        ring.push(exchange("behind", Reason::UpstreamReset, 10));
        assert_eq!(ring.recall("behind").kept, 0, "nothing is to be remembered");
    }

    #[test]
    fn the_newest_of_one_id_is_found_first() {
        let mut ring = Ring::default();
        ring.set_limit(64 << 10);
        for path in [1, 2] {
            ring.push(exchange("a", Reason::UpstreamReset, path));
        }
        let paths = ring.recall("a").found;
        let paths: Vec<usize> = paths.iter().map(|one| one.fields.path.len()).collect();
        assert_eq!(paths, [2, 1]);
    }
}
