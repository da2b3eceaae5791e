//! Which endpoint has whose datagrams, of one listener over all workers: for clients that come from another address all of a sudden
//! and are known by an id of QUIC, and for the process that takes over, where clients go on with the endpoint that they have.
//!
//! The lock is taken a few times a session, never for a datagram of one that is known.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use openclaw_core::quic;
use serde::{Deserialize, Serialize};

use super::quic_ids::QuicIds;

/// A client, and which of our addresses it knows.
pub type Client = (SocketAddr, Option<IpAddr>);

/// See the module. Goes on from snapshot to snapshot.
#[derive(Debug, Default)]
pub struct Sessions {
    pub ids: Arc<QuicIds>,
    own: Mutex<HashMap<Client, Kept>>,
    before: Mutex<Before>,
}

/// A session as it is handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub client: SocketAddr,
    pub ours: Option<IpAddr>,
    #[serde(flatten)]
    pub kept: Kept,
}

/// Where it goes, and by which ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub endpoint: SocketAddr,
    pub ids: Vec<Box<[u8]>>,
}

/// Sessions of the process before this one whose clients have not come here yet.
#[derive(Debug, Default)]
struct Before {
    sessions: HashMap<Client, Kept>,
    clients: HashMap<Box<[u8]>, Client>,
    lengths: BTreeSet<usize>,
    /// Whoever has been silent until then is gone.
    until: Option<Instant>,
}

/// A session's place here, until it is dropped.
#[derive(Debug)]
pub struct Place {
    sessions: Arc<Sessions>,
    client: Client,
}

impl Sessions {
    /// A session begins.
    pub fn begin(self: &Arc<Self>, client: Client, endpoint: SocketAddr) -> Place {
        let ids = Vec::new();
        lock(&self.own).insert(client, Kept { endpoint, ids });
        Place {
            sessions: Arc::clone(self),
            client,
        }
    }

    /// All that run.
    pub fn all(&self) -> Vec<Session> {
        let own = lock(&self.own);
        let each = own.iter().map(|((client, ours), kept)| Session {
            client: *client,
            ours: *ours,
            kept: kept.clone(),
        });
        each.collect()
    }

    /// Takes over what ran in the process before. Who has not come by `until` is forgotten.
    pub fn inherit(&self, sessions: Vec<Session>, until: Instant) {
        let mut before = lock(&self.before);
        before.until = Some(until);
        for Session { client, ours, kept } in sessions {
            for id in &kept.ids {
                before.lengths.insert(id.len());
                before.clients.insert(id.clone(), (client, ours));
            }
            before.sessions.insert((client, ours), kept);
        }
    }

    /// What the client of a datagram had in the process before; once. One that has moved meanwhile is known by an id.
    pub fn inherited(&self, client: Client, datagram: &[u8], now: Instant) -> Option<Kept> {
        let mut before = lock(&self.before);
        if now >= before.until? {
            *before = Before::default();
            return None;
        }
        if let Some(kept) = before.sessions.remove(&client) {
            return Some(kept);
        }
        let Before {
            sessions,
            clients,
            lengths,
            ..
        } = &mut *before;
        let mut called = quic::called(datagram, lengths.iter().copied());
        let client = called.find_map(|id| clients.get(id))?;
        sessions.remove(client)
    }
}

impl Place {
    /// Another endpoint has it from now on.
    pub fn goes_to(&self, endpoint: SocketAddr) {
        if let Some(kept) = lock(&self.sessions.own).get_mut(&self.client) {
            kept.endpoint = endpoint;
            kept.ids.clear();
        }
    }

    /// It goes by this id, too.
    pub fn is_called(&self, id: &[u8]) {
        if let Some(kept) = lock(&self.sessions.own).get_mut(&self.client) {
            kept.ids.push(id.into());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.sessions.own).remove(&self.client);
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Duration;

    use super::*;

    #[test]
    fn a_client_goes_on_with_its_endpoint_in_the_process_that_takes_over() {
        let [one, two, moved] = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let [first, second] = [8, 9].map(|port| SocketAddr::from(([10, 0, 0, 1], port)));
        let old = Arc::new(Sessions::default());
        let place = old.begin((one, None), first);
        place.goes_to(second);
        let other = old.begin((two, Some(one.ip())), first);
        other.is_called(b"server-1");
        drop(old.begin((moved, None), first));
        let text = serde_json::to_string(&old.all()).unwrap();
        let handed: Vec<Session> = serde_json::from_str(&text).unwrap();
        assert_eq!(handed.len(), 2, "{text}");
        let now = Instant::now();
        let find = |new: &Sessions, client, datagram: &[u8], later| {
            let now = now + Duration::from_secs(later);
            new.inherited(client, datagram, now)
                .map(|kept| kept.endpoint)
        };
        let heir = || {
            let new = Sessions::default();
            new.inherit(handed.clone(), now + Duration::from_secs(9));
            new
        };
        let new = heir();
        assert_eq!(find(&new, (one, None), b"x", 0), Some(second));
        assert_eq!(find(&new, (one, None), b"x", 0), None, "once");
        assert_eq!(find(&new, (two, None), b"x", 0), None, "at another address");
        assert_eq!(find(&new, (moved, None), b"\x41server-1..", 8), Some(first));
        assert_eq!(find(&new, (two, Some(one.ip())), b"x", 8), None);
        assert_eq!(find(&heir(), (one, None), b"x", 9), None, "too late");
        assert_eq!(find(&Sessions::default(), (one, None), b"x", 0), None);
    }
}
