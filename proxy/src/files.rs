//! Files that an operator names, read whole: with a bound on their size, and without waiting for what never comes. A pipe that nobody
//! writes to would hold the start, or every later order, for good.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::retry_on_intr;

/// What a pipe may take until its end. A program that writes one's configuration does so at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// The largest file that this program keeps for itself: a list of some ten million addresses.
pub const KEPT: u64 = 1 << 30;

/// The content of a regular file.
///
/// # Errors
/// It cannot be read, is something else, or is larger than `most` bytes.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    // One more than may be, to see that.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    within(bytes, most)
}

/// The text of a file, or of a pipe that ends soon: `<(a command)` of a shell is one.
///
/// # Errors
/// It cannot be read, does not end in time, is larger than `most` bytes, or is no text.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    let file = open(path)?;
    let kind = file.metadata()?;
    let bytes = if kind.is_file() || kind.is_dir() {
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        bytes
    } else {
        read_pipe(&file, most, PATIENCE)?
    };
    let text = String::from_utf8(within(bytes, most)?);
    text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn within(bytes: Vec<u8>, most: u64) -> io::Result<Vec<u8>> {
    if bytes.len() as u64 <= most {
        return Ok(bytes);
    }
    let told = match most >> 20 {
        0 => format!("it is larger than {} KiB", most >> 10),
        mega => format!("it is larger than {mega} MiB"),
    };
    Err(io::Error::new(io::ErrorKind::FileTooLarge, told))
}

fn read_pipe(mut pipe: &File, most: u64, patience: Duration) -> io::Result<Vec<u8>> {
    let end = Instant::now() + patience;
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    while bytes.len() as u64 <= most {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).ok();
        let mut waiting = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
        if retry_on_intr(|| poll(&mut waiting, left.as_ref()))? == 0 {
            let told = format!(
                "it is a pipe, and does not end within {} s",
                patience.as_secs()
            );
            return Err(io::Error::new(io::ErrorKind::TimedOut, told));
        }
        match pipe.read(&mut part) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(part.get(..count).unwrap_or_default()),
            // Another one reads it, too.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::fs;
    use std::io::Write as _;
    use std::os::fd::OwnedFd;

    use super::*;

    fn pipe() -> (File, io::PipeWriter) {
        let (reader, writer) = io::pipe().unwrap();
        (File::from(OwnedFd::from(reader)), writer)
    }

    #[test]
    fn a_regular_file_is_read_within_its_bound() {
        let path = std::env::temp_dir().join(format!("openclaw-files-{}", std::process::id()));
        fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        assert_eq!(
            read(&path, 4).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
        fs::remove_file(&path).unwrap();
        assert_eq!(read(&path, 5).unwrap_err().kind(), io::ErrorKind::NotFound);
        for odd in ["/dev/null", "/"] {
            assert!(read(Path::new(odd), 5).is_err(), "{odd}");
        }
        assert!(read_text(Path::new("/"), 5).is_err());
    }

    #[test]
    fn a_pipe_is_read_to_its_end_and_not_waited_for() {
        let soon = Duration::from_millis(20);
        let (silent, _writer) = pipe();
        let error = read_pipe(&silent, 10, soon).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let (half, mut writer) = pipe();
        writer.write_all(b"half").unwrap();
        let error = read_pipe(&half, 10, soon).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let (whole, mut writer) = pipe();
        writer.write_all(b"whole").unwrap();
        drop(writer);
        assert_eq!(read_pipe(&whole, 10, soon).unwrap(), b"whole");
        let (endless, mut writer) = pipe();
        writer.write_all(&[b'x'; 9000]).unwrap();
        assert!(read_pipe(&endless, 10, soon).unwrap().len() > 10);
    }
}
