//! Asks a Eureka for the instances of an application, every so often: it has no way to wait for news.

use std::rc::Rc;
use std::time::Duration;

use hyper::header::{ACCEPT, HeaderMap, HeaderValue};
use openclaw_core::discovery::{Answer, eureka};

use super::error::DiscoverError;
use super::follower::Follower;
use super::http;

/// What its own clients do.
const EVERY: Duration = Duration::from_secs(30);

pub(super) async fn follow(follower: Rc<Follower>, url: String, app: String) {
    let url = format!("{url}/apps/{app}");
    loop {
        let rest = match follower.learn(ask(&url).await) {
            // Proxies that were started together do not ask together.
            Ok(()) => EVERY.mul_f64(0.9 + fastrand::f64() * 0.2),
            Err(back_off) => back_off,
        };
        follower.rest(rest).await;
    }
}

/// An application that is not known (404) is an error and not an empty set: a Eureka that has just started knows none.
async fn ask(url: &str) -> Result<Answer, DiscoverError> {
    let json = HeaderValue::from_static("application/json");
    let headers = HeaderMap::from_iter([(ACCEPT, json)]);
    let response = http::ask(url, headers, None, Duration::ZERO).await?;
    let text = http::text(url, response).await?;
    eureka::instances(&text).map_err(DiscoverError::Eureka)
}
