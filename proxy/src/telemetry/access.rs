//! The way of access-log lines to their file: workers hand over full buffers through a bounded channel to one thread that
//! writes. A slow disk costs lines, which are counted, and never a request.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use openclaw_core::config::AccessTarget;
use rustix::fs::{OFlags, fcntl_setfl};

/// Buffers on their way; with [`super::buffer::FULL`] bytes each, 8 MiB.
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
        // A pipe that nobody reads would be waited for.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let mut options = OpenOptions::new();
        let file = options
            .append(true)
            .create(true)
            .custom_flags(flags)
            .open(path)?;
        // From here on the writer has a thread of its own.
        fcntl_setfl(&file, OFlags::APPEND)?;
        Ok(Self::File(file))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Nowhere => Ok(bytes.len()),
            Self::Stdout => {
                let mut out = io::stdout().lock();
                let written = out.write(bytes)?;
                out.flush()?;
                Ok(written)
            }
            Self::File(file) => file.write(bytes),
        }
    }
}

/// What has come of writing to an output so far.
#[derive(Debug, Default)]
struct Progress {
    /// Which log it is.
    name: &'static str,
    /// The last thing written is half a line.
    is_torn: bool,
    is_failing: bool,
}

impl Progress {
    /// Writes whole lines; gives back how many of them were lost.
    fn write(&mut self, mut write: impl FnMut(&[u8]) -> io::Result<usize>, lines: &[u8]) -> u64 {
        if self.is_torn {
            // What comes now must not become a part of a line that was cut.
            match write(b"\n") {
                Ok(_) => self.is_torn = false,
                Err(error) => return self.fail(&error, lines, lines),
            }
        }
        let mut rest = lines;
        while !rest.is_empty() {
            match write(rest) {
                Ok(0) => return self.fail(&io::ErrorKind::WriteZero.into(), rest, lines),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.fail(&error, rest, lines),
            }
        }
        self.is_failing = false;
        0
    }

    fn fail(&mut self, error: &io::Error, rest: &[u8], lines: &[u8]) -> u64 {
        // Said once, not for every buffer while the disk is full.
        if !self.is_failing {
            tracing::error!(%error, "the {} cannot be written", self.name);
        }
        self.is_failing = true;
        let written = lines.get(..lines.len() - rest.len()).unwrap_or_default();
        self.is_torn |= written.last().is_some_and(|last| *last != b'\n');
        rest.split_inclusive(|byte| *byte == b'\n').count() as u64
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
    lost: Arc<AtomicU64>,
}

impl AccessLog {
    /// Lines of all workers that could not be written, since this was asked last.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

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
    name: &'static str,
    queue: SyncSender<Message>,
    /// A slot beside the queue, so that a full queue cannot hold the control plane up.
    next: Arc<Mutex<Option<Output>>>,
    lost: Arc<AtomicU64>,
    done: Receiver<()>,
}

impl AccessWriter {
    /// Starts the thread of a log.
    pub fn start(name: &'static str, output: Output) -> io::Result<Self> {
        let (queue, lines) = sync_channel(QUEUE);
        let (finished, done) = sync_channel(1);
        let next = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&next);
        let lost = Arc::new(AtomicU64::new(0));
        let losses = Arc::clone(&lost);
        thread::Builder::new()
            .name(name.replace(' ', "-"))
            .spawn(move || {
                let progress = Progress {
                    name,
                    ..Progress::default()
                };
                write_all(progress, output, &lines, &slot, &losses);
                // Nobody may be waiting any more.
                let _ = finished.send(());
            })?;
        Ok(Self {
            name,
            queue,
            next,
            lost,
            done,
        })
    }

    /// A sender for one worker.
    pub fn handle(&self) -> AccessLog {
        AccessLog {
            queue: self.queue.clone(),
            lost: Arc::clone(&self.lost),
        }
    }

    /// Whole lines of the control plane's own. They take one place in the queue, so many at a time lose none.
    pub fn write(&self, lines: String) {
        if let Err(lines) = self.handle().offer(lines.into_bytes()) {
            let count = memchr::memchr_iter(b'\n', &lines).count();
            self.lost.fetch_add(count as u64, Ordering::Relaxed);
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
            name,
            queue,
            next: _,
            lost: _,
            done,
        } = self;
        drop(queue);
        if done.recv_timeout(LAST_WORDS) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the {name} does not take its last lines; they are lost");
        }
    }
}

fn write_all(
    mut progress: Progress,
    mut output: Output,
    queue: &Receiver<Message>,
    next: &Mutex<Option<Output>>,
    lost: &AtomicU64,
) {
    while let Ok(message) = queue.recv() {
        let switched = next.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(switched) = switched {
            output = switched;
            // The file may be the same one: a line that was cut stays cut.
            progress.is_failing = false;
        }
        let Message::Lines(lines) = message else {
            continue;
        };
        let losses = progress.write(|bytes| output.write(bytes), &lines);
        lost.fetch_add(losses, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_full_disk_lines_are_whole_again_and_the_lost_ones_are_counted() {
        let (mut disk, mut progress) = (Vec::new(), Progress::default());
        let mut write = |room: usize, lines: &str| {
            let full = disk.len() + room;
            let into = |bytes: &[u8]| {
                let fits = bytes.len().min(full - disk.len());
                disk.extend(bytes.iter().take(fits));
                match fits {
                    0 => Err(io::ErrorKind::StorageFull.into()),
                    fits => Ok(fits),
                }
            };
            progress.write(into, lines.as_bytes())
        };
        assert_eq!(write(100, "a1\na2\n"), 0);
        assert_eq!(write(4, "b1\nb2\nb3\n"), 2, "half a line is lost");
        assert_eq!(write(0, "c1\nc2\n"), 2);
        assert_eq!(write(4, "d1\nd2\n"), 1, "a line that fits is whole");
        assert_eq!(write(100, "e1\n"), 0);
        assert_eq!(String::from_utf8_lossy(&disk), "a1\na2\nb1\nb\nd1\ne1\n");
    }
}
