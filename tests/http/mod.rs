//! HTTP through the proxy: every byte that a client sends, and every byte that an origin answers.

pub(crate) mod bodies;
mod conduct;
mod drain;
mod grpc;
mod h2;
mod h2_abuse;
mod h2_client;
mod h2_frames;
mod h2_uploads;
mod interim;
mod limits;
mod logs;
mod long;
mod lying;
mod matrix;
mod messages;
mod pace;
mod pages;
mod pings;
mod priorities;
mod proxy_protocol;
mod rates;
mod real;
mod retries;
mod routes;
mod streaming;
mod streams;
mod tls;
mod tls_hostile;
mod tunnels;
pub(crate) mod tunnels_h2;
mod volumes;
pub(crate) mod websocket;

use std::net::SocketAddr;

use crate::control::address;
use crate::support::{Message, Origin, Proxy, RawClient};

/// The proxy with a listener `web` in the clear and a listener `webs` with TLS.
struct Stage {
    proxy: Proxy,
    web: SocketAddr,
    webs: SocketAddr,
}

const LISTENERS: &str = r#"
[listener.web]
bind = ["127.0.0.1:0"]
protocols = ["h1", "h2"]

[listener.webs]
bind = ["127.0.0.1:0"]
tls = { self_signed = ["a.test", "localhost"] }
"#;

impl Stage {
    /// In front of one origin.
    fn before(origin: &Origin) -> Self {
        Self::with(&app(origin.address(), ""))
    }

    /// With these upstreams and routes behind the usual listeners.
    fn with(rest: &str) -> Self {
        Self::start(&format!("{LISTENERS}{rest}"))
    }

    /// With a whole configuration, which names both listeners.
    fn start(config: &str) -> Self {
        let proxy = Proxy::start(config);
        Self {
            web: address(&proxy, "web"),
            webs: address(&proxy, "webs"),
            proxy,
        }
    }

    fn client(&self) -> RawClient {
        RawClient::connect(self.web)
    }

    /// One request on a connection of its own.
    fn ask(&self, request: &str) -> Message {
        self.client().exchange(request)
    }
}

/// An upstream `app` with these keys more, and a route for everything.
fn app(endpoint: SocketAddr, keys: &str) -> String {
    format!(
        "[upstream.app]\nendpoints = [\"{endpoint}\"]\n{keys}\n[[route]]\nname = \"all\"\nto = \"app\"\n"
    )
}

/// The usual listeners with more keys for each.
fn listeners(keys: &str) -> String {
    LISTENERS
        .replace("protocols = [\"h1\", \"h2\"]", keys)
        .replace("\ntls =", &format!("\n{keys}\ntls ="))
}

/// A refusal says its status and code, and its id twice, and nothing of the inside.
fn assert_refused(response: &Message, status: u16, reason: &str) {
    assert_eq!(response.status(), status, "{}", response.text());
    let id = response
        .header("x-request-id")
        .expect("a refusal has an id");
    let text = response.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with(&status.to_string()), "{text}");
    assert_eq!(lines[1], reason);
    assert_eq!(lines[2], format!("request id: {id}"));
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const GET_CLOSE: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
