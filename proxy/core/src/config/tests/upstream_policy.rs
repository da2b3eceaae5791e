//! Keys about how an upstream treats its endpoints.

use std::time::Duration;

use super::{accepted, rejected};
use crate::config::Upstream;

fn text(keys: &str) -> String {
    format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[upstream.app]\nendpoints = [\"127.0.0.1:1\"]\n{keys}\n[[route]]\nto = \"app\"\n"
    )
}

fn read(keys: &str) -> Upstream {
    accepted(&text(keys)).upstreams.remove(0)
}

fn refused(keys: &str, expected: &str) {
    let told = rejected(&text(keys)).to_string();
    assert!(told.contains(expected), "{keys}: {told}");
}

#[test]
fn an_endpoint_may_have_a_limit_and_requests_wait_within_bounds() {
    let absent = read("");
    assert_eq!(absent.max_connections, None);
    assert_eq!(absent.queue, 1024);
    assert_eq!(absent.queue_timeout, Duration::from_secs(1));
    let given = read("max_connections = 20\nqueue = 0\nqueue_timeout = \"50ms\"");
    assert_eq!((given.max_connections, given.queue), (Some(20), 0));
    assert_eq!(given.queue_timeout, Duration::from_millis(50));
    refused("max_connections = 0", "out of range");
    refused("max_connections = \"20\"", "expected an integer");
    refused("queue = -1", "out of range");
    refused("queue_timeout = \"0s\"", "longer than zero");
    refused("queue_timeout = 5", "a duration needs a unit");
}
