//! The `EndpointSlices` of a service (discovery.k8s.io/v1), kept up to date by the events of a watch.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::instance::target;
use super::{Endpoint, MAX_ENDPOINTS, TooMany, set};

/// Why an answer or an event is not taken.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    /// Not what Kubernetes says.
    #[error("the answer is not understood")]
    Json {
        /// With its place.
        #[from]
        source: serde_json::Error,
    },
    /// Nothing says which.
    #[error("the service has several ports ({0}); `port` has to say which")]
    WhichPort(String),
    /// None of them is that one.
    #[error("the service has no port `{0}`")]
    NoPort(String),
    /// An error in the place of an event.
    #[error("the watch ended: {0}")]
    Watch(String),
    /// More than is taken.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// What an event asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The slices are up to date.
    Taken,
    /// The version is too old to go on from: everything has to be listed anew (410 Gone).
    Expired,
}

/// All slices of a service.
#[derive(Debug, Default)]
pub struct Slices {
    slices: BTreeMap<String, Slice>,
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    metadata: Metadata,
    // Go writes nothing at all as null.
    items: Option<Vec<Slice>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: String,
    resource_version: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Slice {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    endpoints: Option<Vec<Place>>,
    #[serde(default)]
    ports: Option<Vec<Port>>,
}

#[derive(Debug, Deserialize)]
struct Place {
    addresses: Vec<String>,
    #[serde(default)]
    conditions: Option<Conditions>,
    #[serde(default)]
    zone: Option<String>,
}

/// What is not said is as if it were well.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Port {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, rename = "port")]
    number: Option<u16>,
    #[serde(default)]
    protocol: Option<String>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a serde_json::value::RawValue,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    message: String,
}

impl Slices {
    /// All slices, by the answer to a list.
    ///
    /// # Errors
    /// What is not understood.
    pub fn list(text: &str) -> Result<Self, KubernetesError> {
        let List { metadata, items } = serde_json::from_str(text)?;
        let mut slices = Self {
            slices: BTreeMap::new(),
            version: metadata.resource_version,
        };
        for slice in items.unwrap_or_default() {
            slices.insert(slice)?;
        }
        Ok(slices)
    }

    /// The version from which a watch goes on.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Takes one line of a watch.
    ///
    /// # Errors
    /// What is not understood, or an error that stands there.
    pub fn apply(&mut self, line: &str) -> Result<Event, KubernetesError> {
        let Line { kind, object } = serde_json::from_str(line)?;
        match kind {
            "ADDED" | "MODIFIED" => {
                let slice: Slice = serde_json::from_str(object.get())?;
                self.version.clone_from(&slice.metadata.resource_version);
                self.insert(slice)?;
            }
            "DELETED" => {
                let slice: Slice = serde_json::from_str(object.get())?;
                self.slices.remove(&slice.metadata.name);
                self.version = slice.metadata.resource_version;
            }
            "BOOKMARK" => {
                let slice: Slice = serde_json::from_str(object.get())?;
                self.version = slice.metadata.resource_version;
            }
            "ERROR" => {
                let status: Status = serde_json::from_str(object.get())?;
                if status.code == 410 {
                    return Ok(Event::Expired);
                }
                return Err(KubernetesError::Watch(status.message));
            }
            // Kinds that are not known yet say nothing that is missed.
            _ => {}
        }
        Ok(Event::Taken)
    }

    fn insert(&mut self, slice: Slice) -> Result<(), TooMany> {
        self.slices.insert(slice.metadata.name.clone(), slice);
        let places = self.slices.values();
        let places = places.map(|slice| slice.endpoints.as_ref().map_or(1, |all| all.len().max(1)));
        let count = places.sum();
        if count > MAX_ENDPOINTS {
            return Err(TooMany(count));
        }
        Ok(())
    }

    /// The endpoints that are ready, at that port (its name or number, or the only one). While none is ready those that are
    /// terminating and still serve are used, as kube-proxy does.
    ///
    /// # Errors
    /// It is not clear which port is meant.
    pub fn endpoints(&self, port: Option<&str>) -> Result<Vec<Endpoint>, KubernetesError> {
        let (mut ready, mut serving) = (Vec::new(), Vec::new());
        let filled = self.slices.values().filter_map(|slice| {
            let places = slice.endpoints.as_ref().filter(|all| !all.is_empty())?;
            Some((places, slice.ports.as_deref().unwrap_or_default()))
        });
        for (places, ports) in filled {
            let port = pick(ports, port)?;
            for place in places {
                let conditions = place.conditions.as_ref();
                let is = |what: fn(&Conditions) -> Option<bool>, absent: bool| {
                    conditions.and_then(what).unwrap_or(absent)
                };
                // All addresses of one place are the same place.
                let address = place.addresses.first();
                let Some(target) = address.and_then(|address| target(address, port)) else {
                    continue;
                };
                let endpoint = Endpoint {
                    priority: 0,
                    target,
                    weight: 1,
                    zone: place.zone.clone(),
                };
                if is(|all| all.ready, true) {
                    ready.push(endpoint);
                } else if is(|all| all.serving, false) && is(|all| all.terminating, false) {
                    serving.push(endpoint);
                }
            }
        }
        Ok(set(if ready.is_empty() { serving } else { ready })?)
    }
}

fn pick(ports: &[Port], wanted: Option<&str>) -> Result<u16, KubernetesError> {
    let open = ports.iter().filter(|port| {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        protocol == "TCP" && port.number.is_some()
    });
    let open: Vec<(&str, u16)> = open
        .filter_map(|port| Some((port.name.as_deref().unwrap_or_default(), port.number?)))
        .collect();
    match (wanted, &*open) {
        (None, [(_, port)]) => Ok(*port),
        (None, []) => Err(KubernetesError::NoPort("tcp".to_owned())),
        (None, several) => {
            let names = several.iter().map(|(name, port)| match *name {
                "" => port.to_string(),
                name => name.to_owned(),
            });
            let names: Vec<String> = names.collect();
            Err(KubernetesError::WhichPort(names.join(", ")))
        }
        (Some(wanted), open) => {
            // What is no number is a name, which is looked for as well.
            let number = wanted.parse::<u16>().ok();
            let mut fitting = open
                .iter()
                .filter(|(name, port)| *name == wanted || number == Some(*port));
            let (_, port) = fitting
                .next()
                .ok_or_else(|| KubernetesError::NoPort(wanted.to_owned()))?;
            Ok(*port)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test fails by panicking"
    )]

    use serde_json::{Value, json};

    use super::{Event, Slices};

    fn slice(name: &str, version: &str, endpoints: &Value) -> Value {
        json!({
            "metadata": { "name": name, "resourceVersion": version },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }],
        })
    }

    fn list(items: &[Value]) -> Slices {
        let text = json!({ "metadata": { "resourceVersion": "7" }, "items": items });
        Slices::list(&text.to_string()).unwrap()
    }

    fn told(slices: &Slices, port: Option<&str>) -> String {
        match slices.endpoints(port) {
            Ok(found) => {
                let told = found.iter().map(|one| one.target.to_string());
                told.collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    fn event(kind: &str, object: &Value) -> String {
        json!({ "type": kind, "object": object }).to_string()
    }

    #[test]
    fn what_is_ready_counts_and_else_what_still_serves() {
        let ready = json!([
            { "addresses": ["10.0.0.1", "10.9.9.9"], "zone": "a" },
            { "addresses": ["10.0.0.2"], "conditions": { "ready": true } },
            { "addresses": ["10.0.0.3"], "conditions": { "ready": false, "serving": true, "terminating": true } },
            { "addresses": ["10.0.0.4"], "conditions": { "ready": false } },
        ]);
        let slices = list(&[slice("x", "1", &ready), slice("empty", "1", &Value::Null)]);
        assert_eq!(told(&slices, None), "10.0.0.1:8080 10.0.0.2:8080");
        assert_eq!(
            slices.endpoints(None).unwrap()[0].zone.as_deref(),
            Some("a")
        );
        let ending = json!([
            { "addresses": ["10.0.0.3"], "conditions": { "ready": false, "serving": true, "terminating": true } },
            { "addresses": ["10.0.0.4"], "conditions": { "ready": false, "serving": false, "terminating": true } },
        ]);
        assert_eq!(
            told(&list(&[slice("x", "1", &ending)]), None),
            "10.0.0.3:8080"
        );
        assert_eq!(told(&list(&[]), None), "");
    }

    #[test]
    fn a_port_is_named_or_numbered_or_the_only_one() {
        let mut two = slice("x", "1", &json!([{ "addresses": ["10.0.0.1"] }]));
        two["ports"] = json!([
            { "name": "http", "port": 80 },
            { "name": "admin", "port": 81 },
            { "name": "dns", "port": 53, "protocol": "UDP" },
        ]);
        let slices = list(&[two]);
        assert_eq!(told(&slices, Some("admin")), "10.0.0.1:81");
        assert_eq!(told(&slices, Some("80")), "10.0.0.1:80");
        assert_eq!(told(&slices, Some("dns")), "the service has no port `dns`");
        assert_eq!(
            told(&slices, None),
            "the service has several ports (http, admin); `port` has to say which"
        );
    }

    #[test]
    fn events_keep_the_slices_up_to_date() {
        let one = json!([{ "addresses": ["10.0.0.1"] }]);
        let two = json!([{ "addresses": ["10.0.0.2"] }]);
        let mut slices = list(&[slice("x", "5", &one)]);
        assert_eq!(slices.version(), "7");
        slices
            .apply(&event("ADDED", &slice("y", "8", &two)))
            .unwrap();
        assert_eq!(told(&slices, None), "10.0.0.1:8080 10.0.0.2:8080");
        slices
            .apply(&event("DELETED", &slice("x", "9", &one)))
            .unwrap();
        assert_eq!(told(&slices, None), "10.0.0.2:8080");
        slices
            .apply(&event("MODIFIED", &slice("y", "10", &one)))
            .unwrap();
        assert_eq!(told(&slices, None), "10.0.0.1:8080");
        let bookmark = json!({ "metadata": { "resourceVersion": "12" } });
        slices.apply(&event("BOOKMARK", &bookmark)).unwrap();
        assert_eq!(slices.version(), "12");
        let gone = json!({ "kind": "Status", "code": 410, "reason": "Expired" });
        assert_eq!(
            slices.apply(&event("ERROR", &gone)).unwrap(),
            Event::Expired
        );
        let other = json!({ "kind": "Status", "code": 500, "message": "etcd" });
        let error = slices.apply(&event("ERROR", &other)).unwrap_err();
        assert_eq!(error.to_string(), "the watch ended: etcd");
        assert!(slices.apply("{").is_err());
        let many = vec![json!({ "addresses": ["10.0.0.1"] }); 5000];
        assert!(
            slices
                .apply(&event("ADDED", &slice("z", "13", &many.into())))
                .is_err()
        );
    }
}
