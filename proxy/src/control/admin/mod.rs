//! The admin API: JSON over HTTP on a unix socket. Who may open the socket may do everything; its mode is the guard.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinError, spawn_local};
use tokio::time::timeout;

use super::audit::{self, Came};
use super::error::ControlError;
use super::gone::Gone;
use super::http::{self, Answer};
use super::process;
use super::slots::Slot;
use super::state::Control;

pub mod client;
pub(super) use self::status::{protocols, rfc3339, unix_time};

mod openapi;
mod schema;
mod status;
pub mod table;

use self::table::{Call, Route};

/// The largest request body, but for calls that have one of their own.
pub(super) const SMALL: usize = 64 << 10;
/// A caller that is silent for longer in the middle of its body is cut off.
const SILENCE: Duration = Duration::from_secs(10);

/// Callers that may wait; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// The socket, and the file that goes with it.
#[derive(Debug)]
pub(super) struct AdminSocket {
    pub(super) listener: UnixListener,
    pub(super) path: PathBuf,
    /// Another process has it.
    is_left: Cell<bool>,
}

impl AdminSocket {
    /// That of the process before this one, whose file it is until this one has it ([`Self::take`]).
    pub(super) fn inherited(socket: OwnedFd, path: &Path) -> io::Result<Self> {
        let socket = std::os::unix::net::UnixListener::from(socket);
        socket.set_nonblocking(true)?;
        let socket = Self::new(UnixListener::from_std(socket)?, path);
        socket.leave();
        Ok(socket)
    }

    /// The service manager's, which has made its file and removes it.
    pub(super) fn given(socket: OwnedFd, path: &Path) -> io::Result<Self> {
        Self::inherited(socket, path)
    }

    /// Its file goes with this process from now on.
    pub(super) fn take(&self) {
        self.is_left.set(false);
        // Who connects is told of the process that has listened last. What fails costs a message its number.
        let _ = rustix::net::listen(&self.listener, BACKLOG);
    }

    fn new(listener: UnixListener, path: &Path) -> Self {
        Self {
            listener,
            path: path.to_owned(),
            is_left: Cell::new(false),
        }
    }

    /// It is another process's from now on, with its file.
    pub(super) fn leave(&self) {
        self.is_left.set(true);
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if self.is_left.get() {
            return;
        }
        // A successor may have replaced it; then it is gone already or not ours, and nobody is worse off.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Opens the socket, in place of one whose process is dead.
///
/// # Errors
/// Another process answers there, or the path cannot be used.
pub(super) async fn open(path: &Path) -> Result<AdminSocket, ControlError> {
    let failed = |source| ControlError::AdminSocket {
        path: path.to_owned(),
        source,
    };
    process::make_socket_folder(path).map_err(failed)?;
    match UnixStream::connect(path).await {
        Ok(stream) => {
            return Err(ControlError::AlreadyRunning {
                path: path.to_owned(),
                pid: stream.peer_cred().ok().and_then(|peer| peer.pid()),
            });
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    let socket = AdminSocket::new(listener, path);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(failed)?;
    Ok(socket)
}

/// Answers calls for as long as they are this process's.
pub(super) async fn serve(control: Rc<Control>, listener: &UnixListener) {
    let next = async || Ok(listener.accept().await?.0);
    let serve = |stream: UnixStream, slot| {
        let control = Rc::clone(&control);
        // A kernel that does not say leaves the name out of the log, and nothing else.
        let peer = stream.peer_cred().ok();
        let peer = peer.map_or((None, None), |peer| (Some(peer.uid()), peer.pid()));
        http::spawn(stream, slot, move |request, slot| {
            answer(Rc::clone(&control), request, slot, peer)
        });
    };
    http::accept_all("the admin socket", &control, &control.calls, next, serve).await;
    // Whoever waits for the end of this waits for the end of all calls.
    std::future::pending::<()>().await;
}

async fn answer(
    control: Rc<Control>,
    request: Request<Incoming>,
    slot: Rc<Slot>,
    (uid, pid): (Option<u32>, Option<i32>),
) -> Answer {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let Some(route) = table::find(head.method.as_str(), &path) else {
        return Answer::error(404, &format!("there is no {} {path}", head.method));
    };
    let body = match read(body, route.max_body).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    slot.working();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let call = Call {
        path,
        query,
        body,
        uid,
        pid,
        peer: None,
    };
    run(control, route, call).await
}

/// Carries a call out, and tells of it if it changes something.
pub(super) async fn run(control: Rc<Control>, route: &Route, call: Call) -> Answer {
    let parameters = call.parameters();
    let is_change = route.method != Method::GET.as_str();
    let action = audit::action(route.path, &parameters).filter(|_| is_change);
    let caller = call.caller();
    if let Some(gone @ Gone::Succeeded { .. }) = control.gone() {
        return gone.answer();
    }
    let running = (route.run)(Rc::clone(&control), call);
    let answer = if is_change {
        // Carried out whole or not at all: the caller may give up.
        let panicked = |error: JoinError| Answer::error(500, &format!("the call failed: {error}"));
        spawn_local(running).await.unwrap_or_else(panicked)
    } else {
        running.await
    };
    if let Some(action) = action {
        control.audit(&action, caller, Came::by(answer.status()), &parameters);
    }
    answer
}

/// A body up to its limit, as long as it comes.
pub(super) async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, Answer> {
    let mut bytes = Vec::new();
    loop {
        match timeout(SILENCE, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                let data = frame.into_data().unwrap_or_default();
                if bytes.len() + data.len() > limit {
                    let message = format!("the body is larger than {limit} bytes");
                    return Err(Answer::error(413, &message));
                }
                bytes.extend_from_slice(&data);
            }
            Ok(Some(Err(error))) => {
                let message = format!("the body cannot be read: {error}");
                return Err(Answer::error(400, &message));
            }
            Ok(None) => return Ok(bytes.into()),
            Err(_) => return Err(Answer::error(408, "the body does not come")),
        }
    }
}
