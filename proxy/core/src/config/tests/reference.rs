//! The files that come with the program: they load, and the reference is what the registry says.
#![expect(
    clippy::disallowed_methods,
    reason = "the files that users get are read as they are; only the core itself reads nothing"
)]

use std::path::{Path, PathBuf};

use crate::config::{
    Action, DEFAULT, Files, Protocols, ShieldMode, Source, WELCOME, load, reference,
};

use super::load_text;

/// Patterns that match nothing.
struct Empty;

impl Files for Empty {
    fn glob(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn read(&self, name: &str) -> Result<String, String> {
        Err(format!("{name} was not matched"))
    }
}

fn loads(name: &str, text: &str) {
    let source = Source {
        name,
        text,
        files: &Empty,
        variable: &|_| None,
    };
    match load(&source) {
        Ok(loaded) => {
            // The reference shows no route with a limit beside the example.
            let mut warnings = loaded.warnings.into_iter();
            let told = warnings.find(|warning| warning.key != "autoban.after.limit");
            assert!(told.is_none(), "{told:?}");
        }
        Err(problems) => panic!("{problems}"),
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

#[test]
fn the_reference_loads() {
    loads("openclaw.toml", &reference());
}

#[test]
fn each_key_without_a_default_can_be_uncommented() {
    let text = reference();
    let lines: Vec<&str> = text.lines().collect();
    let mut tried = 0;
    for (index, line) in lines.iter().enumerate() {
        let Some(setting) = line
            .strip_prefix('#')
            .filter(|rest| !rest.starts_with([' ', '#']))
        else {
            continue;
        };
        // Of another mode than the reference; the registry's test tries them there.
        let is_of_relays = setting.starts_with("to = ") || setting.starts_with("sni = ");
        if setting.is_empty() || is_of_relays {
            continue;
        }
        let is_action = setting.starts_with("respond") || setting.starts_with("redirect");
        let is_packet = setting.starts_with("packet");
        let changed: Vec<&str> = lines
            .iter()
            .enumerate()
            // A route has one action only.
            .filter(|(_, line)| !(is_action && line.starts_with("to = ")))
            // A test asks one thing only, and of a packet it expects other things.
            .filter(|(_, line)| !(is_packet && line.starts_with("request = ")))
            .map(|(other, line)| match *line {
                _ if other == index => setting,
                "expect = { status = 200 }" if is_packet => "expect = { verdict = \"drop\" }",
                line => line,
            })
            .collect();
        let changed = changed
            .join("\n")
            .replace("[upstream.app]", "[upstream.app]\n");
        let source = Source {
            name: "openclaw.toml",
            text: &changed,
            files: &Empty,
            variable: &|_| None,
        };
        if let Err(problems) = load(&source) {
            panic!("{setting}\n{problems}");
        }
        tried += 1;
    }
    assert!(tried >= 7, "only {tried} optional keys found");
}

#[test]
fn each_example_of_a_default_is_accepted() {
    let text = reference();
    let lines: Vec<&str> = text.lines().collect();
    let mut tried = 0;
    for (index, line) in lines.iter().enumerate() {
        let Some(setting) = line.strip_prefix("# Example: ") else {
            continue;
        };
        let (key, _) = setting.split_once(" = ").unwrap();
        assert!(lines[index + 1].starts_with(&format!("{key} = ")), "{line}");
        let mut changed = lines.clone();
        changed[index + 1] = setting;
        loads("openclaw.toml", &changed.join("\n"));
        tried += 1;
    }
    assert!(tried >= 5, "only {tried} examples found");
}

#[test]
fn the_reference_file_is_up_to_date() {
    let file = std::fs::read_to_string(directory().join("openclaw.toml")).unwrap();
    assert!(file == reference(), "run `cargo xtask reference`");
}

#[test]
fn every_example_loads() {
    let mut count = 0;
    for entry in std::fs::read_dir(directory().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(path.extension().unwrap(), "toml", "{}", path.display());
        loads(
            path.to_str().unwrap(),
            &std::fs::read_to_string(&path).unwrap(),
        );
        count += 1;
    }
    assert!(count >= 5, "only {count} examples found");
}

#[test]
fn the_default_serves_a_page_and_a_demo() {
    let loaded = load_text(DEFAULT).unwrap();
    assert!(loaded.warnings.is_empty());
    let config = loaded.config;
    let bound: Vec<String> = config
        .listeners
        .iter()
        .map(|listener| format!("{} {}", listener.name, listener.bind[0]))
        .collect();
    assert_eq!(bound, ["http 127.0.0.1:8080", "https 127.0.0.1:8443"]);
    assert_eq!(
        config.listeners[1].protocols,
        Protocols {
            h1: true,
            h2: true,
            h3: false
        }
    );
    assert_eq!(config.shield.interfaces, ["lo"]);
    assert_eq!(config.shield.mode, ShieldMode::Auto);
    assert_eq!(config.admin.metrics.unwrap().to_string(), "127.0.0.1:9464");
    let Action::Respond(page) = &config.routes[0].action else {
        panic!("{:?}", config.routes[0].action);
    };
    assert_eq!(&*page.body, WELCOME.as_bytes());
    for said in [
        "127.0.0.1:8080",
        "127.0.0.1:8443",
        "127.0.0.1:9464",
        "blocklist add 127.0.0.2",
    ] {
        assert!(WELCOME.contains(said), "{said}");
    }
}
