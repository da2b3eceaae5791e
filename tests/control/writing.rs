//! Verbs that write configurations, and say what may stand in them.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{Folder, openclaw};

#[test]
fn fmt_writes_a_file_in_the_one_way_and_leaves_it_then() {
    let folder = Folder::new();
    let untidy =
        "# mine\n[listener.web]\nbind=[\"127.0.0.1:0\"] # here\n\n\n\n[[route]]\nrespond={}";
    let tidy =
        "# mine\n[listener.web]\nbind = [\"127.0.0.1:0\"] # here\n\n[[route]]\nrespond = {}\n";
    let path = folder.write("openclaw.toml", untidy);
    let path = path.to_str().unwrap();
    let told = openclaw(&["fmt", "--check", path]);
    assert_eq!(
        (told.code, fs::read_to_string(path).unwrap()),
        (1, untidy.into())
    );
    assert_eq!(told.text(), format!("{path}: would be written anew\n"));
    let told = openclaw(&["-c", path, "fmt"]).ok();
    assert_eq!(told.text(), format!("{path}: written anew\n"));
    assert_eq!(fs::read_to_string(path).unwrap(), tidy);
    let told = openclaw(&["-o", "json", "fmt", "--check", path]).ok();
    let told: Value = serde_json::from_str(&told.text()).unwrap();
    assert_eq!(
        told,
        serde_json::json!({ "ok": true, "changed": [], "check": true })
    );
    // Neither of two, if one is no TOML.
    let broken = folder.write("broken.toml", "[a\n");
    let other = folder.write("other.toml", "a=1");
    let told = openclaw(&["fmt", other.to_str().unwrap(), broken.to_str().unwrap()]);
    assert_eq!(told.code, 2);
    assert!(told.stderr.contains("broken.toml:1:1"), "{}", told.stderr);
    assert_eq!(fs::read_to_string(other).unwrap(), "a=1");
    let missing = openclaw(&["fmt", "/nowhere/x.toml"]);
    assert_eq!(missing.code, 2, "{}", missing.stderr);
}

#[test]
fn fmt_is_a_filter_too() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_openclaw"))
        .args(["fmt", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Dropped, so that it ends.
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"a=[1,2]#x").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a = [1, 2] #x\n");
}

#[test]
fn the_schema_names_every_section() {
    let schema: Value = serde_json::from_str(&openclaw(&["schema"]).ok().text()).unwrap();
    let listener = &schema["properties"]["listener"]["additionalProperties"];
    assert_eq!(listener["required"], serde_json::json!(["bind"]));
    assert_eq!(
        listener["properties"]["max_connections"]["default"],
        100_000
    );
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn init_writes_what_check_and_fmt_have_nothing_against() {
    let folder = Folder::new();
    let path = folder.path().join("new.toml");
    let path = path.to_str().unwrap();
    let args = ["--to", "http://127.0.0.1:9001", "--listen", "127.0.0.1:0"];
    for flags in [
        &[][..],
        &["--interface", "lo", "--interface", "lo2"],
        &["--cert", "a.pem", "--key", "a.key"],
    ] {
        openclaw(&[&["init", path], &args[..], flags].concat()).ok();
        let checked = openclaw(&["check", "--text-only", path]).ok();
        assert_eq!(checked.stderr, "", "{flags:?}");
        openclaw(&["fmt", "--check", path]).ok();
        let again = openclaw(&["init", path]);
        assert_eq!(again.code, 1);
        assert!(again.stderr.contains("exists"), "{}", again.stderr);
        fs::remove_file(path).unwrap();
    }
    let told = openclaw(&["init", path, "--to", "nonsense"]);
    assert_eq!(
        (told.code, fs::exists(path).unwrap()),
        (2, false),
        "{}",
        told.stderr
    );
    let text = openclaw(&["init", "-"]).ok().text();
    assert!(text.contains("http://127.0.0.1:3000"), "{text}");
}
