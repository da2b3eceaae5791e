//! The configuration as the rest of the program sees it: every value is ready to use and cannot be wrong.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A whole, valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: Server,
    pub admin: Admin,
    pub log: Log,
    pub shield: Shield,
    pub listeners: Vec<Listener>,
    pub upstreams: Vec<Upstream>,
    /// In file order; `route::Router` compiles them.
    pub routes: Vec<Route>,
}

#[derive(Clone, Debug)]
pub struct Server {
    /// `None`: one per core.
    pub workers: Option<NonZeroUsize>,
    pub state_dir: PathBuf,
    pub shutdown_grace: Duration,
}

#[derive(Clone, Debug)]
pub struct Admin {
    pub socket: PathBuf,
    /// Where /metrics, /healthz and /readyz are served; `None` is `"off"`.
    pub metrics: Option<SocketAddr>,
}

#[derive(Clone, Debug)]
pub struct Log {
    pub level: Level,
    pub access: AccessLog,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Debug)]
pub struct AccessLog {
    pub to: AccessTarget,
    pub format: AccessFormat,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessTarget {
    Off,
    Stdout,
    File(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFormat {
    Json,
    Combined,
}

#[derive(Clone, Debug)]
pub struct Shield {
    /// Empty: no XDP.
    pub interfaces: Vec<String>,
    pub mode: ShieldMode,
    pub action: ShieldAction,
    pub allow: Vec<Prefix>,
    pub block: Vec<Prefix>,
    pub pin_dir: PathBuf,
    pub on_exit: OnExit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShieldMode {
    Auto,
    Native,
    Generic,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShieldAction {
    Enforce,
    Monitor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExit {
    Keep,
    Detach,
}

/// A range of addresses, host bits zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    pub address: IpAddr,
    pub length: u8,
}

#[derive(Clone, Debug)]
pub struct Listener {
    pub name: Arc<str>,
    pub bind: Vec<SocketAddr>,
    pub protocols: Protocols,
    pub tls: Option<Tls>,
    /// Whose X-Forwarded-For and X-Request-Id are believed.
    pub trusted_proxies: Vec<Prefix>,
    pub max_connections: usize,
    pub max_connections_per_ip: usize,
    /// The whole request head must arrive within this.
    pub header_timeout: Duration,
    /// Between requests, and the longest stall inside a body.
    pub idle_timeout: Duration,
    /// The largest request head; also the decoded size of an h2 header list.
    pub max_header: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    pub h1: bool,
    pub h2: bool,
}

#[derive(Clone, Debug)]
pub struct Tls {
    pub certificates: Vec<Certificate>,
    /// Names for a certificate made at start, for trying things out; empty: none is made.
    pub self_signed: Vec<String>,
    pub min: TlsVersion,
}

#[derive(Clone, Debug)]
pub struct Certificate {
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

#[derive(Clone, Debug)]
pub struct Upstream {
    pub name: Arc<str>,
    pub endpoints: Vec<Endpoint>,
    pub balance: Balance,
    pub protocol: UpstreamProtocol,
    pub connect_timeout: Duration,
    /// From the request being sent to the response head, and between two reads of its body.
    pub response_timeout: Duration,
    /// How long an upgraded connection (WebSocket) may be silent.
    pub tunnel_timeout: Duration,
    pub retries: u32,
    /// Idle connections kept per worker.
    pub keepalive: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    pub address: EndpointAddress,
    pub weight: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    Ip(SocketAddr),
    /// Resolved when the configuration is loaded.
    Name {
        host: String,
        port: u16,
    },
    /// `builtin:demo`: the demo origin inside the program.
    Demo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    RoundRobin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    H1,
    H2,
}

#[derive(Clone, Debug)]
pub struct Route {
    pub name: Arc<str>,
    pub matcher: Matcher,
    pub action: Action,
    /// The largest request body; `None`: no limit.
    pub max_body: Option<u64>,
    pub headers: HeaderEdits,
    pub strip_prefix: Option<String>,
}

/// What a request must be for the route to take it; all that is present must hold.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    pub host: Option<HostPattern>,
    pub path: Option<PathPattern>,
    /// Upper-case names; empty: any.
    pub method: Vec<String>,
    /// Lower-case name, exact value.
    pub header: Vec<(String, String)>,
    pub cookie: Vec<(String, String)>,
    pub query: Vec<(String, String)>,
    pub client: Vec<Prefix>,
}

/// Lower-case, without port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    Exact(String),
    /// `*.example.com` is kept as `.example.com`; it matches one or more labels in front.
    Suffix(String),
}

#[derive(Clone, Debug)]
pub enum PathPattern {
    /// Whole segments: `/api` matches `/api` and `/api/x`, not `/apix`.
    Prefix(String),
    Exact(String),
    Regex(regex::bytes::Regex),
}

#[derive(Clone, Debug)]
pub enum Action {
    /// Never empty; the weights' sum is positive.
    Forward(Vec<Target>),
    Respond(Respond),
    Redirect(Redirect),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Index into `Config::upstreams`.
    pub upstream: usize,
    pub weight: u32,
}

#[derive(Clone, Debug)]
pub struct Respond {
    pub status: u16,
    pub body: Arc<[u8]>,
    pub content_type: String,
}

#[derive(Clone, Debug)]
pub struct Redirect {
    pub to: String,
    pub status: u16,
}

#[derive(Clone, Debug, Default)]
pub struct HeaderEdits {
    pub request: HeaderEdit,
    pub response: HeaderEdit,
}

/// Valid field names and values; framing and connection fields cannot be named here.
#[derive(Clone, Debug, Default)]
pub struct HeaderEdit {
    /// Replaces every field of that name.
    pub set: Vec<(String, String)>,
    pub add: Vec<(String, String)>,
    pub remove: Vec<String>,
}

impl Prefix {
    pub fn contains(&self, _address: IpAddr) -> bool {
        false
    }
}
