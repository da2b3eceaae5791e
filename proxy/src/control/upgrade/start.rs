//! Starting the program that takes over, and listening to it. For a thread that may wait.

use std::env;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
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
}

/// Where this program was when it started; another may be there now.
pub(in crate::control) fn remember_program() {
    program();
}

pub(super) fn program() -> Option<&'static Path> {
    static PATH: OnceLock<Option<PathBuf>> = OnceLock::new();
    PATH.get_or_init(|| env::current_exe().ok()).as_deref()
}

/// The new process. Unless it is [`Self::keep`]t it ends with this value.
#[derive(Debug)]
pub(super) struct Started {
    child: Option<Child>,
    channel: Channel,
}

impl Started {
    /// Starts the program as this one was started, with all that this one may do.
    pub(super) fn new(path: &Path) -> Result<Self, StartError> {
        let failed = |source| StartError::Spawn {
            path: path.to_owned(),
            source,
        };
        let (channel, theirs) = Channel::pair().map_err(failed)?;
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
        Ok(Self {
            child: Some(child.map_err(failed)?),
            channel,
        })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
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

    fn status(&mut self) -> String {
        let end = Instant::now() + ENDS_WITHIN;
        while let Some(child) = &mut self.child
            && Instant::now() < end
        {
            if let Ok(Some(status)) = child.try_wait() {
                return ExitStatus::to_string(&status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        "it still runs".to_owned()
    }

    /// It serves, and outlives this process.
    pub(super) fn keep(mut self) {
        self.child = None;
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
