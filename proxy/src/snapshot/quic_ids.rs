//! Which endpoint has chosen which connection id of QUIC, over all workers: a client whose address changes may come to any of them.
//!
//! The lock is taken once or twice a session, never for a datagram of one that is known.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openclaw_core::quic;

/// See the module. Of one listener; goes on from snapshot to snapshot.
#[derive(Debug, Default)]
pub struct QuicIds(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    endpoints: HashMap<Box<[u8]>, Entry>,
    /// How many ids there are of a length.
    lengths: BTreeMap<usize, usize>,
}

#[derive(Debug)]
struct Entry {
    endpoint: SocketAddr,
    /// Sessions that go by it.
    sessions: usize,
}

/// An id that a session goes by, until it is dropped.
#[derive(Debug)]
pub struct QuicId {
    ids: Arc<QuicIds>,
    bytes: Box<[u8]>,
}

impl QuicId {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl QuicIds {
    /// An endpoint has chosen an id. Of two that choose the same the first keeps it.
    pub fn learn(self: &Arc<Self>, id: &[u8], endpoint: SocketAddr) -> Option<QuicId> {
        let mut known = self.known();
        if let Some(entry) = known.endpoints.get_mut(id) {
            if entry.endpoint != endpoint {
                return None;
            }
            entry.sessions += 1;
        } else {
            let sessions = 1;
            known
                .endpoints
                .insert(id.into(), Entry { endpoint, sessions });
            *known.lengths.entry(id.len()).or_default() += 1;
        }
        Some(QuicId {
            ids: Arc::clone(self),
            bytes: id.into(),
        })
    }

    /// The endpoint that a datagram is for, if it calls one by an id that is known.
    pub fn find(self: &Arc<Self>, datagram: &[u8]) -> Option<(QuicId, SocketAddr)> {
        let mut known = self.known();
        let Known { endpoints, lengths } = &mut *known;
        let mut called = quic::called(datagram, lengths.keys().copied());
        let id = called.find(|id| endpoints.contains_key(*id))?;
        let entry = endpoints.get_mut(id)?;
        entry.sessions += 1;
        let found = QuicId {
            ids: Arc::clone(self),
            bytes: id.into(),
        };
        Some((found, entry.endpoint))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for QuicId {
    fn drop(&mut self) {
        let mut known = self.ids.known();
        let Known { endpoints, lengths } = &mut *known;
        let Some(entry) = endpoints.get_mut(&self.bytes) else {
            return;
        };
        entry.sessions -= 1;
        if entry.sessions > 0 {
            return;
        }
        endpoints.remove(&self.bytes);
        if let Some(count) = lengths.get_mut(&self.bytes.len()) {
            *count -= 1;
            if *count == 0 {
                lengths.remove(&self.bytes.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::net::SocketAddr;
    use std::sync::Arc;

    use super::QuicIds;

    #[test]
    fn an_id_leads_to_its_endpoint_for_as_long_as_a_session_goes_by_it() {
        let ids = Arc::new(QuicIds::default());
        let [one, two] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let learnt = ids.learn(b"server-1", one).unwrap();
        assert!(ids.learn(b"server-1", two).is_none(), "it is another's");
        let longer = ids.learn(b"server-2-longer", two).unwrap();
        let (again, endpoint) = ids.find(b"\x41server-1payload").unwrap();
        assert_eq!((again.bytes(), endpoint), (&b"server-1"[..], one));
        let (_, endpoint) = ids.find(b"\x41server-2-longer....").unwrap();
        assert_eq!(endpoint, two);
        assert!(ids.find(b"\x41somebody.else.......").is_none());
        drop(learnt);
        assert!(ids.find(b"\x41server-1payload").is_some(), "one goes on");
        drop(again);
        assert!(ids.find(b"\x41server-1payload").is_none());
        drop(longer);
        assert!(ids.known().endpoints.is_empty() && ids.known().lengths.is_empty());
    }
}
