//! README and guides: their configurations are right, and their commands exist.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Folder, certificate, openclaw};

fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let guides = fs::read_dir(root.join("config/guides")).unwrap();
    let guides = guides.map(|entry| entry.unwrap().path());
    [root.join("README.md")]
        .into_iter()
        .chain(guides)
        .map(|file| {
            let text = fs::read_to_string(&file).unwrap();
            (file, text)
        })
        .collect()
}

/// The fenced blocks of a language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let rest = text.split(fence.as_str()).skip(1);
    rest.map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The configuration with the files that it names in `folder`: certificates, keys and lists.
fn at_home(text: &str, folder: &Folder) -> String {
    let (cert, key) = certificate(folder, &["site.test"]);
    let list = folder.write("mine.netset", "203.0.113.0/24\n");
    [("cert = \"", cert), ("key = \"", key), ("file = \"", list)]
        .iter()
        .fold(text.to_owned(), |text, (before, file)| {
            let mut parts = text.split(before);
            let mut out = parts.next().unwrap().to_owned();
            for part in parts {
                let (value, rest) = part.split_once('"').unwrap();
                // A limit has a `key`, too.
                let is_file = value.contains(['.', '/']);
                let file = file.display().to_string();
                out += before;
                out += if is_file { &file } else { value };
                out += "\"";
                out += rest;
            }
            out
        })
}

#[test]
fn the_configurations_in_documents_are_right() {
    let mut seen = 0;
    for (file, text) in documents() {
        for block in blocks(&text, "toml") {
            let folder = Folder::new();
            let config = folder.write("openclaw.toml", at_home(block, &folder));
            for verb in ["check", "test"] {
                let output = openclaw(&[verb, config.to_str().unwrap()]);
                let told = format!("{}: {}", file.display(), output.text());
                let has_no_tests = verb == "test" && !block.contains("[[test]]");
                assert!(output.code == 0 || has_no_tests, "{verb} {told}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 5, "{seen} configurations");
}

/// The words of a command line without its comment, and without options that come before the verb.
fn words(line: &str) -> Vec<&str> {
    let line = line.split(" #").next().unwrap_or_default();
    let mut words: Vec<&str> = line.split_whitespace().collect();
    while words.first().is_some_and(|word| word.starts_with('-')) {
        words.drain(..2);
    }
    words
}

#[test]
fn the_commands_in_documents_exist() {
    let mut seen = 0;
    for (file, text) in documents() {
        let typed = blocks(&text, "sh").into_iter().flat_map(str::lines);
        let shown = blocks(&text, "console").into_iter().flat_map(str::lines);
        let shown = shown.filter_map(|line| line.strip_prefix("$ "));
        for line in typed.chain(shown) {
            let Some(line) = line.strip_prefix("openclaw ") else {
                continue;
            };
            let words = words(line);
            let verbs = words.iter().take(2).filter(|word| !word.starts_with('-'));
            let mut asked: Vec<&str> = verbs.copied().collect();
            asked.push("--help");
            let output = openclaw(&asked);
            let help = output.text();
            assert!(output.code == 0, "{}: {line}: {help}", file.display());
            for option in words.iter().filter(|word| word.starts_with('-')) {
                assert!(
                    help.contains(option),
                    "{}: {line}: {option}",
                    file.display()
                );
            }
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen} commands");
}
