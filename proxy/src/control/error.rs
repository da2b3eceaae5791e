//! Why a configuration cannot be served, or the process cannot run.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use openclaw_core::config::Problem;

use crate::shield::{GeoError, LockError};
use crate::telemetry::chain;
use crate::tls::TlsError;

/// One thing that stands between a configuration and serving it.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("cannot read the configuration {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A mistake in the text; it renders itself with the line and a caret.
    #[error("{problem}")]
    Config { problem: Box<Problem> },
    #[error("listener {listener}: tls")]
    Tls {
        listener: Arc<str>,
        source: TlsError,
    },
    #[error("upstream {upstream}: cannot resolve {name}")]
    Resolve {
        upstream: Arc<str>,
        name: String,
        source: io::Error,
    },
    #[error("upstream {upstream}: the demo origin does not start")]
    Demo {
        upstream: Arc<str>,
        source: io::Error,
    },
    #[error("listener {listener}: cannot listen on {address}")]
    Bind {
        listener: Arc<str>,
        address: SocketAddr,
        source: io::Error,
    },
    #[error("shield.lists: the list `{name}`: {why}")]
    List { name: String, why: String },
    #[error("shield.geo.database")]
    Geo { source: GeoError },
    #[error("cannot write the access log to {target}")]
    AccessLog { target: String, source: io::Error },
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
            if let Trouble::Config { problem } = trouble {
                write!(out, "{problem}")?;
            } else {
                write!(out, "error: {}", chain(trouble))?;
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

impl Refused {
    /// Whether nothing is wrong with the configuration itself: what it asks for is taken.
    pub fn is_of_the_system(&self) -> bool {
        let mut troubles = self.0.iter();
        troubles.all(|trouble| {
            matches!(trouble, Trouble::Bind { source, .. } if source.kind() == io::ErrorKind::AddrInUse)
        })
    }

    /// For `-o json` and the admin API.
    pub fn json(&self) -> serde_json::Value {
        self.0
            .iter()
            .map(|trouble| {
                if let Trouble::Config { problem } = trouble {
                    serde_json::to_value(problem).unwrap_or_default()
                } else {
                    serde_json::json!({ "severity": "error", "message": chain(trouble) })
                }
            })
            .collect()
    }
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
    #[error("cannot open the admin socket {}", path.display())]
    AdminSocket { path: PathBuf, source: io::Error },
    #[error("cannot serve metrics on {address}")]
    Metrics {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot start worker {index}")]
    Worker { index: usize, source: io::Error },
    #[error("cannot start the control runtime")]
    Runtime { source: io::Error },
}
