//! Follows the `EndpointSlices` of a service: a list, then a watch from its version on; a version that is too old, and every mistake,
//! begins with a list anew.

use std::env;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use openclaw_core::config::Kubernetes;
use openclaw_core::discovery::kubernetes::{Event, Slices};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::time::timeout;

use super::error::DiscoverError;
use super::follower::Follower;
use super::http::{self, MAX_ANSWER};
use crate::files;

/// How long a watch goes on before the server ends it.
const WATCH: Duration = Duration::from_mins(5);
/// A server that ends watches at once is asked no more often.
const LEAST: Duration = Duration::from_secs(1);
/// Where the cluster puts what its pods need.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How a watch ended.
enum Ended {
    /// It goes on from the last version.
    InTime,
    Expired,
}

pub(super) async fn follow(follower: Rc<Follower>, kubernetes: Kubernetes) {
    loop {
        let begun = Instant::now();
        let rest = match keep_up(&follower, &kubernetes).await {
            Ok(()) => LEAST.saturating_sub(begun.elapsed()),
            Err(error) => match follower.learn(Err(error)) {
                Ok(()) => Duration::ZERO,
                Err(back_off) => back_off,
            },
        };
        follower.rest(rest).await;
    }
}

/// Lists, and watches until the version expires.
async fn keep_up(follower: &Follower, kubernetes: &Kubernetes) -> Result<(), DiscoverError> {
    let api = Api::of(kubernetes)?;
    let response = api.ask("", Duration::ZERO).await?;
    let text = http::text(&api.base, response).await?;
    let mut slices = Slices::list(&text)?;
    let port = kubernetes.port.as_deref();
    let learn = |slices: &Slices| {
        let endpoints = slices.endpoints(port)?;
        // What cannot be taken of it is told; nothing but the next event would make it right.
        let _ = follower.learn(Ok(endpoints.into()));
        Ok::<(), DiscoverError>(())
    };
    learn(&slices)?;
    loop {
        let begun = Instant::now();
        // The token, the authorities and the address may be others by now.
        let api = Api::of(kubernetes)?;
        match watch(&api, &mut slices, learn).await? {
            Ended::Expired => return Ok(()),
            Ended::InTime => follower.rest(LEAST.saturating_sub(begun.elapsed())).await,
        }
    }
}

async fn watch(
    api: &Api,
    slices: &mut Slices,
    learn: impl Fn(&Slices) -> Result<(), DiscoverError>,
) -> Result<Ended, DiscoverError> {
    let query = format!(
        "&watch=1&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}",
        slices.version(),
        WATCH.as_secs()
    );
    let response = api.ask(&query, WATCH).await?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::GONE => return Ok(Ended::Expired),
        // It says why by its status.
        _ => {
            return http::text(&api.base, response)
                .await
                .map(|_| Ended::Expired);
        }
    }
    let mut lines = Lines::new(response.into_body());
    loop {
        let line = match lines.next().await {
            Ok(Some(line)) => line,
            // Watches break off where servers or what is in between restart; the next question shows whether they live.
            Ok(None) | Err(DiscoverError::Body { .. }) => return Ok(Ended::InTime),
            Err(error) => return Err(error),
        };
        match slices.apply(&line)? {
            Event::Taken => learn(slices)?,
            Event::Expired => return Ok(Ended::Expired),
        }
    }
}

/// Where the slices are asked for, and as whom.
struct Api {
    base: String,
    headers: HeaderMap,
    roots: Option<RootCertStore>,
}

impl Api {
    fn of(kubernetes: &Kubernetes) -> Result<Self, DiscoverError> {
        let Kubernetes {
            service,
            namespace,
            api,
            token_file,
            ca,
            ..
        } = kubernetes;
        let given = |name: &str| {
            let path = Path::new(ACCOUNT).join(name);
            // The account of this cluster is nobody's business elsewhere.
            (api.is_none() && path.exists()).then_some(path)
        };
        let token_file = token_file.clone().or_else(|| given("token"));
        let ca = ca.clone().or_else(|| given("ca.crt"));
        let server = api.clone().or_else(cluster);
        let server = server.ok_or(DiscoverError::NoCluster)?;
        let mut headers =
            HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        if let Some(path) = token_file {
            headers.insert(AUTHORIZATION, authorization(path)?);
        }
        Ok(Self {
            base: format!(
                "{server}/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices\
                 ?labelSelector=kubernetes.io%2Fservice-name%3D{service}"
            ),
            headers,
            roots: ca.map(authorities).transpose()?,
        })
    }

    async fn ask(
        &self,
        query: &str,
        wait: Duration,
    ) -> Result<hyper::Response<Incoming>, DiscoverError> {
        let url = format!("{}{query}", self.base);
        http::ask(&url, self.headers.clone(), self.roots.clone(), wait).await
    }
}

/// The API server as pods are told.
fn cluster() -> Option<String> {
    let host = env::var("KUBERNETES_SERVICE_HOST").ok()?;
    let port = env::var("KUBERNETES_SERVICE_PORT").ok();
    let port = port.as_deref().unwrap_or("443");
    Some(if host.contains(':') {
        format!("https://[{host}]:{port}")
    } else {
        format!("https://{host}:{port}")
    })
}

fn authorization(path: PathBuf) -> Result<HeaderValue, DiscoverError> {
    match files::read_text(&path, files::KEPT) {
        Ok(token) => {
            let value = HeaderValue::from_str(&format!("Bearer {}", token.trim())).ok();
            let mut value = value.ok_or(DiscoverError::Token { path })?;
            value.set_sensitive(true);
            Ok(value)
        }
        Err(source) => Err(DiscoverError::Read { path, source }),
    }
}

fn authorities(path: PathBuf) -> Result<RootCertStore, DiscoverError> {
    let mut roots = RootCertStore::empty();
    if let Ok(certificates) = CertificateDer::pem_file_iter(&path) {
        // What is no certificate among them is left out; that none is left is told.
        roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    }
    if roots.is_empty() {
        return Err(DiscoverError::Authorities { path });
    }
    Ok(roots)
}

/// An answer line by line as it comes.
struct Lines {
    body: Incoming,
    /// What has come and is no whole line yet.
    buffer: Vec<u8>,
    /// So much of it holds no end of a line.
    looked: usize,
    until: Instant,
}

impl Lines {
    fn new(body: Incoming) -> Self {
        Self {
            body,
            buffer: Vec::new(),
            looked: 0,
            // The server ends it before, if it lives.
            until: Instant::now() + WATCH + LEAST * 10,
        }
    }

    /// None: the server has ended it.
    async fn next(&mut self) -> Result<Option<String>, DiscoverError> {
        loop {
            let rest = self.buffer.get(self.looked..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', rest) {
                let tail = self.buffer.split_off(self.looked + end + 1);
                let line = std::mem::replace(&mut self.buffer, tail);
                self.looked = 0;
                // What is not text is not understood, and said so where it is read.
                return Ok(Some(String::from_utf8_lossy(&line).trim().to_owned()));
            }
            self.looked = self.buffer.len();
            if self.looked > MAX_ANSWER {
                return Err(DiscoverError::Line);
            }
            match self.more().await? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }

    async fn more(&mut self) -> Result<Option<Bytes>, DiscoverError> {
        let left = self.until.saturating_duration_since(Instant::now());
        let frame = timeout(left, self.body.frame()).await;
        match frame {
            // Trailers say nothing here.
            Ok(Some(Ok(frame))) => Ok(Some(frame.into_data().unwrap_or_default())),
            Ok(Some(Err(source))) => Err(DiscoverError::Body { source }),
            Ok(None) => Ok(None),
            Err(_) => Err(DiscoverError::Slow(WATCH)),
        }
    }
}
