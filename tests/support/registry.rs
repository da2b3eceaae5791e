//! Registries of endpoints: fakes of ours, as no package registry has the servers. Paths, queries, headers, statuses and JSON are those
//! of the documentation of Consul (blocking queries), Kubernetes (list and watch of `EndpointSlices`) and Eureka (REST).

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Message, Origin, Peer};

/// How often a question that waits looks for news.
const LOOK: Duration = Duration::from_millis(10);

/// What a fake answers next.
enum Reply {
    Now(u16, &'static str, String),
    /// Nothing is new; the question waits.
    Later,
}

fn send(peer: &mut Peer, status: u16, headers: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    peer.send(format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    ))
}

fn parameter<'a>(request: &'a Message, name: &str) -> Option<&'a str> {
    let target = request.start.split(' ').nth(1)?;
    let (_, query) = target.split_once('?')?;
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(key, _)| *key == name);
    found.next().map(|(_, value)| value)
}

fn path(request: &Message) -> &str {
    let target = request.start.split(' ').nth(1).unwrap_or_default();
    target.split('?').next().unwrap_or_default()
}

/// A Consul with one service.
pub struct Consul {
    origin: Origin,
    state: Arc<Mutex<ConsulState>>,
}

struct ConsulState {
    path: String,
    token: &'static str,
    index: u64,
    is_dead: bool,
    instances: Value,
}

impl Drop for Consul {
    fn drop(&mut self) {
        // Questions that wait end.
        self.state.lock().unwrap().is_dead = true;
    }
}

impl Consul {
    /// One that wants this token.
    pub fn start(service: &str, token: &'static str) -> Self {
        let state = Arc::new(Mutex::new(ConsulState {
            path: format!("/v1/health/service/{service}"),
            token,
            index: 5,
            is_dead: false,
            instances: json!([]),
        }));
        let own = Arc::clone(&state);
        let origin = Origin::start(move |peer| {
            while let Some(request) = peer.request()? {
                loop {
                    let (reply, index) = {
                        let state = own.lock().unwrap();
                        (state.reply(&request), state.index)
                    };
                    match reply {
                        Reply::Now(status, _, body) => {
                            send(peer, status, &format!("X-Consul-Index: {index}\r\n"), &body)?;
                            break;
                        }
                        Reply::Later => thread::sleep(LOOK),
                    }
                }
            }
            Ok(())
        });
        Self { origin, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.origin.address())
    }

    /// The instances that pass, with their weights.
    pub fn set(&self, instances: &[(SocketAddr, u32)]) {
        let instances = instances.iter().map(|(address, weight)| {
            json!({
                "Node": { "Node": "n", "Address": "127.0.0.9", "Datacenter": "dc1" },
                "Service": {
                    "ID": address.to_string(), "Service": "app", "Tags": ["v2"],
                    "Address": address.ip(), "Port": address.port(),
                    "Weights": { "Passing": weight, "Warning": 1 },
                },
                "Checks": [{ "Status": "passing" }],
            })
        });
        let mut state = self.state.lock().unwrap();
        state.instances = instances.collect();
        state.index += 1;
    }

    /// As after a restore from a backup: the index goes back.
    pub fn restore(&self) {
        self.state.lock().unwrap().index = 1;
    }

    /// It has no leader, or has one again.
    pub fn die(&self, is_dead: bool) {
        self.state.lock().unwrap().is_dead = is_dead;
    }

    /// The targets that were asked for.
    pub fn questions(&self) -> Vec<String> {
        let requests = self.origin.requests().into_iter();
        requests.map(|request| request.start).collect()
    }
}

impl ConsulState {
    fn reply(&self, request: &Message) -> Reply {
        if self.is_dead {
            return Reply::Now(500, "", "No cluster leader".to_owned());
        }
        if request.header("X-Consul-Token") != Some(self.token) {
            return Reply::Now(403, "", "ACL not found".to_owned());
        }
        if path(request) != self.path || parameter(request, "passing").is_none() {
            return Reply::Now(404, "", String::new());
        }
        let asked = parameter(request, "index").and_then(|index| index.parse::<u64>().ok());
        if asked == Some(self.index) {
            return Reply::Later;
        }
        Reply::Now(200, "", self.instances.to_string())
    }
}

/// The API of a Kubernetes with one service.
pub struct Kubernetes {
    origin: Origin,
    state: Arc<Mutex<KubernetesState>>,
}

struct KubernetesState {
    token: String,
    version: u64,
    /// What is older cannot be watched from any more.
    compacted: u64,
    is_dead: bool,
    slices: BTreeMap<String, Value>,
    /// By version.
    events: Vec<(u64, Value)>,
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        self.state.lock().unwrap().is_dead = true;
    }
}

impl Kubernetes {
    const PATH: &str = "/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices";
    const SELECTOR: &str = "kubernetes.io%2Fservice-name%3Dapp";

    /// The service `app` in the namespace `prod`, for those with this token.
    pub fn start(token: &str) -> Self {
        let state = Arc::new(Mutex::new(KubernetesState {
            token: format!("Bearer {token}"),
            version: 100,
            compacted: 0,
            is_dead: false,
            slices: BTreeMap::new(),
            events: Vec::new(),
        }));
        let own = Arc::clone(&state);
        let origin = Origin::start(move |peer| {
            while let Some(request) = peer.request()? {
                if parameter(&request, "watch").is_some() {
                    return watch(peer, &request, &own);
                }
                let (status, body) = own.lock().unwrap().list(&request);
                send(peer, status, "", &body)?;
            }
            Ok(())
        });
        Self { origin, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.origin.address())
    }

    /// A slice has these endpoints: address and whether it is ready. One that is not is terminating, and still serves.
    pub fn set(&self, slice: &str, port: u16, endpoints: &[(SocketAddr, bool)]) {
        let endpoints = endpoints.iter().map(|(address, ready)| {
            json!({
                "addresses": [address.ip()],
                "conditions": { "ready": ready, "serving": true, "terminating": !ready },
                "zone": "eu-1",
            })
        });
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let object = json!({
            "metadata": { "name": slice, "namespace": "prod", "resourceVersion": state.version.to_string() },
            "addressType": "IPv4",
            "endpoints": endpoints.collect::<Value>(),
            "ports": [
                { "name": "http", "port": port, "protocol": "TCP" },
                { "name": "metrics", "port": 9100, "protocol": "TCP" },
            ],
        });
        let is_new = state.slices.insert(slice.to_owned(), object.clone());
        let kind = is_new.map_or("ADDED", |_| "MODIFIED");
        let version = state.version;
        state
            .events
            .push((version, json!({ "type": kind, "object": object })));
    }

    /// The slice is gone.
    pub fn delete(&self, slice: &str) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let version = state.version;
        let mut object = state.slices.remove(slice).expect("it is there");
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        state
            .events
            .push((version, json!({ "type": "DELETED", "object": object })));
    }

    /// Forgets the past and breaks all watches off: who comes back with an old version gets 410.
    pub fn compact(&self) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        state.compacted = state.version;
        state.events.clear();
    }

    /// It answers 503, or as before.
    pub fn die(&self, is_dead: bool) {
        self.state.lock().unwrap().is_dead = is_dead;
    }

    /// How often everything was listed, and how often watched.
    pub fn questions(&self) -> (usize, usize) {
        let requests = self.origin.requests();
        let watches = requests
            .iter()
            .filter(|one| parameter(one, "watch").is_some());
        let watches = watches.count();
        (requests.len() - watches, watches)
    }
}

impl KubernetesState {
    fn refusal(&self, request: &Message) -> Option<(u16, String)> {
        let refusal = |code: u16, reason: &str| {
            let status =
                json!({ "kind": "Status", "code": code, "reason": reason, "message": reason });
            Some((code, status.to_string()))
        };
        if self.is_dead {
            return refusal(503, "ServiceUnavailable");
        }
        if request.header("Authorization") != Some(&self.token) {
            return refusal(401, "Unauthorized");
        }
        let selector = parameter(request, "labelSelector");
        if path(request) != Kubernetes::PATH || selector != Some(Kubernetes::SELECTOR) {
            return refusal(404, "NotFound");
        }
        None
    }

    fn list(&self, request: &Message) -> (u16, String) {
        self.refusal(request).unwrap_or_else(|| {
            let items: Vec<&Value> = self.slices.values().collect();
            let list = json!({
                "kind": "EndpointSliceList",
                "metadata": { "resourceVersion": self.version.to_string() },
                "items": items,
            });
            (200, list.to_string())
        })
    }
}

/// One event a line, each in a chunk of its own; a line may well come in two.
fn watch(peer: &mut Peer, request: &Message, state: &Mutex<KubernetesState>) -> io::Result<()> {
    let refusal = state.lock().unwrap().refusal(request);
    if let Some((status, body)) = refusal {
        return send(peer, status, "", &body);
    }
    peer.send(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    )?;
    let mut chunk = |text: &str| peer.send(format!("{:x}\r\n{text}\r\n", text.len()));
    let version = parameter(request, "resourceVersion");
    let mut version: u64 = version
        .and_then(|text| text.parse().ok())
        .unwrap_or_default();
    loop {
        let (expired, dead, events) = {
            let state = state.lock().unwrap();
            let new = state.events.iter().filter(|(of, _)| *of > version);
            let new: Vec<(u64, Value)> = new.cloned().collect();
            (version < state.compacted, state.is_dead, new)
        };
        if dead {
            return Ok(());
        }
        if expired {
            let status = json!({ "kind": "Status", "code": 410, "reason": "Expired" });
            chunk(&format!(
                "{}\n",
                json!({ "type": "ERROR", "object": status })
            ))?;
            return chunk("").map(drop);
        }
        for (of, event) in events {
            let line = format!("{event}\n");
            let (first, second) = line.split_at(line.len() / 2);
            chunk(first)?;
            chunk(second)?;
            version = of;
        }
        thread::sleep(LOOK);
    }
}

/// A Eureka with one application.
pub struct Eureka {
    origin: Origin,
    instances: Arc<Mutex<Option<Value>>>,
}

impl Eureka {
    /// One that does not know the application yet.
    pub fn start() -> Self {
        let instances = Arc::new(Mutex::new(None::<Value>));
        let own = Arc::clone(&instances);
        let origin = Origin::start(move |peer| {
            while let Some(request) = peer.request()? {
                let known = own.lock().unwrap().clone();
                let asked = path(&request) == "/eureka/apps/APP";
                // Without the header it answers with XML.
                let is_json = request.header("Accept") == Some("application/json");
                match known.filter(|_| asked && is_json) {
                    Some(instances) => {
                        let body =
                            json!({ "application": { "name": "APP", "instance": instances } });
                        send(peer, 200, "", &body.to_string())?;
                    }
                    None => send(peer, 404, "", "")?,
                }
            }
            Ok(())
        });
        Self { origin, instances }
    }

    pub fn url(&self) -> String {
        format!("http://{}/eureka/", self.origin.address())
    }

    /// The instances and their status.
    pub fn set(&self, instances: &[(SocketAddr, &str)]) {
        let all = instances.iter().map(|(address, status)| {
            json!({
                "instanceId": address.to_string(),
                "hostName": "a.internal",
                "app": "APP",
                "ipAddr": address.ip(),
                "status": status,
                "port": { "$": address.port(), "@enabled": "true" },
                "securePort": { "$": 443, "@enabled": "false" },
                "metadata": { "@class": "java.util.Collections$EmptyMap" },
            })
        });
        *self.instances.lock().unwrap() = Some(all.collect());
    }
}
