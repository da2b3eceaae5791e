//! A place for each test: folders and ports that no other has.

use std::net::{Ipv6Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

/// A folder that is removed with its value.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("openclaw-test-{}-{number}", process::id()));
        fs::create_dir_all(&path).expect("the folder for temporary files can be written");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file below the folder and gives its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.0.join(name);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).expect("a folder in a folder of ours can be made");
        }
        fs::write(&file, content).expect("a file in a folder of ours can be written");
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is left to the next boot: a test is not about this.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A port that is free on every address, for TCP and for UDP.
///
/// A port that the kernel chooses and that is closed again may be given to the next outgoing connection before its
/// user binds it. So the port is taken from below the range of outgoing connections, from another part of it in each
/// process.
pub fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = process::id().wrapping_mul(613);
    for _ in 0..COUNT {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + offset).expect("below 65536");
        // The unspecified IPv6 address stands for both families.
        let everywhere = (Ipv6Addr::UNSPECIFIED, port);
        if TcpListener::bind(everywhere).is_ok() && UdpSocket::bind(everywhere).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_bound_and_is_given_once() {
        let (one, two) = (free_port(), free_port());
        assert_ne!(one, two);
        let _held = TcpListener::bind(("127.0.0.1", one)).unwrap();
        assert!(TcpListener::bind(("127.0.0.1", two)).is_ok());
    }

    #[test]
    fn a_folder_is_gone_with_its_value() {
        let folder = Folder::new();
        let file = folder.write("a/b.txt", "x");
        assert!(file.exists());
        drop(folder);
        assert!(!file.exists());
    }
}
