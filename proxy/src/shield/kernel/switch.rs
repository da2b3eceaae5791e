//! The kill switch on the pins alone: it asks for no configuration, no proxy, no state directory and no lock, and reaches programs of
//! other versions of this one, which read the same first word.

use std::{
    fs, io,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    thread,
    time::Duration,
};

use openclaw_common::{abi::flags, maps};

use super::{KernelError, Pins, pins, sys};

/// A configuration larger than this is none of ours.
const MAX_WORDS: usize = 1024;

/// The kernel writes a configuration whole. A proxy that had read it just before may write the switch back as it was: it is looked after
/// for longer than that takes.
const LOOKS: u32 = 4;
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Lets everything pass, or applies the lists again, for every program pinned below `pin_dir`; gives back how many there are, at least
/// one.
///
/// # Errors
/// [`KernelError::NotLoaded`] if there is none, or the pins may not be used.
pub fn throw(pin_dir: &Path, is_on: bool) -> Result<usize, KernelError> {
    let not_loaded = || KernelError::NotLoaded {
        path: pin_dir.to_owned(),
    };
    let entries = match fs::read_dir(pin_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_loaded()),
        Err(source) => return Err(pins::unopened(pin_dir, source)),
    };
    let mut thrown = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| pins::unopened(pin_dir, source))?;
        let path = entry.path().join(maps::CONFIG);
        match throw_one(&path, is_on) {
            Ok(()) => thrown.push(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(pins::unopened(&path, source)),
        }
    }
    if thrown.is_empty() {
        return Err(not_loaded());
    }
    for _ in 0..LOOKS {
        thread::sleep(BETWEEN_LOOKS);
        for path in &thrown {
            // A pin that has gone since needs no switch.
            let _ = throw_one(path, is_on);
        }
    }
    Ok(thrown.len())
}

/// Flags with the kill switch as it is to be.
pub(super) const fn switched(flags: u32, is_on: bool) -> u32 {
    if is_on {
        flags | flags::ENABLED
    } else {
        flags & !flags::ENABLED
    }
}

impl Pins {
    /// Whether a program of another layout is attached beside these pins and was made to let everything pass.
    ///
    /// # Errors
    /// The pins may not be used.
    pub fn is_off_elsewhere(&self) -> Result<bool, KernelError> {
        for other in self.others()? {
            if other.links()?.is_empty() {
                continue;
            }
            let path = other.map(maps::CONFIG);
            let (_, words) = words(&path).map_err(|source| pins::unopened(&path, source))?;
            if matches!(words.as_slice(), [first, ..] if first & flags::ENABLED == 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Writes only what is not so already.
fn throw_one(path: &Path, is_on: bool) -> io::Result<()> {
    let (map, mut words) = words(path)?;
    match words.first_mut() {
        Some(first) if *first != switched(*first, is_on) => *first = switched(*first, is_on),
        Some(_) | None => return Ok(()),
    }
    sys::update_words(map.as_fd(), 0, &words)
}

/// The pinned configuration of any layout.
fn words(path: &Path) -> io::Result<(OwnedFd, Vec<u32>)> {
    let map = sys::open_pin(path)?;
    let size = sys::map_layout(map.as_fd())?.value as usize;
    let mut words = vec![0_u32; size.div_ceil(size_of::<u32>()).clamp(1, MAX_WORDS)];
    if words.len() * size_of::<u32>() < size {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    sys::lookup(map.as_fd(), &0_u32, &mut words)?;
    Ok((map, words))
}
