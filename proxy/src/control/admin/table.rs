//! What the admin API can be asked. Another room of the control plane adds a table of its own to [`TABLES`].

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;

use hyper::body::Bytes;
use openclaw_core::config::units;
use serde_json::{Value, json};

use super::{SMALL, openapi, status};
use crate::control::cached;
use crate::control::exchanges;
use crate::control::http::Answer;
use crate::control::limits;
use crate::control::listing;
use crate::control::logs::{self, Caller};
use crate::control::metrics;
use crate::control::orders;
use crate::control::reload;
use crate::control::renew;
use crate::control::reset;
use crate::control::shield;
use crate::control::state::Control;
use crate::control::top;
use crate::control::upgrade;

/// One thing to ask for.
#[derive(Debug)]
pub struct Route {
    pub method: &'static str,
    /// Exact, or everything below when it ends in a slash.
    pub path: &'static str,
    /// The largest body in bytes.
    pub max_body: usize,
    pub run: Run,
}

/// Runs on the control thread.
pub type Run = fn(Rc<Control>, Call) -> Pin<Box<dyn Future<Output = Answer>>>;

/// One call, with its body read.
#[derive(Debug)]
pub struct Call {
    pub path: String,
    pub query: String,
    pub body: Bytes,
    /// The user who calls, as the kernel knows him.
    pub uid: Option<u32>,
    /// His process.
    pub pid: Option<i32>,
    /// From where, by the page for browsers.
    pub peer: Option<SocketAddr>,
}

impl Call {
    /// Who calls, for the security log.
    pub(in crate::control) fn caller(&self) -> Caller {
        Caller {
            uid: self.uid,
            pid: self.pid,
            peer: self.peer,
        }
    }

    /// The parameters, as a client of the API wrote them.
    pub(in crate::control) fn parameters(&self) -> Value {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), Value::from(decode(value)))
        });
        Value::Object(pairs.collect())
    }

    /// The value of a query parameter, percent-decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&');
        let (_, value) = pairs
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)?;
        Some(decode(value))
    }
}

impl Route {
    pub(super) fn takes(&self, method: &str, path: &str) -> bool {
        let fits = if self.path.ends_with('/') {
            path.starts_with(self.path)
        } else {
            path == self.path
        };
        fits && self.method == method
    }
}

/// What takes such a call.
pub(in crate::control) fn find(method: &str, path: &str) -> Option<&'static Route> {
    let mut routes = TABLES.iter().flat_map(|table| table.iter());
    routes.find(|route| route.takes(method, path))
}

/// All tables; the first route that fits answers.
pub static TABLES: &[&[Route]] = &[
    CONTROL,
    shield::ROUTES,
    limits::ROUTES,
    cached::ROUTES,
    listing::ROUTES,
    orders::ROUTES,
    reset::ROUTES,
    reload::ROUTES,
    upgrade::ROUTES,
    renew::ROUTES,
    exchanges::ROUTES,
    logs::ROUTES,
    top::ROUTES,
];

static CONTROL: &[Route] = &[
    Route {
        method: "GET",
        path: "/status",
        max_body: SMALL,
        run: |control, _| {
            Box::pin(async move { Answer::json(200, &status::status(&control).await) })
        },
    },
    Route {
        method: "GET",
        path: "/metrics",
        max_body: SMALL,
        run: |control, _| Box::pin(async move { Answer::metrics(metrics::page(&control).await) }),
    },
    Route {
        method: "GET",
        path: "/openapi.json",
        max_body: SMALL,
        run: |_, _| Box::pin(async move { Answer::json(200, &openapi::document()) }),
    },
    Route {
        method: "GET",
        path: "/config",
        max_body: SMALL,
        run: |control, _| Box::pin(async move { Answer::json(200, &status::config(&control)) }),
    },
    Route {
        method: "POST",
        path: "/stop",
        max_body: SMALL,
        run: |control, call| Box::pin(async move { stop(&control, &call) }),
    },
];

fn stop(control: &Control, call: &Call) -> Answer {
    let grace = call
        .parameter("grace")
        .map(|text| units::duration(&text))
        .transpose();
    match grace {
        Ok(grace) => {
            let grace = control.request_stop(grace);
            control.stopper.set(call.caller());
            // Nobody is meant to come after this process; a signal leaves that to the service manager.
            control.keeping.borrow_mut().end();
            Answer::json(
                202,
                &json!({ "stopping": true, "grace_seconds": grace.as_secs_f64() }),
            )
        }
        Err(complaint) => Answer::error(400, &complaint.to_string()),
    }
}

fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = escaped
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = match byte {
            Some(_) => tail.get(2..).unwrap_or_default(),
            None => tail,
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encodes what is not unreserved (RFC 3986 §2.3), for a query.
pub fn encode(text: &str) -> String {
    use std::fmt::Write;

    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_survives_the_query() {
        for text in ["30s", "a b&c=d%", "2001:db8::/32", "é", ""] {
            let call = Call {
                path: String::new(),
                query: format!("x=1&text={}&y=2", encode(text)),
                body: Bytes::new(),
                uid: None,
                pid: None,
                peer: None,
            };
            assert_eq!(call.parameter("text").as_deref(), Some(text));
            assert_eq!(call.parameter("none"), None);
        }
        assert_eq!(decode("%zz%4"), "%zz%4");
    }

    #[test]
    fn no_route_stands_behind_one_that_takes_its_calls() {
        let routes: Vec<&Route> = TABLES.iter().flat_map(|table| table.iter()).collect();
        for (index, route) in routes.iter().enumerate() {
            let first = routes
                .iter()
                .position(|earlier| earlier.takes(route.method, route.path));
            assert_eq!(first, Some(index), "{} {}", route.method, route.path);
        }
    }
}
