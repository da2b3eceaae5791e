//! HTTP/3 through the proxy, by clients that were not written for it.

mod chromium;
pub(crate) mod client;
mod early;
mod ending;
mod foreign;
mod hostile;
mod moving;
mod requests;
mod streams;
mod tokens;

use std::net::SocketAddr;

use crate::control::address;
use crate::support::{Origin, Proxy};

/// The proxy with a listener `webs` that speaks all three versions.
struct Stage {
    proxy: Proxy,
    webs: SocketAddr,
}

const LISTENER: &str = r#"
[listener.webs]
bind = ["127.0.0.1:0"]
protocols = ["h1", "h2", "h3"]
tls = { self_signed = ["a.test", "localhost"] }
"#;

impl Stage {
    /// In front of one origin.
    fn before(origin: &Origin) -> Self {
        Self::with(origin, "")
    }

    /// `keys`: more of the listener's.
    fn with(origin: &Origin, keys: &str) -> Self {
        let origin = origin.address();
        Self::start(&format!(
            "{LISTENER}{keys}\n[upstream.app]\nendpoints = [\"{origin}\"]\n\n[[route]]\nname = \"all\"\nto = \"app\"\n"
        ))
    }

    /// All that comes is that worker's.
    fn of_one_worker(origin: &Origin) -> Self {
        let origin = origin.address();
        Self::start(&format!(
            "[server]\nworkers = 1\nstate_dir = \"state\"\n{LISTENER}\n[upstream.app]\nendpoints = [\"{origin}\"]\n\n[[route]]\nto = \"app\"\n"
        ))
    }

    fn start(config: &str) -> Self {
        let proxy = Proxy::start(config);
        Self {
            webs: address(&proxy, "webs"),
            proxy,
        }
    }
}

/// An origin that gives back what it is sent, and in a field how it was asked.
fn echo() -> Origin {
    Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            let body = &request.body;
            let mut answer = format!(
                "HTTP/1.1 200 OK\r\nX-Asked: {}\r\nContent-Length: {}\r\n\r\n",
                request.start,
                body.len()
            )
            .into_bytes();
            answer.extend_from_slice(body);
            peer.send(&answer)?;
        }
        Ok(())
    })
}
