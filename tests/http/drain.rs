//! The end of the proxy: what runs is finished, what waits is let go.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::{GET, Stage};
use crate::control::status;
use crate::support::{Origin, PATIENCE, RawClient, wait_until};

#[test]
fn a_running_exchange_ends_whole_and_an_idle_connection_at_once() {
    let (go, going) = channel::<()>();
    let going = Mutex::new(going);
    let origin = Origin::start(move |peer| {
        while let Some(request) = peer.request()? {
            if request.start.contains("/slow") {
                going.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
        Ok(())
    });
    let mut stage = Stage::before(&origin);
    let mut idle = stage.client();
    assert_eq!(idle.exchange(GET).text(), "ok");
    let mut idle_tls = RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"]);
    assert_eq!(idle_tls.exchange(GET).text(), "ok");
    let mut running = stage.client();
    running.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_for_requests(3);
    stage.proxy.signal("TERM");
    idle.expect_closed();
    idle_tls.expect_closed();
    assert!(stage.proxy.is_running());
    go.send(()).unwrap();
    let response = running.response();
    assert_eq!(
        (response.text(), response.header("connection")),
        ("ok".to_owned(), Some("close"))
    );
    running.expect_closed();
    assert_eq!(stage.proxy.wait().code(), Some(0));
}

/// It had no way to know, and its request may be under way.
#[test]
fn who_has_just_come_is_served_while_draining() {
    let origin = Origin::serving("ok");
    let mut stage = Stage::before(&origin);
    let mut idle = stage.client();
    assert_eq!(idle.exchange(GET).text(), "ok");
    let mut new = RawClient::connect_tls(stage.webs, "a.test", &["http/1.1"]);
    wait_until("both are let in", || {
        status(&stage.proxy)["connections"] == 2
    });
    stage.proxy.signal("TERM");
    idle.expect_closed();
    let response = new.exchange(GET);
    assert_eq!(
        (response.text(), response.header("connection")),
        ("ok".to_owned(), Some("close"))
    );
    new.expect_closed();
    assert_eq!(stage.proxy.wait().code(), Some(0));
}

#[test]
fn nobody_new_is_let_in_while_draining() {
    let origin = Origin::start(|peer| {
        peer.request()?;
        peer.read_to_end().map(drop)
    });
    let mut stage = Stage::before(&origin);
    let mut running = stage.client();
    running.send(GET);
    origin.wait_for_requests(1);
    stage.proxy.signal("TERM");
    let end = std::time::Instant::now() + PATIENCE;
    while let Ok(mut client) = RawClient::try_connect(stage.web) {
        // What was accepted in the moment between is closed without an answer.
        drop(client.try_send(GET));
        assert!(std::time::Instant::now() < end, "the proxy still accepts");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
