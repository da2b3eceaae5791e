//! The threads that wait for the disk, so that no worker does. All that concerns one key is done by one of them, in order: of two
//! responses that take each other's place the one is found afterwards that was whole last.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::{io, thread};

use tokio::sync::oneshot;

use crate::cache::changes::hash;

/// How many there are.
const THREADS: usize = 4;
/// With more to do than this, nothing new is begun.
const MOST: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;

/// They end when it is dropped.
#[derive(Debug)]
pub(super) struct Pool {
    queues: Vec<Sender<Job>>,
    waiting: Arc<AtomicUsize>,
}

impl Pool {
    pub(super) fn start() -> io::Result<Self> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let start = |index| {
            let (queue, jobs) = channel();
            let waiting = Arc::clone(&waiting);
            let thread = thread::Builder::new().name(format!("disk-{index}"));
            thread.spawn(move || work(&jobs, &waiting)).map(|_| queue)
        };
        Ok(Self {
            queues: (0..THREADS).map(start).collect::<io::Result<_>>()?,
            waiting,
        })
    }

    /// Has something done about what has that key, behind all that was asked for before. Who asks bounds how much that is: a reader
    /// waits for one part at a time, and what is written is held in memory that is counted.
    pub(super) fn run(&self, key: &str, job: impl FnOnce() + Send + 'static) {
        self.run_at(hash(key.as_bytes()), job);
    }

    /// The same about something that nobody finds any more.
    pub(super) fn run_at(&self, turn: u64, job: impl FnOnce() + Send + 'static) {
        let index = turn as usize % THREADS;
        let Some(queue) = self.queues.get(index) else {
            return;
        };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // A thread ends with the pool alone.
        let _ = queue.send(Box::new(job));
    }

    /// Ends when all that was asked for before is done.
    pub(super) fn settled(&self) -> impl Future<Output = ()> + use<> {
        let marks: Vec<_> = (0..THREADS as u64)
            .map(|thread| {
                let (tell, told) = oneshot::channel();
                self.run_at(thread, move || {
                    // Nobody may wait for it any more.
                    let _ = tell.send(());
                });
                told
            })
            .collect();
        async move {
            for mark in marks {
                // It ends with the thread, too.
                let _ = mark.await;
            }
        }
    }

    /// Whether the disk is behind.
    pub(super) fn is_busy(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > MOST
    }
}

fn work(jobs: &Receiver<Job>, waiting: &AtomicUsize) {
    for job in jobs {
        job();
        waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
