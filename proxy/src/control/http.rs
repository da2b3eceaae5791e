//! HTTP as the control plane serves it: few calls, small answers, hyper.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_local;
use tokio::time::timeout;

/// A caller that sends no request within this is cut off.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// The longest life of a connection; a call that waits for a reload fits well.
const CONNECTION_FOR: Duration = Duration::from_mins(2);

/// What is answered.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    content_type: &'static str,
    body: Bytes,
}

impl Answer {
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_default();
        Self {
            status,
            content_type: "application/json",
            body: body.into(),
        }
    }

    pub fn error(status: u16, message: &str) -> Self {
        Self::json(status, &json!({ "error": message }))
    }

    pub fn text(status: u16, text: &'static str) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            body: Bytes::from_static(text.as_bytes()),
        }
    }

    pub fn metrics(page: String) -> Self {
        Self {
            status: 200,
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body: page.into(),
        }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        response
    }
}

/// Bounds the connections of one server.
#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<Semaphore>);

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    /// `None` never comes: the semaphore is not closed.
    pub(super) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}

/// Serves a connection in a task of the control thread.
pub(super) fn spawn<Stream, Answers>(
    stream: Stream,
    service: Answers,
    slot: Option<OwnedSemaphorePermit>,
) where
    Stream: AsyncRead + AsyncWrite + Unpin + 'static,
    Answers:
        Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible> + 'static,
    Answers::Future: Future + 'static,
{
    spawn_local(async move {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .serve_connection(TokioIo::new(stream), service);
        // The caller sees how its call ended; nobody else has to.
        let _ = timeout(CONNECTION_FOR, connection).await;
        drop(slot);
    });
}
