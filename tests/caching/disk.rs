//! Responses on disk: what survives, what never does, and what it may take.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};

use super::{Stage, config, ok, status};
use crate::control::address;
use crate::support::{Message, Origin, PATIENCE, Peer, Proxy, RawClient, wait_until};

/// Larger than what memory takes of one response.
pub(super) const LARGE: usize = 700_000;

/// An origin whose bodies are as long as their paths say, and say which request they answer.
fn numbered(lines: &'static str) -> Origin {
    let count = Arc::new(AtomicUsize::new(0));
    Origin::start(move |peer| {
        while let Some(request) = peer.request()? {
            let number = count.fetch_add(1, Ordering::Relaxed);
            if request.header("if-none-match") == Some("\"v\"") {
                peer.send(format!(
                    "HTTP/1.1 304 Not Modified\r\nX-Seen: {number}\r\n\r\n"
                ))?;
                continue;
            }
            let tag = path(&request).trim_start_matches('/').to_owned();
            let lines = format!("{lines}Surrogate-Key: t{tag} all\r\n");
            peer.send(ok(&lines, &body(&request, number)))?;
        }
        Ok(())
    })
}

fn path(request: &Message) -> &str {
    request.start.split(' ').nth(1).unwrap_or_default()
}

fn body(request: &Message, number: usize) -> String {
    let length = if path(request).contains("large") {
        LARGE
    } else {
        100
    };
    format!("{number:04}").repeat(length / 4)
}

pub(super) fn stage(max: &str, lines: &'static str) -> Stage {
    let cache = format!("memory = \"1m\"\ndisk = {{ path = \"cache\", max = \"{max}\" }}");
    let stage = Stage::with(&cache, "", numbered(lines));
    known(&stage.proxy);
    stage
}

/// Waits until the disk is in use and what lies there is known.
fn known(proxy: &Proxy) {
    proxy.wait_for("the cache on disk is known");
}

impl Stage {
    pub(super) fn folder(&self) -> PathBuf {
        self.proxy.folder().path().join("cache")
    }

    /// Files that are whole, and those that are not.
    pub(super) fn files(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let mut all = Vec::new();
        for folder in fs::read_dir(self.folder()).unwrap().flatten() {
            // A file goes at any time.
            for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                all.push(file.path());
            }
        }
        // Sixteen digits behind the name: ours.
        all.retain(|path| path.file_stem().unwrap().len() == "openclaw-".len() + 16);
        all.into_iter().partition(|path| path.extension().is_none())
    }

    pub(super) fn wait_for_files(&self, count: usize) {
        wait_until("the files", || self.files().0.len() == count);
    }

    /// As if the machine had lost interest in it.
    pub(super) fn kill_and_start(&mut self) {
        self.proxy.kill();
        self.proxy.wait();
        self.proxy.start_again();
        known(&self.proxy);
        self.web = address(&self.proxy, "web");
    }
}

#[test]
fn what_is_stored_survives_a_restart() {
    let mut stage = stage("10m", "Cache-Control: max-age=600\r\nETag: \"v\"\r\n");
    let (small, large) = (stage.get("/small", ""), stage.get("/large", ""));
    stage.wait_for_files(2);
    assert!(status(&stage.get("/large", "")).starts_with("openclaw; hit; ttl="));
    stage.kill_and_start();
    for (path, before) in [("/small", &small), ("/large", &large)] {
        for _ in 0..2 {
            let after = stage.get(path, "");
            assert!(
                status(&after).starts_with("openclaw; hit; ttl="),
                "{}",
                status(&after)
            );
            assert_eq!(after.text(), before.text());
            assert_eq!(after.header("etag"), Some("\"v\""));
        }
    }
    let part = stage.get("/large", "Range: bytes=300001-300004\r\n");
    assert_eq!(
        (part.status(), part.text()),
        (206, large.text()[300_001..300_005].to_owned())
    );
    let head = stage.ask("HEAD", "/large", "");
    assert_eq!(head.header("content-length"), Some("700000"));
    let known = stage.get("/large", "If-None-Match: \"v\"\r\n");
    assert_eq!((known.status(), known.text()), (304, String::new()));
    assert_eq!(stage.asked(), 2);
    let stats = stage.proxy.cli(&["cache", "stats"]).ok().text();
    assert!(stats.contains("on disk: 2 responses in "), "{stats}");
}

#[test]
fn a_kill_in_the_middle_leaves_nothing_torn_behind() {
    let (go, going) = mpsc::channel::<()>();
    let going = Mutex::new(going);
    let count = AtomicUsize::new(0);
    let serve = move |peer: &mut Peer| -> io::Result<()> {
        while let Some(request) = peer.request()? {
            let whole = body(&request, count.fetch_add(1, Ordering::Relaxed));
            let head = format!(
                "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: {LARGE}\r\n\r\n"
            );
            peer.send(head + &whole[..LARGE / 2])?;
            let told = going.lock().unwrap().recv_timeout(PATIENCE);
            told.map_err(|_late| io::ErrorKind::TimedOut)?;
            peer.send(&whole[LARGE / 2..])?;
        }
        Ok(())
    };
    let cache = "memory = \"1m\"\ndisk = { path = \"cache\", max = \"10m\" }";
    let mut stage = Stage::with(cache, "", Origin::start(serve));
    known(&stage.proxy);
    // Somebody else's files are nobody's business, whatever their names are like.
    let foreign =
        ["openclaw-notes", "00/openclaw-12.part", "ab/data"].map(|name| stage.folder().join(name));
    for path in &foreign {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
    }
    for round in 0..3 {
        let mut client = RawClient::connect(stage.web);
        client.send("GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n");
        client.read_until("\r\n\r\n");
        client.read_exact(LARGE / 2);
        wait_until("some of it is written", || {
            let (_, parts) = stage.files();
            parts
                .iter()
                .any(|path| fs::metadata(path).is_ok_and(|file| file.len() > 100_000))
        });
        stage.kill_and_start();
        wait_until("what was cut short is gone", || {
            stage.files() == (vec![], vec![])
        });
        // Whoever is cut off does not take what the next one needs.
        let _ = go.send(());
        assert_eq!(stage.asked(), round + 1);
    }
    go.send(()).unwrap();
    let whole = stage.get("/large", "");
    assert_eq!(whole.text(), "0003".repeat(LARGE / 4));
    stage.wait_for_files(1);
    stage.kill_and_start();
    assert_eq!(stage.get("/large", "").text(), whole.text());
    assert_eq!(stage.asked(), 4);
    for path in &foreign {
        assert_eq!(fs::read_to_string(path).unwrap(), "mine");
    }
}

#[test]
fn what_was_changed_behind_our_back_is_fetched_anew() {
    let mut stage = stage("10m", "Cache-Control: max-age=600\r\n");
    stage.get("/a", "");
    stage.get("/b", "");
    stage.get("/c", "");
    stage.wait_for_files(3);
    stage.proxy.kill();
    stage.proxy.wait();
    let (files, _) = stage.files();
    // A byte of the payload, a byte of the head, and the end.
    let mut bytes = files
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect::<Vec<_>>();
    *bytes[0].last_mut().unwrap() ^= 1;
    bytes[1][60] ^= 1;
    bytes[2].pop();
    for (path, bytes) in files.iter().zip(&bytes) {
        fs::write(path, bytes).unwrap();
    }
    stage.proxy.start_again();
    known(&stage.proxy);
    stage.web = address(&stage.proxy, "web");
    for path in ["/a", "/b", "/c"] {
        assert!(status(&stage.get(path, "")).starts_with("openclaw; fwd="));
    }
    assert_eq!(stage.asked(), 6);
}

#[test]
fn files_take_no_more_than_they_may() {
    let stage = stage("4m", "Cache-Control: max-age=600\r\n");
    for number in 0..20 {
        assert_eq!(
            stage.get(&format!("/large{number}"), "").text().len(),
            LARGE
        );
        let (whole, parts) = stage.files();
        let sizes = whole
            .iter()
            .chain(&parts)
            .filter_map(|path| fs::metadata(path).ok());
        let bytes: u64 = sizes.map(|file| file.len()).sum();
        assert!(bytes <= 4 << 20, "{bytes}");
    }
    stage.wait_for_files(5);
    let stats = stage
        .proxy
        .cli(&["cache", "stats", "-o", "json"])
        .ok()
        .text();
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(
        (&stats["disk"]["objects"], &stats["disk"]["evicted"]),
        (&5.into(), &15.into())
    );
    assert!(
        stats["disk"]["index_bytes"].as_u64().unwrap() < 5000,
        "{stats}"
    );
    // What was asked for last is there.
    assert!(status(&stage.get("/large19", "")).starts_with("openclaw; hit"));
}

#[test]
fn a_purge_reaches_what_lies_on_disk() {
    let mut stage = stage("10m", "Cache-Control: max-age=600\r\nETag: \"v\"\r\n");
    let fill = |stage: &Stage| {
        for path in ["/a", "/b", "/c", "/large"] {
            stage.get(path, "");
        }
        stage.wait_for_files(4);
        stage.asked()
    };
    fill(&stage);
    stage.kill_and_start();
    let purge = |stage: &Stage, arguments: &[&str]| {
        let arguments = [&["cache", "purge"], arguments].concat();
        stage.proxy.cli(&arguments).ok().text()
    };
    assert_eq!(purge(&stage, &["http://a.test/a"]), "1 response purged\n");
    assert_eq!(purge(&stage, &["--tag", "tb"]), "1 response purged\n");
    stage.wait_for_files(2);
    assert_eq!(fill(&stage), 6);
    assert_eq!(
        purge(&stage, &["--prefix", "http://a.test/l"]),
        "1 response purged\n"
    );
    assert_eq!(purge(&stage, &["--all"]), "3 responses purged\n");
    stage.wait_for_files(0);
    assert_eq!(fill(&stage), 10);
    // What is called stale stays so.
    assert_eq!(
        purge(&stage, &["--soft", "--tag", "tlarge"]),
        "1 response purged\n"
    );
    stage.kill_and_start();
    assert!(status(&stage.get("/large", "")).contains("fwd-status=304"));
    assert!(status(&stage.get("/large", "")).starts_with("openclaw; hit"));
    // A change of the resource reaches it, too.
    assert_eq!(
        stage
            .ask("POST", "/large", "Content-Length: 0\r\n")
            .status(),
        200
    );
    stage.wait_for_files(3);
}

#[test]
fn what_its_origin_confirms_lies_there_anew() {
    let mut stage = stage("10m", "Cache-Control: no-cache\r\nETag: \"v\"\r\n");
    let first = stage.get("/large", "").text();
    stage.wait_for_files(1);
    for number in ["1", "2"] {
        let again = stage.get("/large", "");
        assert_eq!(
            (again.header("x-seen"), again.text()),
            (Some(number), first.clone())
        );
        assert!(
            status(&again).contains("fwd-status=304"),
            "{}",
            status(&again)
        );
    }
    stage.kill_and_start();
    let again = stage.get("/large", "");
    assert_eq!((again.header("x-seen"), again.text()), (Some("3"), first));
}

#[test]
fn a_disk_that_fails_costs_hits_and_nothing_else() {
    let stage = stage("10m", "Cache-Control: max-age=600\r\n");
    // In the place of every directory of the cache there is something else now.
    for number in 0..256 {
        let path = stage.folder().join(format!("{number:02x}"));
        fs::write(path, "").unwrap();
    }
    assert_eq!(stage.get("/large", "").text().len(), LARGE);
    stage.proxy.wait_for("cannot be written");
    let again = stage.get("/large", "");
    assert_eq!(again.text().len(), LARGE);
    assert_eq!(status(&again), "openclaw; fwd=uri-miss; detail=disk");
    // What memory takes is not the disk's concern.
    stage.get("/small", "");
    assert!(status(&stage.get("/small", "")).starts_with("openclaw; hit"));
    let stats = stage.proxy.cli(&["cache", "stats"]).ok().text();
    assert!(
        stats.contains("on disk: 0 responses in 0 of 10240 KiB, 0 gone to make room, 1 failed"),
        "{stats}"
    );
    assert_eq!(stage.proxy.stderr().matches("cannot be written").count(), 1);
}

#[test]
fn a_directory_that_others_may_write_into_is_not_used() {
    let origin = Origin::serving("");
    let folder = crate::support::Folder::new();
    let path = folder.path().join("open");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    let disk = |path: &str| format!("disk = {{ path = \"{path}\", max = \"10m\" }}");
    let refused = |path: &str| Proxy::refuse(&config(&disk(path), "", &origin)).1;
    let told = refused(path.to_str().unwrap());
    assert!(
        told.contains("others than its owner may write into") && told.contains("mode 777"),
        "{told}"
    );
    let told = refused("/etc/hostname");
    assert!(told.contains("/etc/hostname is no directory"), "{told}");
    let told = refused("/nowhere/at/all");
    assert!(told.contains("cannot use /nowhere/at/all"), "{told}");
}

#[test]
fn one_process_at_a_time_has_the_directory() {
    let mut stage = stage("10m", "Cache-Control: max-age=600\r\n");
    stage.get("/a", "");
    stage.wait_for_files(1);
    let cache = format!(
        "disk = {{ path = \"{}\", max = \"10m\" }}",
        stage.folder().display()
    );
    let other = Proxy::start(&config(&cache, "", &stage.origin));
    other.wait_for("another process uses the cache on disk");
    stage.proxy.kill();
    stage.proxy.wait();
    other.wait_for("the cache on disk is known");
    let mut client = RawClient::connect(address(&other, "web"));
    client.send("GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert!(status(&client.response()).starts_with("openclaw; hit"));
    assert_eq!(stage.asked(), 1);
}

#[test]
fn what_is_too_large_for_the_disk_pushes_nothing_out() {
    // Half of it is less than the large response.
    let stage = stage("1m", "Cache-Control: max-age=600\r\n");
    for path in ["/a", "/b"] {
        stage.get(path, "");
    }
    stage.wait_for_files(2);
    for _ in 0..2 {
        let answer = stage.get("/large", "");
        assert_eq!(answer.text().len(), LARGE);
        assert!(!status(&answer).contains("stored"), "{}", status(&answer));
    }
    stage.wait_for_files(2);
    assert!(status(&stage.get("/a", "")).starts_with("openclaw; hit"));
}
