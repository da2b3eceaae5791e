//! Diagnostics: to stderr, as far as `log.level` wants them, in colour for a terminal only.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};

use openclaw_core::config::Level;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// Changes the level while the program runs.
#[derive(Clone, Debug)]
pub struct LevelSwitch {
    handle: reload::Handle<EnvFilter, Registry>,
    now: Arc<Mutex<Level>>,
}

impl LevelSwitch {
    pub(super) fn set(&self, level: Level) {
        match self.handle.reload(filter(level)) {
            Ok(()) => *self.now.lock().unwrap_or_else(PoisonError::into_inner) = level,
            Err(error) => tracing::warn!(%error, "the log level stays as it is"),
        }
    }

    pub(super) fn level(&self) -> Level {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets diagnostics up for the process; call it once.
pub fn start() -> LevelSwitch {
    let (filter, handle) = reload::Layer::new(filter(Level::Info));
    let format = fmt::layer()
        .compact()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    // Set already means that a test runs several in one process.
    let _ = Registry::default().with(filter).with(format).try_init();
    let now = Arc::new(Mutex::new(Level::Info));
    LevelSwitch { handle, now }
}

/// The libraries' own chatter is about wires, not about the operator's configuration.
fn filter(level: Level) -> EnvFilter {
    let own = level.word();
    let others = match level {
        Level::Error => "error",
        Level::Warn | Level::Info | Level::Debug | Level::Trace => "warn",
    };
    EnvFilter::new(format!(
        "{others},openclaw={own},openclaw_core={own},audit=info"
    ))
}
