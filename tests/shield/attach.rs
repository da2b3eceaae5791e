//! The shield on real interfaces: modes, pins, replacement, and what goes wrong.

use std::{
    env, fs,
    net::{SocketAddr, UdpSocket},
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use openclaw::shield::kernel::{AttachedMode, Kernel, KernelError, Maps, Mode, Pins, Subject};
use openclaw_common::{
    abi::{Config, Prefix6, class, flags},
    verdict::Reason,
};

use super::{
    frames::{Ip4, ethernet},
    net::{CLIENT4, CLIENT6, INTERFACE, Net, OTHER4, SERVER4, SERVER6, inside},
    rig::{PinDir, block, v6},
};

const DEADLINE: Duration = Duration::from_secs(10);

fn load(pins: &PinDir) -> Kernel {
    let kernel =
        Kernel::load(&pins.0).expect("these tests need root, BPF and an embedded kernel program");
    kernel
        .maps()
        .set_config(&Config {
            flags: flags::ENABLED,
            ..Config::OFF
        })
        .unwrap();
    kernel
}

fn counted(maps: &Maps, reason: Reason) -> u64 {
    maps.stats()
        .unwrap()
        .into_iter()
        .find(|(counted, _)| *counted == reason)
        .unwrap()
        .1
        .packets
}

/// A datagram socket in the server's namespace and one in the client's, bound to `client` and connected to the first.
struct Wire {
    server: UdpSocket,
    client: UdpSocket,
}

impl Wire {
    fn new(net: &Net, server: &str, client: &str) -> Self {
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
    fn assert_open(&self) {
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
    fn assert_dropped(&self, maps: &Maps, reason: Reason) {
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
    maps.ban4.insert(&address4, &block()).unwrap();
    maps.class4.fetch_or(class::index4(address4), class::BANNED);
    wire4.assert_dropped(&maps, Reason::Ban);
    neighbour.assert_open();
    wire6.assert_open();
    maps.ban4.remove(&address4).unwrap();
    maps.class4
        .fetch_and(class::index4(address4), !class::BANNED);
    wire4.assert_open();

    // The whole /64, neighbour discovery excepted: the wire opens again without waiting for anything.
    maps.ban6
        .insert(&Prefix6::subnet(v6(CLIENT6)), &block())
        .unwrap();
    maps.class6
        .insert(&class::key6(v6(CLIENT6)), &class::BANNED)
        .unwrap();
    wire6.assert_dropped(&maps, Reason::Ban);
    wire4.assert_open();
    maps.class6.remove(&class::key6(v6(CLIENT6))).unwrap();
    wire6.assert_open();

    inside(&net.server, || kernel.detach(INTERFACE)).unwrap();
    let error = inside(&net.server, || kernel.detach(INTERFACE)).unwrap_err();
    assert!(matches!(error, KernelError::NotAttached { .. }), "{error}");
    wire4.assert_open();
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
        .fetch_or(class::index4([10, 77, 0, 2]), class::BLOCKED);
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

/// Both roles of the test below are this function; the child finds its orders in the environment.
#[test]
fn attachment_and_lists_outlive_the_process_that_made_them() {
    const ORDER: &str = "OPENCLAW_TEST_ATTACH";
    if let Some(order) = env::var_os(ORDER) {
        let order = order.into_string().unwrap();
        let (namespace, pins) = order.split_once(' ').unwrap();
        let mut kernel = Kernel::load(Path::new(pins)).unwrap();
        let maps = kernel.maps();
        maps.set_config(&Config {
            flags: flags::ENABLED,
            ..Config::OFF
        })
        .unwrap();
        maps.class4
            .fetch_or(class::index4([10, 77, 0, 2]), class::BLOCKED);
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
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
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
        .fetch_or(class::index4([127, 0, 0, 1]), class::BLOCKED);
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
        inside(&net.server, || kernel.pins().attachments()).unwrap()[0].mode,
        None
    );
    net.plug();
    let attached = inside(&net.server, || kernel.attach(INTERFACE, Mode::Native)).unwrap();
    assert!(!attached.replaced);
    let wire = Wire::new(&net, SERVER4, CLIENT4);
    wire.assert_open();
    assert!(counted(&kernel.maps(), Reason::Pass) > 0);
}

#[test]
fn mistakes_are_told_apart() {
    let (net, pins, others) = (Net::new(), PinDir::new(), PinDir::new());
    let pinned = Pins::new(&pins.0);
    let error = Maps::open(&pinned).unwrap_err();
    assert!(matches!(error, KernelError::NotLoaded { .. }), "{error}");

    let mut kernel = load(&pins);
    let error = kernel.attach("no-such-if", Mode::Auto).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no network interface `no-such-if`"
    );

    inside(&net.server, || kernel.attach(INTERFACE, Mode::Auto)).unwrap();
    let mut other = load(&others);
    let error = inside(&net.server, || other.attach(INTERFACE, Mode::Auto)).unwrap_err();
    assert!(
        matches!(&error, KernelError::Busy { program, .. } if program == "openclaw"),
        "{error}"
    );

    // The same name in another namespace is another interface, even with the same number.
    let error = inside(&net.client, || kernel.attach(INTERFACE, Mode::Auto)).unwrap_err();
    assert!(matches!(error, KernelError::Elsewhere { .. }), "{error}");
    let attachments = inside(&net.server, || kernel.pins().attachments()).unwrap();
    assert_eq!(attachments[0].mode, Some(AttachedMode::Native));

    let error = Kernel::load(&env::temp_dir().join("openclaw-no-bpffs")).unwrap_err();
    assert!(
        matches!(error, KernelError::NoBpffs { .. }) && error.is_unsupported(),
        "{error}"
    );

    fs::rename(
        pinned.directory().join("BAN4"),
        pinned.directory().join("aside"),
    )
    .unwrap();
    fs::rename(
        pinned.directory().join("FINE4"),
        pinned.directory().join("BAN4"),
    )
    .unwrap();
    let error = Maps::open(&pinned).unwrap_err();
    assert!(matches!(error, KernelError::Layout { .. }), "{error}");
}

/// Both roles are this function; the child has no privileges.
#[test]
fn without_privilege_the_error_says_so() {
    const ORDER: &str = "OPENCLAW_TEST_UNPRIVILEGED";
    if let Some(pins) = env::var_os(ORDER) {
        let error = Kernel::load(Path::new(&pins)).unwrap_err();
        assert!(
            matches!(error, KernelError::Privilege { .. }) && error.is_unsupported(),
            "{error:?}"
        );
        return;
    }
    let pins = PinDir::new();
    // Reached through a copy, because the build directory may be closed to others.
    let copy = env::temp_dir().join(format!("openclaw-test-{}", std::process::id()));
    fs::copy(env::current_exe().unwrap(), &copy).unwrap();
    let output = Command::new(&copy)
        .args([
            "--exact",
            "shield::attach::without_privilege_the_error_says_so",
        ])
        .env(ORDER, &pins.0)
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output();
    fs::remove_file(&copy).unwrap();
    let output = output.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn the_kernel_programs_log_reaches_tracing_when_asked_for() {
    let pins = PinDir::new();
    let mut kernel = load(&pins);
    let mut reader = kernel.log_reader().unwrap();
    let written = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&written);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || Sink(Arc::clone(&sink)))
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let malformed = ethernet(&[], [8, 0]);
        kernel.test_run(Subject::Shield, &malformed, 1).unwrap();
        reader.flush();
        assert!(written.lock().unwrap().is_empty(), "silent unless asked");
        let maps = kernel.maps();
        maps.set_config(&Config {
            flags: flags::ENABLED | flags::DEBUG,
            ..Config::OFF
        })
        .unwrap();
        maps.class4
            .store(class::index4([203, 0, 113, 0]), class::BLOCKED);
        kernel.test_run(Subject::Shield, &malformed, 1).unwrap();
        kernel
            .test_run(Subject::Shield, &Ip4::tcp([203, 0, 113, 9]).frame(&[]), 1)
            .unwrap();
        reader.flush();
    });
    let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    assert!(
        text.contains("DEBUG openclaw::xdp: passed a malformed frame of 14 bytes"),
        "{text}"
    );
    assert!(
        text.contains("dropped or would drop 54 bytes, reason 3"),
        "{text}"
    );
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
