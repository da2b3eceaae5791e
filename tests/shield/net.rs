//! Two network namespaces with a cable between them, removed at the end.
#![expect(unsafe_code, reason = "a thread enters a namespace")]

use std::{
    fs::File,
    os::fd::AsRawFd as _,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

pub const INTERFACE: &str = "oc0";
pub const SERVER4: &str = "10.77.0.1";
pub const CLIENT4: &str = "10.77.0.2";
/// A second address of the client.
pub const OTHER4: &str = "10.77.0.3";
pub const SERVER6: &str = "fd77::1";
pub const CLIENT6: &str = "fd77::2";

/// The namespaces of one test.
pub struct Net {
    pub server: String,
    pub client: String,
}

impl Net {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "ock{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let net = Self {
            server: format!("{name}s"),
            client: format!("{name}c"),
        };
        for namespace in [&net.server, &net.client] {
            ip(&["netns", "add", namespace]);
            ip(&["-n", namespace, "link", "set", "lo", "up"]);
        }
        net.plug();
        net
    }

    /// Lays the cable.
    pub fn plug(&self) {
        let (server, client) = (&*self.server, &*self.client);
        ip(&[
            "-n", server, "link", "add", INTERFACE, "type", "veth", "peer", "name", INTERFACE,
            "netns", client,
        ]);
        let addresses: [(&str, &[&str]); 2] = [
            (server, &["10.77.0.1/24", "fd77::1/64"]),
            (client, &["10.77.0.2/24", "10.77.0.3/24", "fd77::2/64"]),
        ];
        for (namespace, addresses) in addresses {
            for address in addresses {
                if address.contains(':') {
                    ip(&[
                        "-n", namespace, "address", "add", address, "dev", INTERFACE, "nodad",
                    ]);
                } else {
                    ip(&["-n", namespace, "address", "add", address, "dev", INTERFACE]);
                }
            }
            ip(&["-n", namespace, "link", "set", INTERFACE, "up"]);
        }
    }

    /// Sets the MTU of both ends.
    pub fn set_mtu(&self, mtu: u32) {
        for namespace in [&self.server, &self.client] {
            ip(&[
                "-n",
                namespace,
                "link",
                "set",
                INTERFACE,
                "mtu",
                &mtu.to_string(),
            ]);
        }
    }

    /// Tears the cable out.
    pub fn unplug(&self) {
        ip(&["-n", &self.server, "link", "del", INTERFACE]);
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for namespace in [&self.server, &self.client] {
            let _ = Command::new("ip")
                .args(["netns", "del", namespace])
                .status();
        }
    }
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

fn ip(arguments: &[&str]) {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .expect("these tests need iproute2");
    assert!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}
