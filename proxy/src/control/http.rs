//! HTTP as the control plane serves it: few calls, small answers, hyper.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use super::slots::{Slot, Slots};
use super::state::Control;

/// A caller that sends no request within this is cut off.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// The longest life of a connection without a stream; a call that waits for a reload fits well.
const CONNECTION_FOR: Duration = Duration::from_mins(2);
/// How long a server rests that cannot accept.
const REST: Duration = Duration::from_millis(100);

/// What is answered.
#[derive(Debug)]
pub struct Answer {
    status: u16,
    content_type: &'static str,
    fields: Vec<Field>,
    body: Content,
}

/// A field of an answer beside its type; the name in lower case.
pub(super) type Field = (&'static str, &'static str);

/// What is sent: at once, or line by line until the caller goes.
pub(super) type Content = Either<Full<Bytes>, Lines>;

/// Lines as they come.
#[derive(Debug)]
pub(super) struct Lines(mpsc::Receiver<Arc<str>>);

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let line = self.0.poll_recv(context);
        line.map(|line| Some(Ok(Frame::data(Bytes::copy_from_slice(line?.as_bytes())))))
    }
}

impl Answer {
    /// Lines of JSON as they come, for as long as the caller listens.
    pub fn lines(lines: mpsc::Receiver<Arc<str>>) -> Self {
        Self {
            status: 200,
            content_type: "application/x-ndjson",
            fields: Vec::new(),
            body: Either::Right(Lines(lines)),
        }
    }

    pub fn json(status: u16, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_default();
        Self {
            status,
            content_type: "application/json",
            fields: Vec::new(),
            body: Either::Left(Full::new(body.into())),
        }
    }

    pub fn error(status: u16, message: &str) -> Self {
        Self::json(status, &json!({ "error": message }))
    }

    pub fn text(status: u16, text: &'static str) -> Self {
        Self::fixed(status, "text/plain; charset=utf-8", text)
    }

    /// Something that is part of the program.
    pub fn fixed(status: u16, content_type: &'static str, text: &'static str) -> Self {
        Self {
            status,
            content_type,
            fields: Vec::new(),
            body: Either::Left(Full::new(Bytes::from_static(text.as_bytes()))),
        }
    }

    /// The same with more fields.
    #[must_use]
    pub(super) fn with(mut self, fields: &[Field]) -> Self {
        self.fields.extend_from_slice(fields);
        self
    }

    pub fn metrics(page: String) -> Self {
        Self {
            status: 200,
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            fields: Vec::new(),
            body: Either::Left(Full::new(page.into())),
        }
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    fn is_endless(&self) -> bool {
        matches!(self.body, Either::Right(_))
    }

    fn into_response(self) -> Response<Content> {
        let mut response = Response::new(self.body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        for (name, value) in self.fields {
            let name = HeaderName::from_static(name);
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Gives each caller a place, until no more are this process's. `who` accepts.
pub(super) async fn accept_all<Stream>(
    who: &str,
    control: &Control,
    calls: &Slots,
    next: impl AsyncFn() -> io::Result<Stream>,
    serve: impl Fn(Stream, Slot),
) {
    loop {
        let next = tokio::select! {
            biased;
            () = control.is_left() => return,
            next = next() => next,
        };
        match next {
            // Whoever was accepted is answered by nobody else.
            Ok(stream) => serve(stream, calls.take().await),
            Err(error) => {
                tracing::warn!(%error, "{who} cannot accept");
                sleep(REST).await;
            }
        }
    }
}

/// Serves a connection in a task of the control thread. `respond` says to the slot when it has the whole request.
pub(super) fn spawn<Stream, Respond, Responding>(stream: Stream, slot: Slot, respond: Respond)
where
    Stream: AsyncRead + AsyncWrite + Unpin + 'static,
    Respond: Fn(Request<Incoming>, Rc<Slot>) -> Responding + 'static,
    Responding: Future<Output = Answer> + 'static,
{
    let slot = Rc::new(slot);
    let held = Rc::clone(&slot);
    let service = service_fn(move |request| {
        let slot = Rc::clone(&held);
        slot.asking();
        let answer = respond(request, Rc::clone(&slot));
        async move {
            let answer = answer.await;
            if answer.is_endless() {
                slot.following();
            } else {
                slot.answered();
            }
            Ok::<_, Infallible>(answer.into_response())
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    spawn_local(async move {
        let mut connection = pin!(connection);
        let served = async {
            // The caller sees how its call ended; nobody else has to.
            if timeout(CONNECTION_FOR, &mut connection).await.is_err() && slot.is_following() {
                // As above; an endless answer ends when its reader goes.
                let _ = connection.await;
            }
        };
        tokio::select! {
            () = slot.cut() => {}
            () = served => {}
        }
    });
}
