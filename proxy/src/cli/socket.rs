//! Where the running proxy listens for its operator.

use std::path::PathBuf;

use hyper::body::Bytes;
use tokio::runtime;

use super::Context;
use super::error::CliError;
use crate::control::admin::client::{self, CallError, Reply};
use crate::control::{Origin, fallback_socket, load};

impl Context {
    /// Calls the running proxy.
    pub(super) fn call(&self, method: &str, target: &str, body: &Bytes) -> Result<Reply, CliError> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| CliError::Runtime { source })?;
        let mut absent = None;
        for socket in self.sockets() {
            let call = client::call(&socket, method, target, body.clone());
            match runtime.block_on(call) {
                Err(CallError::NotRunning { path }) => {
                    absent.get_or_insert(CallError::NotRunning { path });
                }
                outcome => return Ok(outcome?),
            }
        }
        let absent = absent.unwrap_or(CallError::NotRunning {
            path: PathBuf::new(),
        });
        Err(absent.into())
    }

    /// In the order in which they are tried. With a broken file, the proxy may still serve an older one, at the default.
    pub(super) fn sockets(&self) -> Vec<PathBuf> {
        if let Some(socket) = &self.socket {
            return vec![socket.clone()];
        }
        let origin = self.origin(None);
        let configured = load(&origin).map(|loaded| loaded.config.admin.socket);
        match configured {
            Ok(socket) if origin.is_written() => vec![socket],
            Ok(socket) => vec![socket, fallback_socket()],
            Err(_) => {
                let embedded = load(&Origin::Embedded);
                let default = embedded.map(|loaded| loaded.config.admin.socket);
                default.into_iter().chain([fallback_socket()]).collect()
            }
        }
    }
}
