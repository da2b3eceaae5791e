//! Answers of which a part is wrong, answers that are long, and sources that say nothing while it is known what they said last.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, thread};

use serde_json::{Value, json};

use super::{config, ip, proxy, wait_for};
use crate::support::{Dns, Origin, Proxy, wait_until};

/// A Consul that answers with these instances, or with nothing; one that is told to be silent says nothing any more.
fn consul(instances: &Value, silent: &Arc<AtomicBool>) -> Origin {
    let (body, silent) = (instances.to_string(), Arc::clone(silent));
    Origin::start(move |peer| {
        while let Some(request) = peer.request()? {
            while request.start.contains("&index=") || silent.load(Ordering::Acquire) {
                thread::sleep(Duration::from_millis(20));
            }
            let length = body.len();
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: {length}\r\n\r\n{body}"
            ))?;
        }
        Ok(())
    })
}

fn instance(host: &str, port: u16) -> Value {
    json!({ "Service": { "ID": host, "Address": host, "Port": port } })
}

fn discover(consul: &Origin) -> String {
    let address = consul.address();
    format!("discover = {{ consul = \"http://{address}\", service = \"app\" }}")
}

#[test]
fn an_instance_that_cannot_be_an_endpoint_costs_no_other() {
    let origin = Origin::serving("a");
    let port = origin.address().port();
    let instances = json!([
        instance("not a name", port),
        instance("0.0.0.0", port),
        instance("127.0.0.1", port),
    ]);
    let consul = consul(&instances, &Arc::default());
    let proxy = proxy(&discover(&consul));
    wait_for(&proxy, &["a"]);
    let told = proxy.wait_for("left out of the endpoints");
    assert!(told.contains("`not a name`"), "{told}");
    assert!(told.contains("0.0.0.0"), "{told}");
}

#[test]
fn a_name_that_nobody_knows_costs_no_other_and_is_told() {
    let [a, b] = ["a", "b"].map(Origin::serving);
    let [port_of_a, port_of_b] = [&a, &b].map(|one| one.address().port());
    let dns = Dns::start();
    dns.addresses("known.internal", 300, &[ip(&a)]);
    let service = "_http._tcp.app.internal";
    let records = [
        (0, 1, port_of_a, "known.internal"),
        (0, 1, port_of_b, "gone.internal"),
    ];
    dns.services(service, 300, &records);
    let resolver = dns.address();
    let proxy = proxy(&format!(
        "discover = {{ srv = \"{service}\", resolver = \"{resolver}\" }}"
    ));
    wait_for(&proxy, &["a"]);
    let told = proxy.wait_for("endpoints are not found");
    assert!(told.contains("gone.internal"), "{told}");
    dns.addresses("gone.internal", 1, &[ip(&b)]);
    wait_for(&proxy, &["a", "b"]);
}

#[test]
fn addresses_that_no_host_has_are_no_endpoints() {
    let origins = Origin::siblings(1);
    let port = origins[0].address().port();
    let dns = Dns::start();
    let wrong: [IpAddr; 4] =
        ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255"].map(|ip| ip.parse().unwrap());
    let all: Vec<IpAddr> = wrong.into_iter().chain([ip(&origins[0])]).collect();
    dns.addresses("app.internal", 1, &all);
    let resolver = dns.address();
    let proxy = proxy(&format!(
        "discover = {{ dns = \"app.internal:{port}\", resolver = \"{resolver}\" }}"
    ));
    wait_for(&proxy, &["0"]);
    assert_eq!(endpoints(&proxy), 1);
    // What the name leads to is unusable as a whole: the last good answer serves on.
    dns.addresses("app.internal", 1, &wrong);
    let told = proxy.wait_for("nothing of the answer can be connected to");
    assert!(told.contains("kept=1"), "{told}");
    wait_for(&proxy, &["0"]);
    let told = proxy.stderr();
    assert_eq!(told.matches("left out of the endpoints").count(), 1);
}

#[test]
fn many_names_are_looked_up_a_few_at_a_time() {
    let dns = Dns::start();
    let names: Vec<String> = (0..400).map(|index| format!("h{index}.i")).collect();
    for (name, last) in names.iter().zip(0_u32..) {
        let ip = Ipv4Addr::from(0x7f01_0000 + last);
        dns.addresses(name, 300, &[ip.into()]);
    }
    let services: Vec<_> = names.iter().map(|name| (0, 1, 9, &**name)).collect();
    dns.services("_http._tcp.i", 300, &services);
    let resolver = dns.address();
    let keys = format!("discover = {{ srv = \"_http._tcp.i\", resolver = \"{resolver}\" }}");
    // So that all that are asked for are asked for at the same time.
    dns.silence_addresses(true);
    let mut proxy = Proxy::launch(&config(&keys), &[]);
    wait_until("addresses are asked for", || dns.questions() > 16);
    let open = fs::read_dir(format!("/proc/{}/fd", proxy.pid())).unwrap();
    let open = open.count();
    assert!(open < 200, "{open} open files");
    dns.silence_addresses(false);
    assert!(proxy.ready_or_ended().is_none());
    wait_until("all are known", || endpoints(&proxy) == names.len());
}

#[test]
fn a_start_does_not_wait_for_a_source_whose_last_answer_is_known() {
    let origin = Origin::serving("a");
    let address = origin.address();
    let silent = Arc::new(AtomicBool::new(false));
    let instances = json!([instance("127.0.0.1", address.port())]);
    let consul = consul(&instances, &silent);
    let mut proxy = proxy(&discover(&consul));
    wait_for(&proxy, &["a"]);
    let port = address.port().to_string();
    wait_until("it is on the disk", || {
        fs::read_to_string(proxy.folder().path().join("state/discovered.json"))
            .is_ok_and(|text| text.contains(&port))
    });
    proxy.signal("TERM");
    proxy.wait();
    silent.store(true, Ordering::Release);
    proxy.start_again();
    // Who had waited to the end would say that there was no answer within ten seconds.
    let told = proxy.stderr();
    assert!(told.contains("no answer yet"), "{told}");
    wait_for(&proxy, &["a"]);
}

/// How many endpoints are served.
fn endpoints(proxy: &Proxy) -> usize {
    let output = proxy.cli(&["-o", "json", "upstream", "list"]).ok();
    let json: Value = serde_json::from_slice(&output.stdout).expect("the list is JSON");
    let endpoints = json["upstreams"][0]["endpoints"].as_array();
    endpoints.map_or(0, Vec::len)
}
