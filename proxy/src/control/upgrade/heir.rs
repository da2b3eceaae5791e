//! The process that takes over: it inherits what the one before it has open, and says when it serves.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::task::spawn_blocking;

use super::super::sockets::{Bound, Group};
use super::words::{VERSION, Word};
use crate::listener::quic;
use crate::net::passing::Channel;
use crate::snapshot::Session;
use crate::telemetry::chain;

/// Set for a process that is to take over; the way to the other is its standard input.
pub(super) const VARIABLE: &str = "OPENCLAW_TAKES_OVER";
/// The one before has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(30);
/// What that one takes from this one's word to its end of accepting.
const LEAVES_WITHIN: Duration = Duration::from_secs(5);

/// Why nothing can be taken over.
#[derive(Debug, thiserror::Error)]
pub enum HeirError {
    #[error("nothing is handed over by the process that started this one; unset {VARIABLE}")]
    Nothing { source: io::Error },
    #[error("the process before this one has ended, or wants this one no more")]
    Gone,
    #[error(
        "the process before this one speaks of taking over in version {theirs}, this one in {VERSION}; restart instead"
    )]
    Version { theirs: u32 },
    #[error("what the process before this one says makes no sense here: {word}")]
    Word { word: String },
}

/// See the module.
#[derive(Debug)]
pub struct Heir {
    channel: Channel,
    terms: Option<Terms>,
    groups: Vec<Group>,
    elders: Vec<quic::Elder>,
    admin: Option<(PathBuf, OwnedFd)>,
    metrics: Option<(SocketAddr, OwnedFd)>,
    web: Option<(SocketAddr, OwnedFd)>,
    lock: Option<(PathBuf, OwnedFd)>,
}

#[derive(Debug)]
struct Terms {
    workers: usize,
    next_group: u16,
    quic: quic::Legacy,
}

/// What listens, for the first configuration.
#[derive(Debug)]
pub(in crate::control) struct Inherited {
    pub(in crate::control) workers: usize,
    pub(in crate::control) bound: Bound,
    pub(in crate::control) quic: quic::Settings,
}

impl Heir {
    /// Receives what is handed over, if this process was started for it.
    ///
    /// # Errors
    /// It was, and nothing comes that it can take.
    pub fn find() -> Result<Option<Self>, HeirError> {
        if std::env::var_os(VARIABLE).is_none() {
            return Ok(None);
        }
        let nothing = |source| HeirError::Nothing { source };
        let channel = take_input().map_err(nothing)?;
        channel.set_patience(Some(PATIENCE)).map_err(nothing)?;
        let mut heir = Self {
            channel,
            terms: None,
            groups: Vec::new(),
            elders: Vec::new(),
            admin: None,
            metrics: None,
            web: None,
            lock: None,
        };
        match heir.next()? {
            (Word::Hello { version: VERSION }, _) => {}
            (Word::Hello { version }, _) => {
                let error = HeirError::Version { theirs: version };
                heir.refuse(&error.to_string(), None);
                return Err(error);
            }
            (word, _) => return Err(senseless(&word)),
        }
        loop {
            let (word, descriptors) = heir.next()?;
            if matches!(word, Word::End) {
                return Ok(Some(heir));
            }
            heir.take(word, descriptors)?;
        }
    }

    fn next(&self) -> Result<(Word, Vec<OwnedFd>), HeirError> {
        match Word::receive(&self.channel) {
            Ok(Some(word)) => Ok(word),
            Ok(None) => Err(HeirError::Gone),
            Err(source) => Err(HeirError::Nothing { source }),
        }
    }

    fn take(&mut self, word: Word, descriptors: Vec<OwnedFd>) -> Result<(), HeirError> {
        match (word, descriptors) {
            (
                Word::Terms {
                    workers,
                    next_group,
                    quic,
                },
                _,
            ) => {
                self.terms = Some(Terms {
                    workers,
                    next_group,
                    quic,
                });
                Ok(())
            }
            (
                Word::Sockets {
                    kind,
                    number,
                    listener,
                    configured,
                    real,
                },
                sockets,
            ) => self.take_group(Group {
                kind,
                number,
                listener: listener.into(),
                configured,
                real,
                sockets: sockets.into(),
                inboxes: Vec::new(),
            }),
            (word, mut descriptors) => self.take_one(word, descriptors.pop()),
        }
    }

    /// A group, or more of one.
    fn take_group(&mut self, mut group: Group) -> Result<(), HeirError> {
        let mut known = self.groups.iter();
        if let Some(index) = known.position(|known| known.number == group.number) {
            let begun = self.groups.swap_remove(index).sockets;
            let all = begun.iter().chain(&*group.sockets);
            let all = all.map(OwnedFd::try_clone).collect::<io::Result<_>>();
            group.sockets = all.map_err(|source| HeirError::Nothing { source })?;
        }
        self.groups.push(group);
        Ok(())
    }

    fn take_one(&mut self, word: Word, descriptor: Option<OwnedFd>) -> Result<(), HeirError> {
        match (word, descriptor) {
            (Word::Admin { path }, Some(socket)) => self.admin = Some((path, socket)),
            (Word::Metrics { address }, Some(socket)) => self.metrics = Some((address, socket)),
            (Word::Web { address }, Some(socket)) => self.web = Some((address, socket)),
            (Word::Lock { state_dir }, Some(lock)) => self.lock = Some((state_dir, lock)),
            (Word::Elder { generation }, Some(way)) => self.elders.push(quic::Elder {
                generation,
                channel: way.into(),
            }),
            (word, _) => return Err(senseless(&word)),
        }
        Ok(())
    }

    /// What listens; there once.
    pub(in crate::control) fn take_sockets(&mut self) -> Option<Inherited> {
        let Terms {
            workers,
            next_group,
            quic,
        } = self.terms.take()?;
        let elders = std::mem::take(&mut self.elders);
        Some(Inherited {
            workers,
            bound: Bound::inherited(std::mem::take(&mut self.groups), next_group),
            quic: quic::Settings::inherited(quic, elders.into()),
        })
    }

    /// The admin socket, if it is the one at that path.
    pub(in crate::control) fn take_admin(&mut self, path: &Path) -> Option<OwnedFd> {
        let (_, socket) = self.admin.take_if(|(known, _)| known == path)?;
        Some(socket)
    }

    pub(in crate::control) fn take_metrics(&mut self, address: SocketAddr) -> Option<OwnedFd> {
        let (_, socket) = self.metrics.take_if(|(known, _)| *known == address)?;
        Some(socket)
    }

    pub(in crate::control) fn take_web(&mut self, address: SocketAddr) -> Option<OwnedFd> {
        let (_, socket) = self.web.take_if(|(known, _)| *known == address)?;
        Some(socket)
    }

    pub(in crate::control) fn take_lock(&mut self, state_dir: &Path) -> Option<File> {
        let (_, lock) = self.lock.take_if(|(known, _)| known == state_dir)?;
        Some(lock.into())
    }

    /// Everything is in order; waits until the one before has stopped writing what both write. Gives the sessions of forwarded
    /// datagrams that it has by then, by listener.
    ///
    /// # Errors
    /// It is not there any more.
    pub(in crate::control) fn checked(&self) -> Result<Vec<(String, Vec<Session>)>, HeirError> {
        self.say(&Word::Checked)?;
        let mut all = Vec::new();
        loop {
            match self.next()? {
                (Word::Sessions { listener, sessions }, _) => all.push((listener, sessions)),
                (Word::Go, _) => return Ok(all),
                (word, _) => return Err(senseless(&word)),
            }
        }
    }

    /// This process serves. Waits until the one before has left what both have: a call has one of them to answer it.
    pub(in crate::control) async fn ready(&self, has_admin: bool) {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        if let Err(error) = self.say(&Word::Ready { version, has_admin }) {
            // It is not there any more: all the more reason to serve.
            tracing::warn!("{}", chain(&error));
            return;
        }
        let Ok(channel) = self.channel.as_fd().try_clone_to_owned().map(Channel::from) else {
            return;
        };
        let leaving = spawn_blocking(move || {
            channel.set_patience(Some(LEAVES_WITHIN))?;
            // It has no more to say, and closes its end.
            channel.receive(&mut [0]).map(drop)
        });
        if let Ok(Err(error)) = leaving.await
            && error.kind() == io::ErrorKind::WouldBlock
        {
            tracing::warn!("the process before this one still accepts, too");
        }
    }

    /// This process does not serve, and why: as it is told, and what is wrong with the configuration. The one before goes on.
    pub fn refuse(&self, why: &str, problems: Option<Value>) {
        let refused = |problems| {
            let why = why.to_owned();
            self.say(&Word::Refused { why, problems })
        };
        // Many mistakes do not fit into a word; it sees the end of this process in any case.
        let _ = refused(problems).or_else(|_| refused(None));
    }

    fn say(&self, word: &Word) -> Result<(), HeirError> {
        let said = word.send(&self.channel, &[]);
        said.map_err(|source| HeirError::Nothing { source })
    }
}

fn senseless(word: &Word) -> HeirError {
    let word = format!("{word:?}");
    HeirError::Word { word }
}

/// Nothing else reads the standard input, and whatever this process starts is not to have it.
fn take_input() -> io::Result<Channel> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(input.into())
}
