//! What the loader says when something is wrong, and what the kernel program says when asked to.

use std::{
    env, fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use openclaw::shield::kernel::{AttachedMode, Kernel, KernelError, Maps, Mode, Pins, Subject};
use openclaw_common::abi::{Config, class, flags};

use super::{
    frames::{Ip4, ethernet},
    net::{INTERFACE, Net, inside},
    rig::{PinDir, load},
};

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
        "there is no network interface `no-such-if`; `ip link` lists those that there are"
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
    let attachments = inside(&net.server, || pinned.attachments()).unwrap();
    assert_eq!(attachments[0].mode, Some(AttachedMode::Native));

    let error = Kernel::load(&env::temp_dir().join("openclaw-no-bpffs")).unwrap_err();
    assert!(matches!(error, KernelError::NoBpffs { .. }), "{error}");

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
    let error = Kernel::load(&pins.0).unwrap_err();
    assert!(matches!(error, KernelError::Layout { .. }), "{error}");

    inside(&net.server, || pinned.detach(INTERFACE)).unwrap();
    inside(&net.server, || other.attach(INTERFACE, Mode::Auto)).unwrap();
}

/// Both roles are this function; the child has no privileges.
#[test]
fn without_privilege_the_error_says_so() {
    const ORDER: &str = "OPENCLAW_TEST_UNPRIVILEGED";
    if let Some(pins) = env::var_os(ORDER) {
        let error = Kernel::load(Path::new(&pins)).unwrap_err();
        assert!(matches!(error, KernelError::Privilege { .. }), "{error:?}");
        return;
    }
    let pins = PinDir::new();
    // Reached through a copy, because the build directory may be closed to others.
    let copy = env::temp_dir().join(format!("openclaw-test-{}", std::process::id()));
    fs::copy(env::current_exe().unwrap(), &copy).unwrap();
    let output = Command::new(&copy)
        .args([
            "--exact",
            "shield::mistakes::without_privilege_the_error_says_so",
        ])
        .env(ORDER, &pins.0)
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output();
    fs::remove_file(&copy).unwrap();
    let output = output.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{printed}"
    );
}

/// Both roles are this function; the child has mounts of its own, without a BPF file system.
#[test]
fn a_missing_bpf_file_system_is_mounted() {
    const ORDER: &str = "OPENCLAW_TEST_UNMOUNTED";
    if env::var_os(ORDER).is_some() {
        let mounts = || fs::read_to_string("/proc/self/mounts").unwrap();
        let is_mounted = |mounts: &str| {
            mounts
                .lines()
                .any(|line| line.contains(" /sys/fs/bpf bpf "))
        };
        assert!(!is_mounted(&mounts()));
        let pins = PinDir::new();
        load(&pins);
        assert!(is_mounted(&mounts()));
        return;
    }
    let unmount = "while umount /sys/fs/bpf 2>/dev/null; do :; done; exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", unmount, "sh"])
        .arg(env::current_exe().unwrap())
        .args([
            "--exact",
            "shield::mistakes::a_missing_bpf_file_system_is_mounted",
        ])
        .env(ORDER, "")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{printed}"
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
        maps.begin(&Config {
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

#[test]
fn the_verifier_is_far_from_giving_up() {
    let pins = PinDir::new();
    let verified = load(&pins).verified_instructions().unwrap();
    assert!(verified < 700_000, "{verified} instructions of a million");
}
