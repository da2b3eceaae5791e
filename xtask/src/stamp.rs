//! Stamps: a small file under `target/` that remembers what a step saw when it last succeeded.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::shell;

/// A digest of every file below `paths`, by name and content, and of `salt`.
pub(crate) fn digest(paths: &[PathBuf], salt: &str) -> Result<String> {
    let mut files = Vec::new();
    for path in paths {
        files_below(path, &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    salt.hash(&mut hasher);
    for file in files {
        file.hash(&mut hasher);
        let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        content.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Adds every file at or below `path` to `files`.
pub(crate) fn files_below(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
    for entry in entries {
        files_below(&entry?.path(), files)?;
    }
    Ok(())
}

/// What the stamp `name` remembers; nothing if the step never succeeded.
pub(crate) fn read(name: &str) -> Option<String> {
    fs::read_to_string(file(name)).ok()
}

/// Makes the stamp `name` remember `text`.
pub(crate) fn write(name: &str, text: &str) -> Result<()> {
    let file = file(name);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn file(name: &str) -> PathBuf {
    shell::target("xtask/stamps").join(name)
}
