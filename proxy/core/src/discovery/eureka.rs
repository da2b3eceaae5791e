//! The instances of an application as Eureka has them (`/apps/NAME` as JSON).

use serde::Deserialize;

use super::instance::{InstanceError, no_address, target};
use super::{Answer, Endpoint};

#[derive(Deserialize)]
struct Document {
    application: Application,
}

#[derive(Deserialize)]
struct Application {
    #[serde(default)]
    instance: Instances,
}

/// One alone stands for a list in the JSON that Eureka makes of its XML.
#[derive(Deserialize)]
#[serde(untagged)]
enum Instances {
    Many(Vec<Instance>),
    One(Box<Instance>),
}

impl Default for Instances {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Instance {
    #[serde(default, rename = "instanceId")]
    id: String,
    #[serde(default)]
    host_name: String,
    #[serde(default)]
    ip_addr: String,
    status: String,
    #[serde(default)]
    port: Port,
    #[serde(default)]
    secure_port: Port,
    #[serde(default)]
    metadata: Metadata,
}

/// Numbers and truths are strings to some clients.
#[derive(Default, Deserialize)]
struct Port {
    #[serde(rename = "$", default)]
    number: Loose,
    #[serde(rename = "@enabled", default)]
    enabled: Loose,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Text(String),
    Number(u64),
    Truth(bool),
}

impl Default for Loose {
    fn default() -> Self {
        Self::Truth(false)
    }
}

impl Port {
    /// The number, if somebody listens there.
    fn open(&self) -> Option<u16> {
        let enabled = match &self.enabled {
            Loose::Text(text) => text == "true",
            Loose::Truth(truth) => *truth,
            Loose::Number(number) => *number == 1,
        };
        let number = match &self.number {
            Loose::Text(text) => text.parse().ok(),
            Loose::Number(number) => u16::try_from(*number).ok(),
            Loose::Truth(_) => None,
        };
        number.filter(|number| enabled && *number > 0)
    }
}

/// The instances that are UP, at their plain port, else at the secure one; one without an address is left out.
///
/// # Errors
/// What is not understood.
pub fn instances(text: &str) -> Result<Answer, InstanceError> {
    let Document { application } = serde_json::from_str(text)?;
    let instances = match application.instance {
        Instances::Many(many) => many,
        Instances::One(one) => vec![*one],
    };
    let mut answer = Answer::default();
    for instance in instances.iter().filter(|one| one.status == "UP") {
        let host = if instance.ip_addr.is_empty() {
            &instance.host_name
        } else {
            &instance.ip_addr
        };
        let port = instance.port.open().or_else(|| instance.secure_port.open());
        let Some(target) = port.and_then(|port| target(host, port)) else {
            answer.left_out.push(no_address(&instance.id));
            continue;
        };
        answer.endpoints.push(Endpoint {
            priority: 0,
            target,
            weight: 1,
            zone: instance.metadata.zone.clone(),
        });
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::instances;

    fn told(text: &str) -> Vec<String> {
        let found = instances(text).unwrap().settle().unwrap();
        let told = found
            .endpoints
            .iter()
            .map(|one| format!("{} {}", one.target, one.zone.as_deref().unwrap_or("-")));
        told.collect()
    }

    #[test]
    fn instances_that_are_up_become_endpoints() {
        let text = r#"{"application": {"name": "APP", "instance": [
            {"instanceId": "a", "hostName": "a.internal", "ipAddr": "10.0.0.1", "status": "UP",
             "port": {"$": 8080, "@enabled": "true"}, "securePort": {"$": 443, "@enabled": "false"},
             "metadata": {"zone": "eu", "@class": "java.util.Collections$EmptyMap"}},
            {"instanceId": "b", "hostName": "b.internal", "ipAddr": "", "status": "UP",
             "port": {"$": "8080", "@enabled": "false"}, "securePort": {"$": "8443", "@enabled": "true"}},
            {"instanceId": "c", "ipAddr": "10.0.0.3", "status": "OUT_OF_SERVICE"},
            {"instanceId": "d", "ipAddr": "10.0.0.4", "status": "DOWN"}
        ]}}"#;
        assert_eq!(told(text), ["10.0.0.1:8080 eu", "b.internal:8443 -"]);
    }

    #[test]
    fn one_instance_may_stand_without_its_list() {
        let text = r#"{"application": {"name": "APP", "instance":
            {"ipAddr": "10.0.0.1", "status": "UP", "port": {"$": 80, "@enabled": true}}}}"#;
        assert_eq!(told(text), ["10.0.0.1:80 -"]);
        assert_eq!(told(r#"{"application": {"name": "APP"}}"#), [""; 0]);
    }

    #[test]
    fn an_instance_without_an_open_port_costs_no_other() {
        let text = r#"{"application": {"instance": [
            {"instanceId": "a", "ipAddr": "10.0.0.1", "status": "UP"},
            {"instanceId": "b", "ipAddr": "10.0.0.2", "status": "UP", "port": {"$": 80, "@enabled": true}}
        ]}}"#;
        let found = instances(text).unwrap();
        let left_out = ["the instance `a` has no address that can be used"];
        assert_eq!(found.left_out, left_out);
        assert_eq!(told(text), ["10.0.0.2:80 -"]);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for wrong in ["", "<applications/>", "[]", "{}"] {
            assert!(instances(wrong).is_err(), "{wrong}");
        }
    }
}
