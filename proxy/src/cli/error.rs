//! Why a verb failed, and with which exit code: 1 when the thing failed or the answer is no, 2 when the command line or the
//! configuration is wrong.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::output::{Format, error_line, print};
use crate::control::admin::client::CallError;
use crate::control::{ControlError, Refused};
use crate::shield::LockError;
use crate::telemetry::chain;

/// The way to a proxy whose socket is not known.
const NAME_IT: &str = "a proxy that runs all the same is reached with --socket PATH";

#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// It renders itself, with places and carets.
    #[error("{0}")]
    Refused(Refused),
    /// So wrong that it does not say where the running proxy is.
    #[error("{0}\n  = hint: {NAME_IT}")]
    NowhereToAsk(Refused),
    /// The running proxy refused its configuration.
    #[error("{text}")]
    RefusedThere {
        code: u8,
        error: String,
        text: String,
        problems: Value,
    },
    #[error(transparent)]
    Control(ControlError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the running proxy says: {message}")]
    Answer { message: String },
    /// The shield's answer is no.
    #[error("{message}")]
    Shield { message: String },
    #[error("the running proxy answers with something else; is it of another version?")]
    ForeignAnswer { source: serde_json::Error },
    #[error(transparent)]
    Offline(#[from] LockError),
    #[error("cannot read {}", path.display())]
    ReadFile {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot write {}", path.display())]
    WriteFile {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} exists, and is left as it is", path.display())]
    Exists { path: PathBuf },
    #[error("{message}")]
    Usage { message: String },
    /// What was to be converted, which is as wrong as a configuration may be.
    #[error("{message}")]
    Foreign { message: String },
    /// The same where it cannot be read at all.
    #[error("cannot read {}", path.display())]
    ForeignFile {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("there is no reason `{code}`{hint}")]
    UnknownReason { code: String, hint: String },
    #[error("it is still running after {seconds} s")]
    StillRunning { seconds: u64 },
    #[error("the terminal cannot be used")]
    Terminal { source: std::io::Error },
    #[error("cannot start a runtime")]
    Runtime { source: std::io::Error },
    #[error("the manual page cannot be made")]
    Man { source: std::io::Error },
}

impl From<ControlError> for CliError {
    fn from(error: ControlError) -> Self {
        if let ControlError::Refused(refused) = error {
            Self::Refused(refused)
        } else {
            Self::Control(error)
        }
    }
}

impl CliError {
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Refused(refused) if refused.is_of_the_system() => 1,
            Self::RefusedThere { code, .. } => *code,
            Self::Refused(_)
            | Self::NowhereToAsk(_)
            | Self::Usage { .. }
            | Self::Foreign { .. }
            | Self::ForeignFile { .. } => 2,
            Self::Control(_)
            | Self::Call(_)
            | Self::Answer { .. }
            | Self::Shield { .. }
            | Self::ForeignAnswer { .. }
            | Self::Offline(_)
            | Self::ReadFile { .. }
            | Self::WriteFile { .. }
            | Self::Exists { .. }
            | Self::UnknownReason { .. }
            | Self::StillRunning { .. }
            | Self::Runtime { .. }
            | Self::Terminal { .. }
            | Self::Man { .. } => 1,
        }
    }

    /// What is wrong with the configuration, where that is it.
    pub(super) fn problems(&self) -> Option<Value> {
        let (Self::Refused(refused) | Self::NowhereToAsk(refused)) = self else {
            return None;
        };
        (!refused.is_of_the_system()).then(|| refused.json())
    }

    /// As people read it.
    pub(super) fn told(&self) -> String {
        let renders_itself = matches!(
            self,
            Self::Refused(_) | Self::NowhereToAsk(_) | Self::RefusedThere { .. }
        );
        if renders_itself {
            self.to_string()
        } else {
            format!("error: {}", chain(self))
        }
    }

    /// Text goes to stderr; JSON to stdout, where a program reads the answer, whatever it is.
    pub(super) fn print(&self, format: Format) {
        match format {
            Format::Text => error_line(&self.told()),
            Format::Json => print(&format!("{:#}\n", self.json())),
        }
    }

    fn json(&self) -> Value {
        if let Self::Refused(refused) = self {
            let error = "the configuration is refused";
            return json!({ "ok": false, "error": error, "problems": refused.json() });
        }
        if let Self::NowhereToAsk(refused) = self {
            let error = "the configuration is refused";
            return json!({ "ok": false, "error": error, "problems": refused.json(), "hint": NAME_IT });
        }
        if let Self::RefusedThere {
            error, problems, ..
        } = self
        {
            return json!({ "ok": false, "error": error, "problems": problems });
        }
        if matches!(self, Self::Usage { .. }) {
            return json!({ "ok": false, "error": chain(self), "usage": true });
        }
        json!({ "ok": false, "error": chain(self) })
    }
}
