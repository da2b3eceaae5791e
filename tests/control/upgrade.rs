//! Another process takes over while clients of every wire ask on.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use bytes::Bytes;
use hyper::Method;

use super::{address, answering, fetch, status};
use crate::h3::client::{Client, answer, run};
use crate::support::{Load, Origin, PATIENCE, Proxy, RawClient, wait_until};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// All three wires at one address, before an origin.
fn all_wires(origin: &Origin) -> String {
    let origin = origin.address();
    format!(
        "[listener.webs]\nbind = [\"127.0.0.1:0\"]\nprotocols = [\"h1\", \"h2\", \"h3\"]\ntls = {{ self_signed = [\"a.test\"] }}\n\
         [upstream.app]\nendpoints = [\"{origin}\"]\n[[route]]\nname = \"all\"\nto = \"app\"\n"
    )
}

fn pid(proxy: &Proxy) -> u32 {
    status(proxy)["pid"].as_u64().unwrap() as u32
}

fn is_gone(pid: u32) -> bool {
    // A process whose parent does not look is a zombie.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
        || !fs::exists(format!("/proc/{pid}")).unwrap()
}

/// Waits until each wire has been answered so often again.
fn let_them_ask(load: &Load, times: usize) {
    let before = load.answered();
    wait_until("clients are answered", || {
        let now = load.answered();
        let is_over = !load.h1.failures.lock().unwrap().is_empty();
        is_over
            || now
                .iter()
                .zip(before)
                .all(|(now, before)| *now >= before + times)
    });
}

#[test]
fn no_request_of_any_wire_is_lost_over_several_upgrades() {
    let origin = Origin::serving("whole");
    let mut proxy = Proxy::start(&all_wires(&origin));
    let load = Load::new(address(&proxy, "webs"), "whole");
    let mut pids = vec![proxy.pid()];
    load.during(3, || {
        for _ in 0..4 {
            let_them_ask(&load, 40);
            let pid = proxy.upgrade(&[]);
            assert_eq!(status(&proxy)["pid"], pid, "the new one answers calls");
            pids.push(pid);
        }
        let_them_ask(&load, 40);
    });
    load.assert_whole(200, &origin);
    let last = pids.pop().unwrap();
    for old in pids {
        wait_until("the old ones end", || is_gone(old));
    }
    assert_eq!(proxy.wait().code(), Some(0));
    assert_eq!(pid(&proxy), last);
    proxy.cli(&["stop"]).ok();
    let said = proxy.stderr();
    assert!(
        !said.contains("ERROR") && !said.contains("panicked"),
        "{said}"
    );
}

#[test]
fn no_request_of_any_wire_is_lost_over_twenty_reloads() {
    let origin = Origin::serving("whole");
    let proxy = Proxy::start(&all_wires(&origin));
    let load = Load::new(address(&proxy, "webs"), "whole");
    load.during(2, || {
        for round in 0..20 {
            let extra = format!(
                "\n[[route]]\nname = \"more\"\nmatch = {{ path = \"/{round}\" }}\nto = \"app\"\n"
            );
            proxy.rewrite(&(all_wires(&origin) + &extra));
            proxy.cli(&["reload"]).ok();
            let_them_ask(&load, 3);
        }
    });
    load.assert_whole(60, &origin);
    let h3 = load
        .h3
        .connections
        .load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(h3, 2, "connections of HTTP/3 outlive reloads");
}

#[test]
fn what_the_old_process_has_is_finished_there() {
    let (go, going) = channel::<()>();
    let going = Mutex::new(going);
    let origin = Origin::start(move |peer| {
        while let Some(request) = peer.request()? {
            if request.start.contains("/slow") {
                going.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            }
            let body = request.body;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            peer.send([head.as_bytes(), &body].concat())?;
        }
        Ok(())
    });
    let mut proxy = Proxy::start(&all_wires(&origin));
    let webs = address(&proxy, "webs");
    let mut idle = RawClient::connect_tls(webs, "a.test", &["http/1.1"]);
    idle.exchange(GET);
    let mut running = RawClient::connect_tls(webs, "a.test", &["http/1.1"]);
    running.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
    run(async {
        let mut client = Client::connect(webs).await;
        assert_eq!(client.get("/").await.0.status(), 200);
        let mut upload = client.start(Method::POST, "/").await;
        upload
            .send_data(Bytes::from_static(b"before "))
            .await
            .unwrap();
        origin.wait_for_requests(3);
        let new = proxy.upgrade(&[]);
        assert_ne!(new, proxy.pid());
        assert!(proxy.is_running(), "it has something to finish");
        // Datagrams of this connection come to the new process, and belong to the old one.
        for _ in 0..20 {
            upload
                .send_data(Bytes::from(vec![b'x'; 10_000]))
                .await
                .unwrap();
        }
        upload.finish().await.unwrap();
        let (head, body) = answer(&mut upload).await;
        assert_eq!((head.status().as_u16(), body.len()), (200, 200_007));
        let mut other = Client::connect(webs).await;
        assert_eq!(other.get("/").await.0.status(), 200);
        client.quic.closed().await;
        assert_eq!(other.get("/").await.0.status(), 200, "it is the new one's");
    });
    // A request on a connection that waited is not lost, either.
    let late = idle.exchange(GET);
    assert_eq!(
        (late.status(), late.header("connection")),
        (200, Some("close"))
    );
    idle.expect_closed();
    go.send(()).unwrap();
    let slow = running.response();
    assert_eq!(
        (slow.status(), slow.header("connection")),
        (200, Some("close"))
    );
    assert_eq!(proxy.wait().code(), Some(0));
}

#[test]
fn a_program_that_does_not_serve_changes_nothing() {
    let proxy = Proxy::start(&answering("old"));
    let web = address(&proxy, "web");
    for program in ["/bin/false", "/bin/true"] {
        let refused = proxy.cli(&["upgrade", "--binary", program]);
        assert_eq!(refused.code, 1);
        assert!(
            refused.stderr.contains("ended before it served"),
            "{}",
            refused.stderr
        );
    }
    let missing = proxy.cli(&["upgrade", "--binary", "/nowhere/openclaw"]);
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("cannot start /nowhere/openclaw"));
    proxy.rewrite("[listener.web]\nbind = [\"127.0.0.1:0\"]\nprotocol = []\n");
    let refused = proxy.cli(&["upgrade"]);
    assert_eq!(refused.code, 2);
    assert_eq!(
        refused.stderr.matches("error: ").count(),
        1,
        "{}",
        refused.stderr
    );
    let told = proxy.cli(&["-o", "json", "upgrade"]).text();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["problems"][0]["line"], 3, "{told}");
    for words in ["openclaw.toml:3:1", "did you mean `protocols`?"] {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    proxy.rewrite(&answering("new"));
    proxy.cli(&["reload", "--confirm", "1h"]).ok();
    let unconfirmed = proxy.cli(&["upgrade"]);
    assert_eq!(unconfirmed.code, 1);
    assert!(unconfirmed.stderr.contains("waits for its confirmation"));
    proxy.cli(&["rollback"]).ok();
    assert_eq!(fetch(web), "old");
    assert_eq!(pid(&proxy), proxy.pid());
    proxy.cli(&["blocklist", "add", "203.0.113.1"]).ok();
    // What was gone back from does not come back by an upgrade.
    proxy.upgrade(&[]);
    assert_eq!(fetch(web), "old");
    let tested = proxy.cli(&["blocklist", "test", "203.0.113.1"]);
    assert!(tested.text().contains("blocked"), "{}", tested.text());
}

#[test]
fn a_signal_does_it_too_and_the_service_manager_hears_of_the_new_process() {
    let folder = crate::support::Folder::new();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let socket = format!("NOTIFY_SOCKET={}", path.display());
    let through = ["env", &socket];
    let mut proxy = Proxy::start_through(&answering("hello"), 0, &through, &[]);
    let hear = || {
        let mut buffer = [0; 100];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    assert_eq!(hear(), "READY=1\n");
    // Another file is in the place of the running one.
    let program = proxy.folder().path().join("openclaw");
    fs::rename(&program, proxy.folder().path().join("old")).unwrap();
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_openclaw"))
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    proxy.signal("USR2");
    let said = hear();
    let new: u32 = said
        .trim()
        .strip_prefix("MAINPID=")
        .unwrap()
        .parse()
        .unwrap();
    proxy.has_successor(new);
    assert_eq!(fs::read_link(format!("/proc/{new}/exe")).unwrap(), program);
    assert_eq!(proxy.wait().code(), Some(0));
    assert_eq!(fetch(address(&proxy, "web")), "hello");
    proxy.cli(&["stop"]).ok();
    assert_eq!(hear(), "STOPPING=1\n", "of the new one alone");
}
