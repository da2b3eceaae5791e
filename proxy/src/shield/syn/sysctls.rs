//! Settings of the network namespace that cookies depend on. Under attack two of them are raised; what they were is on the disk before
//! that, so that the next start restores them if this process does not live to.

use crate::files;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Where `/proc` shows them, for the namespace of whoever asks.
const ROOT: &str = "/proc/sys/net/ipv4";
/// Beside the lists.
const FILE: &str = "sysctls";
/// What they are under attack: cookies always, timestamps without a secret.
const RAISED: &str = "2";

pub(super) const SYNCOOKIES: &str = "tcp_syncookies";
pub(super) const TIMESTAMPS: &str = "tcp_timestamps";

/// The value of a setting; nothing where it cannot be read.
pub(super) fn read(name: &str) -> Option<u32> {
    let text = fs::read_to_string(Path::new(ROOT).join(name)).ok()?;
    text.trim().parse().ok()
}

fn write(name: &str, value: &str) -> io::Result<()> {
    fs::write(Path::new(ROOT).join(name), value)
}

/// Raises both, and keeps on the disk what they were. A setting of 0 is the operator's will and stays.
pub(super) fn raise(state_dir: &Path) -> io::Result<()> {
    let mut lines = vec![format!("namespace {}", namespace()?)];
    let mut raised = Vec::new();
    for name in [SYNCOOKIES, TIMESTAMPS] {
        if let Some(value @ 1) = read(name) {
            lines.push(format!("{name} {value}"));
            raised.push(name);
        }
    }
    if raised.is_empty() {
        return Ok(());
    }
    keep(state_dir, &(lines.join("\n") + "\n"))?;
    for name in raised {
        if let Err(error) = write(name, RAISED) {
            // Half is no use and must not stay.
            restore(state_dir)?;
            return Err(error);
        }
    }
    Ok(())
}

/// Puts back what is kept on the disk, if anything; what somebody else has changed since stays. Whether there was something.
pub(super) fn restore(state_dir: &Path) -> io::Result<bool> {
    let path = path(state_dir);
    let text = match files::read_text(&path, files::KEPT) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    // Another namespace, or another boot: there is nothing of ours.
    if text.lines().next() == Some(&format!("namespace {}", namespace()?)) {
        for (name, value) in kept(&text) {
            if read(name).is_some_and(|now| now.to_string() == RAISED) {
                write(name, value)?;
            }
        }
    }
    fs::remove_file(path)?;
    Ok(true)
}

/// Only names that we know: the file may be anybody's.
fn kept(text: &str) -> impl Iterator<Item = (&'static str, &str)> {
    text.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        let name = [SYNCOOKIES, TIMESTAMPS]
            .into_iter()
            .find(|known| *known == name)?;
        matches!(value, "0" | "1").then_some((name, value))
    })
}

fn keep(state_dir: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(state_dir)?;
    let beside = state_dir.join(format!(".{FILE}"));
    fs::write(&beside, text)?;
    fs::File::open(&beside)?.sync_all()?;
    fs::rename(&beside, path(state_dir))?;
    fs::File::open(state_dir)?.sync_all()
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

/// The network namespace of this thread, and the boot: numbers of namespaces are given again.
fn namespace() -> io::Result<String> {
    let namespace = fs::read_link("/proc/thread-self/ns/net")?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(format!("{} {}", namespace.display(), boot.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_settings_with_sane_values_are_put_back() {
        let text = "namespace net:[1] x\ntcp_syncookies 1\ntcp_timestamps 0\n../kernel/panic 1\ntcp_timestamps 9\nnonsense\n";
        let kept: Vec<_> = kept(text).collect();
        assert_eq!(kept, [(SYNCOOKIES, "1"), (TIMESTAMPS, "0")]);
    }
}
