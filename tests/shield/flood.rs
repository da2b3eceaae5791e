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
    _peer: Option<(Kernel, PinDir)>,
}

impl Scene {
    fn new() -> Self {
        let scene = Self::without_peer();
        let pins = PinDir::new();
        let mut peer = load(&pins);
        inside(&scene.net.client, || peer.attach(INTERFACE, Mode::Native)).unwrap();
        Self {
            _peer: Some((peer, pins)),
            ..scene
        }
    }

    /// The cable loses what XDP sends.
    fn without_peer() -> Self {
        let net = Net::new();
        let port = inside(&net.server, || {
            let probe = TcpListener::bind((SERVER4, 0)).unwrap();
            probe.local_addr().unwrap().port()
        });
        Self {
            net,
            pins: PinDir::new(),
            state: Folder::new(),
            port,
            _peer: None,
        }
    }

    fn start(&self, syn: &str) -> Proxy {
        self.start_as(&format!("syn = {{ {syn} }}"))
    }

    fn start_as(&self, shield: &str) -> Proxy {
        let config = format!(
            "[server]\nworkers = 2\nstate_dir = \"{}\"\n\
             [shield]\ninterfaces = [\"{INTERFACE}\"]\npin_dir = \"{}\"\n{shield}\n\
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

    /// Floods until that is taken for an attack: who has just started does not know yet how many SYNs there were before.
    fn attack(&self) {
        wait("an attack", || {
            self.flood();
            self.sysctls() == ["2", "2"]
        });
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
        proxy.wait_for("every SYN is answered with a cookie");
        let status = proxy.cli(&["shield", "status"]).ok().text();
        assert!(!status.contains("FLOOD"), "{status}");
        let words = "SYN floods: cookies are always sent (`shield.syn.mode`)";
        assert!(status.contains(words), "{status}");
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

/// SYNs until the proxy has said something; whether they are answered is another question.
fn knock_until(scene: &Scene, proxy: &Proxy, text: &str) {
    let address = SocketAddr::new(SERVER4.parse().unwrap(), scene.port);
    let end = Instant::now() + PATIENCE;
    while !proxy.stderr().contains(text) {
        assert!(Instant::now() < end, "{text}: {}", proxy.stderr());
        let limit = Duration::from_millis(50);
        drop(inside(&scene.net.client, || {
            TcpStream::connect_timeout(&address, limit)
        }));
    }
}

#[test]
fn cookies_that_a_cable_loses_in_native_mode_are_sent_in_generic_mode() {
    const ALWAYS: &str = "syn = { mode = \"always\", variant = \"raw\" }";
    let scene = Scene::without_peer();
    let native = scene.start_as(&format!("mode = \"native\"\n{ALWAYS}"));
    let status = |proxy: &Proxy| {
        let output = proxy.cli(&["-o", "json", "shield", "status"]).ok().text();
        serde_json::from_str::<serde_json::Value>(&output).unwrap()
    };
    assert_eq!(status(&native)["syn"]["missing"], serde_json::json!([]));
    knock_until(&scene, &native, "oc0 loses what XDP sends in native mode");
    let now = status(&native);
    assert_eq!(now["interfaces"][0]["mode"], "native");
    let missing = now["syn"]["missing"][0].as_str().unwrap();
    assert!(missing.contains("`shield.mode = \"auto\"`"), "{missing}");
    drop(native);

    let auto = scene.start_as(ALWAYS);
    assert_eq!(status(&auto)["interfaces"][0]["mode"], "native");
    knock_until(&scene, &auto, "attached in generic mode, which sends them");
    let now = status(&auto);
    assert_eq!(now["interfaces"][0]["mode"], "generic");
    let note = now["interfaces"][0]["note"].as_str().unwrap();
    assert!(note.contains("loses what XDP sends"), "{note}");
    let maps = scene.maps();
    let before = counted(&maps, Reason::CookieAck);
    drop(scene.connect(SERVER4));
    wait("a cookie that comes back", || {
        counted(&maps, Reason::CookieAck) > before
    });
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
    scene.attack();
    proxy.kill();
    assert_eq!(scene.sysctls(), ["2", "2"]);
    let mut next = scene.start("enter = \"100/s\", hold = \"60s\"");
    assert_eq!(scene.sysctls(), before);
    scene.attack();
    next.signal("TERM");
    next.wait();
    assert_eq!(scene.sysctls(), before);
}
