//! A layer as text, for the file that keeps it and for whoever opens that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EndpointChange, Layer, Presence};

/// What stands above the changes.
const HEAD: &str = "# Changes made by `openclaw upstream` and `openclaw route` with --persist: over what the configuration says.\n";

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Text {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    upstream: BTreeMap<String, BTreeMap<String, Endpoint>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    route: BTreeMap<String, BTreeMap<String, u32>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    /// Whether it is there, whatever the configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    present: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    draining: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
}

impl Layer {
    /// As TOML.
    pub fn to_text(&self) -> String {
        let text = Text {
            upstream: map(&self.endpoints, |change| Endpoint {
                present: change.presence.map(|it| it == Presence::Added),
                weight: change.weight,
                draining: change.draining,
                zone: change.zone.as_deref().map(str::to_owned),
            }),
            route: self.routes.clone(),
        };
        // Maps of names, numbers and booleans always are TOML.
        let body = toml::to_string(&text).unwrap_or_default();
        format!("{HEAD}\n{body}")
    }

    /// From TOML.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_text(text: &str) -> Result<Self, toml::de::Error> {
        let text: Text = toml::from_str(text)?;
        Ok(Self {
            endpoints: map(&text.upstream, |change| EndpointChange {
                presence: change.present.map(|present| {
                    if present {
                        Presence::Added
                    } else {
                        Presence::Deleted
                    }
                }),
                weight: change.weight,
                draining: change.draining,
                zone: change.zone.as_deref().map(Into::into),
            }),
            routes: text.route,
        })
    }
}

fn map<T, U>(
    all: &BTreeMap<String, BTreeMap<String, T>>,
    one: impl Fn(&T) -> U,
) -> BTreeMap<String, BTreeMap<String, U>> {
    let of = |of: &BTreeMap<String, T>| {
        of.iter()
            .map(|(name, it)| (name.clone(), one(it)))
            .collect()
    };
    all.iter()
        .map(|(name, it)| (name.clone(), of(it)))
        .collect()
}
