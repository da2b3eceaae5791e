//! The latest snapshot for a worker: a slot beside its inbox, which is never full. A later one replaces what the worker has not taken
//! yet, and takes over its sockets.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};

use super::BoundSocket;
use crate::snapshot::Snapshot;

/// A snapshot to serve from, with the sockets that are new in it.
#[derive(Debug)]
pub struct Adoption {
    pub snapshot: Arc<Snapshot>,
    pub sockets: Vec<BoundSocket>,
}

#[derive(Debug, Default)]
struct Slot {
    waiting: Mutex<(u64, Option<Adoption>)>,
    filled: Notify,
}

/// The control plane's end.
#[derive(Debug)]
pub(super) struct Giver {
    slot: Arc<Slot>,
    done: watch::Receiver<u64>,
}

/// The worker's end.
#[derive(Debug)]
pub(super) struct Taker {
    slot: Arc<Slot>,
    taken: u64,
    done: watch::Sender<u64>,
}

/// Tells when the worker serves from what it was given.
#[derive(Debug)]
pub struct Taken {
    number: u64,
    done: watch::Receiver<u64>,
}

pub(super) fn pair() -> (Giver, Taker) {
    let slot = Arc::<Slot>::default();
    let (sender, done) = watch::channel(0);
    let giver = Giver {
        slot: Arc::clone(&slot),
        done,
    };
    let taker = Taker {
        slot,
        taken: 0,
        done: sender,
    };
    (giver, taker)
}

impl Giver {
    pub(super) fn give(&self, mut adoption: Adoption) -> Taken {
        let mut waiting = self
            .slot
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (number, slot) = &mut *waiting;
        if let Some(earlier) = slot.take() {
            adoption.sockets.extend(earlier.sockets);
        }
        *slot = Some(adoption);
        *number += 1;
        self.slot.filled.notify_one();
        Taken {
            number: *number,
            done: self.done.clone(),
        }
    }
}

impl Taker {
    /// The latest; waits for one.
    pub(super) async fn take(&mut self) -> Adoption {
        loop {
            let (number, latest) = {
                let mut waiting = self
                    .slot
                    .waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                (waiting.0, waiting.1.take())
            };
            if let Some(adoption) = latest {
                self.taken = number;
                return adoption;
            }
            self.slot.filled.notified().await;
        }
    }

    /// What was taken last is served from.
    pub(super) fn done(&self) {
        self.done.send_replace(self.taken);
    }
}

impl Taken {
    /// False: the worker has ended without.
    pub async fn wait(mut self) -> bool {
        let number = self.number;
        self.done.wait_for(|done| *done >= number).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::net::TcpListener;

    use openclaw_core::config::{self, NoFiles, Source};
    use openclaw_core::route::Router;

    use super::super::Bind;
    use super::*;

    fn adoption(generation: u64, listener: &str) -> Adoption {
        let source = Source {
            name: "test",
            text: config::DEFAULT,
            files: &NoFiles,
            variable: &|_| None,
        };
        let config = config::load(&source).unwrap().config;
        let snapshot = Arc::new(Snapshot {
            generation,
            router: Router::new(&config.routes),
            config,
            listeners: Vec::new(),
            upstreams: Vec::new(),
            secured: Vec::new(),
            pages: Vec::new(),
            limits: Vec::new(),
            cache: None,
        });
        let sockets = vec![BoundSocket {
            listener: listener.into(),
            socket: Bind::Tcp(TcpListener::bind("127.0.0.1:0").unwrap()),
        }];
        Adoption { snapshot, sockets }
    }

    #[tokio::test]
    async fn the_latest_wins_and_no_socket_is_lost() {
        let (giver, mut taker) = pair();
        let first = giver.give(adoption(2, "a"));
        let second = giver.give(adoption(3, "b"));
        let latest = taker.take().await;
        assert_eq!(latest.snapshot.generation, 3);
        let mut names: Vec<&str> = latest.sockets.iter().map(|one| &*one.listener).collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b"]);
        taker.done();
        assert!(first.wait().await && second.wait().await);
        let third = giver.give(adoption(4, "c"));
        assert_eq!(taker.take().await.snapshot.generation, 4);
        drop(taker);
        assert!(!third.wait().await, "it was taken and never served from");
    }
}
