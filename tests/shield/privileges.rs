//! With few privileges, and with none: what still works, and what the process says it has.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::process::Command;

use openclaw::shield::kernel::{Maps, Pins};
use openclaw_common::verdict::Reason;

use super::attach::Wire;
use super::lists::json;
use super::net::{CLIENT4, INTERFACE, Net, SERVER4};
use super::rig::PinDir;
use crate::control::{answering, sample};
use crate::support::{Folder, Output, Proxy, certificate, curl, openclaw};

/// Nobody, by number: it needs no entry in the database of users.
pub(super) const NOBODY: u32 = 65534;
/// `cap_net_bind_service`, `cap_net_admin`, `cap_perfmon` and `cap_bpf`, as the kernel prints sets.
pub(super) const FOUR: &str = "000000c000001400";
const NONE: &str = "0000000000000000";
const AMBIENT: &str = "--ambient-caps=-all,+net_admin,+bpf,+perfmon,+net_bind_service";
const INHERITED: &str = "--inh-caps=-all,+net_admin,+bpf,+perfmon,+net_bind_service";

/// The values of a line of /proc/PID/status, one a thread, without repetitions.
pub(super) fn of_threads(pid: u32, name: &str) -> Vec<String> {
    let mut values: Vec<String> = fs::read_dir(format!("/proc/{pid}/task"))
        .unwrap()
        .map(|thread| fs::read_to_string(thread.unwrap().path().join("status")).unwrap())
        .map(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let words = line.unwrap().trim_start_matches(':').split_whitespace();
            words.collect::<Vec<_>>().join(" ")
        })
        .collect();
    values.sort();
    values.dedup();
    values
}

/// Every thread holds these capabilities, and can gain no others.
fn assert_holds(proxy: &Proxy, expected: &str) {
    for (name, value) in [
        ("CapEff", expected),
        ("CapPrm", expected),
        ("CapInh", NONE),
        ("CapAmb", NONE),
        ("NoNewPrivs", "1"),
    ] {
        assert_eq!(of_threads(proxy.pid(), name), [value], "{name}");
    }
}

pub(super) fn in_namespace(net: &Net) -> String {
    format!("--net=/run/netns/{}", net.server)
}

fn shielded(pins: &PinDir, listener: &str) -> String {
    format!(
        "[shield]\ninterfaces = [\"{INTERFACE}\"]\nmode = \"native\"\npin_dir = \"{}\"\n[listener.web]\nbind = [\"{listener}\"]\n\
         [[route]]\nrespond = {{ body = \"hello\" }}\n",
        pins.0.display()
    )
}

/// Bans the client of the namespace, sees its datagrams dropped and counted, lets it in again.
fn assert_bans(proxy: &Proxy, net: &Net, pins: &PinDir) {
    let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
    let wire = Wire::new(net, SERVER4, CLIENT4);
    wire.assert_open();
    proxy
        .cli(&["blocklist", "add", CLIENT4, "--ttl", "1h"])
        .ok();
    wire.assert_dropped(&maps, Reason::Ban);
    proxy.cli(&["blocklist", "del", CLIENT4]).ok();
    wire.assert_open();
}

pub(super) fn client_gets(net: &Net, port: u16) -> String {
    let target = format!("--net=/run/netns/{}", net.client);
    let url = format!("http://{SERVER4}:{port}/");
    let arguments = [&target, "curl", "-sS", "--max-time", "10", &url];
    Output::of(Command::new("nsenter").args(arguments), "util-linux")
        .ok()
        .text()
}

#[test]
fn four_capabilities_are_enough_for_an_ordinary_user() {
    let (net, pins) = (Net::new(), PinDir::new());
    fs::create_dir(&pins.0).unwrap();
    chown(&pins.0, Some(NOBODY), Some(NOBODY)).unwrap();
    let config = shielded(&pins, &format!("{SERVER4}:80"));
    let namespace = in_namespace(&net);
    let through = [
        "nsenter",
        &namespace,
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        INHERITED,
        AMBIENT,
    ];
    let mut proxy = Proxy::start_through(&config, NOBODY, &through, &[]);
    assert_holds(&proxy, FOUR);
    assert_eq!(
        of_threads(proxy.pid(), "Uid"),
        ["65534 65534 65534 65534"],
        "it is nobody"
    );
    let status = proxy.cli(&["shield", "status"]).ok().text();
    assert!(
        status.contains(&format!("XDP on {INTERFACE} (native)")),
        "{status}"
    );
    assert!(
        status.contains("(65534), cap_net_bind_service cap_net_admin cap_perfmon cap_bpf\n"),
        "{status}"
    );
    let status = json(&proxy.cli(&["-o", "json", "status"]).ok());
    assert_eq!(status["privileges"]["uid"], 65534);
    assert_eq!(
        status["privileges"]["capabilities"],
        serde_json::json!([
            "cap_net_bind_service",
            "cap_net_admin",
            "cap_perfmon",
            "cap_bpf"
        ])
    );
    assert_bans(&proxy, &net, &pins);
    assert_eq!(client_gets(&net, 80), "hello");
    everything_of_a_running_proxy_works(&mut proxy, &net, &pins);
}

/// Attaching and detaching, a reload that binds another low port, state over a restart.
fn everything_of_a_running_proxy_works(proxy: &mut Proxy, net: &Net, pins: &PinDir) {
    proxy.cli(&["shield", "detach", INTERFACE]).ok();
    proxy.cli(&["shield", "attach", INTERFACE]).ok();
    proxy.rewrite(&shielded(pins, &format!("{SERVER4}:81")));
    proxy.signal("HUP");
    proxy.wait_for("configuration reloaded");
    assert_eq!(client_gets(net, 81), "hello");
    assert_holds(proxy, FOUR);
    proxy.cli(&["blocklist", "add", "203.0.113.7"]).ok();
    let state = proxy.folder().path().join("state/lists.json");
    assert_eq!(fs::metadata(&state).unwrap().uid(), NOBODY);
    proxy.kill();
    // Root works on what the proxy left, and leaves it to the proxy.
    proxy.cli(&["blocklist", "add", "203.0.113.8"]).ok();
    assert_eq!(fs::metadata(&state).unwrap().uid(), NOBODY);
    proxy.start_again();
    let kept = proxy.cli(&["blocklist", "export"]).ok().text();
    assert_eq!(kept, "# list manual\n203.0.113.7\n203.0.113.8\n");
    assert_bans(proxy, net, pins);
}

#[test]
fn root_becomes_the_user_of_the_configuration() {
    let (net, pins) = (Net::new(), PinDir::new());
    let state = Folder::new();
    let server = format!(
        "[server]\nuser = \"65534\"\ngroup = \"65534\"\nworkers = 2\nstate_dir = \"{}\"\n",
        state.path().join("new").display()
    );
    let config = shielded(&pins, &format!("{SERVER4}:80")) + &server;
    let namespace = in_namespace(&net);
    let through = ["nsenter", &namespace];
    let mut proxy = Proxy::start_through(&config, NOBODY, &through, &[]);
    assert_holds(&proxy, FOUR);
    assert_eq!(of_threads(proxy.pid(), "CapBnd"), [FOUR]);
    for ids in ["Uid", "Gid"] {
        assert_eq!(of_threads(proxy.pid(), ids), ["65534 65534 65534 65534"]);
    }
    assert_eq!(of_threads(proxy.pid(), "Groups"), ["65534"]);
    assert_bans(&proxy, &net, &pins);
    proxy.rewrite(&(shielded(&pins, &format!("{SERVER4}:81")) + &server));
    proxy.cli(&["reload"]).ok();
    assert_eq!(client_gets(&net, 81), "hello");
    proxy.kill();
    // Without a proxy root may pin, too.
    let nsenter = |arguments: &[&str]| {
        let config = proxy.config().to_str().unwrap();
        let own = [&namespace, env!("CARGO_BIN_EXE_openclaw"), "-c", config];
        let mut command = Command::new("nsenter");
        Output::of(command.args(own).args(arguments), "util-linux").ok()
    };
    nsenter(&["shield", "detach", INTERFACE]);
    nsenter(&["shield", "attach", INTERFACE]);
    proxy.start_again();
    assert_bans(&proxy, &net, &pins);
    proxy.signal("TERM");
    proxy.wait();
    // And root goes on by itself, in a folder of its own.
    chown(proxy.folder().path(), Some(0), Some(0)).unwrap();
    proxy.rewrite(&shielded(&pins, &format!("{SERVER4}:80")));
    proxy.start_again();
    assert_holds(&proxy, FOUR);
    assert_eq!(of_threads(proxy.pid(), "Uid"), ["0 0 0 0"]);
    assert_bans(&proxy, &net, &pins);
}

#[test]
fn root_without_a_user_keeps_its_files_and_four_capabilities() {
    let proxy = Proxy::start(&answering("hello"));
    assert_holds(&proxy, FOUR);
    assert_eq!(of_threads(proxy.pid(), "CapBnd"), [FOUR]);
    assert_eq!(of_threads(proxy.pid(), "Uid"), ["0 0 0 0"]);
    drop(proxy);
    let proxy = Proxy::start_with(&answering("hello"), &["--no-shield"]);
    assert_holds(&proxy, "0000000000000400");
    let status = proxy.cli(&["status"]).ok().text();
    assert!(
        status.contains("privileges  user root (0), cap_net_bind_service\n"),
        "{status}"
    );
}

#[test]
fn a_key_that_the_user_cannot_read_is_told_at_start_and_at_reload() {
    let folder = Folder::new();
    let (chain, key) = certificate(&folder, &["a.test"]);
    let mode = |mode| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    let config = format!(
        "[server]\nuser = \"65534\"\ngroup = \"65534\"\nstate_dir = \"{}\"\n[listener.web]\nbind = [\"127.0.0.1:0\"]\n\
         tls = {{ certificates = [{{ cert = \"{}\", key = \"{}\" }}] }}\n[[route]]\nrespond = {{ body = \"hello\" }}\n",
        folder.path().join("state").display(),
        chain.display(),
        key.display()
    );
    mode(0o644);
    let mut proxy = Proxy::start_through(&config, NOBODY, &["env"], &[]);
    mode(0o600);
    let refused = proxy.cli(&["reload"]);
    assert_eq!(refused.code, 2);
    let expected = "whose permissions count here, at every reload as well";
    for part in [key.to_str().unwrap(), "Permission denied", expected] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    mode(0o644);
    proxy.cli(&["reload"]).ok();
    proxy.kill();
    mode(0o600);
    // What a reload would refuse does not start either, though root could have read it.
    let refused = openclaw(&["-c", proxy.config().to_str().unwrap(), "run"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
}

#[test]
fn without_any_privilege_the_lists_hold_where_connections_are_accepted() {
    let pins = PinDir::new();
    let config = format!(
        "[shield]\ninterfaces = [\"lo\"]\npin_dir = \"{}\"\n{}",
        pins.0.display(),
        answering("hello")
    );
    let through = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--bounding-set=-all",
    ];
    let proxy = Proxy::start_through(&config, NOBODY, &through, &[]);
    assert_holds(&proxy, NONE);
    let status = json(&proxy.cli(&["-o", "json", "shield", "status"]).ok());
    assert_eq!(status["privileges"]["capabilities"], serde_json::json!([]));
    let why = status["unshielded"].as_str().unwrap();
    assert!(
        why.contains("no privilege; the shield needs root, or CAP_BPF"),
        "{why}"
    );
    let status = proxy.cli(&["shield", "status"]).ok().text();
    for part in [
        "shield: not shielded by XDP: ",
        "; block lists are applied when connections are accepted",
        "(65534), no capabilities",
    ] {
        assert!(status.contains(part), "{part}: {status}");
    }
    let web = crate::control::address(&proxy, "web");
    let get = || curl(&["--interface", "127.0.0.2", &format!("http://{web}/")]).code;
    assert_eq!(get(), 0);
    proxy
        .cli(&[
            "blocklist",
            "add",
            "127.0.0.2",
            "--ttl",
            "1h",
            "--reason",
            "scanner",
        ])
        .ok();
    assert!(matches!(get(), 52 | 56), "closed at once");
    let tested = proxy.cli(&["blocklist", "test", "127.0.0.2"]).ok().text();
    assert!(
        tested.contains("is banned (shield.ban)") && tested.contains("scanner"),
        "{tested}"
    );
    let listed = proxy.cli(&["blocklist", "list"]).ok().text();
    assert!(listed.contains("127.0.0.2"), "{listed}");
    let refused = sample(&proxy, "openclaw_refusals_total{reason=\"shield.ban\"}");
    assert_eq!(refused.as_deref(), Some("1"));
    let logged = proxy.wait_for_access("\"reason\":\"shield.ban\"");
    assert!(logged.contains("127.0.0.2"), "{logged}");
    proxy.cli(&["blocklist", "del", "127.0.0.2"]).ok();
    assert_eq!(get(), 0);
}
