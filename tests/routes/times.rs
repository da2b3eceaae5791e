//! How long an exchange may take.

use std::time::{Duration, Instant};

use super::{Stage, upstream};
use crate::support::{Origin, RawClient};

/// Answers `/slow` never, `/drip` with a byte now and then, and anything else after 700 ms.
fn origin() -> Origin {
    Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            if request.start.contains("/slow") {
                return peer.read_to_end().map(drop);
            }
            std::thread::sleep(Duration::from_millis(700));
            if request.start.contains("/drip") {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?;
                for _ in 0..1000 {
                    peer.send("x")?;
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
        Ok(())
    })
}

const ROUTES: &str = r#"
[[route]]
match = { path = "/in" }
timeout = "1500ms"
to = "app"

[[route]]
match = { path = "/patient" }
response_timeout = "10s"
to = "impatient"
"#;

#[test]
fn an_exchange_ends_when_the_time_of_its_route_is_up() {
    let origin = origin();
    let upstreams = upstream("app", &origin, "")
        + &upstream("impatient", &origin, "response_timeout = \"200ms\"");
    let stage = Stage::start(&(upstreams + ROUTES));
    assert_eq!(stage.ask("/in/time", "").text(), "ok");
    assert_eq!(
        stage.ask("/patient", "").text(),
        "ok",
        "the route is more patient"
    );
    let began = Instant::now();
    let late = stage.ask("/in/slow", "");
    assert_eq!(late.status(), 504, "{}", late.text());
    assert!(late.text().contains("upstream.timeout"), "{}", late.text());
    assert!(began.elapsed() >= Duration::from_millis(1400));
    let line = stage.proxy.wait_for_access("/in/slow");
    assert!(line.contains("timeout of the route"), "{line}");
    // A body that keeps coming is cut off as well, and cannot be taken for a whole one.
    let mut client = RawClient::connect(stage.web);
    client.send("GET /in/drip HTTP/1.1\r\nHost: a\r\n\r\n");
    let cut = client.try_response("GET");
    assert!(cut.is_err(), "{cut:?}");
    stage.proxy.wait_for_access("/in/drip");
}
