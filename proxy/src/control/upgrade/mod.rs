//! Another program, or the same anew, takes over without a request being lost. The new process inherits what is open, checks its
//! configuration, and serves beside this one; then this one accepts no more, finishes what it has, and ends. Whatever goes wrong
//! before, this one serves on.

mod heir;
mod start;
mod words;

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

pub use self::heir::{Heir, HeirError};
pub(super) use self::start::{Leash, remember_program};
use self::start::{StartError, Started};
use self::words::VERSION;
pub(super) use self::words::Word;
use super::admin::SMALL;
use super::admin::table::{Call, Route};
use super::audit::Came;
use super::gone::Gone;
use super::http::Answer;
use super::logs::Caller;
use super::notify::{State, notify};
use super::sockets::Kind;
use super::state::Control;
use crate::listener::quic;
use crate::net::passing::Channel;
use crate::telemetry::chain;

/// The new process loads, looks names up, reads certificates and lists.
const CHECKED_WITHIN: Duration = Duration::from_secs(45);
/// From there on it loads the kernel program and starts its workers.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// What the end of a new process may take that a stop has come upon.
const ENDED_WITHIN: Duration = Duration::from_secs(5);
/// Older processes that may still have connections of QUIC; fewer than ids tell apart.
const ELDERS: usize = 16;

pub(super) static ROUTES: &[Route] = &[Route {
    method: "POST",
    path: "/upgrade",
    max_body: SMALL,
    run: |control, call| Box::pin(answer(control, call)),
}];

/// Why this process serves on.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpgradeError {
    #[error(transparent)]
    Gone(#[from] Gone),
    #[error("an upgrade is under way already; ask again when it is over")]
    UnderWay,
    #[error(
        "a configuration waits for its confirmation; `openclaw confirm` keeps it, `openclaw rollback` goes back"
    )]
    Unconfirmed,
    #[error("it is not known where this program is; say it with --binary")]
    NoProgram,
    #[error("cannot prepare what is handed over")]
    Prepare { source: io::Error },
    /// The configuration is wrong.
    #[error("the new process refuses the configuration\n{why}")]
    Refused { why: String, problems: Value },
    #[error(transparent)]
    Start(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl From<StartError> for UpgradeError {
    fn from(error: StartError) -> Self {
        if let StartError::Refused {
            why,
            problems: Some(problems),
        } = error
        {
            return Self::Refused { why, problems };
        }
        Self::Start(Box::new(error))
    }
}

/// Who serves now.
#[derive(Clone, Debug)]
pub(super) struct Successor {
    pub(super) pid: u32,
    version: String,
    /// It has the admin socket of this process.
    pub(super) has_admin: bool,
}

/// What is open besides the sockets of listeners, as it is handed over.
pub(super) type Heirlooms = Vec<(Word, OwnedFd)>;

/// Everything that is handed over, word by word.
type Estate = Vec<(Word, Vec<OwnedFd>)>;

/// An upgrade, while there is one. Whatever becomes of it, the next one can begin.
struct UnderWay<'a>(&'a Cell<bool>);

impl<'a> UnderWay<'a> {
    fn begin(is_upgrading: &'a Cell<bool>) -> Option<Self> {
        (!is_upgrading.replace(true)).then(|| Self(is_upgrading))
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl Control {
    /// Hands everything over to a new process. This one drains from then on.
    ///
    /// # Errors
    /// The new one does not serve, and this one goes on.
    pub(super) async fn upgrade(
        self: &Rc<Self>,
        binary: Option<PathBuf>,
        caller: Caller,
    ) -> Result<Successor, UpgradeError> {
        let outcome = match UnderWay::begin(&self.is_upgrading) {
            Some(_this) => self.hand_everything_over(binary).await,
            None => Err(UpgradeError::UnderWay),
        };
        let successor = outcome.as_ref().ok().map(|successor| successor.pid);
        let detail = json!({ "successor": successor });
        self.audit("upgrade", caller, Came::of(&outcome), &detail);
        match &outcome {
            Ok(successor) => {
                let Successor { pid, version, .. } = successor;
                tracing::info!(pid, version, "another process serves now; this one drains");
            }
            Err(error) => {
                tracing::error!("not upgraded, this process serves on: {}", chain(error));
            }
        }
        outcome
    }

    async fn hand_everything_over(
        self: &Rc<Self>,
        binary: Option<PathBuf>,
    ) -> Result<Successor, UpgradeError> {
        // No reload, and no second one, in the meantime.
        let builder = self.hold_at_last().await?;
        if self.unconfirmed.borrow().is_some() {
            return Err(UpgradeError::Unconfirmed);
        }
        let known = start::program().map(ToOwned::to_owned);
        let path = binary.or(known).ok_or(UpgradeError::NoProgram)?;
        let prepare = |source| UpgradeError::Prepare { source };
        let (way, words) = self.estate(&builder.quic).map_err(prepare)?;
        let younger = way.as_fd().try_clone_to_owned().map_err(prepare)?;
        let quic = &builder.quic;
        quic.younger.begin(quic.next_generation(), younger.into());
        let begun = self.begin(path, words).await;
        let (successor, started) = begun.inspect_err(|_| quic.younger.end())?;
        notify(State::Succeeded { by: successor.pid });
        self.attend_strays(way);
        self.leave(successor.clone());
        // It sees that this one has left, and answers calls.
        drop(started);
        Ok(successor)
    }

    /// Starts the new process and sees it serve.
    async fn begin(
        &self,
        path: PathBuf,
        words: Estate,
    ) -> Result<(Successor, Started), UpgradeError> {
        let leash = self.leash.clone();
        let starting = spawn_blocking(move || {
            let mut started = Started::new(&path, leash)?;
            started.say(words)?;
            let word = started.hear(CHECKED_WITHIN)?;
            if matches!(word, Word::Checked) {
                Ok(started)
            } else {
                Err(senseless(&word))
            }
        });
        let mut started = starting.await.map_err(panicked)??;
        // From here on the lists are the new process's.
        self.suspend().await;
        let last = self.last_words();
        let serving = spawn_blocking(move || {
            started.say(last)?;
            let word = started.hear(READY_WITHIN)?;
            let Word::Ready { version, has_admin } = &word else {
                return Err(senseless(&word));
            };
            let successor = Successor {
                pid: started.pid().unwrap_or_default(),
                version: version.clone(),
                has_admin: *has_admin,
            };
            Ok((successor, started))
        });
        let serving = serving.await.map_err(panicked);
        let begun = serving.and_then(|begun| {
            let begun = begun.and_then(|(successor, started)| {
                started.let_go()?;
                Ok((successor, started))
            });
            begun.map_err(UpgradeError::from)
        });
        if begun.is_err() {
            self.resume().await;
        }
        begun
    }

    /// Everything that the new process goes on with, and our end of the way for datagrams of our connections.
    fn estate(&self, quic: &quic::Settings) -> io::Result<(Channel, Estate)> {
        let bound = self.bound.borrow();
        let hello = Word::Hello { version: VERSION };
        let terms = Word::Terms {
            workers: self.worker_count,
            next_group: bound.next(),
            quic: quic.legacy(),
        };
        let mut words = vec![(hello, Vec::new()), (terms, Vec::new())];
        for (word, sockets) in bound.groups().iter().flat_map(Word::of_group) {
            let copies = sockets.iter().map(OwnedFd::try_clone);
            words.push((word, copies.collect::<io::Result<_>>()?));
        }
        for (word, descriptor) in &*self.heirlooms.borrow() {
            words.push((word.clone(), vec![descriptor.try_clone()?]));
        }
        let (mine, theirs) = quic::way()?;
        let generation = quic.generation();
        words.push((Word::Elder { generation }, vec![theirs.into()]));
        let alive = quic.elders.iter().filter(|elder| elder.channel.is_open());
        for elder in alive.take(ELDERS - 1) {
            let generation = elder.generation;
            let way = elder.channel.as_fd();
            words.push((Word::Elder { generation }, vec![way.try_clone_to_owned()?]));
        }
        words.push((Word::End, Vec::new()));
        Ok((mine, words))
    }

    /// Who has sessions of forwarded datagrams now; and that the new process may serve.
    fn last_words(&self) -> Estate {
        let snapshot = self.snapshot();
        let listeners = snapshot.config.listeners.iter().zip(&snapshot.listeners);
        let sessions = listeners.flat_map(|(listener, setup)| {
            let all = setup.sessions.all();
            Word::of_sessions(&listener.name, &all).collect::<Vec<_>>()
        });
        let words = sessions.chain([Word::Go]);
        words.map(|word| (word, Vec::new())).collect()
    }

    /// Stops writing what the new process is about to write: the maps, the lists, who was banned before.
    async fn suspend(&self) {
        if let Some(autoban) = &*self.autoban.borrow() {
            autoban.flush();
        }
        let shield = self.shield.clone();
        // A list of a million entries takes a while.
        if let Err(error) = spawn_blocking(move || shield.suspend()).await {
            tracing::error!(%error, "the lists are not saved");
        }
    }

    /// What a new process was given that a stop has ended is this one's again, to be taken down.
    pub(super) async fn settle_upgrade(&self) {
        if self.is_upgrading.get() {
            // An upgrade holds it until it is over.
            let _ = timeout(ENDED_WITHIN, self.builder.lock()).await;
        }
    }

    /// The new process did not get as far as serving.
    async fn resume(&self) {
        let shield = self.shield.clone();
        if let Err(error) = spawn_blocking(move || shield.resume()).await {
            tracing::error!(%error, "the shield does not go on");
        }
    }

    /// Gives the workers what the process before this one reads of their QUIC connections before it leaves.
    pub(super) async fn attend_parent(&self) {
        let quic = self.builder.lock().await.quic.clone();
        let parent = quic.elders.first().map(|elder| elder.channel.as_fd());
        match parent.map(|way| way.try_clone_to_owned()).transpose() {
            Ok(way) => way
                .into_iter()
                .for_each(|way| self.attend_strays(way.into())),
            Err(error) => tracing::warn!(%error, "new connections of HTTP/3 may stutter"),
        }
    }

    /// Gives the workers the datagrams of their QUIC connections, which the new process reads from now on.
    fn attend_strays(&self, way: Channel) {
        let groups = self.bound.borrow().groups().to_vec();
        let quic = groups.into_iter().filter(|group| group.kind == Kind::Quic);
        let inboxes: quic::Inboxes = quic.map(|group| (group.number, group.inboxes)).collect();
        let attending = thread::Builder::new()
            .name("strays".into())
            .spawn(move || quic::receive(&way, &inboxes));
        if let Err(error) = attending {
            tracing::error!(%error, "connections of HTTP/3 end at once");
        }
    }

    /// Ends this process in peace.
    fn leave(&self, successor: Successor) {
        self.successor.replace(Some(successor));
        self.request_stop(None);
        // Callers are the new process's from now on.
        self.left.notify_waiters();
    }
}

fn senseless(word: &Word) -> StartError {
    let word = format!("{word:?}");
    StartError::Word { word }
}

fn panicked(error: tokio::task::JoinError) -> UpgradeError {
    UpgradeError::Start(Box::new(error))
}

async fn answer(control: Rc<Control>, call: Call) -> Answer {
    let before = Instant::now();
    let binary = call.parameter("binary").map(PathBuf::from);
    match control.upgrade(binary, call.caller()).await {
        Ok(Successor { pid, version, .. }) => {
            let grace = control.draining.get().unwrap_or_default();
            Answer::json(
                200,
                &json!({
                    "pid": pid,
                    "version": version,
                    "took_ms": before.elapsed().as_millis() as u64,
                    "draining": { "pid": std::process::id(), "grace_seconds": grace.as_secs_f64() },
                }),
            )
        }
        Err(UpgradeError::Refused { why, problems }) => {
            let error = "the new process refuses the configuration, the old one serves on";
            Answer::json(
                422,
                &json!({ "error": error, "text": why, "problems": problems }),
            )
        }
        Err(UpgradeError::Gone(gone)) => gone.answer(),
        Err(error) => Answer::error(409, &chain(&error)),
    }
}
