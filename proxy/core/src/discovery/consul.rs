//! The instances of a service as Consul has them, and the rules of its blocking queries.

use serde::Deserialize;

use super::instance::{InstanceError, no_address, target};
use super::{Answer, Endpoint};

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
    // One that is no port costs its instance, and not the answer.
    port: u32,
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

/// The instances of an answer of `/v1/health/service/NAME?passing`. Where the service has no address, that of its node counts; an
/// instance without one is left out.
///
/// # Errors
/// What is not understood.
pub fn instances(text: &str) -> Result<Answer, InstanceError> {
    let instances: Vec<Instance> = serde_json::from_str(text)?;
    let mut answer = Answer::default();
    for Instance { node, service } in instances {
        let host = if service.address.is_empty() {
            &node.address
        } else {
            &service.address
        };
        // Consul knows 0 as a weight, of what is to get nothing.
        if service.weights.passing == 0 {
            continue;
        }
        let port = u16::try_from(service.port).ok();
        let Some(target) = port.and_then(|port| target(host, port)) else {
            answer.left_out.push(no_address(&service.id));
            continue;
        };
        let locality = service.locality.or(node.locality);
        let zone = locality.map(|locality| locality.zone);
        answer.endpoints.push(Endpoint {
            priority: 0,
            target,
            weight: service.weights.passing.min(65_535),
            zone: zone.filter(|zone| !zone.is_empty()),
        });
    }
    Ok(answer)
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

    use super::{Answer, instances, next_index};

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
        let found = instances(text).unwrap().settle().unwrap();
        let told: Vec<String> = found
            .endpoints
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
        assert_eq!(instances("[]").unwrap(), Answer::default());
    }

    #[test]
    fn an_instance_without_an_address_costs_no_other() {
        for wrong in [
            r#""Service": {"ID": "a", "Port": 80}"#,
            r#""Service": {"ID": "a", "Address": "not a name", "Port": 80}"#,
            r#""Service": {"ID": "a", "Address": "10.0.0.1", "Port": 0}"#,
            r#""Service": {"ID": "a", "Address": "10.0.0.1", "Port": 65536}"#,
        ] {
            let right = r#"{"Service": {"ID": "b", "Address": "10.0.0.2", "Port": 80}}"#;
            let found = instances(&format!("[{{{wrong}}}, {right}]")).unwrap();
            let taken = found.settle().unwrap();
            assert_eq!(taken.endpoints.len(), 1, "{wrong}");
            let told = "the instance `a` has no address that can be used";
            assert_eq!(taken.left_out.as_deref(), Some(told), "{wrong}");
            // Where all of them are wrong, what was known before is the better answer.
            let alone = instances(&format!("[{{{wrong}}}]")).unwrap();
            let error = alone.settle().unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
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
