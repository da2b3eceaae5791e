//! Asks endpoints whether they are well, on the control plane: one task an endpoint.

mod crew;
mod grpc;

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{HOST, USER_AGENT};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use openclaw_core::config::{Health, HttpQuestion, Question, Upstream, UpstreamProtocol};
use openclaw_core::health::Streak;
use openclaw_core::health::grpc::Unwell;
use openclaw_core::proxy_protocol::{self, Version};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use self::crew::Crew;
use crate::net::Stream;
use crate::snapshot::{ClientTls, ResolvedEndpoint, Snapshot};
use crate::telemetry::chain;

/// So much of a body is looked at.
const MAX_BODY: usize = 64 << 10;

/// Why an endpoint is not well.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("no connection")]
    Connect { source: io::Error },
    #[error("no TLS")]
    Tls { source: io::Error },
    #[error("its host is no name that a certificate could bear")]
    Name,
    #[error("it does not agree to HTTP/2")]
    Protocol,
    #[error("no answer")]
    Http { source: hyper::Error },
    #[error("the question cannot be put")]
    Question { source: hyper::http::Error },
    #[error("it answered {0}")]
    Status(u16),
    #[error("its answer does not contain `{0}`")]
    Without(String),
    #[error("its answer breaks off, or is longer than 64 KiB")]
    Body {
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("it answered {0}, and not in the words of gRPC")]
    NoGrpc(u16),
    #[error("the call failed with grpc-status {code}{}", meaning(code))]
    Call { code: String },
    #[error("not well")]
    Unwell { source: Unwell },
    #[error("no whole answer within {0:?}")]
    Slow(Duration),
}

/// Those codes that a health service is known to answer with.
fn meaning(code: &str) -> &'static str {
    match code {
        "5" => " (it does not know that service)",
        "12" => " (it has no health service)",
        _ => "",
    }
}

/// Who asks.
const AGENT: &str = concat!("openclaw/", env!("CARGO_PKG_VERSION"));

/// Upstream, label and address.
type Key = (Arc<str>, Arc<str>, SocketAddr);

/// The probes of a snapshot. They end when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Probes {
    all: HashMap<Key, Repeated>,
    /// By upstream.
    crews: HashMap<Arc<str>, Rc<Crew>>,
}

/// What the last probes of an endpoint came to.
#[derive(Clone, Debug)]
pub(super) struct Note {
    /// Since when it is called well, or not.
    pub(super) since: SystemTime,
    /// What was wrong the last time.
    pub(super) error: Option<String>,
}

#[derive(Debug)]
struct Repeated {
    probe: Rc<Probe>,
    _task: JoinSet<()>,
}

impl Probes {
    /// Probes what the snapshot says. What is believed of endpoints that stay goes on, and so do their probes, with what they have
    /// counted, unless they are to ask something else: however often a configuration is loaded, the dead are found.
    pub(super) fn follow(&mut self, snapshot: &Snapshot) {
        let mut before = std::mem::take(&mut self.all);
        let mut crews = std::mem::take(&mut self.crews);
        let upstreams = snapshot.config.upstreams.iter().zip(&snapshot.upstreams);
        for ((upstream, setup), tls) in upstreams.zip(&snapshot.secured) {
            let crew = crews.remove(&upstream.name).unwrap_or_default();
            for endpoint in &setup.endpoints {
                let Some(health) = &upstream.health else {
                    // Nobody will say that it is well again.
                    endpoint.standing.set_well(true, Instant::now());
                    continue;
                };
                let label = Arc::clone(&endpoint.label);
                let key = (Arc::clone(&upstream.name), label, endpoint.address);
                let known = before.remove(&key);
                let whom = (endpoint, Rc::clone(&crew));
                let probe = Probe::new(upstream, health, whom, tls.as_ref());
                let repeated = match known {
                    Some(known) if known.probe.asks_as(&probe) => known,
                    Some(known) => Repeated::start(Probe {
                        note: Rc::clone(&known.probe.note),
                        ..probe
                    }),
                    None => Repeated::start(probe),
                };
                self.all.insert(key, repeated);
            }
            if upstream.health.is_some() {
                crew.set(&upstream.name, setup);
                self.crews.insert(Arc::clone(&upstream.name), crew);
            }
        }
    }

    /// What is known of an endpoint, if it is asked.
    pub(super) fn note(&self, upstream: &Arc<str>, endpoint: &ResolvedEndpoint) -> Option<Note> {
        let label = Arc::clone(&endpoint.label);
        let repeated = self
            .all
            .get(&(Arc::clone(upstream), label, endpoint.address));
        repeated.map(|repeated| repeated.probe.note.borrow().clone())
    }
}

impl Repeated {
    fn start(probe: Probe) -> Self {
        let probe = Rc::new(probe);
        let mut task = JoinSet::new();
        task.spawn_local(Rc::clone(&probe).repeat());
        Self { probe, _task: task }
    }
}

impl Default for Note {
    fn default() -> Self {
        Self {
            since: SystemTime::now(),
            error: None,
        }
    }
}

#[derive(Debug)]
struct Probe {
    upstream: String,
    protocol: UpstreamProtocol,
    tls: Option<ClientTls>,
    announces: Option<Version>,
    health: Health,
    endpoint: ResolvedEndpoint,
    crew: Rc<Crew>,
    note: Rc<RefCell<Note>>,
}

impl Probe {
    fn new(
        upstream: &Upstream,
        health: &Health,
        (endpoint, crew): (&ResolvedEndpoint, Rc<Crew>),
        tls: Option<&ClientTls>,
    ) -> Self {
        Self {
            upstream: upstream.name.to_string(),
            protocol: upstream.protocol,
            tls: tls.cloned(),
            announces: upstream.send_proxy_protocol,
            health: health.clone(),
            endpoint: endpoint.clone(),
            crew,
            note: Rc::default(),
        }
    }

    /// Whether the other, of the same endpoint, would ask the same in the same way, and tell the same one.
    fn asks_as(&self, other: &Self) -> bool {
        let what = |one: &Self| (one.protocol, one.announces);
        what(self) == what(other)
            && (&self.health, &self.tls) == (&other.health, &other.tls)
            && Arc::ptr_eq(&self.endpoint.standing, &other.endpoint.standing)
    }

    async fn repeat(self: Rc<Self>) {
        let Health {
            every, fall, rise, ..
        } = self.health;
        let standing = &self.endpoint.standing;
        let mut streak = Streak::new(standing.is_well());
        // Proxies that were started together, and the endpoints of one, ask at different times.
        sleep(every.mul_f64(fastrand::f64() * 0.1)).await;
        loop {
            let outcome = self.ask().await;
            self.note.borrow_mut().error = outcome.as_ref().err().map(|error| chain(error));
            if let Some(well) = streak.probed(outcome.is_ok(), fall, rise) {
                standing.set_well(well, Instant::now());
                self.note.borrow_mut().since = SystemTime::now();
                self.tell(&outcome);
                self.crew.look(&self.upstream);
            }
            sleep(every.mul_f64(0.9 + fastrand::f64() * 0.2)).await;
        }
    }

    fn tell(&self, outcome: &Result<(), ProbeError>) {
        let (upstream, endpoint) = (&*self.upstream, &*self.endpoint.label);
        match outcome {
            Ok(()) => tracing::info!(upstream, endpoint, "well again"),
            Err(error) => tracing::warn!(upstream, endpoint, "unwell: {}", chain(error)),
        }
    }

    async fn ask(&self) -> Result<(), ProbeError> {
        let within = self.health.timeout;
        timeout(within, async {
            let stream = self.connect().await?;
            match &self.health.question {
                Question::Tcp => Ok(()),
                Question::Http(question) => self.get(question, stream).await,
                Question::Grpc(question) => {
                    let response = send_h2(stream, self.call(question)?).await?;
                    grpc::judge(response.response).await
                }
            }
        })
        .await
        .unwrap_or(Err(ProbeError::Slow(within)))
    }

    /// A connection of the kind that requests go over, the proxy's own.
    async fn connect(&self) -> Result<Stream, ProbeError> {
        let broken = |source| ProbeError::Connect { source };
        let mut tcp = TcpStream::connect(self.endpoint.address)
            .await
            .map_err(broken)?;
        if let Some(version) = self.announces {
            let header = proxy_protocol::write(version, None);
            tcp.write_all(&header).await.map_err(broken)?;
        }
        let Some(tls) = &self.tls else {
            return Ok(Stream::plain(tcp));
        };
        let name = tls.name_of(&self.endpoint.label).ok_or(ProbeError::Name)?;
        let connector = TlsConnector::from(Arc::clone(&tls.config));
        let secured = connector.connect(name, tcp).await;
        let secured = secured.map_err(|source| ProbeError::Tls { source })?;
        let (tcp, session) = secured.into_inner();
        if self.protocol == UpstreamProtocol::H2 && session.alpn_protocol() != Some(b"h2") {
            return Err(ProbeError::Protocol);
        }
        Ok(Stream::tls(tcp, session))
    }

    async fn get(&self, question: &HttpQuestion, stream: Stream) -> Result<(), ProbeError> {
        let request = self.request(question)?;
        let answer = match self.protocol {
            UpstreamProtocol::H1 => send_h1(stream, request).await?,
            UpstreamProtocol::H2 => send_h2(stream, request).await?,
        };
        judge(question, answer.response).await
    }

    fn request(&self, question: &HttpQuestion) -> Result<Request<Empty<Bytes>>, ProbeError> {
        let wrong = |source| ProbeError::Question { source };
        let host = question.host.as_deref().unwrap_or(&self.endpoint.label);
        let path = question.path.as_str();
        let request = match self.protocol {
            UpstreamProtocol::H1 => Request::get(path).header(HOST, host),
            UpstreamProtocol::H2 => {
                let uri = Uri::builder().scheme(self.scheme()).authority(host);
                Request::get(uri.path_and_query(path).build().map_err(wrong)?)
            }
        };
        request
            .header(USER_AGENT, AGENT)
            .body(Empty::new())
            .map_err(wrong)
    }

    fn scheme(&self) -> &'static str {
        self.tls.as_ref().map_or("http", |_| "https")
    }
}

/// A head, and the connection that its body comes over: driven beside the question, and dropped with it.
struct Answer {
    response: Response<Incoming>,
    _driven: JoinSet<()>,
}

async fn send_h1(stream: Stream, request: Request<Empty<Bytes>>) -> Result<Answer, ProbeError> {
    let failed = |source| ProbeError::Http { source };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let driven = driven(connection);
    let response = sender.send_request(request).await.map_err(failed)?;
    Ok(Answer {
        response,
        _driven: driven,
    })
}

async fn send_h2<B>(stream: Stream, request: Request<B>) -> Result<Answer, ProbeError>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let failed = |source| ProbeError::Http { source };
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let driven = driven(connection);
    let response = sender.send_request(request).await.map_err(failed)?;
    Ok(Answer {
        response,
        _driven: driven,
    })
}

fn driven(connection: impl Future<Output = Result<(), hyper::Error>> + 'static) -> JoinSet<()> {
    let mut driven = JoinSet::new();
    // How the connection ends shows in what it carries.
    driven.spawn_local(async move { drop(connection.await) });
    driven
}

async fn judge(question: &HttpQuestion, response: Response<Incoming>) -> Result<(), ProbeError> {
    let status = response.status().as_u16();
    let is_good = match question.status.as_slice() {
        [] => (200..400).contains(&status),
        wanted => wanted.contains(&status),
    };
    if !is_good {
        return Err(ProbeError::Status(status));
    }
    let Some(wanted) = &question.body else {
        return Ok(());
    };
    let mut body = Limited::new(response.into_body(), MAX_BODY);
    let mut seen = Vec::new();
    // To its end, the end of what is looked at, or a failure: what is wanted has come by then, or not.
    while let Some(Ok(frame)) = body.frame().await {
        seen.extend(frame.into_data().unwrap_or_default());
    }
    let found = memchr::memmem::find(&seen, wanted.as_bytes()).is_some();
    found
        .then_some(())
        .ok_or_else(|| ProbeError::Without(wanted.clone()))
}
