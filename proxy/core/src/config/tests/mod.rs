//! Loading as a whole: what is accepted, what is told, and how it reads.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod accepted;
mod assay;
mod caching;
mod cdn;
mod compress;
mod discover;
mod endure;
mod feeds;
mod fuzz;
mod hints;
mod keys;
mod logs;
mod problems;
mod reference;
mod rejected;
mod relay;
mod routes;
mod secure;
mod slices;
mod trace;
mod upstream_policy;
mod web;

use std::collections::BTreeMap;

use super::{Config, Files, Loaded, NoFiles, Problems, Source, load};

pub(super) fn load_text(text: &str) -> Result<Loaded, Problems> {
    load(&Source {
        name: "openclaw.toml",
        text,
        files: &NoFiles,
        variable: &|name| (name == "PORT").then(|| "9001".to_owned()),
    })
}

pub(super) fn accepted(text: &str) -> Config {
    match load_text(text) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{problems}\nin\n{text}"),
    }
}

pub(super) fn rejected(text: &str) -> Problems {
    match load_text(text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(problems) => {
            hints::check(&problems);
            problems
        }
    }
}

/// Files by name; a pattern ends in `*` or is a name.
pub(super) struct Memory(pub(super) BTreeMap<&'static str, &'static str>);

impl Files for Memory {
    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let names = self.0.keys();
        Ok(match pattern.strip_suffix('*') {
            Some(start) => names
                .filter(|name| name.starts_with(start))
                .map(|name| (*name).to_owned())
                .collect(),
            None => names
                .filter(|name| **name == pattern)
                .map(|name| (*name).to_owned())
                .collect(),
        })
    }

    fn read(&self, name: &str) -> Result<String, String> {
        match self.0.get(name) {
            Some(&"unreadable") => Err("permission denied".to_owned()),
            Some(text) => Ok((*text).to_owned()),
            None => Err("no such file".to_owned()),
        }
    }
}

pub(super) fn load_files(files: &[(&'static str, &'static str)]) -> Result<Loaded, Problems> {
    let files = Memory(files.iter().copied().collect());
    let loaded = load(&Source {
        name: "openclaw.toml",
        text: files.0["openclaw.toml"],
        files: &files,
        variable: &|_| None,
    });
    if let Err(problems) = &loaded {
        hints::check(problems);
    }
    loaded
}
