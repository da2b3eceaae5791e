//! The start, the admin socket and what it tells.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Command;
use std::time::Duration;

use crate::control::{address, answering, fetch, status};
use crate::support::{Child, Folder, Origin, Output, PATIENCE, Proxy, free_port};

#[test]
fn status_is_for_people_and_for_programs() {
    let proxy = Proxy::start(&answering("hello"));
    let web = address(&proxy, "web");
    fetch(web);
    let status = status(&proxy);
    assert_eq!(status["pid"], proxy.pid());
    assert_eq!(status["config"]["generation"], 1);
    assert_eq!(status["config"]["from"], proxy.config().to_str().unwrap());
    assert_eq!(status["workers"]["running"], 2);
    assert_eq!(status["requests"], 1);
    assert_eq!(status["routes"], 1);
    assert_eq!(status["draining"], false);
    assert_eq!(status["listeners"][0]["protocols"][0], "h1");
    let text = proxy.cli(&["status"]).ok().text();
    assert!(text.contains(&format!("process {}", proxy.pid())), "{text}");
    assert!(text.contains(&format!("web {web} h1")), "{text}");
}

#[test]
fn the_socket_is_closed_to_strangers() {
    let proxy = Proxy::start(&answering("hello"));
    let mode = proxy.socket().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn the_socket_of_a_dead_process_is_replaced_and_that_of_a_living_one_is_not() {
    let mut proxy = Proxy::start(&answering("hello"));
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openclaw"));
        command.arg("-c").arg(proxy.config()).arg("run");
        command
    };
    let second = Output::of(&mut run(), "the proxy");
    assert_eq!(second.code, 1, "{}", second.stderr);
    let words = format!(
        "another openclaw (process {}) serves {}",
        proxy.pid(),
        proxy.socket().display()
    );
    assert!(second.stderr.contains(&words), "{}", second.stderr);
    let mut command = run();
    proxy.kill();
    assert!(proxy.socket().exists());
    let successor = Child::start(&mut command, "the proxy");
    let ready = |line: &str| line.starts_with("openclaw ready");
    assert!(
        successor.stderr.line(PATIENCE, ready).is_some(),
        "{}",
        successor.stderr.text()
    );
    assert_eq!(status(&proxy)["pid"], successor.pid());
}

#[test]
fn two_processes_do_not_share_a_port_by_accident() {
    let first = Proxy::start(&answering("first"));
    let web = address(&first, "web");
    let (ended, said) =
        Proxy::refuse(&answering("second").replace("127.0.0.1:0", &web.to_string()));
    assert_eq!(
        ended.code(),
        Some(1),
        "nothing is wrong with the configuration"
    );
    let words = format!("listener web: cannot listen on {web}: Address already in use");
    assert!(said.contains(&words), "{said}");
}

#[test]
fn an_origin_is_proxied_without_a_file() {
    let origin = Origin::serving("from the origin");
    let folder = Folder::new();
    let socket = folder.path().join("deeper/admin.sock");
    let listen = format!("127.0.0.1:{}", free_port());
    let run = Child::start(
        Command::new(env!("CARGO_BIN_EXE_openclaw"))
            .arg("--socket")
            .arg(&socket)
            .args(["run", "--no-shield", "--check-first", "--to"])
            .arg(format!("http://{}", origin.address()))
            .args(["--listen", &listen])
            .current_dir(folder.path()),
        "the proxy",
    );
    let ready = |line: &str| line.starts_with("openclaw ready");
    assert!(
        run.stderr.line(PATIENCE, ready).is_some(),
        "{}",
        run.stderr.text()
    );
    assert_eq!(fetch(listen.parse().unwrap()), "from the origin");
    let said = run.stderr.text();
    assert!(
        said.starts_with("command line: ok (1 listener, 1 route, 1 upstream)\n"),
        "{said}"
    );
    assert!(said.contains(&format!("http://{listen}")), "{said}");
}

#[test]
fn systemd_hears_of_readiness_reload_and_end() {
    let folder = Folder::new();
    let path = folder.path().join("notify");
    let notify = UnixDatagram::bind(&path).unwrap();
    notify.set_read_timeout(Some(PATIENCE)).unwrap();
    let said = || {
        let mut buffer = [0; 256];
        let length = notify.recv(&mut buffer).expect("a word in time");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let socket = folder.path().join("admin.sock");
    let config = format!(
        "{}[admin]\nsocket = \"{}\"\nmetrics = \"off\"\n",
        answering("hello"),
        socket.display()
    );
    let config = folder.write("openclaw.toml", config);
    let mut run = Child::start(
        Command::new(env!("CARGO_BIN_EXE_openclaw"))
            .arg("-c")
            .arg(config)
            .arg("run")
            .env("NOTIFY_SOCKET", &path),
        "the proxy",
    );
    assert_eq!(said(), "READY=1\n");
    run.signal("HUP");
    assert!(said().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(said(), "READY=1\n");
    run.signal("TERM");
    assert_eq!(said(), "STOPPING=1\n");
    let ended = run.wait(Duration::from_secs(10));
    assert!(ended.is_some_and(|status| status.success()));
}

#[test]
fn only_lists_may_be_large_and_a_call_that_stands_still_is_cut() {
    let proxy = Proxy::start(&answering("hello"));
    let call = |path: &str, length: usize, sent: usize| {
        let mut stream = UnixStream::connect(proxy.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        // It may have answered before the end.
        let _ = stream.write_all(&vec![b' '; sent]);
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        String::from_utf8_lossy(&status).into_owned()
    };
    assert_eq!(call("/reload", 65 << 10, 65 << 10), "HTTP/1.1 413");
    assert_eq!(call("/reload", 64 << 10, 64 << 10), "HTTP/1.1 200");
    assert_eq!(
        call("/shield", 1 << 20, 1 << 20),
        "HTTP/1.1 400",
        "read whole, and no request"
    );
    assert_eq!(call("/shield", 10, 5), "HTTP/1.1 408");
}

/// Were they waited for, they would be told 408 after ten seconds.
#[test]
fn callers_that_stand_still_make_way_for_one_that_asks() {
    let proxy = Proxy::start(&answering("hello"));
    let mut silent: Vec<UnixStream> = (0..64)
        .map(|_| {
            let mut stream = UnixStream::connect(proxy.socket()).unwrap();
            let head = "POST /shield HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf";
            stream.write_all(head.as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    assert_eq!(status(&proxy)["pid"], proxy.pid());
    let mut gone = 0;
    for stream in &mut silent {
        match stream.read(&mut [0]).map_err(|error| error.kind()) {
            // A reset where not all that it said had been read.
            Ok(0) | Err(ErrorKind::ConnectionReset) => gone += 1,
            Err(ErrorKind::WouldBlock) => {}
            other => panic!("{other:?}"),
        }
    }
    // One for each call of the command.
    assert!((1..=3).contains(&gone), "{gone} made way");
}
