//! Keys about how an upstream treats its endpoints.

use std::time::Duration;

use super::{accepted, rejected};
use crate::config::{RetryOn, Upstream};

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

#[test]
fn what_is_asked_again_has_kinds_and_a_budget() {
    let absent = read("");
    assert_eq!((absent.retries, absent.retry_budget), (3, 20));
    assert_eq!(
        absent.retry_on,
        [
            RetryOn::Connect,
            RetryOn::Reset,
            RetryOn::BadResponse,
            RetryOn::Timeout
        ]
    );
    let given = read("retry_on = \"connect\"\nretry_budget = \"0%\"");
    assert_eq!(given.retry_on, [RetryOn::Connect]);
    assert_eq!(given.retry_budget, 0);
    assert_eq!(read("retry_on = []").retry_on, []);
    refused("retry_on = [\"conect\"]", "did you mean `connect`?");
    refused("retry_budget = \"120%\"", "is not a share");
    refused("retry_budget = 20", "a share needs a percent sign");
}

#[test]
fn an_endpoint_that_comes_back_may_begin_slowly() {
    assert_eq!(read("").slow_start, None);
    let given = read("slow_start = \"30s\"");
    assert_eq!(given.slow_start, Some(Duration::from_secs(30)));
    refused("slow_start = \"0s\"", "longer than zero");
    refused("slow_start = 30", "a duration needs a unit");
}
