//! What changes while requests wait for a place at an endpoint.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::Value;

use super::{Group, config, get, plain};
use crate::support::{Origin, Peer, RawClient, wait_until};

const ONE: &str = "max_connections = 1\nqueue_timeout = \"15s\"";

/// Answers probes at once, and everything else with its name when it is told to.
struct Patient {
    origin: Origin,
    go: Sender<()>,
    is_well: Arc<AtomicBool>,
}

impl Patient {
    fn new(name: &'static str) -> Self {
        let (go, told) = channel();
        let told: Mutex<Receiver<()>> = Mutex::new(told);
        let is_well = Arc::new(AtomicBool::new(true));
        let well = Arc::clone(&is_well);
        let origin = Origin::start(move |peer: &mut Peer| -> io::Result<()> {
            while let Some(request) = peer.request()? {
                let mut status = 200;
                if request.start.contains("/health") {
                    status = if well.load(Ordering::Acquire) {
                        200
                    } else {
                        503
                    };
                } else {
                    // The end of the test tells, too.
                    let _told_or_over = told.lock().unwrap().recv();
                }
                let length = name.len();
                peer.send(format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{name}"
                ))?;
            }
            Ok(())
        });
        Self {
            origin,
            go,
            is_well,
        }
    }

    fn tell(&self) {
        self.go.send(()).unwrap();
    }

    /// How many requests have come that are no probes.
    fn asked(&self) -> usize {
        let requests = self.origin.requests();
        let real = requests.iter();
        real.filter(|one| !one.start.contains("/health")).count()
    }

    fn place(&self) -> String {
        self.origin.address().to_string()
    }
}

fn asking(group: &Group) -> RawClient {
    let mut client = RawClient::connect(group.web);
    client.send(get("/", "192.0.2.1"));
    client
}

#[test]
fn an_endpoint_that_is_added_serves_those_who_wait() {
    let [first, added] = ["first", "added"].map(Patient::new);
    let group = Group::start(&[plain(&first.origin)], ONE);
    let mut one = asking(&group);
    first.origin.wait_for_requests(1);
    let mut two = asking(&group);
    group.wait_for_queue(1);
    added.tell();
    let words = ["upstream", "add", "app", &added.place()];
    group.proxy.cli(&words).ok();
    assert_eq!(two.response().text(), "added");
    first.tell();
    assert_eq!(one.response().text(), "first");
}

#[test]
fn an_endpoint_of_a_configuration_that_is_taken_serves_those_who_wait() {
    let [first, second] = ["first", "second"].map(Patient::new);
    let group = Group::start(&[plain(&first.origin)], ONE);
    let mut one = asking(&group);
    first.origin.wait_for_requests(1);
    let mut two = asking(&group);
    group.wait_for_queue(1);
    second.tell();
    group.proxy.rewrite(&config(&[plain(&second.origin)], ONE));
    group.proxy.cli(&["reload"]).ok();
    assert_eq!(two.response().text(), "second");
    first.tell();
    assert_eq!(one.response().text(), "first");
    assert_eq!(first.asked(), 1);
}

#[test]
fn an_endpoint_that_drains_gets_none_of_those_who_wait() {
    let [drained, other] = ["drained", "other"].map(Patient::new);
    let group = Group::start(&[plain(&drained.origin), plain(&other.origin)], ONE);
    let mut clients = [asking(&group), asking(&group)];
    for one in [&drained, &other] {
        one.origin.wait_for_requests(1);
    }
    let mut waits = asking(&group);
    group.wait_for_queue(1);
    let words = ["upstream", "drain", "app", &drained.place()];
    group.proxy.cli(&words).ok();
    drained.tell();
    wait_until("its place is free and nobody takes it", || {
        let listed = group.proxy.cli(&["-o", "json", "upstream", "list"]).ok();
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        let endpoints = listed["upstreams"][0]["endpoints"].as_array().unwrap();
        let mut endpoints = endpoints.iter();
        endpoints.any(|one| one["address"] == drained.place() && one["active"] == 0)
    });
    group.wait_for_queue(1);
    other.tell();
    other.tell();
    let mut names = clients.each_mut().map(|client| client.response().text());
    names.sort();
    assert_eq!(names, ["drained", "other"]);
    assert_eq!(waits.response().text(), "other");
    assert_eq!(drained.asked(), 1);
}

#[test]
fn an_endpoint_that_becomes_well_serves_those_who_wait() {
    let [well, sick] = ["well", "sick"].map(Patient::new);
    sick.is_well.store(false, Ordering::Release);
    let probes = "health = { path = \"/health\", every = \"50ms\", fall = 1, rise = 1 }";
    let keys = format!("{ONE}\n{probes}");
    let group = Group::start(&[plain(&well.origin), plain(&sick.origin)], &keys);
    group.proxy.wait_for("it answered 503");
    let mut one = asking(&group);
    let mut two = asking(&group);
    group.wait_for_queue(1);
    assert_eq!(sick.asked(), 0);
    sick.is_well.store(true, Ordering::Release);
    sick.tell();
    // One of the two is served where the other does not wait.
    wait_until("it is asked", || sick.asked() == 1);
    well.tell();
    let mut names = [one.response().text(), two.response().text()];
    names.sort();
    assert_eq!(names, ["sick", "well"]);
}
