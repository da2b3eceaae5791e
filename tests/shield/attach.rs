//! The shield on real interfaces: modes, pins, replacement.

use std::{
    env,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use openclaw::shield::kernel::{AttachedMode, Kernel, KernelError, Maps, Mode, Pins};
use openclaw_common::{
    abi::{Config, class, flags, subnet},
    verdict::Reason,
};

use super::{
    net::{CLIENT4, CLIENT6, INTERFACE, Net, OTHER4, SERVER4, SERVER6, inside},
    rig::{PinDir, load, v6},
};

const DEADLINE: Duration = Duration::from_secs(10);

pub(super) fn counted(maps: &Maps, reason: Reason) -> u64 {
    maps.counters
        .total()
        .unwrap()
        .into_iter()
        .find(|(counted, _)| *counted == reason)
        .unwrap()
        .1
        .packets
}

/// A datagram socket in the server's namespace and one in the client's, bound to `client` and connected to the first.
pub(super) struct Wire {
    pub(super) server: UdpSocket,
    pub(super) client: UdpSocket,
}

impl Wire {
    pub(super) fn new(net: &Net, server: &str, client: &str) -> Self {
        Self::between((&net.server, server), (&net.client, client))
    }

    fn between(server: (&str, &str), client: (&str, &str)) -> Self {
        let bind =
            |address: &str| UdpSocket::bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
        let server = inside(server.0, || bind(server.1));
        let client = inside(client.0, || bind(client.1));
        client.connect(server.local_addr().unwrap()).unwrap();
        server
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        Self { server, client }
    }

    /// Sends until one arrives.
    pub(super) fn assert_open(&self) {
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            self.client.send(b"ping").unwrap();
            if self.server.recv(&mut [0; 16]).is_ok() {
                while self.server.recv(&mut [0; 16]).is_ok() {}
                return;
            }
        }
        panic!("nothing arrives");
    }

    /// Sends until one is counted as dropped, and nothing arrives.
    pub(super) fn assert_dropped(&self, maps: &Maps, reason: Reason) {
        let before = counted(maps, reason);
        let start = Instant::now();
        while counted(maps, reason) == before {
            assert!(start.elapsed() < DEADLINE, "nothing is dropped");
            self.client.send(b"ping").unwrap();
        }
        assert!(
            self.server.recv(&mut [0; 16]).is_err(),
            "a datagram came through"
        );
    }
}

#[test]
fn a_client_is_blocked_and_unblocked_on_a_native_veth_while_its_neighbour_goes_on() {
    let (net, pins) = (Net::new(), PinDir::new());
    let mut kernel = load(&pins);
    let maps = kernel.maps();
    let attached = inside(&net.server, || kernel.attach(INTERFACE, Mode::Auto)).unwrap();
    assert_eq!(
        (attached.mode, attached.fallback_reason, attached.replaced),
        (AttachedMode::Native, None, false)
    );
    let wire4 = Wire::new(&net, SERVER4, CLIENT4);
    let neighbour = Wire::new(&net, SERVER4, OTHER4);
    let wire6 = Wire::new(&net, SERVER6, CLIENT6);
    for wire in [&wire4, &neighbour, &wire6] {
        wire.assert_open();
    }

    let address4 = [10, 77, 0, 2];
    maps.ban4.insert(address4, 0).unwrap();
    maps.class4.store(class::index4(address4), class::BANNED);
    wire4.assert_dropped(&maps, Reason::Ban);
    neighbour.assert_open();
    wire6.assert_open();
    maps.ban4.remove(address4);
    maps.class4.store(class::index4(address4), 0);
    wire4.assert_open();

    // The whole /64, neighbour discovery excepted: the wire opens again without waiting for anything.
    maps.ban6.insert(subnet(v6(CLIENT6)), 0).unwrap();
    let key = class::key6(v6(CLIENT6));
    maps.class6.store(key, class::BANNED).unwrap();
    wire6.assert_dropped(&maps, Reason::Ban);
    wire4.assert_open();
    maps.class6.store(key, 0).unwrap();
    wire6.assert_open();

    let pinned = Pins::new(&pins.0);
    inside(&net.server, || pinned.detach(INTERFACE)).unwrap();
    let error = inside(&net.server, || pinned.detach(INTERFACE)).unwrap_err();
    assert!(matches!(error, KernelError::NotAttached { .. }), "{error}");
    wire4.assert_open();
}

#[test]
fn jumbo_frames_pass_a_native_veth_and_are_counted_whole() {
    const BYTES: usize = 8 << 20;
    let (net, pins) = (Net::new(), PinDir::new());
    // More than a page, so in several buffers.
    net.set_mtu(9000);
    let mut kernel = load(&pins);
    inside(&net.server, || kernel.attach(INTERFACE, Mode::Native)).unwrap();
    let listener = inside(&net.server, || TcpListener::bind((SERVER4, 0)).unwrap());
    let address = listener.local_addr().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = inside(&net.client, || TcpStream::connect(address).unwrap());
            stream.write_all(&vec![7; BYTES]).unwrap();
        });
        let mut received = Vec::new();
        listener
            .accept()
            .unwrap()
            .0
            .read_to_end(&mut received)
            .unwrap();
        assert!(received.len() == BYTES && received.iter().all(|byte| *byte == 7));
    });
    let stats = kernel.maps().counters.total().unwrap();
    let passed = stats
        .iter()
        .find(|(reason, _)| *reason == Reason::Pass)
        .unwrap()
        .1;
    assert!(passed.bytes > BYTES as u64, "{passed:?}");
    assert!(passed.bytes / passed.packets > 4500, "{passed:?}");
}

#[test]
fn replacing_the_program_under_traffic_lets_nothing_through() {
    let (net, pins) = (Net::new(), PinDir::new());
    let mut kernel = load(&pins);
    let maps = kernel.maps();
    inside(&net.server, || kernel.attach(INTERFACE, Mode::Native)).unwrap();
    let wire = Wire::new(&net, SERVER4, CLIENT4);
    wire.assert_open();
    maps.class4
        .store(class::index4([10, 77, 0, 2]), class::BLOCKED);
    wire.assert_dropped(&maps, Reason::Block);
    let (before, stop, sent) = (
        counted(&maps, Reason::Block),
        AtomicBool::new(false),
        Mutex::new(0_u64),
    );
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                wire.client.send(b"flood").unwrap();
                *sent.lock().unwrap() += 1;
                thread::sleep(Duration::from_micros(20));
            }
        });
        for _ in 0..10 {
            let mut next = Kernel::load(&pins.0).unwrap();
            let attached = inside(&net.server, || next.attach(INTERFACE, Mode::Auto)).unwrap();
            assert!(attached.replaced);
            assert_eq!(attached.mode, AttachedMode::Native);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let sent = *sent.lock().unwrap();
    assert!(sent > 1000, "{sent} datagrams say little");
    // What is sent on a veth may still be in its queue.
    let start = Instant::now();
    while counted(&maps, Reason::Block) - before < sent && start.elapsed() < DEADLINE {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(
        counted(&maps, Reason::Block) - before,
        sent,
        "every datagram was seen and dropped"
    );
    assert!(
        wire.server.recv(&mut [0; 16]).is_err(),
        "a datagram came through"
    );
}

#[test]
fn an_attachment_of_a_version_with_other_maps_is_taken_over_in_its_place() {
    let (net, pins) = (Net::new(), PinDir::new());
    let mut old = load(&pins);
    inside(&net.server, || old.attach(INTERFACE, Mode::Native)).unwrap();
    let wire = Wire::new(&net, SERVER4, CLIENT4);
    wire.assert_open();
    // A number that is no version's any more.
    let (own, other) = (Pins::new(&pins.0), pins.0.join("v0"));
    std::fs::rename(own.directory(), &other).unwrap();
    drop(old);

    let mut new = load(&pins);
    let maps = new.maps();
    maps.class4
        .store(class::index4([10, 77, 0, 2]), class::BLOCKED);
    let attached = inside(&net.server, || new.attach(INTERFACE, Mode::Auto)).unwrap();
    assert!(attached.replaced, "{attached:?}");
    wire.assert_dropped(&maps, Reason::Block);
    assert!(!other.exists(), "its maps are gone with its last link");
    let attachments = inside(&net.server, || own.attachments()).unwrap();
    assert_eq!(attachments.len(), 1);
    inside(&net.server, || own.detach(INTERFACE)).unwrap();
    wire.assert_open();
}

/// Both roles of the test below are this function; the child finds its orders in the environment.
#[test]
fn attachment_and_lists_outlive_the_process_that_made_them() {
    const ORDER: &str = "OPENCLAW_TEST_ATTACH";
    if let Some(order) = env::var_os(ORDER) {
        let order = order.into_string().unwrap();
        let (namespace, pins) = order.split_once(' ').unwrap();
        let mut kernel = Kernel::load(Path::new(pins)).unwrap();
        let maps = kernel.maps();
        maps.begin(&Config {
            flags: flags::ENABLED,
            ..Config::OFF
        })
        .unwrap();
        maps.class4
            .store(class::index4([10, 77, 0, 2]), class::BLOCKED);
        inside(namespace, || kernel.attach(INTERFACE, Mode::Native)).unwrap();
        return;
    }
    let (net, pins) = (Net::new(), PinDir::new());
    let wire = Wire::new(&net, SERVER4, CLIENT4);
    wire.assert_open();
    let output = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "shield::attach::attachment_and_lists_outlive_the_process_that_made_them",
        ])
        .env(ORDER, format!("{} {}", net.server, pins.0.display()))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{printed}"
    );

    let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
    assert_eq!(
        maps.class4.load(class::index4([10, 77, 0, 2])),
        class::BLOCKED
    );
    wire.assert_dropped(&maps, Reason::Block);
    let attachments = inside(&net.server, || Pins::new(&pins.0).attachments()).unwrap();
    assert_eq!(attachments.len(), 1);
    assert_eq!(
        (&*attachments[0].interface, attachments[0].mode),
        (INTERFACE, Some(AttachedMode::Native))
    );
    inside(&net.server, || Pins::new(&pins.0).detach(INTERFACE)).unwrap();
    wire.assert_open();
    assert_eq!(Pins::new(&pins.0).attachments().unwrap(), []);
}

#[test]
fn auto_falls_back_to_generic_and_says_why() {
    let (net, pins) = (Net::new(), PinDir::new());
    let mut kernel = load(&pins);
    let error = inside(&net.server, || kernel.attach("lo", Mode::Native)).unwrap_err();
    assert!(
        matches!(error, KernelError::Attach { mode: "native", .. }),
        "{error}"
    );
    let attached = inside(&net.server, || kernel.attach("lo", Mode::Auto)).unwrap();
    assert_eq!(attached.mode, AttachedMode::Generic);
    let reason = attached.fallback_reason.unwrap();
    assert!(
        reason.starts_with("the driver of lo refuses native XDP: "),
        "{reason}"
    );

    // 127.0.0.1 cannot be locked out, 127.0.0.2 can.
    let maps = kernel.maps();
    maps.class4
        .store(class::index4([127, 0, 0, 1]), class::BLOCKED);
    let server = (&*net.server, "127.0.0.1");
    Wire::between(server, server).assert_open();
    Wire::between(server, (&net.server, "127.0.0.2")).assert_dropped(&maps, Reason::Block);
}

#[test]
fn a_change_of_mode_attaches_anew() {
    let (net, pins) = (Net::new(), PinDir::new());
    let mut kernel = load(&pins);
    inside(&net.server, || {
        for (mode, expected, replaced) in [
            (Mode::Native, AttachedMode::Native, false),
            (Mode::Generic, AttachedMode::Generic, false),
            (Mode::Auto, AttachedMode::Generic, true),
            (Mode::Native, AttachedMode::Native, false),
        ] {
            let attached = kernel.attach(INTERFACE, mode).unwrap();
            assert_eq!(
                (attached.mode, attached.replaced),
                (expected, replaced),
                "{mode:?}"
            );
        }
    });
}

#[test]
fn an_interface_that_came_back_is_attached_anew() {
    let (net, pins) = (Net::new(), PinDir::new());
    let mut kernel = load(&pins);
    inside(&net.server, || kernel.attach(INTERFACE, Mode::Native)).unwrap();
    net.unplug();
    assert_eq!(
        inside(&net.server, || Pins::new(&pins.0).attachments()).unwrap()[0].mode,
        None
    );
    net.plug();
    let attached = inside(&net.server, || kernel.attach(INTERFACE, Mode::Native)).unwrap();
    assert!(!attached.replaced);
    let wire = Wire::new(&net, SERVER4, CLIENT4);
    wire.assert_open();
    assert!(counted(&kernel.maps(), Reason::Pass) > 0);
}
