//! The instances of a service as Consul has them, and the rules of its blocking queries.

use serde::Deserialize;

use super::instance::{InstanceError, target};
use super::{Endpoint, set};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    #[serde(default)]
    node: Node,
    service: Service,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Node {
    address: String,
    locality: Option<Locality>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(default, rename = "ID")]
    id: String,
    #[serde(default)]
    address: String,
    port: u16,
    #[serde(default)]
    weights: Weights,
    #[serde(default)]
    locality: Option<Locality>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Weights {
    passing: u32,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Locality {
    zone: String,
}

impl Default for Weights {
    fn default() -> Self {
        Self { passing: 1 }
    }
}

/// The instances of an answer of `/v1/health/service/NAME?passing`. Where the service has no address, that of its node counts.
///
/// # Errors
/// What is not understood, or an instance without an address.
pub fn instances(text: &str) -> Result<Vec<Endpoint>, InstanceError> {
    let instances: Vec<Instance> = serde_json::from_str(text)?;
    let mut endpoints = Vec::with_capacity(instances.len());
    for Instance { node, service } in instances {
        let host = if service.address.is_empty() {
            &node.address
        } else {
            &service.address
        };
        let target = target(host, service.port);
        let target = target.ok_or_else(|| InstanceError::Address(service.id.clone()))?;
        // Consul knows 0 as a weight, of what is to get nothing.
        if service.weights.passing == 0 {
            continue;
        }
        let locality = service.locality.or(node.locality);
        let zone = locality.map(|locality| locality.zone);
        endpoints.push(Endpoint {
            priority: 0,
            target,
            weight: service.weights.passing.min(65_535),
            zone: zone.filter(|zone| !zone.is_empty()),
        });
    }
    Ok(set(endpoints)?)
}

/// The index for the next question, after one with `asked` was answered with `answered` (`X-Consul-Index`): 0 is a question that is
/// answered at once. An index that goes back says that the state was restored or is another's, so that everything is asked for anew.
pub fn next_index(asked: u64, answered: Option<u64>) -> u64 {
    match answered {
        Some(answered) if answered >= asked => answered,
        Some(_) | None => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{instances, next_index};

    #[test]
    fn instances_become_endpoints() {
        let text = r#"[
            {"Node": {"Address": "10.0.0.1", "Datacenter": "dc1"},
             "Service": {"ID": "a", "Address": "", "Port": 80, "Weights": {"Passing": 3, "Warning": 1}, "Tags": ["x"]},
             "Checks": [{"Status": "passing"}]},
            {"Node": {"Address": "10.0.0.1"},
             "Service": {"ID": "b", "Address": "fd00::1", "Port": 81, "Locality": {"Region": "r", "Zone": "z1"}}},
            {"Node": {"Address": "10.0.0.1"}, "Service": {"ID": "c", "Address": "App.internal", "Port": 82}},
            {"Node": {"Address": "10.0.0.9"}, "Service": {"ID": "d", "Port": 83, "Weights": {"Passing": 0}}}
        ]"#;
        let found = instances(text).unwrap();
        let told: Vec<String> = found
            .iter()
            .map(|one| format!("{}*{} {:?}", one.target, one.weight, one.zone))
            .collect();
        assert_eq!(
            told,
            [
                "10.0.0.1:80*3 None",
                "[fd00::1]:81*1 Some(\"z1\")",
                "app.internal:82*1 None"
            ]
        );
        assert_eq!(instances("[]").unwrap(), []);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let without = r#"[{"Node": {}, "Service": {"ID": "a", "Port": 80}}]"#;
        let error = instances(without).unwrap_err().to_string();
        assert_eq!(error, "the instance `a` has no address that can be used");
        let no_port = r#"[{"Node": {"Address": "10.0.0.1"}, "Service": {"ID": "a", "Port": 0}}]"#;
        assert!(instances(no_port).is_err());
        for wrong in ["", "{}", "rpc error", "[{}]", "null"] {
            assert!(instances(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_index_that_goes_back_begins_anew() {
        assert_eq!(next_index(0, Some(7)), 7);
        assert_eq!(next_index(7, Some(7)), 7);
        assert_eq!(next_index(7, Some(8)), 8);
        assert_eq!(next_index(7, Some(3)), 0);
        assert_eq!(next_index(7, None), 0);
    }
}
