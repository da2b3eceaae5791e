//! `discover`: where an upstream gets endpoints from that are not written down.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::endpoint::{EndpointAddress, endpoint_address};
use super::keys::{self, Key};
use super::lists::{self, ApiKey};
use super::names;
use super::problem::Complaint;
use super::reader::{Section, Told, Unread};
use super::tree::Node;
use super::values;

/// Where more endpoints come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discover {
    pub registry: Registry,
    /// An empty set is not served, though the registry says clearly that it is empty.
    pub keep_on_empty: bool,
    /// Nor is it when a name server denies the name.
    pub keep_on_denial: bool,
}

/// Who is asked for endpoints. Upstreams with the same one share its answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Registry {
    /// The addresses of a name.
    Dns {
        host: String,
        port: u16,
        /// Else the system is asked, as programs on this machine are used to it.
        resolver: Option<SocketAddr>,
    },
    /// The SRV records of a name; the addresses of their targets are asked for at the same place.
    Srv {
        name: String,
        resolver: Option<SocketAddr>,
    },
    /// A file that somebody else writes.
    File {
        path: PathBuf,
    },
    Consul(Consul),
    Kubernetes(Kubernetes),
    /// The instances of an application.
    Eureka {
        url: String,
        app: String,
    },
}

/// The healthy instances of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Consul {
    pub url: String,
    pub service: String,
    pub tag: Option<String>,
    pub token: Option<ApiKey>,
    pub datacenter: Option<String>,
}

/// The `EndpointSlices` of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kubernetes {
    pub service: String,
    pub namespace: String,
    /// Its name or number; else the only one.
    pub port: Option<String>,
    /// Else that of the cluster in which the proxy runs, with its token and authority.
    pub api: Option<String>,
    pub token_file: Option<PathBuf>,
    pub ca: Option<PathBuf>,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "upstream.discover",
    doc: "Where endpoints come from. Exactly one of dns, srv, file, consul, kubernetes and eureka. Endpoints that are found are addresses: `tls` needs its `server_name`.",
    keys: &[
        Key::optional(
            "dns",
            "host and port",
            "\"app.internal:8080\"",
            "All addresses of this name (A and AAAA), asked for again when the time to live of the answer is over.",
        ),
        Key::optional(
            "srv",
            "name",
            "\"_http._tcp.app.internal\"",
            "The SRV records of this name give hosts, ports and weights. Records of the lowest priority that have an address are used.",
        ),
        Key::optional(
            "resolver",
            "address",
            "\"127.0.0.1:53\"",
            "The name server to ask for dns and srv. Absent: as the system does, with /etc/hosts, the servers and the search domains of /etc/resolv.conf.",
        ),
        Key::optional(
            "file",
            "path",
            "\"endpoints.json\"",
            "A file of endpoints, taken within a second of every change: a list like `endpoints`, in JSON or (*.toml) under the key `endpoints` in TOML; or the groups of Prometheus' file_sd.",
        ),
        Key::optional(
            "consul",
            "URL",
            "\"http://127.0.0.1:8500\"",
            "The agent of a Consul that is asked for the instances of `service` whose checks pass.",
        ),
        Key::optional("service", "name", "\"app\"", "The service in Consul."),
        Key::optional(
            "tag",
            "name",
            "\"v2\"",
            "Only instances with this tag in Consul.",
        ),
        Key::optional(
            "token",
            "string",
            "\"9f2a\"",
            "The token for Consul; take it from the environment: \"${CONSUL_TOKEN}\".",
        ),
        Key::optional(
            "datacenter",
            "name",
            "\"eu-1\"",
            "The datacenter in Consul; absent: the agent's own.",
        ),
        Key::optional(
            "kubernetes",
            "table",
            "{ service = \"app\" }",
            "The EndpointSlices of a service in Kubernetes.",
        )
        .fields(&KUBERNETES),
        Key::optional(
            "eureka",
            "URL",
            "\"http://127.0.0.1:8761/eureka\"",
            "The Eureka that is asked every 30 s for the instances of `app` that are UP.",
        ),
        Key::optional("app", "name", "\"APP\"", "The application in Eureka."),
        Key::optional(
            "keep_on_empty",
            "boolean",
            "false",
            "Whether to go on with the last endpoints when a source says that there are none; else requests are answered with 503. Absent: no, except where a name server denies that there is such a name or that it has such records, which is a mistake more often than meant.",
        ),
    ],
    later: &[],
};

static KUBERNETES: keys::Section = keys::Section {
    name: "upstream.discover.kubernetes",
    doc: "A service in Kubernetes.",
    keys: &[
        Key::required("service", "name", "\"app\"", "The name of the service."),
        Key::default("namespace", "name", "\"default\"", "Its namespace."),
        Key::optional(
            "port",
            "name or number",
            "\"http\"",
            "Which of its ports; may be left out if there is only one.",
        ),
        Key::optional(
            "api",
            "URL",
            "\"https://10.0.0.1:6443\"",
            "The API server. Absent: that of the cluster in which the proxy runs, by its environment.",
        ),
        Key::optional(
            "token_file",
            "path",
            "\"token\"",
            "A file with the token, read anew for each question. Absent: that of the service account in the cluster, if `api` is absent as well.",
        ),
        Key::optional(
            "ca",
            "path",
            "\"ca.pem\"",
            "The authorities that may have signed the certificate of the API server. Absent: as for token_file, else those of the system.",
        ),
    ],
    later: &[],
};

/// The keys of which there is exactly one, each with those that go with it.
const SOURCES: [(&str, &[&str]); 6] = [
    ("dns", &["resolver"]),
    ("srv", &["resolver"]),
    ("file", &[]),
    ("consul", &["service", "tag", "token", "datacenter"]),
    ("kubernetes", &[]),
    ("eureka", &["app"]),
];

pub(super) fn read(section: &Section<'_>) -> Option<Discover> {
    let registry = read_registry(section);
    let keep = section.optional("keep_on_empty", values::boolean);
    // The section has complained of what is no boolean; here it is missing, and all of this with it.
    let keep = keep.ok();
    Some(Discover {
        registry: registry?,
        keep_on_empty: keep?.unwrap_or(false),
        keep_on_denial: keep?.unwrap_or(true),
    })
}

fn read_registry(section: &Section<'_>) -> Option<Registry> {
    let resolver = section.optional("resolver", resolver);
    let dns = section.optional("dns", named);
    let srv = section.optional("srv", service);
    let file = section.optional("file", |node| section.reader.path(node));
    let consul = section.optional("consul", url);
    let words = ["service", "tag", "datacenter", "app"];
    let [service, tag, datacenter, app] = words.map(|key| section.optional(key, word));
    let token = section.optional("token", lists::key);
    let kubernetes = section.section("kubernetes");
    let kubernetes = kubernetes.map(|section| read_kubernetes(&section));
    let eureka = section.optional("eureka", url);
    let key = only_source(section)?;
    let registry = match key {
        "dns" => {
            let (host, port) = dns.ok()??;
            Registry::Dns {
                host,
                port,
                resolver: resolver.ok()?,
            }
        }
        "srv" => Registry::Srv {
            name: srv.ok()??,
            resolver: resolver.ok()?,
        },
        "file" => Registry::File { path: file.ok()?? },
        "consul" => Registry::Consul(Consul {
            url: consul.ok()??,
            service: needed(section, "service", service)?,
            tag: tag.ok()?,
            token: token.ok()?,
            datacenter: datacenter.ok()?,
        }),
        "kubernetes" => Registry::Kubernetes(kubernetes??),
        _ => Registry::Eureka {
            url: eureka.ok()??,
            app: needed(section, "app", app)?,
        },
    };
    Some(registry)
}

/// The one source that is written, with nothing that belongs to others.
fn only_source(section: &Section<'_>) -> Option<&'static str> {
    let mut written = SOURCES.iter().filter(|(key, _)| section.has(key));
    let Some((source, own)) = written.next() else {
        let complaint = Complaint::new("nothing is said about where endpoints come from")
            .hint("write discover = { dns = \"app.internal:8080\" }");
        section
            .reader
            .report(section.place, &section.path, complaint);
        return None;
    };
    if let Some((other, _)) = written.next() {
        let complaint = Complaint::new(format!("`{source}` and `{other}` exclude each other"))
            .hint("an upstream has one source of endpoints");
        section.complain(other, complaint);
        return None;
    }
    let others = SOURCES.iter().flat_map(|(_, own)| own.iter());
    let mut strange = others.filter(|key| section.has(key) && !own.contains(key));
    if let Some(key) = strange.next() {
        let complaint = Complaint::new(format!("`{key}` does not go with `{source}`"))
            .hint("leave one of them out");
        section.complain(key, complaint);
        return None;
    }
    Some(source)
}

fn needed(section: &Section<'_>, key: &str, value: Result<Option<String>, Told>) -> Option<String> {
    let value = value.ok()?;
    if value.is_none() {
        let complaint = Complaint::new(format!("missing key `{key}`"));
        let complaint = complaint.hint(format!("add {key} = \"app\""));
        section
            .reader
            .report(section.place, &section.path, complaint);
    }
    value
}

fn read_kubernetes(section: &Section<'_>) -> Option<Kubernetes> {
    let service = section.value("service", label);
    let namespace = section.value("namespace", label);
    let port = section.optional("port", label);
    let api = section.optional("api", url);
    let path = |node: &Node| section.reader.path(node);
    let [token_file, ca] = ["token_file", "ca"].map(|key| section.optional(key, path));
    Some(Kubernetes {
        service: service?,
        namespace: namespace?,
        port: port.ok()?,
        api: api.ok()?,
        token_file: token_file.ok()?,
        ca: ca.ok()?,
    })
}

fn named(node: &Node) -> Result<(String, u16), Unread> {
    let text = values::string(node)?;
    match endpoint_address(text)? {
        EndpointAddress::Name { host, port } => Ok((host, port)),
        EndpointAddress::Ip(_) | EndpointAddress::Demo => {
            Err(Complaint::new(format!("`{text}` is no name to ask for"))
                .hint(format!("write endpoints = [\"{text}\"]"))
                .into())
        }
    }
}

fn service(node: &Node) -> Result<String, Unread> {
    let text = values::string(node)?;
    let name = text.strip_suffix('.').unwrap_or(text);
    if !names::is_host(name) {
        return Err(
            Complaint::new(format!("`{text}` is not the name of a service"))
                .hint("write \"_http._tcp.app.internal\"; the port is in its records")
                .into(),
        );
    }
    Ok(name.to_ascii_lowercase())
}

/// The port may be left out.
fn resolver(node: &Node) -> Result<SocketAddr, Unread> {
    let text = values::string(node)?;
    let address = text.parse::<SocketAddr>();
    let address = address.or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)));
    match address {
        Ok(address) if address.port() > 0 => Ok(address),
        Ok(_) | Err(_) => Err(Complaint::new(format!(
            "`{text}` is not the address of a name server"
        ))
        .hint("write \"127.0.0.1:53\"")
        .into()),
    }
}

/// Without the slash at its end, and without a query.
fn url(node: &Node) -> Result<String, Unread> {
    let text = lists::url(node)?;
    if text.contains(['?', '#']) {
        return Err(Complaint::new("this URL cannot have a query")
            .hint("end it before the `?` or `#`")
            .into());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A name that stands in a path or a query as it is.
fn word(node: &Node) -> Result<String, Unread> {
    let text = values::text(node)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.len() > 128 || !text.bytes().all(is_plain) || text.starts_with('.') {
        return Err(Complaint::new(format!("`{text}` cannot be a name here"))
            .hint("use up to 128 letters, digits and - _ .")
            .into());
    }
    Ok(text)
}

/// A name in Kubernetes: RFC 1123 labels.
fn label(node: &Node) -> Result<String, Unread> {
    let text = values::text(node)?;
    if !names::is_host(&text) || text.contains('_') {
        return Err(
            Complaint::new(format!("`{text}` cannot be a name in Kubernetes"))
                .hint("use lower-case letters, digits and -, such as \"web\"")
                .into(),
        );
    }
    Ok(text)
}
