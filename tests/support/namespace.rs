//! A network namespace, removed with its value.
#![expect(unsafe_code, reason = "a thread enters a namespace")]

use std::fs::{self, File};
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;

use super::Output;

/// Only the network is another: bpffs and all files stay in sight.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    number: u16,
}

impl Namespace {
    pub fn new() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        assert!(root, "this test makes a network namespace: run it as root");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // An interface may be named after it, with one character more: 15 at most.
        let name = format!("oc{}x{number}", process::id());
        ip(&["netns", "add", &name]);
        let namespace = Self { name, number };
        namespace.up("lo");
        namespace
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Another one for each namespace of this process.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Switches an interface on.
    pub fn up(&self, interface: &str) {
        ip(&["-n", &self.name, "link", "set", interface, "up"]);
    }

    /// Gives an address to an interface.
    pub fn add_address(&self, interface: &str, address: IpAddr) {
        add_address(&["-n", &self.name], interface, address);
    }

    /// A command to start in the namespace.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.name))
            .arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(
            Command::new("ip")
                .args(["netns", "del", &self.name])
                .output(),
        );
    }
}

/// Gives an address with the usual prefix to an interface; `at` says where that is. An IPv6 address is usable at once only if nobody is
/// asked whether it is taken.
pub fn add_address(at: &[&str], interface: &str, address: IpAddr) {
    let (bits, manners): (_, &[&str]) = if address.is_ipv4() {
        (24, &[])
    } else {
        (64, &["nodad"])
    };
    let address = format!("{address}/{bits}");
    ip(&[at, &["address", "add", &address, "dev", interface], manners].concat());
}

pub fn ip(arguments: &[&str]) {
    let output = Output::of(Command::new("ip").args(arguments), "iproute2");
    assert_eq!(
        output.code,
        0,
        "`ip {}`: {}",
        arguments.join(" "),
        output.stderr
    );
}

/// Runs `work` on a thread inside the namespace. Sockets that it opens stay there.
pub fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(format!("/run/netns/{namespace}")).unwrap();
    thread::scope(|scope| {
        scope
            .spawn(move || {
                // SAFETY: a system call on an open descriptor; only this thread changes.
                let entered = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
                assert_eq!(entered, 0, "setns: {}", std::io::Error::last_os_error());
                work()
            })
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
