//! Cookies on a wire: what a client gets through them, and how an attack begins, ends and is cleaned up after.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd as _,
    path::Path,
    time::{Duration, Instant},
};

use openclaw::shield::kernel::{Kernel, Maps, Mode, Pins, negotiated};
use openclaw_common::verdict::Reason;

use super::{
    net::{INTERFACE, Net, SERVER4, SERVER6, inside},
    rig::{PinDir, load},
};
use crate::support::{Folder, PATIENCE, Proxy};

const BODY: usize = 3 << 20;

/// A proxy in a namespace, a client in another, and a cable that gives answers of XDP back.
struct Scene {
    net: Net,
    pins: PinDir,
    state: Folder,
    port: u16,
    /// A program on the client's end: without one a veth takes no frames from XDP.
    _peer: (Kernel, PinDir),
}

impl Scene {
    fn new() -> Self {
        let (net, peer_pins) = (Net::new(), PinDir::new());
        let mut peer = load(&peer_pins);
        inside(&net.client, || peer.attach(INTERFACE, Mode::Native)).unwrap();
        let port = inside(&net.server, || {
            let probe = TcpListener::bind((SERVER4, 0)).unwrap();
            probe.local_addr().unwrap().port()
        });
        Self {
            net,
            pins: PinDir::new(),
            state: Folder::new(),
            port,
            _peer: (peer, peer_pins),
        }
    }

    fn start(&self, syn: &str) -> Proxy {
        let config = format!(
            "[server]\nworkers = 2\nstate_dir = \"{}\"\n\
             [shield]\ninterfaces = [\"{INTERFACE}\"]\npin_dir = \"{}\"\nsyn = {{ {syn} }}\n\
             [listener.web]\nbind = [\"0.0.0.0:{port}\", \"[::]:{port}\"]\n\
             [[route]]\nrespond = {{ body = \"{}\" }}\n",
            self.state.path().display(),
            self.pins.0.display(),
            "x".repeat(BODY),
            port = self.port,
        );
        Proxy::start_in(&self.net.server, &config)
    }

    fn maps(&self) -> Maps {
        Maps::open(&Pins::new(&self.pins.0)).unwrap()
    }

    fn sysctls(&self) -> [String; 2] {
        inside(&self.net.server, || {
            ["tcp_syncookies", "tcp_timestamps"].map(|name| {
                let path = Path::new("/proc/sys/net/ipv4").join(name);
                std::fs::read_to_string(path).unwrap().trim().to_owned()
            })
        })
    }

    fn connect(&self, server: &str) -> TcpStream {
        let address = SocketAddr::new(server.parse::<IpAddr>().unwrap(), self.port);
        let stream = inside(&self.net.client, || {
            TcpStream::connect_timeout(&address, PATIENCE).unwrap()
        });
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn metrics(&self, proxy: &Proxy) -> String {
        let mut page = String::new();
        let mut stream = inside(&self.net.server, || {
            TcpStream::connect(proxy.metrics()).unwrap()
        });
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .unwrap();
        stream.read_to_string(&mut page).unwrap();
        page
    }

    /// More new connections in a second than the tests allow.
    fn flood(&self) {
        for _ in 0..200 {
            drop(self.connect(SERVER4));
        }
    }
}

pub fn counted(maps: &Maps, reason: Reason) -> u64 {
    let stats = maps.counters.total().unwrap();
    let counter = stats.iter().find(|(counted, _)| *counted == reason);
    counter.unwrap().1.packets
}

/// Waits for something; the deadline is the only time in it.
#[track_caller]
fn wait(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_client_has_all_options_and_megabytes_through_cookies_of_both_makers() {
    for variant in ["raw", "socket"] {
        let scene = Scene::new();
        let quiet = scene.start("mode = \"off\"");
        let scale = negotiated(scene.connect(SERVER4).as_fd()).unwrap().scale;
        drop(quiet);
        let proxy = scene.start(&format!("mode = \"always\", variant = \"{variant}\""));
        proxy.wait_for("an attack has begun");
        assert_eq!(scene.sysctls(), ["2", "2"]);
        let maps = scene.maps();
        for server in [SERVER4, SERVER6] {
            // The first SYN of a listener may be the one that keeps it awake.
            drop(scene.connect(server));
            let before = counted(&maps, Reason::SynCookie);
            let acks = counted(&maps, Reason::CookieAck);
            let mut stream = scene.connect(server);
            assert_eq!(counted(&maps, Reason::SynCookie), before + 1, "{variant}");
            let negotiated = negotiated(stream.as_fd()).unwrap();
            assert_eq!(negotiated.options & 7, 7, "timestamps, SACK and scale");
            assert_eq!(negotiated.scale, scale, "{variant} {server}");
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                .unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200 "));
            assert!(answer.len() > BODY, "{} bytes", answer.len());
            assert!(counted(&maps, Reason::CookieAck) > acks);
        }
        drop(proxy);
    }
}

#[test]
fn an_attack_begins_and_ends_and_what_was_changed_is_restored() {
    let scene = Scene::new();
    let before = scene.sysctls();
    assert_eq!(before, ["1", "1"]);
    let mut proxy = scene.start("enter = \"100/s\", hold = \"1s\"");
    let status = || {
        let output = proxy.cli(&["-o", "json", "shield", "status"]).ok().text();
        serde_json::from_str::<serde_json::Value>(&output).unwrap()
    };
    assert_eq!(status()["syn"]["attack"], false);
    scene.flood();
    proxy.wait_for("an attack has begun");
    assert_eq!(status()["syn"]["attack"], true);
    assert_eq!(status()["syn"]["cookies"], "raw");
    assert_eq!(scene.sysctls(), ["2", "2"]);
    let text = proxy.cli(&["shield", "status"]).ok().text();
    assert!(text.contains("SYN FLOOD of "), "{text}");
    assert!(text.contains("SYN floods: attack, "), "{text}");
    let page = scene.metrics(&proxy);
    assert!(page.contains("\nopenclaw_shield_attack 1\n"), "{page}");
    let begun = "\nopenclaw_shield_attack_transitions_total{to=\"begun\"} 1\n";
    assert!(page.contains(begun), "{page}");
    proxy.wait_for("the attack is over");
    wait("the settings are restored", || scene.sysctls() == before);
    assert_eq!(status()["syn"]["attacks"], 1);

    // A stop ends an attack; a crash leaves it to the next start.
    scene.flood();
    wait("an attack", || scene.sysctls() == ["2", "2"]);
    proxy.kill();
    assert_eq!(scene.sysctls(), ["2", "2"]);
    let mut next = scene.start("enter = \"100/s\", hold = \"60s\"");
    assert_eq!(scene.sysctls(), before);
    scene.flood();
    wait("an attack", || scene.sysctls() == ["2", "2"]);
    next.signal("TERM");
    next.wait();
    assert_eq!(scene.sysctls(), before);
}
