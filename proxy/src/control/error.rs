//! Why a configuration cannot be served, or the process cannot run.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use openclaw_core::config::{Complaint, Places, Problem, Problems, Severity, Statuses};

use super::discover::Failure;
use super::given::GivenError;
use super::pages::Refusing;
use super::upgrade::HeirError;
use crate::cache::DiskError;
use crate::privilege::{PrivilegeError, Privileges};
use crate::shield::{GeoError, LockError};
use crate::telemetry::chain;
use crate::tls::{ClientPart, TlsError, TlsPart};

/// One thing that stands between a configuration and serving it.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("cannot read the configuration {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A mistake in the text; it renders itself with the line and a caret.
    #[error("{problem}")]
    Config { problem: Box<Problem> },
    /// One of the others with the line that asked for it.
    #[error("{problem}")]
    Placed {
        problem: Box<Problem>,
        trouble: Box<Self>,
    },
    #[error("listener {listener}: tls")]
    Tls {
        listener: Arc<str>,
        part: TlsPart,
        source: Box<TlsError>,
    },
    #[error("upstream {upstream}: tls")]
    UpstreamTls {
        upstream: Arc<str>,
        part: ClientPart,
        source: Box<TlsError>,
    },
    /// Not fatal: the upstream works without that endpoint.
    #[error("upstream {upstream}: cannot resolve {name}")]
    Resolve {
        upstream: Arc<str>,
        /// Which of the file's.
        endpoint: Option<usize>,
        name: String,
        #[source]
        failure: Failure,
    },
    /// Not fatal: what was found last serves on.
    #[error("upstream {upstream}: its endpoints are not found")]
    Discover {
        upstream: Arc<str>,
        #[source]
        failure: Failure,
    },
    #[error("upstream {upstream}: the demo origin does not start")]
    Demo {
        upstream: Arc<str>,
        endpoint: Option<usize>,
        source: io::Error,
    },
    #[error("{of}: cannot read the page for {statuses}, {}", path.display())]
    ErrorPage {
        of: Refusing,
        statuses: Statuses,
        path: PathBuf,
        source: io::Error,
    },
    #[error("listener {listener}: cannot listen on {address}{over}")]
    Bind {
        listener: Arc<str>,
        /// Which of its addresses.
        bind: usize,
        address: SocketAddr,
        /// What is added where it is not TCP.
        over: &'static str,
        source: io::Error,
    },
    #[error("shield.lists: the list `{name}`: {why}")]
    List {
        name: String,
        index: usize,
        why: String,
    },
    #[error("shield.geo.database")]
    Geo { source: GeoError },
    #[error("cannot write the {log} log to {target}")]
    LogFile {
        /// `access` or `security`, as the key is called.
        log: &'static str,
        target: String,
        source: io::Error,
    },
    #[error("cache.disk")]
    CacheDisk { source: DiskError },
}

impl Trouble {
    /// With its place in the text, where it has one.
    fn placed(self, severity: Severity, places: &Places) -> Self {
        match self.locate(severity, places) {
            Some(problem) => Self::Placed {
                problem: Box::new(problem),
                trouble: Box::new(self),
            },
            None => self,
        }
    }

    /// As it is shown.
    pub(super) fn told(&self, severity: Severity, places: &Places) -> String {
        self.locate(severity, places)
            .map_or_else(|| chain(self), |problem| problem.to_string())
    }

    fn locate(&self, severity: Severity, places: &Places) -> Option<Problem> {
        let path = self.path()?;
        let mut complaint = Complaint::new(chain(self));
        if let Self::Resolve { failure, .. } | Self::Discover { failure, .. } = self {
            complaint = complaint.hint(failure.hint());
        }
        if let Some(hint) = hint(self) {
            complaint = complaint.hint(hint);
        }
        places.problem(severity, &path, complaint)
    }

    /// The key that asked for what failed; `None` for what renders itself.
    fn path(&self) -> Option<Vec<String>> {
        let path = |steps: &[&str]| Some(steps.iter().map(ToString::to_string).collect());
        match self {
            Self::Read { .. } | Self::Config { .. } | Self::Placed { .. } => None,
            Self::Tls { listener, part, .. } => match part {
                TlsPart::All => path(&["listener", listener, "tls"]),
                TlsPart::SelfSigned => path(&["listener", listener, "tls", "self_signed"]),
                TlsPart::ClientCa => path(&["listener", listener, "tls", "client_ca"]),
                TlsPart::Cert(index) => {
                    let index = index.to_string();
                    path(&["listener", listener, "tls", "certificates", &index, "cert"])
                }
                TlsPart::Key(index) => {
                    let index = index.to_string();
                    path(&["listener", listener, "tls", "certificates", &index, "key"])
                }
            },
            Self::UpstreamTls { upstream, part, .. } => match part {
                ClientPart::All => path(&["upstream", upstream, "tls"]),
                ClientPart::Ca => path(&["upstream", upstream, "tls", "ca"]),
                ClientPart::Cert => path(&["upstream", upstream, "tls", "certificate", "cert"]),
                ClientPart::Key => path(&["upstream", upstream, "tls", "certificate", "key"]),
            },
            Self::Resolve {
                upstream, endpoint, ..
            }
            | Self::Demo {
                upstream, endpoint, ..
            } => {
                let index = (*endpoint)?.to_string();
                path(&["upstream", upstream, "endpoints", &index, "address"])
            }
            Self::Discover { upstream, .. } => path(&["upstream", upstream, "discover"]),
            Self::Bind { listener, bind, .. } => {
                path(&["listener", listener, "bind", &bind.to_string()])
            }
            Self::ErrorPage { of, statuses, .. } => {
                let statuses = statuses.to_string();
                match of {
                    Refusing::Listener(name) => path(&["listener", name, "error_pages", &statuses]),
                    Refusing::Route(index, _) => {
                        path(&["route", &index.to_string(), "error_pages", &statuses])
                    }
                }
            }
            Self::LogFile { log, .. } => path(&["log", log, "to"]),
            Self::CacheDisk { .. } => path(&["cache", "disk", "path"]),
            Self::Geo { .. } => path(&["shield", "geo", "database"]),
            Self::List { index, .. } => path(&["shield", "lists", &index.to_string(), "file"]),
        }
    }

    /// Whether nothing is wrong with the text: what it asks for is taken or forbidden.
    fn is_of_the_system(&self) -> bool {
        match self {
            Self::Placed { trouble, .. } => trouble.is_of_the_system(),
            Self::Bind { source, .. } => source.kind() != io::ErrorKind::AddrNotAvailable,
            Self::Read { .. }
            | Self::Config { .. }
            | Self::Tls { .. }
            | Self::UpstreamTls { .. }
            | Self::Resolve { .. }
            | Self::Discover { .. }
            | Self::Demo { .. }
            | Self::ErrorPage { .. }
            | Self::Geo { .. }
            | Self::List { .. }
            | Self::LogFile { .. }
            | Self::CacheDisk { .. } => false,
        }
    }

    /// The problem, for those that render themselves.
    fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Config { problem } | Self::Placed { problem, .. } => Some(problem),
            Self::Read { .. }
            | Self::Tls { .. }
            | Self::UpstreamTls { .. }
            | Self::Resolve { .. }
            | Self::Discover { .. }
            | Self::Demo { .. }
            | Self::ErrorPage { .. }
            | Self::Bind { .. }
            | Self::Geo { .. }
            | Self::List { .. }
            | Self::LogFile { .. }
            | Self::CacheDisk { .. } => None,
        }
    }
}

/// Everything that is wrong with a configuration at once; never empty.
#[derive(Debug)]
pub struct Refused(pub Vec<Trouble>);

impl Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, trouble) in self.0.iter().enumerate() {
            if index > 0 {
                out.write_char('\n')?;
            }
            if let Some(problem) = trouble.problem() {
                write!(out, "{problem}")?;
                continue;
            }
            write!(out, "error: {}", chain(trouble))?;
            if let Some(hint) = hint(trouble) {
                write!(out, "\n  = hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        Self(vec![trouble])
    }
}

impl From<Problems> for Refused {
    fn from(problems: Problems) -> Self {
        let problems = problems.0.into_iter().map(Box::new);
        Self(
            problems
                .map(|problem| Trouble::Config { problem })
                .collect(),
        )
    }
}

impl Refused {
    /// With the places of those that have one.
    pub(super) fn placed(troubles: Vec<Trouble>, places: &Places) -> Self {
        let troubles = troubles.into_iter();
        Self(
            troubles
                .map(|trouble| trouble.placed(Severity::Error, places))
                .collect(),
        )
    }

    /// Whether nothing is wrong with the configuration itself: what it asks for is taken or forbidden.
    pub fn is_of_the_system(&self) -> bool {
        self.0.iter().all(Trouble::is_of_the_system)
    }

    /// For `-o json` and the admin API.
    pub fn json(&self) -> serde_json::Value {
        self.0
            .iter()
            .map(|trouble| match trouble.problem() {
                Some(problem) => serde_json::to_value(problem).unwrap_or_default(),
                None => serde_json::json!({
                    "severity": "error",
                    "message": chain(trouble),
                    "hint": hint(trouble),
                }),
            })
            .collect()
    }
}

/// What to do where the system has no such file, or refuses this process a file or a port that it gives to others.
fn hint(trouble: &Trouble) -> Option<String> {
    let mut next = Error::source(trouble);
    let (mut denied, mut is_missing) = (false, false);
    while let Some(cause) = next {
        let system = cause.downcast_ref::<io::Error>();
        denied |= system.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
        is_missing |= system.is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
        next = cause.source();
    }
    let own = Privileges::current();
    let name = &own.user;
    if is_missing {
        return Some("a relative path starts at the folder of the configuration file".to_owned());
    }
    if !denied {
        return None;
    }
    if matches!(trouble, Trouble::Bind { .. }) {
        return Some(format!(
            "a low port takes CAP_NET_BIND_SERVICE; this process is {own}"
        ));
    }
    Some(format!(
        "openclaw runs as {name}, whose permissions count here, at every reload as well: make the file {name}'s, or readable for a \
         group that {name} is in"
    ))
}

/// Why the process cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("the configuration cannot be served")]
    Refused(#[source] Refused),
    #[error("another openclaw{} serves {}", pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(), path.display())]
    AlreadyRunning { path: PathBuf, pid: Option<i32> },
    #[error(transparent)]
    StateDir(LockError),
    #[error(transparent)]
    Heir(#[from] HeirError),
    #[error(transparent)]
    NotGiven(#[from] GivenError),
    #[error("cannot take the sockets that the service manager gives")]
    Given { source: io::Error },
    #[error(transparent)]
    Privilege(PrivilegeError),
    #[error("cannot open the admin socket {}", path.display())]
    AdminSocket { path: PathBuf, source: io::Error },
    #[error("cannot serve metrics on {address}")]
    Metrics {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot serve the page on {address}")]
    Web {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot read the token of the page in {}", path.display())]
    WebToken { path: PathBuf, source: io::Error },
    #[error(
        "the limit of open files{} leaves none for connections; raise it (LimitNOFILE, `ulimit -n`)",
        limit.map(|limit| format!(", {limit},")).unwrap_or_default()
    )]
    TooFewFiles { limit: Option<u64> },
    #[error("cannot start worker {index}")]
    Worker { index: usize, source: io::Error },
    #[error("cannot start the control runtime")]
    Runtime { source: io::Error },
}
