//! `openclaw top`: once for programs and pipes, and on a terminal.

use std::process::Command;

use serde_json::Value;

use crate::control::{address, fetch, forwarding};
use crate::support::{Origin, Output, Proxy, curl};

/// Runs a program on a terminal of 80 by 24, presses keys when a word has been seen, and prints the last screen of escapes that it wrote.
const ON_A_TERMINAL: &str = r#"
import fcntl, os, pty, re, select, struct, sys, termios, time
keys, program = sys.argv[1].split(","), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm-256color"
    os.execv(program[0], program)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
text, end, status = "", time.monotonic() + 20, None
plain = lambda text: re.sub(r"\x1b[\[?][0-9;?]*[a-zA-Z]", " ", text)
while time.monotonic() < end:
    ready = select.select([terminal], [], [], 0.1)[0]
    if ready:
        try:
            read = os.read(terminal, 65536)
        except OSError:
            break
        if not read:
            break
        text += read.decode("utf-8", "replace")
    while keys and keys[0].split("=")[0] in plain(text):
        os.write(terminal, keys.pop(0).split("=")[1].encode())
        print(plain(text))
        text = ""
print(plain(text))
print("left", len(keys))
print("raw", "\x1b[?1049h" in text, "\x1b[?1049l" in text)
_, status = os.waitpid(pid, 0)
print("status", os.waitstatus_to_exitcode(status))
"#;

#[test]
fn once_is_for_programs_and_for_pipes() {
    let origin = Origin::serving("x");
    let proxy = Proxy::start(&forwarding(origin.address()));
    let web = address(&proxy, "web");
    for _ in 0..5 {
        fetch(web);
    }
    let json = proxy.cli(&["-o", "json", "top"]).ok();
    let sample: Value = serde_json::from_slice(&json.stdout).expect("it is JSON");
    assert_eq!(sample["pid"], proxy.pid());
    assert_eq!(sample["workers"], 2);
    let listener = &sample["listeners"][0];
    assert_eq!(
        (&listener["name"], &listener["requests"]),
        (&"web".into(), &5.into())
    );
    assert_eq!(listener["addresses"][0], web.to_string());
    let route = &sample["routes"][0];
    assert_eq!(
        (&route["name"], &route["classes"][2]),
        (&"all".into(), &5.into())
    );
    let buckets = route["buckets"].as_array().unwrap();
    assert_eq!(buckets.iter().filter_map(Value::as_u64).sum::<u64>(), 5);
    assert_eq!(
        buckets.len(),
        sample["bounds"].as_array().unwrap().len() + 1
    );
    let endpoint = &sample["upstreams"][0]["endpoints"][0];
    assert_eq!(endpoint["endpoint"], origin.address().to_string());
    assert_eq!(
        (&endpoint["state"], &endpoint["requests"]),
        (&"up".into(), &5.into())
    );
    let interfaces = sample["interfaces"].as_array().unwrap();
    assert!(
        interfaces.iter().any(|one| one["name"] == "lo"),
        "{sample:#}"
    );
    // Without a terminal it prints one look and ends.
    let text = proxy.cli(&["top"]).ok().text();
    for part in [
        "openclaw ",
        "2 workers",
        "NIC interface",
        "LISTENER name",
        "web",
        "ROUTE name",
        "UPSTREAM endpoint",
        "app 127.0.0.1:",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "nothing steers a terminal");
    assert_eq!(text, text.trim_end().to_owned() + "\n");
}

#[test]
fn on_a_terminal_keys_are_obeyed_and_bans_are_seen_as_they_happen() {
    let proxy = Proxy::start(&crate::control::answering("hello"));
    let top = |keys: &str| {
        let mut command = Command::new("python3");
        command.args(["-c", ON_A_TERMINAL, keys]);
        command
            .arg(env!("CARGO_BIN_EXE_openclaw"))
            .arg("--socket")
            .arg(proxy.socket())
            .arg("top");
        command
    };
    let seen = std::thread::scope(|scope| {
        let shown = scope.spawn(|| {
            Output::of(&mut top("LISTENER=4,ROUTE=7,203.0.113.77=q"), "python3")
                .ok()
                .text()
        });
        // Again and again, as nobody knows when it began to look.
        while !shown.is_finished() {
            proxy
                .cli(&[
                    "blocklist",
                    "add",
                    "203.0.113.77",
                    "--ttl",
                    "1h",
                    "--reason",
                    "seen",
                ])
                .ok();
            proxy.cli(&["blocklist", "del", "203.0.113.77"]).ok();
        }
        shown.join().expect("it does not panic")
    });
    assert!(seen.contains("openclaw 0."), "{seen}");
    assert!(seen.contains("left 0\n"), "a page did not come:\n{seen}");
    assert!(seen.ends_with("status 0\n"), "{seen}");
    assert!(
        seen.contains("raw False True\n"),
        "the terminal is given back:\n{seen}"
    );
}

#[test]
fn without_a_proxy_it_says_so_and_leaves_the_terminal_alone() {
    let asked = crate::support::openclaw(&["--socket", "/nonexistent/admin.sock", "top"]);
    assert_eq!(asked.code, 1);
    assert!(
        asked.stderr.contains("no openclaw is running"),
        "{}",
        asked.stderr
    );
    assert_eq!(asked.text(), "");
}

#[test]
fn the_admin_api_describes_itself() {
    let proxy = Proxy::start(&crate::control::answering("hello"));
    let socket = proxy.socket().to_str().expect("a path of ours");
    let text = curl(&["--unix-socket", socket, "http://openclaw/openapi.json"])
        .ok()
        .text();
    let document: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(document["openapi"], "3.1.0");
    for (path, method) in [
        ("/top", "get"),
        ("/reload", "post"),
        ("/shield/watch/{kind}", "get"),
    ] {
        assert!(
            document["paths"][path][method]["summary"].is_string(),
            "{path}: {document:#}"
        );
    }
    let follow = &document["paths"]["/exchanges/follow"]["get"];
    assert!(
        follow["responses"]["200"]["content"]["application/x-ndjson"].is_object(),
        "{follow:#}"
    );
    assert_eq!(
        document["paths"]["/exchanges/explain"]["get"]["parameters"][0]["required"],
        true
    );
}
