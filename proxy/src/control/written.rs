//! A configuration as it was written: the text of its main file and of what that includes, so that it can be read again when the files
//! have changed. What it names beside that (certificates, lists, variables of the environment) is read from where it is.

use std::cell::RefCell;
use std::collections::BTreeMap;

use openclaw_core::config::Files;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    /// Of the main file, as problems show it.
    pub(super) name: String,
    pub(super) text: String,
    /// Included files by name.
    #[serde(default)]
    included: BTreeMap<String, String>,
    /// Which files each pattern of `include` stood for.
    #[serde(default)]
    patterns: BTreeMap<String, Vec<String>>,
}

impl Files for Written {
    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        Ok(self.patterns.get(pattern).cloned().unwrap_or_default())
    }

    fn read(&self, name: &str) -> Result<String, String> {
        let text = self.included.get(name).cloned();
        text.ok_or_else(|| "it is not among what was kept".to_owned())
    }
}

/// Reads files and remembers them.
pub(super) struct Recorder<'a> {
    files: &'a dyn Files,
    written: RefCell<Written>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(files: &'a dyn Files, name: &str, text: &str) -> Self {
        let written = Written {
            name: name.to_owned(),
            text: text.to_owned(),
            ..Written::default()
        };
        Self {
            files,
            written: written.into(),
        }
    }

    /// What was read.
    pub(super) fn finish(self) -> Written {
        self.written.into_inner()
    }
}

impl Files for Recorder<'_> {
    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let found = self.files.glob(pattern)?;
        let mut written = self.written.borrow_mut();
        written.patterns.insert(pattern.to_owned(), found.clone());
        Ok(found)
    }

    fn read(&self, name: &str) -> Result<String, String> {
        let text = self.files.read(name)?;
        let mut written = self.written.borrow_mut();
        written.included.insert(name.to_owned(), text.clone());
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use openclaw_core::config::{self, Source};

    use super::*;

    struct Folder;

    impl Files for Folder {
        fn glob(&self, _: &str) -> Result<Vec<String>, String> {
            Ok(vec!["/etc/a.toml".to_owned(), "/etc/b.toml".to_owned()])
        }

        fn read(&self, name: &str) -> Result<String, String> {
            let number = name.contains('a');
            Ok(format!("[[route]]\nrespond = {{ body = \"{number}\" }}\n"))
        }
    }

    #[test]
    fn what_was_read_can_be_read_again_without_its_files() {
        let text = "include = [\"*.toml\"]\n[listener.web]\nbind = [\"127.0.0.1:80\"]\n";
        let load = |files: &dyn Files| {
            let source = Source {
                name: "/etc/main.toml",
                text,
                files,
                variable: &|_| None,
            };
            config::load(&source).unwrap().config
        };
        let recorder = Recorder::new(&Folder, "/etc/main.toml", text);
        let first = load(&recorder);
        let written = recorder.finish();
        let again = serde_json::from_slice(&serde_json::to_vec(&written).unwrap()).unwrap();
        assert_eq!(written, again);
        let config = load(&again);
        assert_eq!(config.routes.len(), 2);
        assert_eq!(format!("{config:?}"), format!("{first:?}"));
    }
}
