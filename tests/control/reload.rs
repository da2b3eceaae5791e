//! A new configuration while the old one serves.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc;

use crate::control::{address, answering, fetch, forwarding, sample, status};
use crate::support::{
    Child, Folder, Origin, Output, PATIENCE, Proxy, RawClient, free_port, openclaw, wait_until,
};

const LAST_RELOAD: &str = "openclaw_config_last_reload_successful";
const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

#[test]
fn a_connection_goes_on_and_sees_the_new_routes() {
    let proxy = Proxy::start(&answering("old"));
    let web = address(&proxy, "web");
    let mut client = RawClient::connect(web);
    assert_eq!(client.exchange(GET).text(), "old");
    proxy.rewrite(&answering("new"));
    assert_eq!(
        proxy.cli(&["reload"]).ok().text(),
        "reloaded: generation 2\n"
    );
    assert_eq!(client.exchange(GET).text(), "new");
    assert_eq!(fetch(address(&proxy, "web")), "new");
    assert_eq!(
        address(&proxy, "web"),
        web,
        "a port of the kernel's choice stays"
    );
}

#[test]
fn a_request_that_is_under_way_ends_with_the_old_routes() {
    let (go_on, word) = mpsc::channel::<()>();
    let word = Mutex::new(word);
    let origin = Origin::start(move |peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")?;
        // The test that has failed says nothing more.
        let _ = word.lock().unwrap().recv();
        peer.send("later")
    });
    let proxy = Proxy::start(&forwarding(origin.address()));
    let mut client = RawClient::connect(address(&proxy, "web"));
    client.send(GET);
    client.read_until("first");
    proxy.rewrite(&answering("new"));
    proxy.cli(&["reload"]).ok();
    go_on.send(()).unwrap();
    assert_eq!(client.read_exact(5), b"later");
    assert_eq!(client.exchange(GET).text(), "new");
}

#[test]
fn a_wrong_file_is_refused_and_the_old_one_serves_on() {
    let proxy = Proxy::start(&answering("old"));
    let web = address(&proxy, "web");
    assert_eq!(sample(&proxy, LAST_RELOAD).as_deref(), Some("1"));
    proxy.rewrite("[listener.web]\nbind = [\"127.0.0.1:0\"]\nprotocol = []\n");
    let refused = proxy.cli(&["reload"]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("openclaw.toml:3:1"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("did you mean `protocols`?"));
    let config = proxy.config().to_str().unwrap();
    let without_socket = openclaw(&["-c", config, "reload"]);
    assert_eq!(
        without_socket.stderr, refused.stderr,
        "it is found through the broken file"
    );
    assert_eq!(fetch(web), "old");
    assert_eq!(sample(&proxy, LAST_RELOAD).as_deref(), Some("0"));
    let last = &status(&proxy)["config"]["last_reload"];
    assert_eq!(last["successful"], false);
    assert_eq!(last["problems"][0]["line"], 3);
    proxy.rewrite(&answering("new"));
    proxy.cli(&["reload"]).ok();
    assert_eq!(fetch(web), "new");
    assert_eq!(sample(&proxy, LAST_RELOAD).as_deref(), Some("1"));
}

/// A file that nobody can parse still says where the proxy is, and the proxy is to know that its file is broken.
#[test]
fn a_file_that_cannot_be_parsed_is_refused_by_the_proxy_itself() {
    let proxy = Proxy::start(&answering("old"));
    let web = address(&proxy, "web");
    let config = proxy.config().to_str().unwrap();
    for (old, new, place) in [
        ("bind = [", "bind = [[", "openclaw.toml:2:8"),
        ("[[route]]", "[[route]", "openclaw.toml:4:1"),
    ] {
        let good = std::fs::read_to_string(config).unwrap();
        std::fs::write(config, good.replacen(old, new, 1)).unwrap();
        let refused = openclaw(&["-c", config, "reload"]);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert_eq!(refused.stderr.matches("error: ").count(), 1);
        assert!(refused.stderr.contains(place), "{}", refused.stderr);
        assert_eq!(sample(&proxy, LAST_RELOAD).as_deref(), Some("0"));
        proxy.wait_for(place);
        assert_eq!(fetch(web), "old");
        std::fs::write(config, good).unwrap();
        openclaw(&["-c", config, "reload"]).ok();
        assert_eq!(sample(&proxy, LAST_RELOAD).as_deref(), Some("1"));
    }
}

#[test]
fn at_the_usual_place_a_proxy_is_asked_only_for_the_file_that_it_serves() {
    let folder = Folder::new();
    let own = |text: &str| {
        let (state, pins) = (folder.path().join("state"), folder.path().file_name());
        format!(
            "{text}[admin]\nmetrics = \"off\"\n[server]\nstate_dir = \"{}\"\n[shield]\npin_dir = \"/sys/fs/bpf/{}\"\n",
            state.display(),
            pins.unwrap().display(),
        )
    };
    let config = folder.write("openclaw.toml", own(&answering("hello")));
    let program = env!("CARGO_BIN_EXE_openclaw");
    // With a /run of its own.
    let run = Child::start(
        Command::new("unshare")
            .args(["-m", "sh", "-c"])
            .arg("mount -t tmpfs none /run && exec \"$0\" -c \"$1\" run")
            .args([program, config.to_str().unwrap()]),
        "the proxy",
    );
    let ready = |line: &str| line.starts_with("openclaw ready");
    let started = run.stderr.line(PATIENCE, ready);
    assert!(started.is_some(), "{}", run.stderr.text());
    let reload = |file: &Path| {
        let target = format!("--target={}", run.pid());
        let mut command = Command::new("nsenter");
        command.args([&target, "-m", "--", program, "-c"]);
        Output::of(command.arg(file).arg("reload"), "the proxy")
    };
    let other = folder.write("other.toml", "[broken\n");
    assert_eq!(reload(&other).code, 2);
    folder.write(
        "openclaw.toml",
        own(&answering("hello").replacen(']', "", 1)),
    );
    assert_eq!(reload(&config).code, 2);
    let refused = "the old one serves on";
    let told = run.stderr.line(PATIENCE, |line| line.contains(refused));
    assert!(told.is_some(), "{}", run.stderr.text());
    assert_eq!(run.stderr.text().matches(refused).count(), 1);
}

#[test]
fn a_hangup_reloads() {
    let mut proxy = Proxy::start(&answering("old"));
    let web = address(&proxy, "web");
    proxy.rewrite(&answering("new"));
    proxy.signal("HUP");
    proxy.wait_for("configuration reloaded");
    assert_eq!(fetch(web), "new");
    proxy.rewrite("nonsense");
    proxy.signal("HUP");
    proxy.wait_for("the old one serves on");
    assert_eq!(fetch(web), "new");
    assert!(proxy.is_running());
}

#[test]
fn listeners_come_and_go() {
    let proxy = Proxy::start(&answering("hello"));
    let web = address(&proxy, "web");
    let more = answering("hello") + "[listener.more]\nbind = [\"127.0.0.1:0\", \"[::1]:0\"]\n";
    proxy.rewrite(&more);
    proxy.cli(&["reload"]).ok();
    let added = address(&proxy, "more");
    assert_eq!(fetch(added), "hello");
    assert_eq!(fetch(web), "hello");
    proxy.rewrite(&more.replace("[listener.web]", "[listener.other]"));
    proxy.cli(&["reload"]).ok();
    assert_eq!(fetch(address(&proxy, "other")), "hello");
    // Workers close at their own time.
    let end = std::time::Instant::now() + PATIENCE;
    while TcpStream::connect(web).is_ok() {
        assert!(std::time::Instant::now() < end, "{web} still listens");
    }
}

#[test]
fn an_address_becomes_wider_and_narrower() {
    let port = free_port();
    let at = |ip: &str| answering(ip).replace("127.0.0.1:0", &format!("{ip}:{port}"));
    let proxy = Proxy::start(&at("127.0.0.1"));
    let web = SocketAddr::from(([127, 0, 0, 1], port));
    let other = SocketAddr::from(([127, 0, 0, 2], port));
    for ip in ["0.0.0.0", "127.0.0.1"].repeat(3) {
        proxy.rewrite(&at(ip));
        proxy.cli(&["reload"]).ok();
        // Workers close at their own time.
        wait_until("the other address is as the file has it", || {
            TcpStream::connect(other).is_ok() == (ip == "0.0.0.0")
        });
        assert_eq!(fetch(web), ip);
    }
    proxy.rewrite(&at("0.0.0.0"));
    proxy.upgrade(&[]);
    assert_eq!(fetch(other), "0.0.0.0");
}

/// The kernel gives a connection to who is bound the closest.
#[test]
fn a_start_takes_the_overlapping_addresses_that_a_reload_takes() {
    let port = free_port();
    let at = |name: &str, ip: &str| format!("[listener.{name}]\nbind = [\"{ip}:{port}\"]\n");
    let (near, all) = (at("near", "127.0.0.1"), at("all", "0.0.0.0"));
    let route = "[[route]]\nrespond = {}\n";
    let is_served = |proxy: &Proxy| {
        for (last, listener) in [(1, "near"), (2, "all")] {
            let mut client = RawClient::connect(([127, 0, 0, last], port));
            let path = format!("/{listener}/{}", proxy.pid());
            let request = GET.replacen('/', &path, 1);
            assert_eq!(client.exchange(request).status(), 200);
            let line = proxy.wait_for_access(&path);
            let named = format!("\"listener\":\"{listener}\"");
            assert!(line.contains(&named), "{line}");
        }
    };
    let mut proxy = Proxy::start(&format!("{near}{route}"));
    proxy.rewrite(&format!("{near}{all}{route}"));
    proxy.cli(&["reload"]).ok();
    is_served(&proxy);
    for (one, other) in [(&near, &all), (&all, &near)] {
        proxy.kill();
        proxy.rewrite(&format!("{one}{other}{route}"));
        proxy.start_again();
        is_served(&proxy);
    }
}

/// They are there for the client, whose request may be under way: whatever waits in the kernel is served.
#[test]
fn who_is_connected_to_a_listener_that_goes_is_served() {
    let both = "[listener.stays]\nbind = [\"127.0.0.1:0\"]\n[server]\nworkers = 1\n".to_owned();
    let mut proxy = Proxy::start(&(answering("hello") + &both));
    let web = address(&proxy, "web");
    let stays =
        both + &answering("hello").replace("[listener.web]\nbind = [\"127.0.0.1:0\"]\n", "");
    proxy.rewrite(&stays);
    // Nobody accepts until the reload is asked for as well.
    proxy.signal("STOP");
    let mut clients: Vec<RawClient> = (0..400).map(|_| RawClient::connect(web)).collect();
    for client in &mut clients {
        client.send(GET);
    }
    proxy.signal("HUP");
    proxy.signal("CONT");
    for client in &mut clients {
        assert_eq!(client.response().text(), "hello");
    }
    proxy.wait_for("configuration reloaded");
}

#[test]
fn an_address_of_http3_that_becomes_wider_is_refused_with_the_cause() {
    let port = free_port();
    let tls = "\ntls = { self_signed = [\"a.test\"] }\nprotocols = [\"h1\", \"h2\", \"h3\"]";
    let at = |ip: &str| answering("x").replace("127.0.0.1:0\"]", &format!("{ip}:{port}\"]{tls}"));
    let proxy = Proxy::start(&at("127.0.0.1"));
    proxy.rewrite(&at("0.0.0.0"));
    let refused = proxy.cli(&["reload"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    let words = format!("this proxy has 127.0.0.1:{port} itself");
    assert!(refused.stderr.contains(&words), "{}", refused.stderr);
}

#[test]
fn an_address_in_use_refuses_the_reload_and_is_named() {
    let proxy = Proxy::start(&answering("hello"));
    let web = address(&proxy, "web");
    let guard = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = guard.local_addr().unwrap();
    proxy.rewrite(&format!(
        "{}[listener.more]\nbind = [\"{taken}\"]\n",
        answering("new")
    ));
    let refused = proxy.cli(&["reload"]);
    assert_eq!(refused.code, 1, "the text is right");
    let words = format!("error: listener more: cannot listen on {taken}: Address already in use");
    assert!(refused.stderr.starts_with(&words), "{}", refused.stderr);
    let place = format!("{}:8:9\n", proxy.config().display());
    assert!(refused.stderr.contains(&place), "{}", refused.stderr);
    assert_eq!(fetch(web), "hello");
    drop(guard);
    proxy.cli(&["reload"]).ok();
    assert_eq!(fetch(taken), "new");
}

#[test]
fn what_only_a_restart_changes_is_said() {
    let proxy = Proxy::start(&answering("hello"));
    let config = std::fs::read_to_string(proxy.config()).unwrap();
    let port = free_port();
    let changed = config
        .replace("workers = 2", "workers = 3")
        .replace(&proxy.metrics().to_string(), &format!("127.0.0.1:{port}"));
    std::fs::write(proxy.config(), changed).unwrap();
    let output = proxy.cli(&["reload"]).ok();
    let says = |stderr: &str| {
        for key in ["server.workers", "admin.metrics"] {
            let words = format!("{key} changes with the next restart");
            assert!(stderr.contains(&words), "{stderr}");
        }
    };
    says(&output.stderr);
    says(&proxy.cli(&["reload"]).ok().stderr);
    let waits = "restart     changes server.workers, admin.metrics, which a reload does not";
    let told = proxy.cli(&["status"]).ok().text();
    assert!(told.contains(waits), "{told}");
    std::fs::write(proxy.config(), config).unwrap();
    let output = proxy.cli(&["reload"]).ok();
    assert!(!output.stderr.contains("restart"), "{}", output.stderr);
    let told = proxy.cli(&["status"]).ok().text();
    assert!(!told.contains("restart"), "{told}");
}

#[test]
fn a_proxy_is_found_whose_file_names_another_socket_by_now() {
    let proxy = Proxy::start(&answering("old"));
    let web = address(&proxy, "web");
    let config = proxy.config().to_str().unwrap();
    let old = std::fs::read_to_string(config).unwrap();
    for (socket, body) in [("second.sock", "second"), ("third.sock", "third")] {
        let new = old.replace("admin.sock", socket);
        std::fs::write(config, new.replace("\"old\"", &format!("\"{body}\""))).unwrap();
        let output = openclaw(&["-c", config, "reload"]).ok();
        let words = "admin.socket changes with the next restart";
        assert!(output.stderr.contains(words), "{}", output.stderr);
        assert_eq!(fetch(web), body);
    }
    // Another file is another proxy's.
    let other = proxy.folder().path().join("other.toml");
    std::fs::copy(config, &other).unwrap();
    let output = openclaw(&["-c", other.to_str().unwrap(), "status"]);
    assert_eq!(output.code, 1, "{}", output.stderr);
}

#[test]
fn a_broken_file_that_does_not_name_its_socket_means_no_proxy() {
    let folder = Folder::new();
    for text in [
        "[listener\n",
        "[admin]\nsocket = \"${NOWHERE}/x\"\n",
        "[nonsense]\n",
    ] {
        let config = folder.write("main.toml", text);
        let config = config.to_str().unwrap();
        let told = openclaw(&["check", config]).stderr;
        for verb in [
            &["reload"][..],
            &["status"],
            &["stop"],
            &["blocklist", "list"],
        ] {
            let output = openclaw(&[&["-c", config], verb].concat());
            assert_eq!(output.code, 2, "{verb:?}: {}", output.stderr);
            assert!(output.stderr.starts_with(told.trim_end()), "{verb:?}");
            assert!(output.stderr.contains("--socket PATH"), "{verb:?}");
        }
    }
}
