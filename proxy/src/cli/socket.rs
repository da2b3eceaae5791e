//! Where the running proxy listens for its operator.

use std::io;
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::Value;
use tokio::runtime;
use tokio::signal::ctrl_c;

use super::Context;
use super::error::CliError;
use crate::control::admin::client::{self, CallError, Followed, Reply};
use crate::control::{Origin, fallback_socket, former_sockets, is_trusted, load};

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

    /// In the order in which they are tried. Where nobody listens at the socket that the file names, or the file cannot be read, a proxy
    /// is meant that serves an older text of that file: at a socket that the file has named before, or at the usual place.
    pub(super) fn sockets(&self) -> Result<Vec<PathBuf>, CliError> {
        if let Some(socket) = &self.socket {
            return Ok(vec![socket.clone()]);
        }
        let origin = self.origin(None);
        let usual = load(&Origin::Embedded).map_err(CliError::Refused)?.config;
        let (named, state_dir, refused) = match load(&origin).map(|loaded| loaded.config) {
            Ok(config) => (Some(config.admin.socket), config.server.state_dir, None),
            Err(refused) => {
                let named = origin.socket_of_broken();
                (named, usual.server.state_dir, Some(refused))
            }
        };
        if !origin.is_written() {
            // Anyone may have made a socket in /tmp.
            let fallback = Some(fallback_socket()).filter(|path| is_trusted(path));
            return Ok(named.into_iter().chain(fallback).collect());
        }
        if let Some(named) = named.as_ref().filter(|socket| is_open(socket)) {
            return Ok(vec![named.clone()]);
        }
        let mut others = former_sockets(&origin, &state_dir);
        others.push(usual.admin.socket);
        others.retain(|socket| is_open(socket));
        let serving = others.into_iter().find(|socket| serves(socket, &origin));
        match (serving.or(named), refused) {
            (Some(socket), _) => Ok(vec![socket]),
            (None, Some(refused)) => Err(CliError::NowhereToAsk(refused)),
            (None, None) => Ok(Vec::new()),
        }
    }
}

/// Whether somebody may listen there: what cannot be asked for another reason is worth its error.
fn is_open(socket: &Path) -> bool {
    let nobody = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
    UnixStream::connect(socket).map_or_else(|error| !nobody.contains(&error.kind()), |_| true)
}

/// Whether the proxy there serves this file.
fn serves(socket: &Path, origin: &Origin) -> bool {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let nothing = Bytes::new();
    let asking = client::call(socket, "GET", "/config", nothing, client::ANSWER_WITHIN);
    let asked = runtime.ok().and_then(|it| it.block_on(asking).ok());
    let reply = asked.map(|reply| reply.json()).unwrap_or_default();
    let from = reply.get("from").and_then(Value::as_str);
    from.is_some_and(|from| origin.is_served_by(from))
}
