//! Sources of lists that fail in every way that a wire has: the last good list stays, and the log says why.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::feeds::{addresses, config, feed};
use crate::support::{Folder, Origin, Peer, Proxy, wait_until};

const BEFORE: &str = "203.0.113.7";
const AFTERWARDS: &str = "198.51.100.0/24";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// What fails, and what is said of it.
const FAULTS: [(&str, &str); 14] = [
    ("length", "the answer was cut short"),
    ("chunk", "the answer was cut short"),
    ("last-chunk", "the answer was cut short"),
    ("cut-gzip", "the answer is a damaged gzip"),
    ("bad-gzip", "the answer is a damaged gzip"),
    ("bomb", "the answer is larger than 64 MiB"),
    ("endless", "the answer is larger than 64 MiB"),
    ("drip", "no whole answer within 1 s"),
    ("silent", "no whole answer within 1 s"),
    ("loop", "more than 5 redirects"),
    (
        "away",
        "redirects to file:///etc/passwd, which is no place for a list",
    ),
    ("ssh", "the exchange with 127.0.0.1 failed"),
    ("closed", "the exchange with 127.0.0.1 failed"),
    ("junk", "no line of it can be used"),
];

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn ok(body: &[u8], more: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{more}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn coded(body: &[u8]) -> Vec<u8> {
    ok(body, "content-encoding: gzip\r\n")
}

fn fail(peer: &mut Peer, fault: &str) -> io::Result<()> {
    let list = gzip(b"192.0.2.0/24\n192.0.2.77\n");
    match fault {
        "length" => peer.send("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n192.0.2.1\n")?,
        "chunk" => peer.send(format!("{CHUNKED}40\r\n192.0.2.1\n"))?,
        "last-chunk" => peer.send(format!("{CHUNKED}a\r\n192.0.2.1\n\r\n"))?,
        "cut-gzip" => peer.send(coded(&list[..list.len() - 9]))?,
        "bad-gzip" => {
            let mut list = list;
            // Its checksum.
            let at = list.len() - 6;
            list[at] ^= 1;
            peer.send(coded(&list))?;
        }
        "bomb" => peer.send(coded(&gzip(&vec![b'\n'; (64 << 20) + 1])))?,
        "endless" => {
            peer.send(CHUNKED)?;
            let chunk = [&b"100000\r\n"[..], &vec![b'\n'; 1 << 20], b"\r\n"].concat();
            loop {
                peer.send(&chunk)?;
            }
        }
        "drip" => {
            peer.send(CHUNKED)?;
            // Until the other side has enough of it.
            loop {
                peer.send("1\r\n\n\r\n")?;
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        }
        "silent" => drop(peer.read_until(b"never")),
        "loop" => {
            peer.send("HTTP/1.1 302 Found\r\nlocation: /loop\r\ncontent-length: 0\r\n\r\n")?;
        }
        "away" => peer.send(
            "HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n",
        )?,
        "ssh" => peer.send("SSH-2.0-OpenSSH_9.2\r\n")?,
        "junk" => peer.send(ok(
            &[0xff, 0, 0x80, b'\n', 0xc3, 0x28, b'\r'].repeat(999),
            "",
        ))?,
        _ => {}
    }
    peer.finish()
}

#[test]
fn a_list_stays_as_it_is_however_its_source_fails_until_that_is_whole_again() {
    let mended = Arc::new(AtomicBool::new(false));
    let (is_mended, asked) = (Arc::clone(&mended), Mutex::new(HashMap::new()));
    let origin = Origin::start(move |peer: &mut Peer| -> io::Result<()> {
        let request = peer.read_until(b"\r\n\r\n")?;
        let request = String::from_utf8_lossy(&request).into_owned();
        assert!(
            request
                .to_ascii_lowercase()
                .contains("accept-encoding: gzip\r\n")
        );
        let fault = request
            .split(['/', ' '])
            .nth(2)
            .unwrap_or_default()
            .to_owned();
        let is_first = {
            let mut asked = asked.lock().unwrap();
            let count = asked.entry(fault.clone()).or_insert(0);
            *count += 1;
            *count == 1
        };
        if is_first {
            peer.send(ok(format!("{BEFORE}\n").as_bytes(), ""))?;
        } else if is_mended.load(Ordering::SeqCst) {
            peer.send(coded(&gzip(format!("{AFTERWARDS}\n").as_bytes())))?;
        } else {
            return fail(peer, &fault);
        }
        peer.finish()
    });
    let folder = Folder::new();
    let lists = FAULTS.map(|(fault, _)| {
        let url = format!("http://{}/{fault}", origin.address());
        let timeout = if matches!(fault, "drip" | "silent") {
            "1s"
        } else {
            "1m"
        };
        format!(
            "{{ name = \"{fault}\", url = \"{url}\", every = \"1s\", timeout = \"{timeout}\" }}"
        )
    });
    let proxy = Proxy::start(&config(&lists.join(", "), &folder));
    for (fault, told) in FAULTS {
        let what = format!("{fault}: {told}\n{}", proxy.stderr());
        wait_until(&what, || {
            let error = feed(&proxy, fault)["last_error"].to_string();
            error.contains(told)
        });
        assert_eq!(addresses(&proxy, fault), [BEFORE], "{fault}");
        let copy = folder
            .path()
            .join(format!("state/feeds/block-{fault}.copy"));
        let copy = std::fs::read_to_string(copy).unwrap();
        assert_eq!(copy, format!("{BEFORE}\n"), "{fault}");
        let said = proxy.stderr();
        let is_said = |line: &str| {
            line.contains("the list stays as it is") && line.contains(told) && line.contains(fault)
        };
        assert!(said.lines().any(is_said), "{fault}: {said}");
    }
    mended.store(true, Ordering::SeqCst);
    for (fault, _) in FAULTS {
        wait_until(fault, || addresses(&proxy, fault) == [AFTERWARDS]);
    }
}
