//! What is for one client is for no other one, also where both ask at the same moment, or the store is asked about it later.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use super::{Stage, ok, status};
use crate::support::{Origin, PATIENCE, RawClient};

/// An origin whose responses are for who asks, `X-User`. Those of `a` come in three parts: nothing, the head with the letter, the
/// rest; each when it is told to.
fn personal(rule: &str, lines: &'static str) -> (Stage, Sender<()>) {
    let (go, told) = channel::<()>();
    let told = Mutex::new(told);
    let origin = Origin::start(move |peer| {
        while let Some(request) = peer.request()? {
            let user = request.header("x-user").unwrap_or_default().to_owned();
            let wait = || {
                if user == "a" {
                    told.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                }
            };
            wait();
            peer.send(format!(
                "HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\n{user}"
            ))?;
            wait();
            peer.send("!")?;
        }
        Ok(())
    });
    (Stage::before(rule, origin), go)
}

fn ask(stage: &Stage, user: &str) -> RawClient {
    let mut client = RawClient::connect(stage.web);
    client.send(format!(
        "GET /account HTTP/1.1\r\nHost: a.test\r\nX-User: {user}\r\n\r\n"
    ));
    client
}

#[test]
fn who_asks_beside_another_one_gets_nothing_that_was_never_fresh() {
    for (rule, lines) in [
        ("", "ETag: \"a\"\r\n"),
        ("", "Cache-Control: no-cache\r\nETag: \"a\"\r\n"),
        ("ttl = \"1h\"", "Cache-Control: no-cache\r\nETag: \"a\"\r\n"),
        (
            "stale_while_revalidate = \"30s\"",
            "Cache-Control: max-age=0\r\nETag: \"a\"\r\n",
        ),
    ] {
        let (stage, go) = personal(rule, lines);
        let mut first = ask(&stage, "a");
        stage.origin.wait_for_requests(1);
        let mut early = ask(&stage, "b");
        go.send(()).unwrap();
        first.read_until("\r\n\r\na");
        let mut late = ask(&stage, "c");
        assert_eq!(early.response().text(), "b!", "{rule} {lines}");
        assert_eq!(late.response().text(), "c!", "{rule} {lines}");
        go.send(()).unwrap();
        assert_eq!(first.read_exact(1), b"!");
        assert_eq!(stage.asked(), 3, "{rule} {lines}");
    }
}

#[test]
fn grace_of_the_route_is_for_what_was_fresh() {
    let rule = "stale_while_revalidate = \"30s\", stale_if_error = \"1h\"";
    let stage = Stage::start(rule, |request, _| match request.header("x-user") {
        Some("broken") => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".into(),
        user => ok("ETag: \"a\"\r\n", user.unwrap_or_default()),
    });
    for user in ["a", "b", "c"] {
        let lines = format!("X-User: {user}\r\nCache-Control: max-stale\r\n");
        assert_eq!(stage.get("/account", &lines).text(), user);
    }
    let broken = stage.get("/account", "X-User: broken\r\n");
    assert_eq!(
        (broken.status(), status(&broken)),
        (503, "openclaw; fwd=stale; detail=no-lifetime")
    );
    assert_eq!(stage.asked(), 4);
}
