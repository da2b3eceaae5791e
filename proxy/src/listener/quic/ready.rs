//! Connections that something has happened to: each has a waker of its own, so that the one task of a socket looks at those alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;

/// Those that are to be looked at. The lock is taken by one thread only, but for wakers that another thread was given.
#[derive(Debug, Default)]
pub(super) struct Ready {
    keys: Mutex<Vec<Arc<Signal>>>,
    task: AtomicWaker,
}

/// One connection's.
#[derive(Debug)]
pub(super) struct Signal {
    ready: Arc<Ready>,
    key: usize,
    is_queued: AtomicBool,
}

impl Ready {
    /// Who looks.
    pub(super) fn register(&self, task: &Waker) {
        self.task.register(task);
    }

    /// The waker of a connection.
    pub(super) fn waker(self: &Arc<Self>, key: usize) -> Waker {
        Waker::from(Arc::new(Signal {
            ready: Arc::clone(self),
            key,
            is_queued: AtomicBool::new(false),
        }))
    }

    /// Moves the keys to `to`. One of a connection that has ended since may be among them.
    pub(super) fn take(&self, to: &mut Vec<usize>) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        for signal in keys.drain(..) {
            signal.is_queued.store(false, Ordering::Release);
            to.push(signal.key);
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.is_queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let ready = &self.ready;
        ready
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(self));
        ready.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_queued_once_until_it_is_taken() {
        let ready = Arc::<Ready>::default();
        let (first, second) = (ready.waker(1), ready.waker(2));
        second.wake_by_ref();
        first.wake_by_ref();
        second.wake_by_ref();
        let mut keys = Vec::new();
        ready.take(&mut keys);
        assert_eq!(keys, [2, 1]);
        second.wake();
        ready.take(&mut keys);
        assert_eq!(keys, [2, 1, 2]);
    }
}
