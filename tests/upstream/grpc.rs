//! Probes in the words of gRPC. The counterpart is the `h2` crate, in the clear and through TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use hyper::{HeaderMap, Method, Response};

use super::Group;
use crate::support::{Authority, Call, Folder, StreamOrigin, wait_until};

/// What the health service says: a status of its enum, or a code with which the call fails.
#[derive(Clone, Default)]
struct Mood(Arc<AtomicU8>);

const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;
/// From here on the call fails with what is above it.
const FAILS: u8 = 100;

impl Mood {
    fn is(&self, mood: u8) {
        self.0.store(mood, Ordering::SeqCst);
    }

    /// Answers health questions by the mood, and everything else with `fine`.
    async fn answer(self, mut call: Call) {
        if call.path() != "/grpc.health.v1.Health/Check" {
            return call.answer(200, "fine");
        }
        assert_eq!(call.request.method(), Method::POST);
        let head = call.request.headers();
        assert_eq!(head["content-type"], "application/grpc");
        assert_eq!(head["te"], "trailers");
        let (body, _) = call.read().await.unwrap();
        let mood = self.0.load(Ordering::SeqCst);
        let response = Response::builder().header("content-type", "application/grpc");
        if mood >= FAILS {
            let failed = response.header("grpc-status", (mood - FAILS).to_string());
            call.respond
                .send_response(failed.body(()).unwrap(), true)
                .unwrap();
            return;
        }
        let mut stream = call
            .respond
            .send_response(response.body(()).unwrap(), false)
            .unwrap();
        // Whoever asks for another service is told that there is none.
        let status = match body.as_slice() {
            b"\0\0\0\0\x0a\x0a\x08lab.Echo" => mood,
            _ => 3,
        };
        let message = Bytes::copy_from_slice(&[0, 0, 0, 0, 2, 8, status]);
        stream.send_data(message, false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        stream.send_trailers(trailers).unwrap();
    }
}

fn keys(service: &str) -> String {
    format!(
        "protocol = \"h2\"\nhealth = {{ grpc = \"{service}\", every = \"50ms\", timeout = \"5s\", fall = 1, rise = 1 }}"
    )
}

fn wait_for_health(group: &Group, origin: &StreamOrigin, expected: u8) {
    let endpoint = origin.address();
    let line =
        format!("openclaw_upstream_healthy{{upstream=\"app\",endpoint=\"{endpoint}\"}} {expected}");
    wait_until(&line, || group.metrics().contains(&line));
}

#[test]
fn an_endpoint_is_well_as_long_as_its_service_serves() {
    let mood = Mood::default();
    mood.is(SERVING);
    let own = mood.clone();
    let origin = StreamOrigin::start(move |call| own.clone().answer(call));
    let group = Group::start(&[format!("\"{}\"", origin.address())], &keys("lab.Echo"));
    for (is, why) in [
        (NOT_SERVING, "it says that it does not serve"),
        (FAILS + 12, "it has no health service"),
        (FAILS + 14, "grpc-status 14"),
    ] {
        wait_for_health(&group, &origin, 1);
        mood.is(is);
        wait_for_health(&group, &origin, 0);
        wait_until(why, || group.stderr().contains(why));
        mood.is(SERVING);
    }
    wait_for_health(&group, &origin, 1);
    assert_eq!(group.ask("/", "192.0.2.1"), "fine");
}

#[test]
fn a_service_that_nobody_knows_is_not_well_and_neither_is_who_speaks_no_grpc() {
    let mood = Mood::default();
    mood.is(SERVING);
    let knows = StreamOrigin::start(move |call| mood.clone().answer(call));
    let other = StreamOrigin::start(|mut call: Call| async move { call.answer(200, "hello") });
    for (origin, why) in [
        (&knows, "it does not know that service"),
        (&other, "it answered 200, and not in the words of gRPC"),
    ] {
        let group = Group::start(&[format!("\"{}\"", origin.address())], &keys("lab.Other"));
        wait_for_health(&group, origin, 0);
        wait_until(why, || group.stderr().contains(why));
    }
}

#[test]
fn the_question_goes_through_tls_where_requests_do() {
    let folder = Folder::new();
    let authority = Authority::new(&folder, "ca.pem");
    let mood = Mood::default();
    mood.is(SERVING);
    let own = mood.clone();
    let mut config = authority.serving(&["a.test"]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let origin = StreamOrigin::secured(config, move |call| own.clone().answer(call));
    let tls = format!(
        "{}\ntls = {{ ca = \"{}\", server_name = \"a.test\" }}",
        keys("lab.Echo"),
        authority.file.display()
    );
    let group = Group::start(&[format!("\"{}\"", origin.address())], &tls);
    mood.is(NOT_SERVING);
    wait_for_health(&group, &origin, 0);
    mood.is(SERVING);
    wait_for_health(&group, &origin, 1);
}
