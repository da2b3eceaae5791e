//! Where the running proxy listens for its operator.

use std::path::PathBuf;

use hyper::body::Bytes;
use tokio::runtime;

use super::Context;
use super::error::CliError;
use crate::control::admin::client::{self, CallError, Reply};
use crate::control::{Origin, fallback_socket, is_trusted, load};

impl Context {
    /// Calls the running proxy.
    pub(super) fn call(&self, method: &str, target: &str, body: &Bytes) -> Result<Reply, CliError> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| CliError::Runtime { source })?;
        let mut first = None;
        for socket in self.sockets() {
            match runtime.block_on(client::call(&socket, method, target, body.clone())) {
                // Not ours, or not there: the next one may be.
                Err(error @ (CallError::NotRunning { .. } | CallError::Connect { .. })) => {
                    first.get_or_insert(error);
                }
                outcome => return Ok(outcome?),
            }
        }
        let path = PathBuf::new();
        Err(first.unwrap_or(CallError::NotRunning { path }).into())
    }

    /// In the order in which they are tried. With a broken file, the proxy may still serve an older one.
    pub(super) fn sockets(&self) -> Vec<PathBuf> {
        if let Some(socket) = &self.socket {
            return vec![socket.clone()];
        }
        let origin = self.origin(None);
        let (socket, written) = if let Ok(loaded) = load(&origin) {
            (Some(loaded.config.admin.socket), origin.is_written())
        } else {
            let embedded = || Some(load(&Origin::Embedded).ok()?.config.admin.socket);
            let meant = origin.socket_of_broken();
            (meant.clone().or_else(embedded), meant.is_some())
        };
        // Anyone may have made a socket in /tmp.
        let fallback = Some(fallback_socket()).filter(|path| !written && is_trusted(path));
        socket.into_iter().chain(fallback).collect()
    }
}
