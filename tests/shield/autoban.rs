//! From a refusal to a dropped packet: clients in a namespace, the kernel program on the cable to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::lists::json;
use super::net::inside;
use super::rig::PinDir;
use super::watch::{event, watch};
use crate::control::sample;
use crate::support::{Net, PATIENCE, Proxy};

pub(super) struct Stage {
    pub(super) net: Net,
    pub(super) proxy: Proxy,
    web4: SocketAddr,
    web6: SocketAddr,
    // Last, so that the pins go after the process.
    _pins: PinDir,
}

impl Stage {
    /// Two requests in an hour for each client, and a ban for the third that is refused.
    pub(super) fn new(net: Net) -> Self {
        let pins = PinDir::new();
        let proxy = Proxy::start(&format!(
            "[listener.web]\nbind = [\"{}:0\", \"[{}]:0\"]\nprotocols = [\"h1\", \"h2\"]\n\
             [[route]]\nname = \"all\"\nrespond = {{ body = \"hello\" }}\nlimit = {{ rate = \"2/h\" }}\n\
             [shield]\ninterfaces = [\"{}\"]\npin_dir = \"{}\"\n\
             [autoban]\nafter = {{ limit = 3 }}\n",
            net.outside4,
            net.outside6,
            net.interface(),
            pins.0.display(),
        ));
        let addresses = super::lists::addresses(&proxy);
        Self {
            web4: addresses[0],
            web6: addresses[1],
            net,
            proxy,
            _pins: pins,
        }
    }

    /// The status that a client gets, 0 for silence.
    fn ask(&self, client: IpAddr, server: SocketAddr, more: &[&str]) -> u16 {
        let client = client.to_string();
        let url = format!("http://{server}/");
        let usual = ["--interface", &client, "--max-time", "2", "-o", "/dev/null"];
        let status = ["-w", "%{http_code}", &url];
        let output = self.net.curl(&[&usual, more, &status].concat());
        output.text().parse().expect("a status")
    }

    fn wait_for_ban(&self, range: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let list = ["-o", "json", "blocklist", "list", "--list", "autoban"];
            let found = json(&self.proxy.cli(&list));
            // There is no such list before the first ban.
            let entries = found["entries"].as_array().cloned().unwrap_or_default();
            if entries.iter().any(|entry| entry["address"] == range) {
                return;
            }
            assert!(Instant::now() < deadline, "{range} is not banned: {found}");
        }
    }

    fn dropped(&self) -> u64 {
        let interface = self.net.interface();
        let name = format!(
            "openclaw_xdp_packets_total{{interface=\"{interface}\",verdict=\"drop\",reason=\"shield.ban\"}}"
        );
        let count = sample(&self.proxy, &name);
        count.and_then(|count| count.parse().ok()).unwrap_or(0)
    }
}

fn assert_banned(stage: &Stage, client: IpAddr, server: SocketAddr, range: &str, more: &[&str]) {
    for expected in [200, 200, 429, 429] {
        assert_eq!(stage.ask(client, server, more), expected);
    }
    assert!(matches!(stage.ask(client, server, more), 429 | 0));
    stage.wait_for_ban(range);
    let before = stage.dropped();
    assert_eq!(stage.ask(client, server, more), 0);
    assert!(
        stage.dropped() > before,
        "its packets get as far as the kernel's own stack"
    );
}

#[test]
fn a_client_over_its_limit_is_dropped_by_the_kernel_program_and_its_neighbour_is_not() {
    let net = Net::new();
    let neighbour = Ipv4Addr::from_bits(net.inside4.to_bits() + 1);
    net.add_address(neighbour.into());
    let stage = Stage::new(net);
    let client = IpAddr::from(stage.net.inside4);
    let watcher = watch(&stage.proxy, &["blocklist", "watch", "-o", "json"]);
    assert_banned(&stage, client, stage.web4, &client.to_string(), &[]);
    let told = event(&watcher, "autoban", Some(&client.to_string()));
    assert_eq!(told["list"], "autoban");
    let why = told["reason"].as_str().unwrap_or_default();
    assert!(why.starts_with("autoban: "), "{told}");
    drop(watcher);
    assert_eq!(stage.ask(neighbour.into(), stage.web4, &[]), 200);
    // The same over HTTP/2.
    let h2 = ["--http2-prior-knowledge"];
    stage.proxy.cli(&["limit", "reset"]).ok();
    assert_banned(
        &stage,
        neighbour.into(),
        stage.web4,
        &neighbour.to_string(),
        &h2,
    );
}

#[test]
fn an_ipv6_client_takes_its_64_with_it_unless_that_is_ours() {
    let net = Net::new();
    // A network behind the cable that is not the cable's own.
    let far = Ipv6Addr::from_bits(net.inside6.to_bits() ^ (1 << 100));
    let prefix = Ipv6Addr::from_bits(far.to_bits() & (u128::MAX << 64));
    net.add_address(far.into());
    let range = format!("{prefix}/64");
    let route = ["-6", "route", "add", &range, "dev", net.interface()];
    assert!(
        Command::new("ip")
            .args(route)
            .status()
            .expect("iproute2")
            .success()
    );
    let stage = Stage::new(net);
    assert_banned(&stage, far.into(), stage.web6, &range, &[]);
    let near = stage.net.inside6;
    stage.proxy.cli(&["limit", "reset"]).ok();
    assert_banned(&stage, near.into(), stage.web6, &near.to_string(), &[]);
}

/// How long after the request that banned a client was sent its last packet came through; nothing more may come for `silence`.
pub(super) fn verdict_to_drop(stage: &Stage, client: Ipv4Addr, silence: Duration) -> Duration {
    let sink = UdpSocket::bind((stage.net.outside4, 0)).expect("an address of ours");
    sink.set_read_timeout(Some(PATIENCE)).expect("a time");
    let target = sink.local_addr().expect("it is bound");
    let namespace = stage.net.inside();
    let namespace = namespace
        .strip_suffix('i')
        .expect("the end of the pair in a namespace");
    let (over, arriving) = (AtomicBool::new(false), AtomicBool::new(false));
    let (told, last) = thread::scope(|scope| {
        let (over, arriving) = (&over, &arriving);
        scope.spawn(move || {
            inside(namespace, || {
                let socket = UdpSocket::bind((client, 0)).expect("an address of the client");
                let end = Instant::now() + PATIENCE;
                while !over.load(Ordering::Relaxed) && Instant::now() < end {
                    // Until the ban each of them arrives, one about every twenty microseconds.
                    drop(socket.send_to(b"tick", target));
                    thread::sleep(Duration::from_micros(10));
                }
            });
        });
        let sink = &sink;
        let arrivals = scope.spawn(move || {
            sink.recv(&mut [0; 8])
                .expect("a datagram arrives before the ban");
            arriving.store(true, Ordering::Relaxed);
            let mut last = Instant::now();
            sink.set_read_timeout(Some(silence)).expect("a time");
            while sink.recv(&mut [0; 8]).is_ok() {
                last = Instant::now();
            }
            over.store(true, Ordering::Relaxed);
            last
        });
        let web = stage.web4;
        let asking = scope.spawn(move || {
            inside(namespace, || {
                let mut client = crate::support::RawClient::try_connect_from(client.into(), web)
                    .expect("nobody is banned yet");
                crate::support::wait_until("datagrams", || arriving.load(Ordering::Relaxed));
                for expected in [200, 200, 429, 429] {
                    let answer = client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                    assert_eq!(answer.status(), expected);
                }
                let told = Instant::now();
                client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                told
            })
        });
        let told = asking.join().expect("the client gets through");
        (told, arrivals.join().expect("datagrams stop"))
    });
    last.saturating_duration_since(told)
}

#[test]
fn the_first_packet_is_dropped_soon_after_the_verdict() {
    let stage = Stage::new(Net::new());
    let took = verdict_to_drop(&stage, stage.net.inside4, Duration::from_millis(500));
    assert!(took < Duration::from_secs(5), "{took:?}");
    let banned = sample(&stage.proxy, "openclaw_ban_latency_seconds_count");
    assert_eq!(banned.as_deref(), Some("1"));
}
