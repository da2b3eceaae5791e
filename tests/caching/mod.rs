//! What is stored, for whom, and what it saves the endpoint.

mod changes;
mod confirmations;
mod crowd;
mod damage;
mod disk;
mod followers;
mod keys;
mod leaks;
mod nodes;
mod places;
mod purges;
mod reloads;
mod reuse;
mod slices;
mod stale;
mod streams;
mod trouble;
mod verbs;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::control::address;
use crate::support::{Message, Origin, Proxy, RawClient};

/// The proxy with a cache in front of an origin that counts.
struct Stage {
    proxy: Proxy,
    web: SocketAddr,
    origin: Origin,
}

impl Stage {
    /// `answer` makes a response, head and body, of a request and how many came before it.
    fn start(
        rule: &str,
        answer: impl Fn(&Message, usize) -> String + Send + Sync + 'static,
    ) -> Self {
        Self::before(rule, counting(answer))
    }

    fn before(rule: &str, origin: Origin) -> Self {
        Self::with("memory = \"64m\"", rule, origin)
    }

    /// With these keys of `[cache]`.
    fn with(cache: &str, rule: &str, origin: Origin) -> Self {
        let proxy = Proxy::start(&config(cache, rule, &origin));
        Self {
            web: address(&proxy, "web"),
            proxy,
            origin,
        }
    }

    /// One GET on a connection of its own, with more field lines.
    fn get(&self, path: &str, lines: &str) -> Message {
        self.ask("GET", path, lines)
    }

    fn ask(&self, method: &str, path: &str, lines: &str) -> Message {
        self.send(method, path, lines).response_to(method)
    }

    /// The same for who does not wait for the answer.
    fn send(&self, method: &str, path: &str, lines: &str) -> RawClient {
        let mut client = RawClient::connect(self.web);
        client.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"
        ));
        client
    }

    fn asked(&self) -> usize {
        self.origin.requests().len()
    }
}

/// An origin that makes a response of a request and how many came before it.
fn counting(answer: impl Fn(&Message, usize) -> String + Send + Sync + 'static) -> Origin {
    let count = Arc::new(AtomicUsize::new(0));
    Origin::start(move |peer| {
        while let Some(request) = peer.request()? {
            let before = count.fetch_add(1, Ordering::Relaxed);
            peer.send(answer(&request, before))?;
        }
        Ok(())
    })
}

fn config(cache: &str, rule: &str, origin: &Origin) -> String {
    format!(
        "[listener.web]\nbind = \"127.0.0.1:0\"\n[cache]\n{cache}\n\
         [upstream.app]\nendpoints = \"{}\"\nretries = 0\n[[route]]\nname = \"all\"\ncache = {{ {rule} }}\nto = \"app\"\n",
        origin.address()
    )
}

/// A 200 with these field lines and a body.
fn ok(lines: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\n{lines}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn status(message: &Message) -> &str {
    message.header("cache-status").unwrap_or_default()
}
