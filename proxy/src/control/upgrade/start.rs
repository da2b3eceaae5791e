//! Starting the program that takes over, and listening to it. For a thread that may wait.

use std::env;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::given::VARIABLES;
use super::heir::VARIABLE;
use super::words::Word;
use crate::net::passing::Channel;
use crate::privilege;

/// What a process that has closed its end may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// Why the new process does not serve.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("cannot start {}", path.display())]
    Spawn { path: PathBuf, source: io::Error },
    #[error("cannot say to the new process what it inherits")]
    Say { source: io::Error },
    #[error("the new process says: {}", why.strip_prefix("error: ").unwrap_or(why))]
    Refused {
        why: String,
        /// Of its configuration.
        problems: Option<Value>,
    },
    #[error("the new process ended before it served ({status}); the log has its words")]
    Ended { status: String },
    #[error("the new process does not serve within {} s", limit.as_secs())]
    Late { limit: Duration },
    #[error("the new process says something that makes no sense here: {word}")]
    Word { word: String },
    #[error("this process is asked to stop, so the new one is ended")]
    Stopped,
}

/// Where this program was when it started; another may be there now.
pub(in crate::control) fn remember_program() {
    program();
}

pub(super) fn program() -> Option<&'static Path> {
    static PATH: OnceLock<Option<PathBuf>> = OnceLock::new();
    PATH.get_or_init(|| env::current_exe().ok()).as_deref()
}

/// Holds a new process until it serves, so that another thread can end it.
#[derive(Clone, Debug, Default)]
pub(in crate::control) struct Leash(Arc<Mutex<Leashed>>);

#[derive(Debug, Default)]
struct Leashed {
    child: Option<Child>,
    is_over: bool,
}

impl Leash {
    /// Ends what is on it, and has nothing more started on it. It would outlive this process, and keep what it inherits.
    pub(in crate::control) fn end(&self) {
        let mut leashed = self.leashed();
        leashed.is_over = true;
        if let Some(child) = &mut leashed.child {
            // Who has started it waits for its end. It may have ended by itself.
            let _ = child.kill();
        }
    }

    fn leashed(&self) -> MutexGuard<'_, Leashed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The new process. Unless it is [`Self::let_go`] it ends with this value.
#[derive(Debug)]
pub(super) struct Started {
    leash: Leash,
    channel: Channel,
}

impl Started {
    /// Starts the program as this one was started, with all that this one may do.
    pub(super) fn new(path: &Path, leash: Leash) -> Result<Self, StartError> {
        let failed = |source| StartError::Spawn {
            path: path.to_owned(),
            source,
        };
        let (channel, theirs) = Channel::pair().map_err(failed)?;
        let mut leashed = leash.leashed();
        if leashed.is_over {
            return Err(StartError::Stopped);
        }
        // Privileges belong to threads, and a process has those of the thread that starts it.
        let child = thread::scope(|scope| {
            let starting = scope.spawn(|| {
                privilege::bequeath()?;
                let mut command = Command::new(path);
                for given in VARIABLES {
                    command.env_remove(given);
                }
                command
                    .args(env::args_os().skip(1))
                    .env(VARIABLE, "1")
                    .stdin(Stdio::from(OwnedFd::from(theirs)))
                    .spawn()
            });
            let panicked = |_| Err(io::Error::other("the thread that starts it has panicked"));
            starting.join().unwrap_or_else(panicked)
        });
        leashed.child = Some(child.map_err(failed)?);
        drop(leashed);
        Ok(Self { leash, channel })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.leash.leashed().child.as_ref().map(Child::id)
    }

    pub(super) fn say(
        &mut self,
        words: impl IntoIterator<Item = (Word, Vec<OwnedFd>)>,
    ) -> Result<(), StartError> {
        for (word, descriptors) in words {
            if let Err(source) = word.send(&self.channel, &descriptors) {
                // It may have said why it wants no more.
                return Err(match self.hear(ENDS_WITHIN) {
                    Err(error @ (StartError::Refused { .. } | StartError::Ended { .. })) => error,
                    _ => StartError::Say { source },
                });
            }
        }
        Ok(())
    }

    /// Waits for the next word, which is none of refusal.
    pub(super) fn hear(&mut self, limit: Duration) -> Result<Word, StartError> {
        let unheard = |source| StartError::Say { source };
        self.channel.set_patience(Some(limit)).map_err(unheard)?;
        match Word::receive(&self.channel) {
            Ok(Some((Word::Refused { why, problems }, _))) => {
                Err(StartError::Refused { why, problems })
            }
            Ok(Some((word, _))) => Ok(word),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(StartError::Late { limit })
            }
            // One that dies with words unread resets the connection.
            Ok(None) | Err(_) => Err(StartError::Ended {
                status: self.status(),
            }),
        }
    }

    fn status(&self) -> String {
        let end = Instant::now() + ENDS_WITHIN;
        while Instant::now() < end {
            let tried = self.leash.leashed().child.as_mut().map(Child::try_wait);
            if let Some(Ok(Some(status))) = tried {
                return ExitStatus::to_string(&status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        "it still runs".to_owned()
    }

    /// It serves, and outlives this process.
    ///
    /// # Errors
    /// It was ended meanwhile.
    pub(super) fn let_go(&self) -> Result<(), StartError> {
        let mut leashed = self.leash.leashed();
        if leashed.is_over {
            return Err(StartError::Stopped);
        }
        leashed.child = None;
        Ok(())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let child = self.leash.leashed().child.take();
        if let Some(mut child) = child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
