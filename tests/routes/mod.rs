//! What routes do with requests, seen from both ends.

mod edits;
mod examples;
mod explain;
mod forwarding;
mod matching;
mod mirror;
mod paths;
mod split;
mod sticky;
mod times;

use std::net::SocketAddr;

use crate::control::address;
use crate::support::{Message, Origin, Proxy, RawClient};

/// The proxy with a listener that believes this host about clients.
struct Stage {
    proxy: Proxy,
    web: SocketAddr,
}

impl Stage {
    /// With these upstreams and routes.
    fn start(rest: &str) -> Self {
        let proxy = Proxy::start(&format!(
            "[listener.web]\nbind = [\"127.0.0.1:0\"]\ntrusted_proxies = [\"127.0.0.1/32\"]\n{rest}"
        ));
        Self {
            web: address(&proxy, "web"),
            proxy,
        }
    }

    /// One request on a connection of its own, with these header lines more.
    fn ask(&self, target: &str, lines: &str) -> Message {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n");
        RawClient::connect(self.web).exchange(request)
    }
}

/// An upstream of one origin, with more keys.
fn upstream(name: &str, origin: &Origin, keys: &str) -> String {
    let address = origin.address();
    format!("[upstream.{name}]\nendpoints = [\"{address}\"]\n{keys}\n")
}
