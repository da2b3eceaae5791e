//! Where the running proxy listens for its operator.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::runtime;
use tokio::signal::ctrl_c;

use super::Context;
use super::error::CliError;
use crate::control::admin::client::{self, CallError, Followed, Reply};
use crate::control::{Origin, fallback_socket, is_trusted, load};

impl Context {
    /// Calls the running proxy.
    pub(super) fn call(&self, method: &str, target: &str, body: &Bytes) -> Result<Reply, CliError> {
        self.call_within(method, target, body, client::ANSWER_WITHIN)
    }

    /// The same for a caller with less patience.
    pub(super) fn call_within(
        &self,
        method: &str,
        target: &str,
        body: &Bytes,
        limit: Duration,
    ) -> Result<Reply, CliError> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| CliError::Runtime { source })?;
        let mut first = None;
        for socket in self.sockets()? {
            match runtime.block_on(client::call(&socket, method, target, body.clone(), limit)) {
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

    /// The body of what the running proxy answers, a refusal being an error: of usage where it is the call that is wrong.
    pub(super) fn answer(&self, method: &str, target: &str) -> Result<Bytes, CliError> {
        let reply = self.call(method, target, &Bytes::new())?;
        if reply.is_success() {
            return Ok(reply.body);
        }
        let message = reply.error();
        Err(if reply.status == 400 {
            CliError::Usage { message }
        } else {
            CliError::Answer { message }
        })
    }

    /// Follows lines that the running proxy sends, until it ends, `take` has had enough, or ctrl-c is pressed, which is enough.
    pub(super) fn follow(
        &self,
        target: &str,
        mut take: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<Followed, CliError> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| CliError::Runtime { source })?;
        let mut first = None;
        for socket in self.sockets()? {
            let following = async {
                tokio::select! {
                    followed = client::follow(&socket, target, &mut take) => followed,
                    _ = ctrl_c() => Ok(Followed::Enough),
                }
            };
            match runtime.block_on(following) {
                Err(error @ (CallError::NotRunning { .. } | CallError::Connect { .. })) => {
                    first.get_or_insert(error);
                }
                outcome => return Ok(outcome?),
            }
        }
        let path = PathBuf::new();
        Err(first.unwrap_or(CallError::NotRunning { path }).into())
    }

    /// In the order in which they are tried. With a broken file that still names its socket, the proxy may serve an older one. With any
    /// other, a proxy at the usual place is meant if it serves that file.
    pub(super) fn sockets(&self) -> Result<Vec<PathBuf>, CliError> {
        if let Some(socket) = &self.socket {
            return Ok(vec![socket.clone()]);
        }
        let origin = self.origin(None);
        let written = origin.is_written();
        let socket = match load(&origin) {
            Ok(loaded) => loaded.config.admin.socket,
            Err(refused) => match origin.socket_of_broken() {
                Some(socket) => socket,
                None => usual_socket(&origin).ok_or(CliError::Refused(refused))?,
            },
        };
        // Anyone may have made a socket in /tmp.
        let fallback = Some(fallback_socket()).filter(|path| !written && is_trusted(path));
        Ok([socket].into_iter().chain(fallback).collect())
    }
}

/// The socket of a configuration that names none, if the proxy there serves this file.
fn usual_socket(origin: &Origin) -> Option<PathBuf> {
    let socket = load(&Origin::Embedded).ok()?.config.admin.socket;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let asked = client::call(
        &socket,
        "GET",
        "/config",
        Bytes::new(),
        client::ANSWER_WITHIN,
    );
    let reply = runtime.block_on(asked).ok()?.json();
    let from = reply.get("from")?.as_str()?;
    origin.is_served_by(from).then_some(socket)
}
