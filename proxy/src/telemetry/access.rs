//! The way of access-log lines to their file: workers hand over full buffers through a bounded channel to one thread that
//! writes. A slow disk costs lines, which are counted, and never a request.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use openclaw_core::config::AccessTarget;

/// Buffers on their way; with [`super::recorder::FULL`] bytes each, 8 MiB.
const QUEUE: usize = 256;
/// How long the end of the process waits for a log that does not move.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Where lines end up.
#[derive(Debug)]
pub enum Output {
    /// Lines that still come are thrown away.
    Nowhere,
    Stdout,
    File(File),
}

impl Output {
    /// Opens the target for appending; a file that was renamed by a log rotation is made anew.
    pub fn open(target: &AccessTarget) -> io::Result<Self> {
        match target {
            AccessTarget::Off => Ok(Self::Nowhere),
            AccessTarget::Stdout => Ok(Self::Stdout),
            AccessTarget::File(path) => Self::append(path),
        }
    }

    fn append(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self::File(file))
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(lines)?;
                out.flush()
            }
            Self::File(file) => file.write_all(lines),
        }
    }
}

enum Message {
    Lines(Vec<u8>),
    /// There is a new output in the slot.
    Switch,
}

/// A worker's end of the channel.
#[derive(Clone, Debug)]
pub struct AccessLog {
    queue: SyncSender<Message>,
}

impl AccessLog {
    /// Hands a buffer over, or gives it back when the writer is behind.
    pub(super) fn offer(&self, lines: Vec<u8>) -> Result<(), Vec<u8>> {
        match self.queue.try_send(Message::Lines(lines)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => match message
            {
                Message::Lines(lines) => Err(lines),
                Message::Switch => Ok(()),
            },
        }
    }
}

/// The control plane's end: it owns the thread.
#[derive(Debug)]
pub struct AccessWriter {
    queue: SyncSender<Message>,
    /// A slot beside the queue, so that a full queue cannot hold the control plane up.
    next: Arc<Mutex<Option<Output>>>,
    done: Receiver<()>,
}

impl AccessWriter {
    /// Starts the thread.
    pub fn start(output: Output) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        let (finished, done) = sync_channel(1);
        let next = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&next);
        thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                write_all(output, &lines, &slot);
                // Nobody may be waiting any more.
                let _ = finished.send(());
            })?;
        Ok(Self { queue, next, done })
    }

    /// A sender for one worker.
    pub fn handle(&self) -> AccessLog {
        AccessLog {
            queue: self.queue.clone(),
        }
    }

    /// Lines from now on go to `output`; the old file is closed.
    pub fn switch(&self, output: Output) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(output);
        // A full queue wakes the writer as well as this message would.
        let _ = self.queue.try_send(Message::Switch);
    }

    /// Waits until what the workers handed over is written; call it when they have ended.
    pub fn close(self) {
        let Self {
            queue,
            next: _,
            done,
        } = self;
        drop(queue);
        if done.recv_timeout(LAST_WORDS) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the access log does not take its last lines; they are lost");
        }
    }
}

fn write_all(mut output: Output, queue: &Receiver<Message>, next: &Mutex<Option<Output>>) {
    let mut failing = false;
    while let Ok(message) = queue.recv() {
        let switched = next.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(switched) = switched {
            output = switched;
            failing = false;
        }
        let Message::Lines(lines) = message else {
            continue;
        };
        match output.write(&lines) {
            Ok(()) => failing = false,
            // Said once, not for every buffer while the disk is full.
            Err(_) if failing => {}
            Err(error) => {
                failing = true;
                tracing::error!(%error, "the access log cannot be written");
            }
        }
    }
}
