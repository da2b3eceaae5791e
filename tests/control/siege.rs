//! Callers, signals and files that mean no good: the proxy serves on, and its operator is answered.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

use super::{address, answering, fetch, status};
use crate::support::{PATIENCE, Proxy, openclaw, wait_until};

fn open(proxy: &Proxy) -> UnixStream {
    let stream = UnixStream::connect(proxy.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn callers_of_the_admin_socket_hold_nobody_up() {
    let proxy = Proxy::start(&answering("hello"));
    let web = address(&proxy, "web");
    let large = vec![b'A'; 100_000];
    let garbage: [&[u8]; 8] = [
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /status HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /reload HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n",
        &large,
    ];
    for bytes in garbage {
        let mut stream = open(&proxy);
        // It may hang up before the end.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        // A reset is an answer, too.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
    // A thousand that say nothing, and some that stop in the middle, all at one time.
    let mut silent = Vec::new();
    for index in 0..1000 {
        let mut stream = open(&proxy);
        if index % 10 == 0 {
            // It may have made way already.
            let _ = stream.write_all(
                b"POST /shield HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{\"verb\"",
            );
        }
        silent.push(stream);
    }
    assert_eq!(status(&proxy)["pid"], proxy.pid());
    assert_eq!(fetch(web), "hello");
    drop(silent);
    // Followers that never read, as many as may, and one more.
    let followers: Vec<UnixStream> = (0..40)
        .map(|_| {
            let mut stream = open(&proxy);
            stream
                .write_all(b"GET /exchanges/follow HTTP/1.1\r\nhost: x\r\n\r\n")
                .unwrap();
            stream
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(fetch(web), "hello");
    }
    assert_eq!(status(&proxy)["pid"], proxy.pid());
    let refused = proxy.cli(&["tail", "--limit", "1"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("follow the exchanges already"),
        "{}",
        refused.stderr
    );
    drop(followers);
    wait_until("there is room again", || {
        let mut stream = open(&proxy);
        stream
            .write_all(b"GET /exchanges/follow HTTP/1.1\r\nhost: x\r\n\r\n")
            .unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        fetch(web);
        head == *b"HTTP/1.1 200"
    });
    assert!(!proxy.stderr().contains("panicked"), "{}", proxy.stderr());
}

/// Processes that serve this configuration.
pub(super) fn alive(proxy: &Proxy) -> Vec<u32> {
    let config = proxy.config().display().to_string();
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        // One that ends meanwhile has no line.
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains(&config) && line.ends_with("run\0")
    })
    .collect()
}

#[test]
fn a_storm_of_signals_is_one_upgrade() {
    let more = "[server]\nworkers = 2\nstate_dir = \"state\"\nshutdown_grace = \"4s\"\n";
    let mut proxy = Proxy::start(&(answering("whole") + more));
    // The process that goes takes no more orders.
    for _ in 0..20 {
        proxy.signal("USR2");
    }
    wait_until("one serves", || status(&proxy)["pid"] != proxy.pid());
    let said = proxy.stderr();
    assert!(
        !said.contains("the proxy is ending"),
        "one order is carried out once: {said}"
    );
    for pid in alive(&proxy) {
        proxy.has_successor(pid);
    }
    let last = status(&proxy)["pid"].as_u64().unwrap() as u32;
    wait_until("one is left", || alive(&proxy) == [last]);
    assert_eq!(proxy.wait().code(), Some(0));
    proxy.cli(&["stop"]).ok();
    assert!(!proxy.stderr().contains("panicked"), "{}", proxy.stderr());
}

/// Damage of a file of the state directory.
const DAMAGE: [(&str, &str); 4] = [
    ("garbage", "head -c 3000 /dev/urandom >\"$1\""),
    ("empty", ": >\"$1\""),
    ("a directory", "rm \"$1\" && mkdir \"$1\""),
    ("a pipe", "rm \"$1\" && mkfifo \"$1\""),
];

#[test]
fn a_damaged_state_directory_keeps_nobody_from_serving() {
    let mut proxy = Proxy::start(&answering("hello"));
    proxy.cli(&["blocklist", "add", "203.0.113.1"]).ok();
    proxy.rewrite(&answering("other"));
    proxy.cli(&["reload"]).ok();
    proxy.signal("TERM");
    assert_eq!(proxy.wait().code(), Some(0));
    let state = proxy.folder().path().join("state");
    let kept = proxy.folder().path().join("kept");
    fs::rename(&state, &kept).unwrap();
    let files: Vec<_> = fs::read_dir(&kept).unwrap().flatten().collect();
    assert!(files.iter().any(|file| file.file_name() == "history.json"));
    for file in files.iter().filter(|file| file.path().is_file()) {
        for (what, how) in DAMAGE {
            let shell = |script: &str, path: &std::path::Path| {
                let done = Command::new("sh")
                    .args(["-ec", script, "sh"])
                    .arg(path)
                    .status();
                assert!(done.is_ok_and(|done| done.success()), "{script}");
            };
            // What a process before has put aside goes, too.
            let _ = fs::remove_dir_all(&state);
            shell("cp -a \"$1\" \"${1%kept}state\"", &kept);
            let damaged = state.join(file.file_name());
            shell(how, &damaged);
            proxy.launch_again();
            let ended = proxy.ready_or_ended();
            let said = proxy.stderr();
            assert!(
                !said.contains("panicked"),
                "{what} {}: {said}",
                damaged.display()
            );
            let place = format!("{what} {}", damaged.display());
            if ended.is_some() {
                let state = state.display().to_string();
                assert!(said.contains(&state), "{place}: {said}");
                continue;
            }
            // It serves, with a word about it where that matters.
            proxy.cli(&["reload"]).ok();
            proxy.signal("TERM");
            assert_eq!(proxy.wait().code(), Some(0), "{place}");
        }
    }
}

#[test]
fn a_reload_on_a_full_disk_is_a_reload() {
    let script = "mkdir -p \"${0%/*}/state\"; mount -t tmpfs -o size=64k none \"${0%/*}/state\"; \
                  dd if=/dev/zero of=\"${0%/*}/state/fill\" bs=4k 2>/dev/null; exec \"$0\" \"$@\"";
    let through = ["unshare", "--mount", "sh", "-c", script];
    let mut proxy = Proxy::start_through(&answering("before"), 0, &through, &[]);
    let web = address(&proxy, "web");
    proxy.rewrite(&answering("after"));
    let reloaded = proxy.cli(&["reload"]);
    assert_eq!(reloaded.code, 0, "{}", reloaded.stderr);
    assert!(
        reloaded.stderr.contains("No space left"),
        "{}",
        reloaded.stderr
    );
    assert_eq!(fetch(web), "after");
    let added = proxy.cli(&["blocklist", "add", "203.0.113.1"]);
    assert!(added.stderr.contains("No space left") || proxy.stderr().contains("No space left"));
    let tested = proxy.cli(&["blocklist", "test", "203.0.113.1"]).text();
    assert!(tested.contains("blocked"), "{tested}");
    proxy.signal("TERM");
    assert_eq!(proxy.wait().code(), Some(0));
}

#[test]
fn a_command_line_that_nobody_answers_ends() {
    let folder = crate::support::Folder::new();
    let socket = folder.path().join("admin.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    // It listens, takes the call, and hangs up.
    let hanging = thread::spawn(move || drop(listener.accept()));
    let output = openclaw(&["--socket", socket.to_str().unwrap(), "status"]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    let begins = |line: &&str| line.starts_with("error: ") && !line.contains("error: error");
    let errors = output.stderr.lines().filter(begins).count();
    assert_eq!(errors, 1, "{}", output.stderr);
    hanging.join().unwrap();
}
