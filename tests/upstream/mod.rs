//! Which endpoint serves what.

mod balance;
mod drills;
mod grpc;
mod health;
mod hedge;
mod hedged_drills;
mod load;
mod outcomes;
mod proxy_protocol;
mod queue;
mod queue_changes;
mod refusals;
mod tls;
mod zones;

use std::net::SocketAddr;

use crate::control::address;
use crate::support::{Origin, Proxy, RawClient, wait_until};

/// The proxy with two workers in front of several origins.
struct Group {
    proxy: Proxy,
    web: SocketAddr,
}

impl Group {
    /// An upstream of these endpoints, written as in TOML, with more keys.
    fn start(endpoints: &[String], keys: &str) -> Self {
        Self::with(&config(endpoints, keys))
    }

    fn with(config: &str) -> Self {
        let proxy = Proxy::start(config);
        Self {
            web: address(&proxy, "web"),
            proxy,
        }
    }

    fn metrics(&self) -> String {
        let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        RawClient::connect(self.proxy.metrics())
            .exchange(request)
            .text()
    }

    /// Waits until so many requests wait for an endpoint.
    fn wait_for_queue(&self, count: usize) {
        let line = format!("openclaw_upstream_waiting{{upstream=\"app\"}} {count}\n");
        wait_until(&line, || self.metrics().contains(&line));
    }

    fn stderr(&self) -> String {
        self.proxy.stderr()
    }

    /// Who answers one GET on a connection of its own.
    fn ask(&self, path: &str, client: &str) -> String {
        let response = RawClient::connect(self.web).exchange(get(path, client));
        assert_eq!(response.status(), 200, "{}", response.text());
        response.text()
    }
}

fn config(endpoints: &[String], keys: &str) -> String {
    format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\ntrusted_proxies = [\"127.0.0.1/32\"]\n\
         [upstream.app]\nendpoints = [{}]\n{keys}\n[[route]]\nto = \"app\"\n",
        endpoints.join(", ")
    )
}

/// The request of somebody else, whom the proxy believes to be `client`.
fn get(path: &str, client: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: {client}\r\n\r\n")
}

/// As an endpoint in TOML.
fn plain(origin: &Origin) -> String {
    format!("\"{}\"", origin.address())
}

fn weighted(origin: &Origin, weight: u32) -> String {
    format!(
        "{{ address = \"{}\", weight = {weight} }}",
        origin.address()
    )
}
