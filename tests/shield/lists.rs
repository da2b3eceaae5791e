//! Lists as an operator works them: over the running proxy, on the pinned maps, over restarts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::rig::PinDir;
use crate::control::sample;
use crate::support::{Net, Origin, Output, Proxy, wait_until};

/// A network with a second client, and what to shield it with.
pub(super) struct Stage {
    pub(super) net: Net,
    pub(super) neighbour: Ipv4Addr,
    pub(super) pins: PinDir,
}

impl Stage {
    pub(super) fn new() -> Self {
        let net = Net::new();
        let neighbour = Ipv4Addr::from_bits(net.inside4.to_bits() + 1);
        net.add_address(neighbour.into());
        Self {
            net,
            neighbour,
            pins: PinDir::new(),
        }
    }

    /// A proxy on our end of the pair, shielded by XDP.
    pub(super) fn config(&self, more: &str) -> String {
        let Self { net, pins, .. } = self;
        format!(
            "[listener.web]\nbind = [\"{}:0\", \"[{}]:0\"]\n{more}\n[shield]\ninterfaces = [\"{}\"]\npin_dir = \"{}\"\n",
            net.outside4,
            net.outside6,
            net.interface(),
            pins.0.display(),
        )
    }

    pub(super) fn answering(&self) -> String {
        self.config("[[route]]\nname = \"all\"\nrespond = { body = \"hello\" }\n")
    }

    /// Whether a client gets an answer within two seconds; packets that are dropped get none.
    pub(super) fn reaches(&self, client: impl Into<IpAddr>, server: SocketAddr) -> bool {
        let (client, url) = (client.into().to_string(), format!("http://{server}/"));
        let output = self
            .net
            .curl(&["--interface", &client, "--max-time", "2", &url]);
        assert!(matches!(output.code, 0 | 28), "{}", output.stderr);
        output.code == 0
    }
}

pub(super) fn addresses(proxy: &Proxy) -> Vec<SocketAddr> {
    let status = crate::control::status(proxy);
    let addresses = status["listeners"][0]["addresses"]
        .as_array()
        .expect("a list");
    addresses
        .iter()
        .map(|one| {
            one.as_str()
                .expect("an address")
                .parse()
                .expect("an address")
        })
        .collect()
}

pub(super) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}{}", output.text(), output.stderr))
}

#[test]
fn a_blocked_client_is_gone_while_its_neighbour_keeps_downloading() {
    let stage = Stage::new();
    // Far more than all buffers on the way hold.
    let body = "x".repeat(20 << 20);
    let origin = Origin::serving(&body);
    let config = format!(
        "[upstream.app]\nendpoints = [\"{}\"]\n[[route]]\nname = \"all\"\nto = \"app\"\n",
        origin.address()
    );
    let proxy = Proxy::start(&stage.config(&config));
    let server = addresses(&proxy)[0];
    let client = stage.net.inside4.to_string();
    assert!(stage.reaches(stage.net.inside4, server));
    let url = format!("http://{server}/");
    let neighbour = stage.neighbour.to_string();
    let slow = ["--interface", &neighbour, "--limit-rate", "2m", &url];
    let start = Instant::now();
    thread::scope(|scope| {
        let download = scope.spawn(|| (stage.net.curl(&slow).ok().stdout.len(), start.elapsed()));
        let added = proxy
            .cli(&["blocklist", "add", &client, "--reason", "too loud"])
            .ok();
        assert_eq!(added.text(), "block list `manual`: 1 added\n");
        assert!(!stage.reaches(stage.net.inside4, server));
        assert!(stage.reaches(stage.neighbour, server));
        let seen = start.elapsed();
        let (length, took) = download.join().expect("the download ends");
        assert_eq!(length, body.len());
        assert!(
            took > seen,
            "the download was over after {took:?}, before the block was seen after {seen:?}"
        );
    });
    let tested = proxy.cli(&["blocklist", "test", &client]).ok().text();
    assert!(
        tested.starts_with(&format!(
            "{client} is blocked (shield.block)\n  {client} on the list `manual`"
        )),
        "{tested}"
    );
    assert!(tested.ends_with("no end: too loud\n"), "{tested}");
    let interface = stage.net.interface();
    let dropped = format!(
        "openclaw_xdp_packets_total{{interface=\"{interface}\",verdict=\"drop\",reason=\"shield.block\"}}"
    );
    let dropped: u64 = sample(&proxy, &dropped)
        .expect("the drops are counted")
        .parse()
        .expect("a number");
    assert!(dropped > 0);
    proxy.cli(&["blocklist", "del", &client]).ok();
    assert!(stage.reaches(stage.net.inside4, server));
    assert_eq!(proxy.cli(&["blocklist", "test", &client]).code, 1);
}

#[test]
fn both_families_are_dropped_in_the_kernel_and_allow_beats_block() {
    let stage = Stage::new();
    let proxy = Proxy::start(&stage.answering());
    let servers = addresses(&proxy);
    let clients: [IpAddr; 2] = [stage.net.inside4.into(), stage.net.inside6.into()];
    for (client, server) in clients.into_iter().zip(servers) {
        let subnet = match client {
            // Without our own address and the network's other half.
            IpAddr::V4(client) => format!("{client}/31"),
            IpAddr::V6(client) => format!("{client}/127"),
        };
        assert!(stage.reaches(client, server));
        proxy.cli(&["blocklist", "add", &subnet]).ok();
        assert!(!stage.reaches(client, server), "{client}");
        let allowed = client.to_string();
        proxy.cli(&["allowlist", "add", &allowed]).ok();
        assert!(stage.reaches(client, server), "{client}");
        let refused = proxy.cli(&["blocklist", "add", &allowed]);
        assert_eq!(refused.code, 1);
        assert_eq!(
            refused.stderr,
            format!("refused: {client} cannot be blocked: it is on the allow list `manual`\n")
        );
        proxy.cli(&["allowlist", "del", &allowed]).ok();
        assert!(!stage.reaches(client, server), "{client}");
    }
    let status = json(&proxy.cli(&["-o", "json", "shield", "status"]).ok());
    assert_eq!(status["interfaces"][0]["name"], stage.net.interface());
    assert_eq!(status["on"], true);
}

#[test]
fn a_ban_ends_by_itself() {
    let stage = Stage::new();
    let proxy = Proxy::start(&stage.answering());
    let server = addresses(&proxy)[0];
    let client = stage.net.inside4.to_string();
    let start = Instant::now();
    proxy
        .cli(&["blocklist", "add", &client, "--ttl", "5s"])
        .ok();
    let tested = json(
        &proxy
            .cli(&["-o", "json", "blocklist", "test", &client])
            .ok(),
    );
    assert_eq!(
        (&tested["reason"], &tested["verdict"]),
        (&"shield.ban".into(), &"drop".into())
    );
    assert!(!stage.reaches(stage.net.inside4, server));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "the machine is too slow for this test"
    );
    wait_until("the client is let in again", || {
        stage.reaches(stage.net.inside4, server)
    });
    assert!(start.elapsed() >= Duration::from_secs(5));
    wait_until("the entry is gone", || {
        proxy.cli(&["blocklist", "list"]).ok().text() == "no block entries\n"
    });
}

#[test]
fn the_kill_switch_lets_everything_pass() {
    let stage = Stage::new();
    let proxy = Proxy::start(&stage.answering());
    let server = addresses(&proxy)[0];
    proxy
        .cli(&["blocklist", "add", &stage.net.inside4.to_string()])
        .ok();
    assert!(!stage.reaches(stage.net.inside4, server));
    let off = proxy.cli(&["shield", "off"]).ok().text();
    assert!(
        off.starts_with("shield: OFF by the kill switch: everything passes"),
        "{off}"
    );
    assert!(stage.reaches(stage.net.inside4, server));
    proxy.cli(&["shield", "on"]).ok();
    assert!(!stage.reaches(stage.net.inside4, server));
}

#[test]
fn without_a_proxy_the_pinned_maps_are_worked() {
    let stage = Stage::new();
    let mut proxy = Proxy::start(&stage.answering());
    let client = stage.net.inside4;
    let blocked = client.to_string();
    proxy
        .cli(&["blocklist", "add", &blocked, "--reason", "kept"])
        .ok();
    proxy.signal("TERM");
    proxy.wait();
    // The kernel answers the handshake; nobody need accept.
    let listener = TcpListener::bind((stage.net.outside4, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let connects = || {
        let connect = format!("</dev/tcp/{}/{port}", stage.net.outside4);
        let output = stage.net.exec("timeout", &["1", "bash", "-c", &connect]);
        assert!(matches!(output.code, 0 | 124), "{}", output.stderr);
        output.code == 0
    };
    assert!(!connects(), "the shield outlives the proxy");
    let status = proxy.cli(&["shield", "status"]).ok().text();
    assert!(status.contains("no proxy is running"), "{status}");
    proxy.cli(&["shield", "off"]).ok();
    assert!(connects());
    // Another call must leave the kill switch as it is.
    proxy
        .cli(&["blocklist", "add", "203.0.113.7", "--ttl", "1h"])
        .ok();
    assert!(connects());
    proxy.cli(&["shield", "on"]).ok();
    assert!(!connects());
    proxy.cli(&["blocklist", "del", &blocked]).ok();
    assert!(connects());
    proxy
        .cli(&[
            "blocklist",
            "add",
            &format!("{client}/31"),
            "--list",
            "later",
        ])
        .ok();
    assert!(!connects());
    proxy.cli(&["shield", "detach", stage.net.interface()]).ok();
    assert!(connects());
    proxy
        .cli(&[
            "shield",
            "attach",
            stage.net.interface(),
            "--mode",
            "generic",
        ])
        .ok();
    assert!(!connects());
    let list = json(&proxy.cli(&["-o", "json", "blocklist", "list"]).ok());
    let lists: Vec<_> = list["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["list"].as_str().unwrap())
        .collect();
    assert_eq!(lists, ["manual", "later"]);
}

#[test]
fn what_the_host_lives_by_cannot_be_blocked() {
    let stage = Stage::new();
    let config = stage.config("trusted_proxies = [\"203.0.113.0/28\"]\n[[route]]\nname = \"all\"\nrespond = { body = \"hello\" }\n");
    let proxy = Proxy::start(&config);
    let own = stage.net.outside4;
    let network = Ipv4Addr::from_bits(own.to_bits() & !0xff);
    for (asked, why) in [
        (own.to_string(), "it is an address of this host".into()),
        ("127.0.0.1".into(), "it is this host itself".into()),
        ("::1".into(), "it is this host itself".into()),
        (
            "203.0.113.5".into(),
            "203.0.113.0/28 is a trusted proxy of the listener `web`".into(),
        ),
        (
            "203.0.113.0/24".into(),
            "it covers 203.0.113.0/28, which is a trusted proxy of the listener `web`".into(),
        ),
        (
            format!("{network}/24"),
            format!("it covers {own}, which is an address of this host"),
        ),
    ] {
        let refused = proxy.cli(&["blocklist", "add", &asked, "--ttl", "1h"]);
        assert_eq!(refused.code, 1, "{asked}");
        assert_eq!(
            refused.stderr,
            format!("refused: {asked} cannot be blocked: {why}\n")
        );
    }
    // For programs as every refusal is told.
    let refused = proxy.cli(&["-o", "json", "blocklist", "add", "127.0.0.1"]);
    assert_eq!(refused.code, 1);
    let told = json(&refused);
    assert_eq!(told["ok"], false, "{told}");
    assert_eq!(
        told["error"],
        "refused: 127.0.0.1 cannot be blocked: it is this host itself"
    );
    let taken = ["-o", "json", "blocklist", "add", "203.0.113.77"];
    let taken = json(&proxy.cli(&taken).ok());
    assert_eq!(taken["ok"], true, "{taken}");
    assert!(taken["error"].is_null(), "{taken}");
    proxy.cli(&["blocklist", "del", "203.0.113.77"]).ok();
    let wrong = proxy.cli(&["blocklist", "add", "203.0.113.256"]);
    assert_eq!(wrong.code, 2);
    assert_eq!(
        proxy.cli(&["blocklist", "list"]).ok().text(),
        "no block entries\n"
    );
}

#[test]
fn a_reload_follows_the_configuration_of_the_shield() {
    let stage = Stage::new();
    let plain = stage.answering();
    let proxy = Proxy::start(&plain);
    let server = addresses(&proxy)[0];
    let client = stage.net.inside4;
    assert!(stage.reaches(client, server));
    proxy.rewrite(&(plain.clone() + &format!("block = [\"{client}/31\"]\n")));
    proxy.cli(&["reload"]).ok();
    assert!(!stage.reaches(client, server));
    let refused = proxy.cli(&["blocklist", "del", &format!("{client}/31")]);
    assert_eq!(refused.code, 1);
    assert!(
        refused
            .stderr
            .contains("`shield.block` of the configuration"),
        "{}",
        refused.stderr
    );
    proxy.rewrite(&(plain.clone() + &format!("block = [\"{client}/31\"]\naction = \"monitor\"\n")));
    proxy.cli(&["reload"]).ok();
    assert!(stage.reaches(client, server));
    proxy.rewrite(&plain);
    proxy.cli(&["reload"]).ok();
    assert!(stage.reaches(client, server));
}
