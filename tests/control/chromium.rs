//! The page in Chromium, as an operator sees it: what it fetches, how it fits, and that its buttons do what they say.
//!
//! Ignored unless asked for, as Chromium is 300 MB: `cargo xtask setup --with-browser`, `cargo xtask test chromium -- --ignored`.
//! `OPENCLAW_TEST_SCREENSHOTS=FOLDER` keeps what was seen.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::control::{address, fetch, status};
use crate::support::{Folder, Origin, Output, Proxy};

const TOKEN: &str = "a-token-of-letters";

#[test]
#[ignore = "needs Chromium: cargo xtask setup --with-browser"]
fn the_page_works_in_a_browser_light_dark_and_on_a_phone() {
    let origins = Origin::siblings(3);
    let endpoints: Vec<String> = origins
        .iter()
        .map(|one| format!("\"{}\"", one.address()))
        .collect();
    let proxy = Proxy::start(&format!(
        "[listener.web]\nbind = \"127.0.0.1:0\"\n[listener.database-of-the-shop]\nbind = \"127.0.0.1:0\"\nmode = \"tcp\"\nto = \"app\"\n\
         [upstream.app]\nendpoints = [{}]\n[upstream.media-transcoding]\nendpoints = [\"127.0.0.1:9\"]\n\
         [[route]]\nname = \"api\"\nmatch = {{ path = \"/api\" }}\nto = \"app\"\n\
         [[route]]\nname = \"videos-of-the-campaign\"\nmatch = {{ path = \"/video\" }}\nto = \"media-transcoding\"\n\
         [[route]]\nname = \"site\"\nto = \"app\"\ncache = {{ ttl = \"1m\" }}\n\
         [log]\naccess = {{ to = \"off\" }}\n\
         [admin]\nweb = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n",
        endpoints.join(", ")
    ));
    let seen = browse(&proxy, "full", Some(TOKEN));
    assert_eq!(seen["errors"], Value::Array(Vec::new()), "{seen:#}");
    assert_eq!(seen["strangers"], Value::Array(Vec::new()), "{seen:#}");
    for shape in ["light", "dark", "phone", "phone_dark"] {
        assert_eq!(seen["overflow"][shape], false, "{shape}: {seen:#}");
    }
    for (what, wanted) in [
        ("endpoints", 4.into()),
        (
            "landmarks",
            Value::from(vec!["header", "nav", "main", "footer"]),
        ),
        ("unlabelled", Value::Array(Vec::new())),
        ("locked", true.into()),
        ("wrong_token", "this is not the token".into()),
        ("unlocked", true.into()),
        ("state", "draining".into()),
        ("paused", true.into()),
    ] {
        assert_eq!(seen[what], wanted, "{what}: {seen:#}");
    }
    let told = seen["blocked"].as_str().unwrap_or_default();
    assert!(told.contains("203.0.113.99"), "{seen:#}");
    let background = |shape: &str| seen["background"][shape].clone();
    assert_ne!(background("light"), background("dark"));
}

#[test]
#[ignore = "needs Chromium: cargo xtask setup --with-browser"]
fn the_page_is_plain_where_nothing_runs() {
    let config = crate::control::answering("x");
    let proxy = Proxy::start(&format!("{config}\n[admin]\nweb = \"127.0.0.1:0\"\n"));
    let seen = browse(&proxy, "plain", None);
    assert_eq!(seen["errors"], Value::Array(Vec::new()), "{seen:#}");
    assert_eq!(seen["locked"], "no token", "{seen:#}");
    assert_eq!(seen["endpoints"], 0);
    let notes = seen["notes"].to_string();
    for note in [
        "There is no upstream",
        "No interface carries the shield",
        "Nothing was refused",
    ] {
        assert!(notes.contains(note), "{notes}");
    }
    assert_eq!(seen["overflow"]["phone"], false, "{seen:#}");
}

/// What a browser makes of the page, while some requests go through the proxy.
fn browse(proxy: &Proxy, name: &str, token: Option<&str>) -> Value {
    let page = status(proxy)["web"].as_str().unwrap().to_owned();
    let web = address(proxy, "web");
    for path in ["", "api/x", "video/y"] {
        drop(crate::support::curl(&[&format!("http://{web}/{path}")]));
    }
    fetch(web);
    let folder = Folder::new();
    let kept = env::var_os("OPENCLAW_TEST_SCREENSHOTS").map(PathBuf::from);
    let shots = kept.unwrap_or_else(|| folder.path().to_owned());
    fs::create_dir_all(&shots).unwrap();
    let script = folder.write("chromium.py", include_str!("chromium.py"));
    let output = Output::of(
        Command::new("python3")
            .arg(script)
            .args([format!("http://{page}/"), format!("http://{web}/api/x")])
            .arg(folder.path().join("profile"))
            .arg(shots.join(name))
            .arg(token.unwrap_or_default()),
        "python3",
    )
    .ok();
    for shape in ["light", "dark", "phone"] {
        let shot = fs::metadata(shots.join(format!("{name}-{shape}.png"))).unwrap();
        assert!(shot.len() > 10_000, "{shape}: an empty picture");
    }
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}
