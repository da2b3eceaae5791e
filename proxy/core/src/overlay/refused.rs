//! Why what an operator asks for does not become a change.

use crate::config::Complaint;

/// More changes than this are a program gone wrong, and belong into the file.
pub(super) const MAX_CHANGES: usize = 10_000;

/// Why a change is not made; a sentence for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such thing.
    #[error("there is no {what} `{name}`{}", hint(did_you_mean.as_deref()))]
    Unknown {
        /// An upstream, an endpoint of which upstream, a route.
        what: String,
        /// As asked for.
        name: String,
        /// What was probably meant.
        did_you_mean: Option<String>,
    },
    /// It is no address.
    #[error("{0}")]
    NoAddress(Complaint),
    /// It would not be met as it says.
    #[error(
        "an upstream speaks TLS with all of its endpoints or with none, and {upstream} {}",
        if *.tls {
            "does: `http://` would not be obeyed; leave the scheme out if the endpoint speaks TLS"
        } else {
            "does not: `https://` would not be obeyed; make another upstream for it"
        }
    )]
    Scheme {
        /// The upstream's name.
        upstream: String,
        /// Whether its endpoints are met with TLS.
        tls: bool,
    },
    /// It is only there in the clear.
    #[error("the demo origin does not speak TLS")]
    Demo,
    /// It is there already.
    #[error("upstream {upstream} has {endpoint} already{}", if *.drains { "; it drains: `openclaw upstream enable` gives it its share again" } else { "" })]
    Present {
        /// The upstream's name.
        upstream: String,
        /// The endpoint as written.
        endpoint: String,
        /// It is there, and gets nothing new.
        drains: bool,
    },
    /// The route goes nowhere else.
    #[error(
        "route {0} does not go to several upstreams; write `to = [{{ upstream = \"…\", weight = 1 }}, …]` into the configuration"
    )]
    NoChoice(String),
    /// Nobody would be picked.
    #[error("the weights of all upstreams of route {0} would be 0: none would be picked")]
    AllZero(String),
    /// More than are kept beside a configuration.
    #[error(
        "there are {MAX_CHANGES} changes already; write them into the configuration and reload"
    )]
    TooMany,
}

fn hint(text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| format!("; {text}"))
}

impl Refused {
    /// Whether the order itself is wrong, whatever is served.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::NoAddress(_))
    }
}
