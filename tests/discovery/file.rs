//! A file as the source: every change within a second, mistakes with their place.

use std::fs;

use super::{answering, config, proxy, wait_for};
use crate::control::address;
use crate::support::{Folder, Origin, openclaw, wait_until};

#[test]
fn a_file_is_taken_when_it_changes_and_kept_while_it_is_wrong() {
    let [a, b] = ["a", "b"].map(Origin::serving);
    let folder = Folder::new();
    let path = folder.write("endpoints.json", format!("[\"{}\"]", a.address()));
    let proxy = proxy(&format!("discover = {{ file = \"{}\" }}", path.display()));
    wait_for(&proxy, &["a"]);
    let line = format!("{{ \"address\": \"{}\", \"weight\": 2 }}", b.address());
    folder.write(
        "endpoints.json",
        format!("[\n \"{}\",\n {line}\n]", a.address()),
    );
    wait_for(&proxy, &["a", "b"]);
    folder.write(
        "endpoints.json",
        "[\n  \"127.0.0.1:80\",\n  \"127.0.0.1\"\n]",
    );
    let told = proxy.wait_for("endpoints are not found");
    assert!(told.contains("endpoints.json: line 3, column"), "{told}");
    assert_eq!(told.matches("it has no port").count(), 1, "{told}");
    folder.write("endpoints.json", "[\n \"127.0.0.1:80");
    let told = proxy.wait_for("line 2, column");
    assert_eq!(told.matches("line 2, column").count(), 1, "{told}");
    assert_eq!(answering(address(&proxy, "web")).len(), 2);
    fs::remove_file(&path).unwrap();
    // As tools do that want no reader to see half of it.
    let beside = folder.write("new", format!("[{{ \"targets\": [\"{}\"] }}]", b.address()));
    fs::rename(beside, &path).unwrap();
    wait_for(&proxy, &["b"]);
    proxy.wait_for("endpoints are found again");
}

#[test]
fn an_empty_file_is_an_empty_set_unless_the_last_one_is_to_be_kept() {
    for (keep, expected) in [("false", "503"), ("true", "a")] {
        let a = Origin::serving("a");
        let folder = Folder::new();
        let list = format!("endpoints = [\"{}\"]", a.address());
        let path = folder.write("endpoints.toml", list);
        let keys = format!(
            "discover = {{ file = \"{}\", keep_on_empty = {keep} }}",
            path.display()
        );
        let proxy = proxy(&keys);
        wait_for(&proxy, &["a"]);
        folder.write("endpoints.toml", "endpoints = []");
        proxy.wait_for("the source says that there are no endpoints");
        wait_for(&proxy, &[expected]);
        let web = address(&proxy, "web");
        proxy.cli(&["reload"]).ok();
        assert!(answering(web).contains(expected));
    }
}

#[test]
fn a_check_reads_the_file() {
    let folder = Folder::new();
    folder.write("endpoints.toml", "endpoints = [\n  \"a\"\n]");
    let keys = "discover = { file = \"endpoints.toml\" }";
    let path = folder.write("openclaw.toml", config(keys));
    let output = openclaw(&["check", &path.display().to_string()]).ok();
    let told = output.stderr.clone() + &output.text();
    assert!(told.contains("line 2, column 3"), "{told}");
}

#[test]
fn a_set_that_changes_keeps_the_connections_of_those_who_stay() {
    let [a, b] = ["a", "b"].map(Origin::serving);
    let folder = Folder::new();
    let write = |origins: &[&Origin]| {
        let all: Vec<String> = origins
            .iter()
            .map(|one| one.address().to_string())
            .collect();
        folder.write("endpoints.json", serde_json::to_string(&all).unwrap())
    };
    let path = write(&[&a]);
    let proxy = proxy(&format!("discover = {{ file = \"{}\" }}", path.display()));
    wait_for(&proxy, &["a"]);
    // One connection each of two workers, at most.
    wait_until("both workers have one", || {
        answering(address(&proxy, "web"));
        a.connections() == 2
    });
    for _ in 0..2 {
        write(&[&a, &b]);
        wait_for(&proxy, &["a", "b"]);
        write(&[&a]);
        wait_for(&proxy, &["a"]);
    }
    assert_eq!(a.connections(), 2);
}
