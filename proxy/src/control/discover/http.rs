//! Questions to registries over HTTP, each within its time and its size.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Response, StatusCode};
use rustls::RootCertStore;
use tokio::time::timeout;

use super::error::DiscoverError;
use crate::control::fetch::{Reach, open, read};

/// The longest answer that is taken, and the longest line of one that does not end.
pub(super) const MAX_ANSWER: usize = 16 << 20;
/// The head of an answer that is there already.
const AT_ONCE: Duration = Duration::from_secs(10);
/// The body of an answer, once its head is there.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Asks, and waits at most so much longer for the head as the registry was told to wait.
pub(super) async fn ask(
    url: &str,
    headers: HeaderMap,
    roots: Option<RootCertStore>,
    wait: Duration,
) -> Result<Response<Incoming>, DiscoverError> {
    let within = wait + AT_ONCE;
    let reach = Reach {
        roots,
        life: within + BODY_WITHIN,
    };
    let asked = timeout(within, open(url, headers, reach)).await;
    asked.map_or(Err(DiscoverError::Slow(within)), |asked| Ok(asked?))
}

/// The text of an answer that has to be 200.
pub(super) async fn text(url: &str, response: Response<Incoming>) -> Result<String, DiscoverError> {
    let status = response.status();
    if status != StatusCode::OK {
        let host = url.parse::<hyper::Uri>().ok();
        let host = host.as_ref().and_then(|url| url.host());
        let host = host.unwrap_or_default().to_owned();
        return Err(DiscoverError::Status { host, status });
    }
    let body = timeout(BODY_WITHIN, read(response.into_body(), MAX_ANSWER)).await;
    body.map_or(Err(DiscoverError::Slow(BODY_WITHIN)), |body| Ok(body?))
}
