//! What a process has open beside the sockets of its listeners: the admin socket, the metrics, the page, the lock of the state directory.
//! They are opened, or inherited from the process before.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use openclaw_core::config::{Config, Server, Token};
use tokio::net::TcpListener;

use super::admin::{self, AdminSocket};
use super::error::ControlError;
use super::given::Given;
use super::metrics;
use super::process::fallback_socket;
use super::state::Options;
use super::upgrade::{Heir, Heirlooms, Word};
use super::web;
use crate::shield::{LockError, ProxyLock};
use crate::telemetry::chain;

/// See the module.
#[derive(Debug)]
pub(super) struct Opened {
    /// A first try may do without.
    pub(super) admin: Option<AdminSocket>,
    pub(super) metrics: Option<TcpListener>,
    /// The page for browsers.
    pub(super) web: Option<TcpListener>,
    pub(super) lock: Option<StateLock>,
    /// The admin socket is that of the process before.
    pub(super) has_inherited: bool,
}

/// The lock, and what it locks.
#[derive(Debug)]
pub(super) struct StateLock {
    pub(super) lock: ProxyLock,
    state_dir: PathBuf,
}

impl Opened {
    /// Opens what is not inherited.
    ///
    /// # Errors
    /// Another process has it, or it cannot be opened and is needed.
    pub(super) async fn open(
        options: &Options,
        config: &Config,
        mut heir: Option<&mut Heir>,
        given: &mut Given,
    ) -> Result<Self, ControlError> {
        let path = options.socket.as_ref().unwrap_or(&config.admin.socket);
        let inherited = heir.as_mut().and_then(|heir| heir.take_admin(path));
        let inherited = inherited.and_then(|socket| AdminSocket::inherited(socket, path).ok());
        let has_inherited = inherited.is_some();
        let is_given = || AdminSocket::given(given.take_admin(path)?, path).ok();
        let admin = match inherited.or_else(is_given) {
            Some(socket) => Some(socket),
            None => open_admin(options, path).await?,
        };
        let state_dir = &config.server.state_dir;
        let inherited = heir.as_mut().and_then(|heir| heir.take_lock(state_dir));
        let lock = match inherited {
            Some(file) => Some(ProxyLock::inherited(file)),
            None => lock_state(&config.server)?,
        };
        let lock = lock.map(|lock| StateLock {
            lock,
            state_dir: state_dir.clone(),
        });
        let address = config.admin.metrics;
        let inherited = heir.as_mut().and_then(|heir| heir.take_metrics(address?));
        let inherited = inherited.or_else(|| given.take_metrics(address?));
        let metrics = match inherited.and_then(|socket| metrics::inherited(socket).ok()) {
            Some(metrics) => Some(metrics),
            None => open_metrics(options, address).await?,
        };
        let address = config.admin.web;
        let inherited = heir.and_then(|heir| heir.take_web(address?));
        let web = match inherited.and_then(|socket| metrics::inherited(socket).ok()) {
            Some(web) => Some(web),
            None => open_web(config).await?,
        };
        Ok(Self {
            admin,
            metrics,
            web,
            lock,
            has_inherited,
        })
    }

    /// Copies for a process that takes over one day. What cannot be copied that one opens anew.
    pub(super) fn heirlooms(&self) -> Heirlooms {
        let mut all = Heirlooms::new();
        let copy = |socket: BorrowedFd<'_>| socket.try_clone_to_owned().ok();
        if let Some(admin) = &self.admin
            && let Some(copy) = copy(admin.listener.as_fd())
        {
            let path = admin.path.clone();
            all.push((Word::Admin { path }, copy));
        }
        if let Some(StateLock { lock, state_dir }) = &self.lock
            && let Ok(copy) = lock.copy()
        {
            let state_dir = state_dir.clone();
            all.push((Word::Lock { state_dir }, copy));
        }
        if let Some(listener) = &self.metrics
            && let Ok(address) = listener.local_addr()
            && let Some(copy) = copy(listener.as_fd())
        {
            all.push((Word::Metrics { address }, copy));
        }
        if let Some(listener) = &self.web
            && let Ok(address) = listener.local_addr()
            && let Some(copy) = copy(listener.as_fd())
        {
            all.push((Word::Web { address }, copy));
        }
        all
    }
}

/// Without a written configuration the socket may be elsewhere, or missing: a first try needs no root.
async fn open_admin(options: &Options, path: &Path) -> Result<Option<AdminSocket>, ControlError> {
    let lenient = options.socket.is_none() && !options.origin.is_written();
    let first = match admin::open(path).await {
        Err(ControlError::AdminSocket { path, source }) if lenient => {
            ControlError::AdminSocket { path, source }
        }
        opened => return opened.map(Some),
    };
    match admin::open(&fallback_socket()).await {
        Ok(socket) => Ok(Some(socket)),
        Err(running @ ControlError::AlreadyRunning { .. }) => Err(running),
        Err(error) => {
            tracing::warn!("{}; and neither: {}", chain(&first), chain(&error));
            Ok(None)
        }
    }
}

/// A directory that cannot be used costs the lists their next start only; one that is in use would cost another proxy its lists.
/// With a user of its own that is a mistake in the installation, and nobody means to lose the lists by it.
fn lock_state(server: &Server) -> Result<Option<ProxyLock>, ControlError> {
    match ProxyLock::take(&server.state_dir) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if server.user.is_some() => Err(ControlError::StateDir(error)),
        Err(error @ LockError::InUse { .. }) => Err(ControlError::StateDir(error)),
        Err(error @ LockError::Unusable { .. }) => {
            tracing::warn!("{}", chain(&error));
            Ok(None)
        }
    }
}

async fn open_metrics(
    options: &Options,
    address: Option<SocketAddr>,
) -> Result<Option<TcpListener>, ControlError> {
    let Some(address) = address else {
        return Ok(None);
    };
    match metrics::open(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(source) => {
            let error = ControlError::Metrics { address, source };
            if options.origin.is_written() {
                return Err(error);
            }
            tracing::warn!("{}; going on without", chain(&error));
            Ok(None)
        }
    }
}

/// Asked for, it is to be there, with the token that guards it.
async fn open_web(config: &Config) -> Result<Option<TcpListener>, ControlError> {
    let Some(address) = config.admin.web else {
        return Ok(None);
    };
    if let Some(Token::File(path)) = &config.admin.token {
        let path = path.clone();
        web::read_token(&path).map_err(|source| ControlError::WebToken { path, source })?;
    }
    let opened = metrics::open(address).await;
    opened
        .map(Some)
        .map_err(|source| ControlError::Web { address, source })
}
