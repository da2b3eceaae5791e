//! The question in the words of gRPC: `grpc.health.v1.Health/Check`.

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use hyper::{Request, Response, Uri};
use openclaw_core::config::GrpcQuestion;
use openclaw_core::health::grpc;

use super::{AGENT, MAX_BODY, Probe, ProbeError};

/// `application/grpc`, alone or with a codec behind it.
const TYPE: &[u8] = b"application/grpc";

impl Probe {
    pub(super) fn call(&self, question: &GrpcQuestion) -> Result<Request<Full<Bytes>>, ProbeError> {
        let wrong = |source| ProbeError::Question { source };
        let host = question.host.as_deref().unwrap_or(&self.endpoint.label);
        let uri = Uri::builder().scheme(self.scheme()).authority(host);
        Request::post(uri.path_and_query(grpc::PATH).build().map_err(wrong)?)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
            .header(TE, HeaderValue::from_static("trailers"))
            .header(USER_AGENT, AGENT)
            .body(Full::from(grpc::question(&question.service)))
            .map_err(wrong)
    }
}

/// Takes the message and the status behind it; a call that failed has its status in the head, or in trailers.
pub(super) async fn judge(response: Response<Incoming>) -> Result<(), ProbeError> {
    let (head, body) = response.into_parts();
    let status = head.status.as_u16();
    let is_grpc = head.headers.get(CONTENT_TYPE);
    if status != 200 || !is_grpc.is_some_and(|kind| kind.as_bytes().starts_with(TYPE)) {
        return Err(ProbeError::NoGrpc(status));
    }
    check(&head.headers)?;
    let body = Limited::new(body, MAX_BODY).collect().await;
    let body = body.map_err(|source| ProbeError::Body { source })?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    check(&trailers)?;
    if !trailers.contains_key(STATUS) {
        return Err(ProbeError::NoGrpc(status));
    }
    grpc::verdict(&body.to_bytes()).map_err(|source| ProbeError::Unwell { source })
}

const STATUS: &str = "grpc-status";

/// What the call came to, as far as these fields say it.
fn check(fields: &HeaderMap) -> Result<(), ProbeError> {
    match fields.get(STATUS).map(HeaderValue::as_bytes) {
        None | Some(b"0") => Ok(()),
        Some(code) => Err(ProbeError::Call {
            code: String::from_utf8_lossy(code).into_owned(),
        }),
    }
}
