//! The end of the proxy, and of a listener.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use hyper::Method;

use super::client::{Client, answer, config, endpoint, run};
use super::{LISTENER, Stage};
use crate::control::status;
use crate::support::{Origin, PATIENCE, wait_until};

#[test]
fn a_running_exchange_ends_whole_and_nobody_new_is_let_in() {
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
    run(async {
        let mut idle = Client::connect(stage.webs).await;
        assert_eq!(idle.get("/").await.1, b"ok");
        let mut client = Client::connect(stage.webs).await;
        let mut running = client.start(Method::GET, "/slow").await;
        running.finish().await.unwrap();
        while origin.requests().len() < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        stage.proxy.signal("TERM");
        // Asked to go, and closed.
        idle.quic.closed().await;
        let late = endpoint(config());
        let refused = late.connect(stage.webs, "a.test").unwrap().await;
        assert!(refused.is_err(), "the proxy still takes connections");
        go.send(()).unwrap();
        let (head, body) = answer(&mut running).await;
        assert_eq!((head.status().as_u16(), &body[..]), (200, &b"ok"[..]));
        client.quic.closed().await;
    });
    assert_eq!(stage.proxy.wait().code(), Some(0));
}

#[test]
fn a_reload_keeps_connections_and_takes_http_3_on_and_off() {
    let route =
        |body: &str| format!("\n[[route]]\nname = \"all\"\nrespond = {{ body = \"{body}\" }}\n");
    let stage = Stage::start(&format!("{LISTENER}{}", route("first")));
    run(async {
        let mut client = Client::connect(stage.webs).await;
        assert_eq!(client.get("/").await.1, b"first");
        stage
            .proxy
            .rewrite(&format!("{LISTENER}{}", route("second")));
        stage.proxy.cli(&["reload"]).ok();
        assert_eq!(client.get("/").await.1, b"second");
        let without = LISTENER.replace(", \"h3\"", "");
        stage.proxy.rewrite(&format!("{without}{}", route("third")));
        stage.proxy.cli(&["reload"]).ok();
        client.quic.closed().await;
        let stranger = endpoint(config());
        let mut brief = quinn::TransportConfig::default();
        brief.max_idle_timeout(Some(Duration::from_millis(500).try_into().unwrap()));
        let mut patient = config();
        patient.transport_config(std::sync::Arc::new(brief));
        let refused = stranger
            .connect_with(patient, stage.webs, "a.test")
            .unwrap()
            .await;
        assert!(refused.is_err(), "nobody listens");
        stage
            .proxy
            .rewrite(&format!("{LISTENER}{}", route("fourth")));
        stage.proxy.cli(&["reload"]).ok();
        let mut client = Client::connect(stage.webs).await;
        assert_eq!(client.get("/").await.1, b"fourth");
    });
}

/// The address is the proxy's own for as long as it ends what was there.
#[test]
fn http_3_can_be_turned_on_again_while_old_connections_still_end() {
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
    let stage = Stage::before(&origin);
    let with = std::fs::read_to_string(stage.proxy.config()).unwrap();
    let turn = |is_on: bool| {
        let text = if is_on {
            with.clone()
        } else {
            with.replace(", \"h3\"", "")
        };
        stage.proxy.rewrite(&text);
        stage.proxy.cli(&["reload"]).ok();
    };
    run(async {
        let mut old = Client::connect(stage.webs).await;
        let mut running = old.start(Method::GET, "/slow").await;
        running.finish().await.unwrap();
        while origin.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for _ in 0..2 {
            turn(false);
            turn(true);
            // To both workers, wherever the old one is.
            for _ in 0..8 {
                let mut new = Client::connect(stage.webs).await;
                assert_eq!(new.get("/").await.1, b"ok");
            }
        }
        go.send(()).unwrap();
        assert_eq!(answer(&mut running).await.1, b"ok");
        old.quic.closed().await;
        let mut new = Client::connect(stage.webs).await;
        assert_eq!(new.get("/").await.1, b"ok");
    });
}

/// The goodbye of a client is one datagram, which may be lost.
#[test]
fn a_client_that_goes_without_a_word_is_missed_after_idle_timeout() {
    let route = "\n[[route]]\nname = \"all\"\nrespond = { body = \"ok\" }\n";
    let stage = Stage::start(&format!("{LISTENER}idle_timeout = \"1s\"\n{route}"));
    let silent = run(async {
        let mut client = Client::connect(stage.webs).await;
        assert_eq!(client.get("/").await.1, b"ok");
        client
    });
    // Its runtime is gone: what it still wants to say nobody sends.
    drop(silent);
    assert_eq!(status(&stage.proxy)["connections"], 1);
    wait_until("it is missed", || status(&stage.proxy)["connections"] == 0);
}
