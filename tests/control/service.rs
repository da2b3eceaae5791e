//! Under a service manager that gives sockets and keeps them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::{fetch, status};
use crate::h3::client::{Client, run};
use crate::support::{
    Folder, Manager, Output, PATIENCE, Proxy, RawClient, Sockets, free_port, wait_until,
};

const READY: &str = "READY=1\n";
const STOPPING: &str = "STOPPING=1\n";
const SERVING: &str = "openclaw ready";

fn listener(name: &str, bind: &[SocketAddr], more: &str) -> String {
    let bind: Vec<String> = bind.iter().map(|bind| format!("\"{bind}\"")).collect();
    format!("[listener.{name}]\nbind = [{}]\n{more}\n", bind.join(", "))
}

fn route(body: &str) -> String {
    format!("[[route]]\nname = \"all\"\nrespond = {{ body = \"{body}\" }}\n")
}

fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

fn given(name: &str, socket: impl Into<OwnedFd>) -> (String, OwnedFd) {
    (name.to_owned(), socket.into())
}

#[test]
fn sockets_of_units_are_taken_by_their_address() {
    let manager = Manager::new();
    let folder = Folder::new();
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let six = TcpListener::bind("[::1]:0").unwrap();
    let secure = TcpListener::bind(local()).unwrap();
    let datagrams = UdpSocket::bind(secure.local_addr().unwrap()).unwrap();
    let forwarded = UdpSocket::bind("127.0.0.1:0").unwrap();
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = folder.path().join("admin.sock");
    let [web_at, six_at, secure_at, metrics_at] =
        [&web, &six, &secure, &metrics].map(|it| it.local_addr().unwrap());
    let (other_at, forwarded_at) = (other.local_addr().unwrap(), forwarded.local_addr().unwrap());
    let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
    let config = [
        listener("web", &[web_at, six_at], ""),
        listener(
            "secure",
            &[secure_at],
            "protocols = [\"h1\", \"h3\"]\ntls = { self_signed = [\"a.test\"] }",
        ),
        listener("dns", &[forwarded_at], "mode = \"udp\"\nto = \"dns\""),
        format!(
            "[upstream.dns]\nendpoints = [\"{}\"]\n",
            echo.local_addr().unwrap()
        ),
        route("given"),
        format!(
            "[admin]\nsocket = \"{}\"\nmetrics = \"{metrics_at}\"\n",
            admin.display()
        ),
    ];
    let (connected, _peer) = UnixStream::pair().unwrap();
    let sockets = [
        given("web.socket", web),
        given("web.socket", six),
        given("secure.socket", secure),
        given("secure.socket", datagrams),
        given("", forwarded),
        given("metrics", metrics),
        given("admin", UnixListener::bind(&admin).unwrap()),
        given("other.socket", other),
        given("connected", connected),
    ];
    let mut proxy = Proxy::launch_as_service(&config.concat(), &manager, &sockets);
    drop(sockets);
    proxy.wait_for(SERVING);
    let mut kept = Sockets::new();
    manager.hear_until(READY, &mut kept);
    for address in [web_at, six_at] {
        for _ in 0..20 {
            assert_eq!(fetch(address), "given");
        }
    }
    run(async {
        for _ in 0..5 {
            let mut client = Client::connect(secure_at).await;
            assert_eq!(client.get("/").await.0.status(), 200);
        }
    });
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    echo.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send_to(b"question", forwarded_at).unwrap();
    let mut buffer = [0; 20];
    assert_eq!(echo.recv(&mut buffer).unwrap(), 8);
    let page = crate::support::curl(&[&format!("http://{metrics_at}/readyz")]);
    assert_eq!(page.ok().text(), "ok\n");
    let asked = Output::of(
        std::process::Command::new(env!("CARGO_BIN_EXE_openclaw"))
            .arg("--socket")
            .arg(&admin)
            .args(["-o", "json", "status"]),
        "the proxy",
    );
    assert!(asked.ok().text().contains("\"generation\": 1"));
    proxy.wait_for(&format!(
        "for {other_at}, which nothing in the configuration names"
    ));
    proxy.wait_for("(connected) that is no socket that listens");
    proxy.signal("TERM");
    assert_eq!(proxy.wait().code(), Some(0));
    assert!(admin.exists(), "the file is the manager's");
}

#[test]
fn a_restart_refuses_nobody() {
    let manager = Manager::new();
    let (web, other) = (local(), local());
    let both = [
        listener("web", &[web], ""),
        listener("other", &[other], ""),
        route("one"),
    ];
    let mut kept = Sockets::new();
    let mut proxy = Proxy::launch_as_service(&both.concat(), &manager, &kept);
    manager.hear_until(READY, &mut kept);
    // One a worker and address.
    assert_eq!(kept.len(), 4);
    let is_over = AtomicBool::new(false);
    let answered = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let mut client = TcpStream::connect(web).expect("nobody is refused");
                    client.set_read_timeout(Some(PATIENCE)).unwrap();
                    client
                        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                        .unwrap();
                    let mut answer = String::new();
                    client.read_to_string(&mut answer).unwrap();
                    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..3 {
            let before = answered.load(Ordering::Relaxed);
            wait_until("clients are answered", || {
                answered.load(Ordering::Relaxed) > before + 20
            });
            proxy.signal("TERM");
            manager.hear_until(STOPPING, &mut kept);
            assert_eq!(proxy.wait().code(), Some(0));
            proxy.launch_again_as_service(&manager, &kept);
            manager.hear_until(READY, &mut kept);
            assert_eq!(kept.len(), 4, "it has them, and says nothing of them");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    // What goes with a reload is not kept on, and what comes is.
    let third = local();
    proxy.rewrite(&[both[0].as_str(), &listener("third", &[third], ""), &both[2]].concat());
    proxy.cli(&["reload"]).ok();
    while !kept
        .iter()
        .any(|(name, _)| name.ends_with(&format!("_{}", third.port())))
    {
        let word = manager.hear();
        if !word.text.starts_with("RELOADING=1\n") {
            word.obey(&mut kept);
        }
    }
    manager.hear_until(READY, &mut kept);
    let names: Vec<&str> = kept.iter().map(|(name, _)| &**name).collect();
    let [web_name, third_name] = [web, third].map(|it| format!("kept-tcp-127.0.0.1_{}", it.port()));
    assert_eq!(names, [&*web_name, &web_name, &third_name, &third_name]);
    // A stop by the operator is one: who connects then is refused.
    proxy.cli(&["stop"]).ok();
    manager.hear_until(STOPPING, &mut kept);
    assert!(kept.is_empty());
    assert_eq!(proxy.wait().code(), Some(0));
    assert!(RawClient::try_connect(web).is_err());
}

#[test]
fn what_was_kept_and_is_in_the_way_goes() {
    let manager = Manager::new();
    let web = local();
    let mut kept = Sockets::new();
    let config = [listener("web", &[web], ""), route("one")].concat();
    let mut proxy = Proxy::launch_as_service(&config, &manager, &kept);
    manager.hear_until(READY, &mut kept);
    proxy.signal("TERM");
    manager.hear_until(STOPPING, &mut kept);
    proxy.wait();
    let everywhere = SocketAddr::from(([0, 0, 0, 0], web.port()));
    proxy.rewrite(&[listener("web", &[everywhere], ""), route("two")].concat());
    proxy.launch_again_as_service(&manager, &kept);
    manager.hear_until(READY, &mut kept);
    assert_eq!(fetch(web), "two");
    let expected = format!("kept-tcp-0.0.0.0_{}", web.port());
    assert!(kept.iter().all(|(name, _)| *name == expected), "{kept:?}");
    // A program that takes over goes on with what is kept, and keeps what is new.
    let second = local();
    let both = [
        listener("web", &[everywhere], ""),
        listener("second", &[second], ""),
        route("three"),
    ];
    proxy.rewrite(&both.concat());
    let new = proxy.upgrade(&[]);
    manager.hear_until(&format!("MAINPID={new}\n"), &mut kept);
    manager.hear().obey(&mut kept);
    assert_eq!(kept.len(), 4);
    assert_eq!(status(&proxy)["pid"], new);
    assert_eq!(proxy.wait().code(), Some(0));
    assert_eq!(fetch(second), "three");
    proxy.cli(&["stop"]).ok();
}
