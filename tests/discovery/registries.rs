//! Consul, Kubernetes and Eureka, by fakes that speak as they do.

use std::time::Instant;

use super::{proxy, wait_for};
use crate::support::{Consul, Eureka, Folder, Kubernetes, Origin, PATIENCE, wait_until};

#[test]
fn consul_tells_at_once_by_blocking_queries() {
    let [a, b] = ["a", "b"].map(Origin::serving);
    let consul = Consul::start("app", "secret");
    consul.set(&[(a.address(), 3)]);
    let proxy = proxy(&format!(
        "discover = {{ consul = \"{}\", service = \"app\", tag = \"v2\", token = \"secret\", datacenter = \"dc1\" }}",
        consul.url()
    ));
    wait_for(&proxy, &["a"]);
    let first = &consul.questions()[0];
    assert_eq!(
        first,
        "GET /v1/health/service/app?passing=1&tag=v2&dc=dc1 HTTP/1.1"
    );
    consul.set(&[(a.address(), 1), (b.address(), 1)]);
    wait_for(&proxy, &["a", "b"]);
    let waiting = consul.questions();
    assert!(
        waiting
            .iter()
            .any(|question| question.contains("&index=6&wait=60s ")),
        "{waiting:?}"
    );
    // The index goes back, and what was restored is seen.
    consul.set(&[(b.address(), 1)]);
    consul.restore();
    wait_for(&proxy, &["b"]);
    consul.die(true);
    proxy.wait_for("endpoints are not found");
    wait_for(&proxy, &["b"]);
    consul.die(false);
    consul.set(&[]);
    proxy.wait_for("endpoints are found again");
    wait_for(&proxy, &["503"]);
    assert!(!proxy.stderr().contains("secret"));
    assert_eq!(proxy.stderr().matches("are not found").count(), 1);
}

#[test]
fn kubernetes_is_listed_and_watched() {
    let origins = Origin::siblings(3);
    let port = origins[0].address().port();
    let at = |index: usize| origins[index].address();
    let folder = Folder::new();
    let token = folder.write("token", "pass\n");
    let kubernetes = Kubernetes::start("pass");
    kubernetes.set("app-1", port, &[(at(0), true)]);
    let proxy = proxy(&format!(
        "discover = {{ kubernetes = {{ service = \"app\", namespace = \"prod\", port = \"http\", api = \"{}\", token_file = \"{}\" }} }}",
        kubernetes.url(),
        token.display()
    ));
    wait_for(&proxy, &["0"]);
    kubernetes.set("app-2", port, &[(at(1), true), (at(2), false)]);
    wait_for(&proxy, &["0", "1"]);
    kubernetes.delete("app-1");
    wait_for(&proxy, &["1"]);
    // None is ready: who ends still serves.
    kubernetes.set("app-2", port, &[(at(2), false)]);
    wait_for(&proxy, &["2"]);
    assert_eq!(kubernetes.questions(), (1, 1));
    // The version is gone (410): everything is listed anew.
    kubernetes.compact();
    wait_until("it is listed again", || kubernetes.questions().0 == 2);
    kubernetes.set("app-3", port, &[(at(0), true)]);
    wait_for(&proxy, &["0"]);
    assert!(!proxy.stderr().contains("not found"), "{}", proxy.stderr());
    kubernetes.die(true);
    proxy.wait_for("endpoints are not found");
    wait_for(&proxy, &["0"]);
    kubernetes.die(false);
    proxy.wait_for("endpoints are found again");
}

#[test]
fn eureka_is_asked_now_and_then() {
    let [a, b] = ["a", "b"].map(Origin::serving);
    let eureka = Eureka::start();
    let proxy = proxy(&format!(
        "discover = {{ eureka = \"{}\", app = \"APP\" }}",
        eureka.url()
    ));
    // It does not know the application: that is no empty set, and is asked for again soon.
    proxy.wait_for("answered 404");
    wait_for(&proxy, &["503"]);
    let begun = Instant::now();
    eureka.set(&[(a.address(), "UP"), (b.address(), "DOWN")]);
    wait_for(&proxy, &["a"]);
    assert!(begun.elapsed() < PATIENCE);
}
