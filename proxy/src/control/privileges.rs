//! The start of least privilege: what only root can prepare, the change to `server.user`, and the end of every other capability.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use openclaw_core::config::Config;
use rustix::process::geteuid;

use super::error::ControlError;
use super::load::{Reading, read};
use super::state::Options;
use crate::privilege::{self, Account, Privileges};
use crate::shield;

/// Brings the process down to what serving needs, while it has one thread. Gives back the configuration as the process can read it
/// from now on: what a reload could not read must not start either.
pub(super) fn settle(options: &Options, reading: Reading) -> Result<Reading, ControlError> {
    let config = &reading.loaded.config;
    let is_root = geteuid().is_root();
    let reading = match &config.server.user {
        Some(user) if is_root => {
            let account = Account::find(user, config.server.group.as_deref())
                .map_err(|error| ControlError::Privilege(error.into()))?;
            prepare(options, config, &account);
            account.assume().map_err(ControlError::Privilege)?;
            privilege::shed(options.shield).map_err(ControlError::Privilege)?;
            read(&options.origin).map_err(ControlError::Refused)?
        }
        user => {
            if is_root && options.shield {
                report(shield::prepare(config, None).err());
            }
            privilege::shed(options.shield).map_err(ControlError::Privilege)?;
            warn_of_others(user.as_deref());
            reading
        }
    };
    tracing::debug!(privileges = %Privileges::current(), "started with least privilege");
    Ok(reading)
}

fn warn_of_others(user: Option<&str>) {
    let own = Privileges::current();
    if let Some(user) = user
        && user != own.user
        && user != own.uid.to_string()
    {
        tracing::warn!(
            "server.user: only root can become `{user}`; this goes on as {}",
            own.user
        );
    }
}

/// Places that the user could not make; one that cannot be prepared is told by whoever needs it.
fn prepare(options: &Options, config: &Config, account: &Account) {
    let state_dir = &config.server.state_dir;
    report(make_for(account, state_dir).err());
    let socket = options.socket.as_ref().unwrap_or(&config.admin.socket);
    if let Some(folder) = socket.parent().filter(|path| !path.as_os_str().is_empty()) {
        report(make_for(account, folder).err());
        report(leave_socket_folder(account, folder, socket).err());
    }
    if options.shield {
        report(shield::prepare(config, Some(account)).err());
    }
}

fn report(error: Option<impl std::error::Error>) {
    if let Some(error) = error {
        tracing::debug!("{}", super::chain(&error));
    }
}

/// Makes a missing directory for the user. One that exists stays whose it is.
fn make_for(account: &Account, path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    DirBuilder::new().mode(0o750).create(path)?;
    give(account, path)
}

/// Whoever owns the folder above may put something else in the place of what was made a moment ago: only a directory is given away,
/// to which there are no hard links.
fn give(account: &Account, directory: &Path) -> io::Result<()> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(directory)?;
    fchown(opened, Some(account.uid), Some(account.gid))
}

/// An earlier start as root made the folder for the socket alone: then it goes over to the user.
fn leave_socket_folder(account: &Account, folder: &Path, socket: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(folder)?;
    let is_closed = found.uid() == 0 && found.mode() & 0o022 == 0;
    let mut names = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name()));
    let holds_only_it = names.all(|name| name.is_ok_and(|name| socket.file_name() == Some(&name)));
    // A folder that everybody has, such as /run, holds more.
    if found.is_dir() && is_closed && holds_only_it {
        give(account, folder)?;
    }
    Ok(())
}
