//! Processes that follow one another while somebody calls, and others come in between.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bytes::Bytes;
use hyper::Method;

use super::siege::alive;
use super::{address, answering, fetch, forwarding, status};
use crate::h3::client::{Client, answer, run};
use crate::support::{Origin, Proxy, RawClient, eventually, wait_until};

/// Ends a load.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Makes calls at the same time; gives how each ended, and what it said.
fn at_once(proxy: &Proxy, calls: &[&str]) -> Vec<(i32, String)> {
    let outcomes = thread::scope(|scope| {
        let calls = calls.iter();
        let running: Vec<_> = calls
            .map(|call| scope.spawn(move || proxy.cli(&[*call])))
            .collect();
        let outcomes = running.into_iter().map(|one| one.join().unwrap());
        outcomes.collect::<Vec<_>>()
    });
    for pid in alive(proxy) {
        proxy.has_successor(pid);
    }
    let told = outcomes.into_iter().map(|it| (it.code, it.stderr));
    told.collect()
}

#[test]
fn of_upgrades_at_one_time_each_is_done_or_refused_at_once() {
    let more = "[server]\nworkers = 2\nstate_dir = \"state\"\nshutdown_grace = \"4s\"\n";
    let mut proxy = Proxy::start(&(answering("whole") + more));
    let web = address(&proxy, "web");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Also where the test fails.
        let over = Over(&is_over);
        let load = scope.spawn(|| {
            let mut answered = 0;
            while !is_over.load(Ordering::Relaxed) {
                let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
                assert_eq!(RawClient::connect(web).exchange(request).status(), 200);
                answered += 1;
            }
            answered
        });
        for _ in 0..20 {
            proxy.signal("USR2");
        }
        wait_until("one serves", || status(&proxy)["pid"] != proxy.pid());
        for _ in 0..2 {
            let outcomes = at_once(&proxy, &["upgrade"; 4]);
            assert!(outcomes.iter().any(|(code, _)| *code == 0), "{outcomes:?}");
            for (code, said) in outcomes {
                let is_refused = code == 1 && said.contains("an upgrade is under way already");
                assert!(code == 0 || is_refused, "{code} {said}");
            }
        }
        drop(over);
        assert!(load.join().unwrap() > 10);
    });
    let said = proxy.stderr();
    assert!(!said.contains("the proxy is ending"), "{said}");
    let last = status(&proxy)["pid"].as_u64().unwrap() as u32;
    wait_until("one is left", || alive(&proxy) == [last]);
    assert_eq!(proxy.wait().code(), Some(0));
    proxy.cli(&["stop"]).ok();
    assert!(!proxy.stderr().contains("panicked"), "{}", proxy.stderr());
}

#[test]
fn a_call_during_an_upgrade_is_carried_out_by_one_of_both() {
    let proxy = Proxy::start(&answering("whole"));
    let web = address(&proxy, "web");
    for round in 0..3 {
        let body = format!("round {round}");
        proxy.rewrite(&answering(&body));
        let calls = ["upgrade", "reload", "status", "reload"];
        for (code, said) in at_once(&proxy, &calls) {
            assert_eq!(code, 0, "{said}");
        }
        assert_eq!(fetch(web), body);
    }
}

#[test]
fn a_process_that_cannot_take_over_leaves_the_admin_socket_where_it_is() {
    let proxy = Proxy::start(&answering("old"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    proxy.rewrite(&answering("new").replace("127.0.0.1:0", &taken));
    let refused = proxy.cli(&["upgrade"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains(&taken), "{}", refused.stderr);
    assert_eq!(status(&proxy)["pid"], proxy.pid());
    assert_eq!(fetch(address(&proxy, "web")), "old");
}

/// A program that never serves.
fn hanging(proxy: &Proxy) -> String {
    let text = "#!/bin/sh\necho $$ > hanging\nexec sleep 300\n";
    let program = proxy.folder().write("hang", text);
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    program.display().to_string()
}

#[test]
fn a_stop_ends_a_process_that_would_take_over_and_orders_do_not_wait_for_it() {
    let mut proxy = Proxy::start(&answering("whole"));
    let web = address(&proxy, "web");
    let program = hanging(&proxy);
    let upgrade = ["upgrade", "--binary", &program];
    let folder = proxy.folder().path().to_owned();
    let pid = thread::scope(|scope| {
        let upgrading = scope.spawn(|| proxy.cli(&upgrade));
        let pid = eventually("another process is started", || {
            let text = fs::read_to_string(folder.join("hanging")).ok()?;
            text.trim().parse::<u32>().ok()
        });
        let reload = proxy.cli(&["reload"]);
        let words = "an upgrade is under way; ask again when it is over";
        assert!(
            reload.code == 1 && reload.stderr.contains(words),
            "{}",
            reload.stderr
        );
        proxy.cli(&["stop", "--grace", "1s"]).ok();
        assert_eq!(upgrading.join().unwrap().code, 1);
        pid
    });
    assert_eq!(proxy.wait().code(), Some(0));
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "it is ended");
    TcpListener::bind(web).unwrap();
    proxy.start_again();
}

#[test]
fn who_finds_the_socket_in_use_is_told_of_the_process_that_serves() {
    let proxy = Proxy::start(&answering("whole"));
    let first = proxy.cli(&["run"]).stderr;
    let told = format!("another openclaw (process {}) serves", proxy.pid());
    assert!(first.contains(&told), "{first}");
    let pid = proxy.upgrade(&[]);
    let second = proxy.cli(&["run"]).stderr;
    let told = format!("another openclaw (process {pid}) serves");
    assert!(second.contains(&told), "{second}");
}

#[test]
fn an_upgrade_goes_on_without_the_one_who_asked_for_it() {
    let mut proxy = Proxy::start(&answering("whole"));
    let mut asking = Command::new(env!("CARGO_BIN_EXE_openclaw"))
        .args(["--socket".as_ref(), proxy.socket().as_os_str()])
        .arg("upgrade")
        .spawn()
        .unwrap();
    wait_until("another process is started", || alive(&proxy).len() > 1);
    asking.kill().unwrap();
    asking.wait().unwrap();
    wait_until("it serves", || status(&proxy)["pid"] != proxy.pid());
    let new = status(&proxy)["pid"].as_u64().unwrap() as u32;
    proxy.has_successor(new);
    assert_eq!(proxy.wait().code(), Some(0));
    assert_eq!(alive(&proxy), [new], "one serves");
}

#[test]
fn a_connection_of_http3_is_reached_through_a_chain_of_processes() {
    let origin = Origin::start(|peer| {
        while let Some(request) = peer.request()? {
            let body = request.body;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            peer.send([head.as_bytes(), &body].concat())?;
        }
        Ok(())
    });
    let tls = "protocols = [\"h3\", \"h1\"]\ntls = { self_signed = [\"a.test\"] }\n";
    let config = forwarding(origin.address());
    let config = config.replace("[upstream.app]", &format!("{tls}[upstream.app]"));
    let mut proxy = Proxy::start(&config);
    let web = address(&proxy, "web");
    run(async {
        let mut client = Client::connect(web).await;
        let mut upload = client.start(Method::POST, "/").await;
        upload
            .send_data(Bytes::from_static(b"before "))
            .await
            .unwrap();
        // What was sent before this has arrived.
        assert_eq!(client.get("/").await.0.status(), 200);
        let first = proxy.pid();
        for _ in 0..6 {
            let now = proxy.upgrade(&[]);
            assert_ne!(now, first);
        }
        upload
            .send_data(Bytes::from_static(b"after"))
            .await
            .unwrap();
        upload.finish().await.unwrap();
        let (head, body) = answer(&mut upload).await;
        assert_eq!(
            (head.status().as_u16(), &body[..]),
            (200, &b"before after"[..])
        );
    });
    assert_eq!(proxy.wait().code(), Some(0));
    let last = status(&proxy)["pid"].as_u64().unwrap() as u32;
    wait_until("one is left", || alive(&proxy) == [last]);
}
