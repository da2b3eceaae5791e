//! From a configuration's place to its ready form: reads the files that the core must not touch.

use std::fs;
use std::path::{Path, PathBuf};

use openclaw_core::config::{self, Files, Loaded, NoFiles, Source};

use super::error::{Refused, Trouble};
use super::written::{Recorder, Written};
use crate::files;

/// Where `/etc` has the file.
const SYSTEM_FILE: &str = "/etc/openclaw/openclaw.toml";
/// Where the working directory has it.
const LOCAL_FILE: &str = "openclaw.toml";
/// The largest.
pub const MAX_FILE: u64 = 64 << 20;
/// Names the file.
const VARIABLE: &str = "OPENCLAW_CONFIG";

/// Where the configuration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File(PathBuf),
    /// The default inside the program, for a first try.
    Embedded,
    /// Made from the command line (`run --to`).
    Given(String),
}

impl Origin {
    /// Looks where the interface says: the argument, the environment, the working directory, `/etc`, the program itself.
    pub fn find(argument: Option<&Path>) -> Self {
        let named = argument.map(Path::to_owned).or_else(|| {
            std::env::var_os(VARIABLE)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        });
        if let Some(path) = named {
            return Self::File(path);
        }
        [LOCAL_FILE, SYSTEM_FILE]
            .into_iter()
            .map(Path::new)
            .find(|path| path.exists())
            .map_or(Self::Embedded, |path| Self::File(path.to_owned()))
    }

    /// Named from the root, as a process that lives long needs it.
    #[must_use]
    pub fn anchored(self) -> Self {
        match self {
            Self::File(path) => Self::File(std::path::absolute(&path).unwrap_or(path)),
            other @ (Self::Embedded | Self::Given(_)) => other,
        }
    }

    /// For people.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Embedded => "embedded default".to_owned(),
            Self::Given(_) => "command line".to_owned(),
        }
    }

    /// The admin socket that a file names although something in it is wrong: the proxy that serves its forerunner is there, and can
    /// say what is wrong.
    pub fn socket_of_broken(&self) -> Option<PathBuf> {
        let Self::File(path) = self else { return None };
        let text = files::read_text(path, MAX_FILE).ok()?;
        config::named_socket(&Source {
            name: &self.name(),
            text: &text,
            files: &Disk,
            variable: &|name| std::env::var(name).ok(),
        })
    }

    /// Whether a running proxy that says it serves `from` serves this.
    pub fn is_served_by(&self, from: &str) -> bool {
        let Self::File(path) = self else { return false };
        let whole = |path: &Path| fs::canonicalize(path).ok();
        whole(path).is_some_and(|path| whole(Path::new(from)) == Some(path))
    }

    /// Whether somebody wrote it to be kept to the letter; a first try may have its admin socket elsewhere.
    pub fn is_written(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

/// A configuration with the text that it was made of.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) loaded: Loaded,
    pub(super) written: Written,
}

/// Reads the configuration.
///
/// # Errors
/// Every mistake in it at once.
pub fn load(origin: &Origin) -> Result<Loaded, Refused> {
    read(origin).map(|reading| reading.loaded)
}

/// The same for who may have to read it once more when the files are different.
pub(super) fn read(origin: &Origin) -> Result<Reading, Refused> {
    let name = origin.name();
    let read;
    let (text, files): (&str, &dyn Files) = match origin {
        Origin::File(path) => {
            read = files::read_text(path, MAX_FILE).map_err(|source| Trouble::Read {
                path: path.clone(),
                source,
            })?;
            (&read, &Disk)
        }
        Origin::Embedded => (config::DEFAULT, &NoFiles),
        Origin::Given(text) => (text, &NoFiles),
    };
    let recorder = Recorder::new(files, &name, text);
    let loaded = parse(&name, text, &recorder)?;
    let written = recorder.finish();
    Ok(Reading { loaded, written })
}

/// Reads one that was kept.
pub(super) fn parse_written(written: &Written) -> Result<Reading, Refused> {
    let loaded = parse(&written.name, &written.text, written)?;
    let written = written.clone();
    Ok(Reading { loaded, written })
}

fn parse(name: &str, text: &str, files: &dyn Files) -> Result<Loaded, Refused> {
    let source = Source {
        name,
        text,
        files,
        variable: &|name| std::env::var(name).ok(),
    };
    config::load(&source).map_err(Refused::from)
}

/// The real file system.
#[derive(Debug)]
pub struct Disk;

impl Files for Disk {
    /// Wildcards stand in the last part of the path only: `conf.d/*.toml`.
    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let (folder, last) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        if folder.contains(['*', '?']) {
            return Err("a wildcard can stand in the file name only".to_owned());
        }
        // What stands at the root keeps its slash.
        let folder = match folder {
            "" if pattern.starts_with('/') => Path::new("/"),
            folder => Path::new(folder),
        };
        if !last.contains(['*', '?']) {
            let path = folder.join(last);
            let found = path.exists().then(|| path.display().to_string());
            return Ok(found.into_iter().collect());
        }
        let mut found = Vec::new();
        let here = Path::new(".");
        let listed = Some(folder).filter(|path| !path.as_os_str().is_empty());
        for entry in fs::read_dir(listed.unwrap_or(here)).map_err(|error| error.to_string())? {
            let name = entry.map_err(|error| error.to_string())?.file_name();
            let Some(name) = name.to_str() else { continue };
            if matches(last.as_bytes(), name.as_bytes()) {
                found.push(folder.join(name).display().to_string());
            }
        }
        found.sort();
        Ok(found)
    }

    fn read(&self, name: &str) -> Result<String, String> {
        files::read_text(Path::new(name), MAX_FILE).map_err(|error| error.to_string())
    }
}

/// `*` is any run of bytes, `?` any one; a leading dot is matched by a dot alone, as shells have it.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if name.first() == Some(&b'.') && pattern.first() != Some(&b'.') {
        return false;
    }
    // Where to go on when the run of the last `*` has to be one longer.
    let (mut retry, mut p, mut n) = (None, 0, 0);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || Some(byte) == name.get(n) => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((after, from)) = retry else {
                    return false;
                };
                retry = Some((after, from + 1));
                p = after;
                n = from + 1;
            }
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_pattern_is_a_shell_pattern() {
        for (pattern, name, expected) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", false),
            ("*.toml", "a.toml~", false),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "ac", false),
            ("??.toml", "10.toml", true),
            ("??.toml", "1.toml", false),
            ("*", "", true),
            ("*a", "aaaaaaaaab", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn the_embedded_default_is_right() {
        let loaded = load(&Origin::Embedded).unwrap();
        assert_eq!(loaded.warnings, []);
    }
}
