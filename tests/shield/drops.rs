//! What is dropped for its rate, its fragments or a list, and how it is told, over real interfaces and the real binary.

use std::net::IpAddr;
use std::process::Command;

use serde_json::Value;

use super::lists::{Stage, addresses, json};
use crate::support::{Child, PATIENCE, Proxy, wait_until};

/// `openclaw shield drops --follow`, until dropped.
fn follow(proxy: &Proxy, arguments: &[&str]) -> Child {
    let child = Child::start(
        Command::new(env!("CARGO_BIN_EXE_openclaw"))
            .arg("--socket")
            .arg(proxy.socket())
            .args(["shield", "drops", "--follow"])
            .args(arguments),
        "the follower",
    );
    let flags = || {
        let status = json(&proxy.cli(&["shield", "status", "-o", "json"]));
        status["followed"] == true
    };
    wait_until("the kernel tells of drops", flags);
    child
}

/// The first drop that is so.
fn drop_of(follower: &Child, reason: &str, source: IpAddr) -> Value {
    let source = source.to_string();
    let is_it = |line: &str| {
        serde_json::from_str::<Value>(line)
            .is_ok_and(|told| told["reason"] == reason && told["source"] == source.as_str())
    };
    let line = follower.stdout.line(PATIENCE, is_it);
    let line = line.unwrap_or_else(|| {
        let (stdout, stderr) = (follower.stdout.text(), follower.stderr.text());
        panic!("no {reason} of {source}:\n{stdout}{stderr}")
    });
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_source_above_its_rate_is_dropped_and_told_in_both_families() {
    let stage = Stage::new();
    let rules = "sample = 0\nsyn = { per_source = \"1/h\", burst = 3, mode = \"off\" }\n";
    let proxy = Proxy::start(&(stage.answering() + rules));
    let follower = follow(&proxy, &["-o", "json"]);
    let clients: [IpAddr; 2] = [stage.net.inside4.into(), stage.net.inside6.into()];
    for (client, server) in clients.into_iter().zip(addresses(&proxy)) {
        for _ in 0..3 {
            assert!(stage.reaches(client, server));
        }
        assert!(!stage.reaches(client, server));
        let dropped = drop_of(&follower, "shield.rate_syn", client);
        assert_eq!(dropped["verdict"], "drop");
        assert_eq!(dropped["protocol"], "tcp");
        assert_eq!(dropped["destination"], server.ip().to_string());
        assert_eq!(dropped["destination_port"], server.port());
        assert_eq!(dropped["interface"], stage.net.interface());
        assert_eq!(dropped["list"], Value::Null);
    }
    // A neighbour has a share of its own.
    assert!(stage.reaches(stage.neighbour, addresses(&proxy)[0]));
    // What was followed is kept for those who ask later.
    let kept = json(&proxy.cli(&["shield", "drops", "--limit", "1", "-o", "json"]));
    assert_eq!(kept["drops"].as_array().map(Vec::len), Some(1));
    assert_eq!(kept["drops"][0]["reason"], "shield.rate_syn");
}

#[test]
fn what_a_list_drops_is_told_with_the_list_and_monitored_lists_drop_nothing() {
    let stage = Stage::new();
    let proxy = Proxy::start(&(stage.answering() + "block_action = \"monitor\"\nsample = 0\n"));
    let server = addresses(&proxy)[0];
    let client = stage.net.inside4.to_string();
    let block = ["blocklist", "add", &client, "--list", "loud"];
    proxy.cli(&block).ok();
    let follower = follow(&proxy, &["-o", "json"]);
    assert!(stage.reaches(stage.net.inside4, server));
    let dropped = drop_of(&follower, "shield.would_block", stage.net.inside4.into());
    assert_eq!(
        (&dropped["verdict"], &dropped["list"]),
        (&"pass".into(), &"loud".into())
    );
    assert_eq!(dropped["prefix"], client.as_str());
    let tested = proxy.cli(&["blocklist", "test", &client]).ok().text();
    assert!(
        tested.contains("`shield.block_action` is monitor"),
        "{tested}"
    );

    proxy.rewrite(&(stage.answering() + "sample = 1\n"));
    proxy.cli(&["reload"]).ok();
    let in_text = follow(&proxy, &["--limit", "1"]);
    assert!(!stage.reaches(stage.net.inside4, server));
    let wanted = format!("on {} list loud by {client}", stage.net.interface());
    let line = in_text
        .stdout
        .line(PATIENCE, |line| line.ends_with(&wanted));
    let line = line.unwrap_or_else(|| panic!("{}", in_text.stdout.text()));
    assert!(
        line.contains(&format!(" drop shield.block {client}:")),
        "{line}"
    );
    drop(follower);
    // Nobody follows: the sample goes on.
    wait_until("the follower is missed", || {
        json(&proxy.cli(&["shield", "status", "-o", "json"]))["followed"] == false
    });
    let kept = proxy.cli(&["shield", "drops"]).ok().text();
    assert!(kept.contains("shield.block "), "{kept}");
}

#[test]
fn fragments_are_dropped_unless_the_configuration_lets_them_pass() {
    let stage = Stage::new();
    let proxy = Proxy::start(&(stage.answering() + "sample = 1\n"));
    let fragments = || {
        let interface = stage.net.interface();
        let series = format!(
            "openclaw_xdp_packets_total{{interface=\"{interface}\",verdict=\"drop\",reason=\"shield.fragment\"}}"
        );
        crate::control::sample(&proxy, &series).map_or(0, |count| count.parse::<u64>().unwrap())
    };
    let address = stage.net.outside4.to_string();
    let piece = "import socket,struct,sys\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)\n\
        to = socket.inet_aton(sys.argv[2])\n\
        head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 44, 7, 0x2003, 64, int(sys.argv[3]), 0, socket.inet_aton(sys.argv[1]), to)\n\
        s.sendto(head + bytes(24), (sys.argv[2], 0))\n";
    let client = stage.net.inside4.to_string();
    let send = |protocol| {
        let arguments = ["-c", piece, &client, &address, protocol];
        stage.net.exec("python3", &arguments).ok();
    };
    // UDP has no protected port, TCP has.
    send("17");
    send("6");
    wait_until("the fragment is dropped", || fragments() > 0);
    assert_eq!(fragments(), 1);
    proxy.rewrite(&(stage.answering() + "fragments = \"pass\"\n"));
    proxy.cli(&["reload"]).ok();
    send("6");
    // A packet behind it has been seen, so it has been, too.
    assert!(stage.reaches(stage.net.inside4, addresses(&proxy)[0]));
    assert_eq!(fragments(), 1);
}
