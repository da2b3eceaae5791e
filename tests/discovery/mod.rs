//! Endpoints that are not written down: where they come from, and what happens when nobody says.

mod answers;
mod dns;
mod file;
mod load;
mod registries;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::control::{address, sample};
use crate::support::{Origin, Proxy, RawClient, wait_until};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

/// The proxy in front of an upstream with these keys.
fn proxy(keys: &str) -> Proxy {
    Proxy::start(&config(keys))
}

fn config(keys: &str) -> String {
    format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[upstream.app]\n{keys}\n[[route]]\nto = \"app\"\n"
    )
}

/// Who answers when as many requests are sent in turn as reach everybody.
fn answering(web: SocketAddr) -> BTreeSet<String> {
    (0..8)
        .map(|_| RawClient::connect(web).exchange(GET))
        .map(|response| match response.status() {
            200 => response.text(),
            status => status.to_string(),
        })
        .collect()
}

/// Waits until these and no others answer.
fn wait_for(proxy: &Proxy, expected: &[&str]) {
    let web = address(proxy, "web");
    let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
    wait_until(&format!("{expected:?} answer"), || {
        answering(web) == expected
    });
}

fn ip(origin: &Origin) -> IpAddr {
    origin.address().ip()
}
