//! Asks a Consul for the instances of a service that pass their checks, by blocking queries: each is answered when something is
//! different from what the one before said, or when its time is over.

use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use openclaw_core::config::Consul;
use openclaw_core::discovery::{Answer, consul};

use super::error::DiscoverError;
use super::follower::Follower;
use super::http;
use crate::control::fetch::FetchError;

/// How long a question waits for news. Consul adds a sixteenth at most.
const WAIT: Duration = Duration::from_mins(1);
const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");
/// A service that changes all the time, or an index that does not move, is asked for no more often.
const LEAST: Duration = Duration::from_millis(250);
/// Somebody in between who takes the index away makes it a poll.
const POLL: Duration = Duration::from_secs(10);

pub(super) async fn follow(follower: Rc<Follower>, consul: Consul) {
    let mut index = 0;
    loop {
        let asked = Instant::now();
        let (answer, answered) = match ask(&consul, index).await {
            Ok((endpoints, answered)) => (Ok(endpoints), answered),
            Err(error) => (Err(error), None),
        };
        let rest = match follower.learn(answer) {
            Ok(()) if answered.is_none() => POLL,
            Ok(()) => LEAST.saturating_sub(asked.elapsed()),
            Err(back_off) => back_off,
        };
        index = consul::next_index(index, answered);
        follower.rest(rest).await;
    }
}

async fn ask(consul: &Consul, index: u64) -> Result<(Answer, Option<u64>), DiscoverError> {
    let Consul {
        url,
        service,
        tag,
        token,
        datacenter,
    } = consul;
    let mut url = format!("{url}/v1/health/service/{service}?passing=1");
    let [since, seconds] = [index, WAIT.as_secs()].map(|number| number.to_string());
    let seconds = seconds + "s";
    // The first question is answered at once.
    let waits = index > 0;
    let pairs = [
        ("tag", tag.as_ref()),
        ("dc", datacenter.as_ref()),
        ("index", waits.then_some(&since)),
        ("wait", waits.then_some(&seconds)),
    ];
    for (key, value) in pairs {
        if let Some(value) = value {
            url.extend(["&", key, "=", value]);
        }
    }
    let wait = if waits { WAIT } else { Duration::ZERO };
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        let value = HeaderValue::from_str(token.expose());
        let mut value = value.ok().ok_or(FetchError::Key)?;
        value.set_sensitive(true);
        headers.insert(TOKEN, value);
    }
    let response = http::ask(&url, headers, None, wait + wait / 16).await?;
    let answered = response.headers().get(INDEX);
    let answered = answered.and_then(|value| value.to_str().ok()?.parse().ok());
    let text = http::text(&url, response).await?;
    let instances = consul::instances(&text).map_err(DiscoverError::Consul)?;
    Ok((instances, answered))
}
