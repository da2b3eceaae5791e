//! The other end of the admin socket: one call, one answer.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// The largest answer: an export of large lists.
const MAX_ANSWER: usize = 1 << 30;
/// A call that takes longer is given up; a reload that resolves names may take its time.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(90);

/// A proxy that answers nothing at all for so long is not busy but stopped or hung.
const ALIVE_WITHIN: Duration = Duration::from_secs(5);

/// The process that was called has left the socket to another one, and has done nothing (RFC 9110 §15.5.20).
const MISDIRECTED: u16 = 421;
/// How many processes may take over while one call is made.
const CHANGES: usize = 10;

/// Why a running proxy gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("no openclaw is running (nothing answers at {})", path.display())]
    NotRunning { path: PathBuf },
    #[error("cannot open the admin socket {}", path.display())]
    Connect { path: PathBuf, source: io::Error },
    #[error("the call was cut off")]
    Exchange { source: hyper::Error },
    #[error("the call cannot be made")]
    Request { source: hyper::http::Error },
    #[error("the answer is too large or was cut off")]
    Body {
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("no answer came within {} seconds", limit.as_secs())]
    Late { limit: Duration },
    #[error(
        "the proxy at {} runs, but has not answered anything for {} seconds: it is stopped, or hangs",
        path.display(),
        ALIVE_WITHIN.as_secs()
    )]
    Hung { path: PathBuf },
    #[error("one process after the other takes over, and none answers")]
    Changing,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Bytes,
}

impl Reply {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Null when the body is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The `error` of a refusal.
    pub fn error(&self) -> String {
        let text = self.json();
        let text = text.get("error").and_then(Value::as_str);
        text.map_or_else(|| format!("status {}", self.status), ToOwned::to_owned)
    }
}

/// How following came to its end.
#[derive(Debug)]
pub enum Followed {
    Refused(Reply),
    /// Whoever took the lines has had enough.
    Enough,
    /// The proxy ended.
    Ended,
}

/// Asks the process behind the socket.
///
/// # Errors
/// Nobody is there, or the call fails half-way; a refusal is a reply.
pub async fn call(
    socket: &Path,
    method: &str,
    target: &str,
    body: Bytes,
    limit: Duration,
) -> Result<Reply, CallError> {
    if limit > ALIVE_WITHIN {
        is_alive(socket).await?;
    }
    for _ in 0..CHANGES {
        let stream = connect(socket).await?;
        let reply = timeout(limit, exchange(stream, method, target, body.clone()))
            .await
            .unwrap_or(Err(CallError::Late { limit }))?;
        if reply.status != MISDIRECTED {
            return Ok(reply);
        }
    }
    Err(CallError::Changing)
}

/// What is asked may take its time, so something else is asked before it: every answer to that is a sign of life.
async fn is_alive(socket: &Path) -> Result<(), CallError> {
    let stream = connect(socket).await?;
    let asked = timeout(
        ALIVE_WITHIN,
        exchange(stream, "GET", "/alive", Bytes::new()),
    )
    .await;
    match asked {
        Ok(answer) => answer.map(drop),
        Err(_) => Err(CallError::Hung {
            path: socket.to_owned(),
        }),
    }
}

async fn connect(socket: &Path) -> Result<UnixStream, CallError> {
    let path = || socket.to_owned();
    UnixStream::connect(socket).await.map_err(|source| {
        let absent = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
        if absent.contains(&source.kind()) {
            CallError::NotRunning { path: path() }
        } else {
            CallError::Connect {
                path: path(),
                source,
            }
        }
    })
}

async fn exchange(
    stream: UnixStream,
    method: &str,
    target: &str,
    body: Bytes,
) -> Result<Reply, CallError> {
    let response = send(stream, method, target, body).await?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(|source| CallError::Body { source })?
        .to_bytes();
    Ok(Reply { status, body })
}

async fn send(
    stream: UnixStream,
    method: &str,
    target: &str,
    body: Bytes,
) -> Result<Response<Incoming>, CallError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|source| CallError::Exchange { source })?;
    // It ends with the sender.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, "openclaw")
        .body(Full::new(body))
        .map_err(|source| CallError::Request { source })?;
    sender
        .send_request(request)
        .await
        .map_err(|source| CallError::Exchange { source })
}

async fn begin(socket: &Path, target: &str) -> Result<Response<Incoming>, CallError> {
    for _ in 0..CHANGES {
        let stream = connect(socket).await?;
        let response = send(stream, "GET", target, Bytes::new()).await?;
        if response.status().as_u16() != MISDIRECTED {
            return Ok(response);
        }
    }
    Err(CallError::Changing)
}

/// Follows an answer that comes line by line, until it ends or `take` has had enough.
///
/// # Errors
/// Nobody is there, or the call fails half-way.
pub async fn follow(
    socket: &Path,
    target: &str,
    mut take: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<Followed, CallError> {
    is_alive(socket).await?;
    let response = begin(socket, target).await?;
    let status = response.status().as_u16();
    let mut body = response.into_body();
    if status != 200 {
        let body = body
            .collect()
            .await
            .map_err(|source| CallError::Exchange { source })?;
        let body = body.to_bytes();
        return Ok(Followed::Refused(Reply { status, body }));
    }
    let mut rest = Vec::new();
    // A proxy that is killed does not end its answer, and has ended all the same.
    while let Some(Ok(frame)) = body.frame().await {
        rest.extend_from_slice(&frame.into_data().unwrap_or_default());
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            if take(&line).is_break() {
                return Ok(Followed::Enough);
            }
        }
    }
    Ok(Followed::Ended)
}
