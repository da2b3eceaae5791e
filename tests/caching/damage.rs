//! What lies on the disk and is not what was written: nobody gets it for the response, and it is not kept.

use std::fs;

use super::disk::{LARGE, stage};
use super::{Stage, status};
use crate::support::RawClient;

const FRESH: &str = "Cache-Control: max-age=600\r\n";
/// Payload that has one checksum, and with it.
const PART: usize = 128 * 1024 + 4;

/// Changes the only file; `change` gets it and where its payload begins.
fn damage(stage: &Stage, change: impl FnOnce(&mut Vec<u8>, usize)) {
    stage.wait_for_files(1);
    let path = stage.files().0.remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let room = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
    change(&mut bytes, room as usize);
    fs::write(&path, bytes).unwrap();
}

fn failed(stage: &Stage) -> u64 {
    let stats = stage.proxy.cli(&["cache", "stats", "-o", "json"]).ok();
    let stats: serde_json::Value = serde_json::from_str(&stats.text()).unwrap();
    stats["disk"]["failed"].as_u64().unwrap()
}

/// The payload that comes before the connection is closed, on one that would stay open.
fn cut_short(stage: &Stage) -> Vec<u8> {
    let mut client = RawClient::connect(stage.web);
    client.send("GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let head = client.read_until("\r\n\r\n");
    let head = String::from_utf8(head).unwrap();
    assert!(head.contains("Cache-Status: openclaw; hit"), "{head}");
    assert!(
        head.contains(&format!("Content-Length: {LARGE}\r\n")),
        "{head}"
    );
    client.read_to_end()
}

#[test]
fn a_damaged_part_ends_what_was_begun_and_the_next_one_is_fetched() {
    for what in ["changed", "cut off"] {
        let stage = stage("10m", FRESH);
        stage.get("/large", "");
        damage(&stage, |bytes, room| match what {
            "changed" => bytes[room + 3 * PART + 5] ^= 1,
            _ => bytes.truncate(room + 3 * PART + 5),
        });
        let sent = cut_short(&stage);
        assert_eq!(sent.len(), 3 * (PART - 4), "{what}");
        assert!(sent.iter().all(|byte| *byte == b'0'));
        stage.wait_for_files(0);
        assert_eq!((failed(&stage), stage.asked()), (1, 1), "{what}");
        stage.proxy.wait_for("is damaged, and thrown away");
        assert_eq!(stage.get("/large", "").text(), "0001".repeat(LARGE / 4));
        // What is written now is not the damage's concern.
        stage.wait_for_files(1);
        assert!(status(&stage.get("/large", "")).starts_with("openclaw; hit"));
    }
}

#[test]
fn while_nothing_is_sent_the_endpoint_is_asked_instead() {
    let check = |lines: &'static str, request: &str, part: usize| {
        let stage = stage("10m", lines);
        stage.get("/large", "");
        damage(&stage, |bytes, room| bytes[room + part * PART + 9] ^= 0x80);
        let again = stage.get("/large", request);
        assert_eq!(again.text(), "0001".repeat(LARGE / 4), "{request}");
        assert!(
            status(&again).starts_with("openclaw; fwd=uri-miss"),
            "{}",
            status(&again)
        );
        assert_eq!((failed(&stage), stage.asked()), (1, 2), "{request}");
    };
    check(FRESH, "", 0);
    // This endpoint sends no parts.
    check(FRESH, "Range: bytes=300001-300004\r\n", 2);
    // Nobody is asked to confirm what is not there.
    check("Cache-Control: no-cache\r\nETag: \"v\"\r\n", "", 0);
}

#[test]
fn who_wants_nothing_but_what_is_stored_is_told_that_it_is_not() {
    let stage = stage("10m", FRESH);
    stage.get("/large", "");
    damage(&stage, Vec::truncate);
    let refused = stage.get("/large", "Cache-Control: only-if-cached\r\n");
    assert_eq!((refused.status(), failed(&stage)), (504, 1));
}

#[test]
fn a_file_of_another_version_is_thrown_away_when_it_is_found() {
    let mut stage = stage("10m", FRESH);
    stage.get("/large", "");
    damage(&stage, |bytes, _| bytes[7] -= 1);
    stage.kill_and_start();
    assert_eq!(stage.files(), (vec![], vec![]));
    assert_eq!(stage.get("/large", "").text(), "0001".repeat(LARGE / 4));
    assert_eq!(failed(&stage), 0);
}
