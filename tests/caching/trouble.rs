//! What happens to the cache's directory while it is in use, and what lies in it that is not the cache's.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use super::disk::{LARGE, stage};
use super::{config, status};
use crate::control::address;
use crate::support::{Proxy, RawClient};

const FRESH: &str = "Cache-Control: max-age=600\r\n";

#[test]
fn a_purge_that_a_restart_would_undo_is_told_as_one() {
    let mut stage = stage("10m", FRESH);
    stage.get("/a", "");
    stage.wait_for_files(1);
    let folder = stage.files().0[0].parent().unwrap().to_owned();
    let aside = folder.with_extension("aside");
    // Nothing in it can be removed any more.
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "").unwrap();
    for _ in 0..2 {
        let failed = stage.proxy.cli(&["cache", "purge", "--all"]);
        assert_eq!(failed.code, 1, "{}", failed.stderr);
        assert!(
            failed
                .stderr
                .contains("1 of the files could not be removed"),
            "{}",
            failed.stderr
        );
    }
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    stage.proxy.cli(&["cache", "purge", "--all"]).ok();
    assert_eq!(stage.files(), (vec![], vec![]));
    stage.kill_and_start();
    assert_eq!(stage.get("/a", "").text(), "0001".repeat(25));
}

#[test]
fn a_directory_that_has_gone_is_made_anew() {
    let mut stage = stage("10m", FRESH);
    for path in ["/large1", "/large2"] {
        stage.get(path, "");
    }
    stage.wait_for_files(2);
    fs::remove_dir_all(stage.folder()).unwrap();
    // What lay there is fetched, and lies in the new one.
    assert_eq!(stage.get("/large1", "").text(), "0002".repeat(LARGE / 4));
    stage.proxy.wait_for("had gone, and is made anew");
    stage.wait_for_files(1);
    assert!(status(&stage.get("/large1", "")).starts_with("openclaw; hit"));
    assert_eq!(stage.asked(), 3);
    stage.kill_and_start();
    assert!(status(&stage.get("/large1", "")).starts_with("openclaw; hit"));
    assert!(status(&stage.get("/large2", "")).starts_with("openclaw; fwd=uri-miss"));
}

#[test]
fn what_is_no_file_is_left_alone_and_waited_for_by_nobody() {
    let mut stage = stage("10m", FRESH);
    stage.get("/a", "");
    stage.wait_for_files(1);
    let folder = stage.files().0[0].parent().unwrap().to_owned();
    let name = |number: u8| folder.join(format!("openclaw-000000000000{number:02x}00"));
    let (pipe, part) = (name(1), name(2).with_extension("part"));
    for path in [&pipe, &part] {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    let socket = UnixListener::bind(name(3)).unwrap();
    fs::create_dir(name(4)).unwrap();
    symlink("/dev/zero", name(5)).unwrap();
    // In the place of one of the directories.
    let other = stage.folder().join("zz");
    assert!(
        Command::new("mkfifo")
            .arg(&other)
            .status()
            .unwrap()
            .success()
    );
    stage.kill_and_start();
    assert!(status(&stage.get("/a", "")).starts_with("openclaw; hit"));
    assert_eq!(stage.asked(), 1);
    for path in [&pipe, &part, &name(3), &name(4), &name(5), &other] {
        assert!(fs::symlink_metadata(path).is_ok(), "{}", path.display());
    }
    drop(socket);
}

#[test]
fn changes_before_all_is_known_cost_the_disk_nothing_else() {
    let mut stage = stage("10m", FRESH);
    for path in ["/a", "/b", "/c"] {
        stage.get(path, "");
    }
    stage.wait_for_files(3);
    let cache = format!(
        "disk = {{ path = \"{}\", max = \"10m\" }}",
        stage.folder().display()
    );
    let other = Proxy::start(&config(&cache, "", &stage.origin));
    other.wait_for("another process uses the cache on disk");
    let web = address(&other, "web");
    let mut client = RawClient::connect(web);
    let change = "Host: a.test\r\nContent-Length: 0\r\n\r\n";
    for number in 0..1500 {
        let start = format!("POST /new/{number} HTTP/1.1\r\n");
        client.send(start + change);
        assert_eq!(client.response().status(), 200);
    }
    client.send(format!("POST /a HTTP/1.1\r\n{change}"));
    assert_eq!(client.response().status(), 200);
    stage.proxy.kill();
    stage.proxy.wait();
    other.wait_for("the cache on disk is known");
    for (path, is_there) in [("/a", false), ("/b", true), ("/c", true)] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        let found = status(&client.response()).starts_with("openclaw; hit");
        assert_eq!(found, is_there, "{path}");
    }
}
