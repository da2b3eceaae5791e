//! One question over HTTP/1.1, in the clear or over TLS with the system's roots. Everything is bounded: the time, the size, the
//! redirects. An answer that is cut short is an error.

use std::error::Error;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ETAG, HOST, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, LOCATION, USER_AGENT,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::{spawn_blocking, spawn_local};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::shield::{Fetched, MAX_FEED, Validators};

/// From the lookup of the name to the last byte, unless it is configured.
const WITHIN: Duration = Duration::from_mins(1);
/// How much longer a connection may last than its answer.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// What a gzip begins with (RFC 1952 §2.3.1); no list does.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const MAX_REDIRECTS: usize = 5;

/// Why there is nothing new.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("`{0}` is no address of a list")]
    Url(String),
    #[error("the key cannot stand in a header")]
    Key,
    #[error("cannot connect to {host}")]
    Connect {
        host: String,
        source: std::io::Error,
    },
    #[error("no certificates of authorities are installed on this system")]
    Roots,
    #[error("TLS with {host} is not possible")]
    Tls { host: String, source: rustls::Error },
    #[error("the exchange with {host} failed")]
    Http { host: String, source: hyper::Error },
    #[error("{host} answered {status}")]
    Status { host: String, status: StatusCode },
    #[error("more than {MAX_REDIRECTS} redirects")]
    Redirects,
    #[error("{host} redirects to {to}, which is no place for a list")]
    Redirect { host: String, to: String },
    #[error("the answer is larger than {} MiB", .0 >> 20)]
    TooLarge(usize),
    #[error("the answer was cut short")]
    Body {
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("the answer is a damaged gzip")]
    Gzip { source: std::io::Error },
    #[error("no whole answer within {} s", .0.as_secs())]
    Slow(Duration),
}

/// How somebody is asked.
#[derive(Debug)]
pub(super) struct Reach {
    /// Who may have signed the certificate; none: whom the system trusts.
    pub(super) roots: Option<RootCertStore>,
    /// How long the connection may be open.
    pub(super) life: Duration,
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            roots: None,
            life: WITHIN,
        }
    }
}

/// Fetches a list, unless it is the one that is known; `within` is from the lookup of the name to the last byte.
pub(super) async fn fetch(
    url: &str,
    known: &Validators,
    within: Duration,
) -> Result<Fetched, FetchError> {
    timeout(within, follow(url, known, within))
        .await
        .unwrap_or(Err(FetchError::Slow(within)))
}

/// Asks the local API of a `CrowdSec` for its decisions. A redirect is an error: the key is for nobody else.
pub(super) async fn fetch_decisions(
    base: &str,
    api_key: &str,
    startup: bool,
) -> Result<Fetched, FetchError> {
    let ask = async {
        let base = base.trim_end_matches('/');
        let url = format!("{base}/v1/decisions/stream?startup={startup}");
        let bad = || FetchError::Url(base.to_owned());
        let uri: Uri = url.parse().ok().ok_or_else(bad)?;
        let host = uri.host().ok_or_else(bad)?.to_owned();
        let mut key = HeaderValue::from_str(api_key).ok().ok_or(FetchError::Key)?;
        key.set_sensitive(true);
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-api-key"), key)]);
        let response = get(&uri, &host, headers, Reach::default()).await?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(FetchError::Status { host, status });
        }
        let text = read(response.into_body(), MAX_FEED).await?;
        Ok(Fetched::Decisions { text, startup })
    };
    timeout(WITHIN, ask)
        .await
        .unwrap_or(Err(FetchError::Slow(WITHIN)))
}

async fn follow(url: &str, known: &Validators, within: Duration) -> Result<Fetched, FetchError> {
    let bad = |text: &str| FetchError::Url(text.to_owned());
    let mut uri: Uri = url.parse().ok().ok_or_else(|| bad(url))?;
    for _ in 0..=MAX_REDIRECTS {
        let host = uri.host().ok_or_else(|| bad(url))?.to_owned();
        let reach = Reach {
            roots: None,
            // Whoever reads the answer is to see the time run out, not the connection end.
            life: within.saturating_add(AFTERWARDS),
        };
        let response = get(&uri, &host, wishes(known), reach).await?;
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED {
            return Ok(Fetched::Unchanged);
        }
        if status == StatusCode::OK {
            let validators = Validators {
                etag: header(response.headers(), &ETAG),
                last_modified: header(response.headers(), &LAST_MODIFIED),
            };
            let text = read(response.into_body(), MAX_FEED).await?;
            return Ok(Fetched::Body { text, validators });
        }
        if !status.is_redirection() {
            return Err(FetchError::Status { host, status });
        }
        let to = header(response.headers(), &LOCATION).unwrap_or_default();
        uri = redirect(&uri, &to).ok_or(FetchError::Redirect { host, to })?;
    }
    Err(FetchError::Redirects)
}

/// Asks for what is new only, and for less than half of its bytes.
fn wishes(known: &Validators) -> HeaderMap {
    let fields = [
        (IF_NONE_MATCH, &known.etag),
        (IF_MODIFIED_SINCE, &known.last_modified),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| {
        let value = HeaderValue::from_str(value.as_deref()?).ok()?;
        Some((name, value))
    });
    let gzip = (ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    fields.chain([gzip]).collect()
}

/// Where a redirect leads: never from TLS into the clear.
fn redirect(from: &Uri, to: &str) -> Option<Uri> {
    let scheme = from.scheme_str()?;
    let authority = from.authority()?;
    let text = if to.starts_with("//") {
        format!("{scheme}:{to}")
    } else if to.starts_with('/') {
        format!("{scheme}://{authority}{to}")
    } else {
        to.to_owned()
    };
    let uri: Uri = text.parse().ok()?;
    let is_safe = match uri.scheme_str()? {
        "https" => true,
        "http" => scheme == "http",
        _ => false,
    };
    let is_plain = uri
        .authority()
        .is_some_and(|authority| !authority.as_str().contains('@'));
    (is_safe && is_plain).then_some(uri)
}

/// Asks one question; whatever the answer says is for the caller, who bounds the time until its head is there.
pub(super) async fn open(
    url: &str,
    headers: HeaderMap,
    reach: Reach,
) -> Result<Response<Incoming>, FetchError> {
    let bad = || FetchError::Url(url.to_owned());
    let uri: Uri = url.parse().ok().ok_or_else(bad)?;
    let host = uri.host().ok_or_else(bad)?.to_owned();
    get(&uri, &host, headers, reach).await
}

/// The same with a body, as POST.
pub(super) async fn post(
    url: &str,
    headers: HeaderMap,
    body: Bytes,
    reach: Reach,
) -> Result<Response<Incoming>, FetchError> {
    let bad = || FetchError::Url(url.to_owned());
    let uri: Uri = url.parse().ok().ok_or_else(bad)?;
    let host = uri.host().ok_or_else(bad)?.to_owned();
    send(&uri, &host, (headers, Some(body)), reach).await
}

async fn get(
    uri: &Uri,
    host: &str,
    headers: HeaderMap,
    reach: Reach,
) -> Result<Response<Incoming>, FetchError> {
    send(uri, host, (headers, None), reach).await
}

async fn send(
    uri: &Uri,
    host: &str,
    message: (HeaderMap, Option<Bytes>),
    reach: Reach,
) -> Result<Response<Incoming>, FetchError> {
    let is_tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    // An IPv6 address stands in brackets in a URL only.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let unreachable = |source| FetchError::Connect {
        host: host.to_owned(),
        source,
    };
    let stream = TcpStream::connect((name, port))
        .await
        .map_err(unreachable)?;
    if !is_tls {
        return ask(stream, uri, host, message, reach.life).await;
    }
    // Its error says no more than that the name is none, which the error of the URL does with the URL.
    let server = ServerName::try_from(name.to_owned()).ok();
    let server = server.ok_or_else(|| FetchError::Url(uri.to_string()))?;
    let connector = TlsConnector::from(trust(host, reach.roots)?);
    let stream = connector
        .connect(server, stream)
        .await
        .map_err(unreachable)?;
    ask(stream, uri, host, message, reach.life).await
}

/// Without roots of its own: the system's, read anew each time, since an hour is long enough for them to change.
fn trust(host: &str, roots: Option<RootCertStore>) -> Result<Arc<ClientConfig>, FetchError> {
    let roots = roots.unwrap_or_else(|| {
        let mut roots = RootCertStore::empty();
        // Those that cannot be read or parsed are left out.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    });
    if roots.is_empty() {
        return Err(FetchError::Roots);
    }
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(|source| FetchError::Tls {
            host: host.to_owned(),
            source,
        })?;
    Ok(Arc::new(
        config.with_root_certificates(roots).with_no_client_auth(),
    ))
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    uri: &Uri,
    host: &str,
    (headers, body): (HeaderMap, Option<Bytes>),
    life: Duration,
) -> Result<Response<Incoming>, FetchError> {
    let failed = |source| FetchError::Http {
        host: host.to_owned(),
        source,
    };
    let shake = http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = shake.await.map_err(failed)?;
    spawn_local(async move {
        // How it ended, in time or not, is seen by the one who reads the answer: its body breaks off.
        let _ = timeout(life, connection).await;
    });
    let bad = || FetchError::Url(uri.to_string());
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let authority = uri.authority().ok_or_else(bad)?.as_str();
    let method = body.as_ref().map_or(Method::GET, |_| Method::POST);
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, authority)
        .header(USER_AGENT, concat!("openclaw/", env!("CARGO_PKG_VERSION")));
    if !headers.contains_key(ACCEPT) {
        request = request.header(ACCEPT, "*/*");
    }
    for (name, value) in &headers {
        request = request.header(name, value);
    }
    let body = Full::new(body.unwrap_or_default());
    let request = request.body(body).ok().ok_or_else(bad)?;
    sender.send_request(request).await.map_err(failed)
}

/// The whole of an answer, as text.
pub(super) async fn read(body: Incoming, most: usize) -> Result<String, FetchError> {
    let mut bytes = Vec::from(read_bytes(body, most).await?);
    if bytes.starts_with(&GZIP) {
        // Half a second of work, at most.
        let unpacking = spawn_blocking(move || unpacked(&bytes, most)).await;
        bytes = unpacking.map_err(|source| FetchError::Gzip {
            source: source.into(),
        })??;
    }
    // A comment in another encoding is no reason to refuse a list.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The whole of an answer, as it came.
pub(super) async fn read_bytes(body: Incoming, most: usize) -> Result<Bytes, FetchError> {
    // What is said beforehand need not be waited for.
    if body.size_hint().lower() > most as u64 {
        return Err(FetchError::TooLarge(most));
    }
    let whole = Limited::new(body, most).collect().await;
    let bytes = whole.map_err(|source| {
        if source.is::<LengthLimitError>() {
            FetchError::TooLarge(most)
        } else {
            FetchError::Body { source }
        }
    })?;
    Ok(bytes.to_bytes())
}

/// What a gzip holds, whether the answer was coded on its way or is the file itself; its end and its checksum are looked at.
fn unpacked(gzip: &[u8], most: usize) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    let mut whole = MultiGzDecoder::new(gzip).take(most as u64 + 1);
    let read = whole.read_to_end(&mut bytes);
    read.map_err(|source| FetchError::Gzip { source })?;
    if bytes.len() > most {
        return Err(FetchError::TooLarge(most));
    }
    Ok(bytes)
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_redirect_never_leaves_tls() {
        for (from, to, expected) in [
            ("http://a/x", "/y?z", Some("http://a/y?z")),
            ("https://a:1/x", "//b/y", Some("https://b/y")),
            ("http://a/", "https://b/", Some("https://b/")),
            ("https://a/", "https://b/", Some("https://b/")),
            ("https://a/", "http://b/", None),
            ("https://a/", "http://a/", None),
            ("http://a/", "file:///etc/passwd", None),
            ("http://a/", "http://u:p@b/", None),
            ("http://a/", "", None),
            ("http://a/", "y", None),
        ] {
            let found = redirect(&from.parse().unwrap(), to);
            let found = found.map(|uri| uri.to_string());
            assert_eq!(found.as_deref(), expected, "{from} -> {to}");
        }
    }
}
