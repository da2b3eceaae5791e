//! Users and groups of the system by name, and becoming one of them.
#![expect(
    unsafe_code,
    reason = "the user database is asked through the C library"
)]

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use rustix::process::{Gid, Uid};
use rustix::thread::{
    set_keep_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::PrivilegeError;

/// Room for the strings of an entry; one that needs more is no service's.
const ENTRY: usize = 16 << 10;
/// The kernel allows more; a service is in few.
const MAX_GROUPS: c_int = 1024;

/// Why there is no such account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("server.user: there is no user `{user}` on this system")]
    NoUser { user: String },
    #[error("server.group: there is no group `{group}` on this system")]
    NoGroup { group: String },
    #[error("server.user: the user {user} has no entry, and so no group; set server.group")]
    NoPrimaryGroup { user: String },
    #[error("cannot look `{name}` up")]
    Lookup { name: String, source: io::Error },
}

/// A user with the groups that he runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    groups: Vec<u32>,
}

impl Account {
    /// Finds a user by name or number; the group is his own unless one is given.
    ///
    /// # Errors
    /// There is no such user or group.
    pub fn find(user: &str, group: Option<&str>) -> Result<Self, AccountError> {
        let failed = |source| AccountError::Lookup {
            name: user.into(),
            source,
        };
        let named = by_name(user).map_err(failed)?;
        let number = user.parse().ok();
        let entry = match (named, number) {
            (Some(entry), _) => Some(entry),
            (None, Some(uid)) => by_uid(uid).map_err(failed)?,
            (None, None) => return Err(AccountError::NoUser { user: user.into() }),
        };
        let gid = group.map(group_id).transpose()?;
        match (entry, number, gid) {
            (Some(entry), _, gid) => {
                let gid = gid.unwrap_or(entry.gid);
                let groups = groups_of(&entry.name, gid).map_err(failed)?;
                Ok(Self {
                    name: entry.name,
                    uid: entry.uid,
                    gid,
                    groups,
                })
            }
            (None, Some(uid), Some(gid)) => Ok(Self {
                name: user.into(),
                uid,
                gid,
                groups: vec![gid],
            }),
            (None, ..) => Err(AccountError::NoPrimaryGroup { user: user.into() }),
        }
    }

    /// Makes the calling thread, which must be the only one, run as this user. Capabilities stay permitted and become ineffective.
    ///
    /// # Errors
    /// The process may not.
    pub fn assume(&self) -> Result<(), PrivilegeError> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let groups: Vec<Gid> = self.groups.iter().copied().map(Gid::from_raw).collect();
        set_keep_capabilities(true)
            .and_then(|()| set_thread_groups(&groups))
            .and_then(|()| set_thread_res_gid(gid, gid, gid))
            .and_then(|()| set_thread_res_uid(uid, uid, uid))
            .map_err(|error| PrivilegeError::Become {
                user: self.name.clone(),
                source: error.into(),
            })
    }
}

struct Entry {
    name: String,
    uid: u32,
    gid: u32,
}

/// The name of a user; his number if he has none.
pub(super) fn name_of(uid: u32) -> String {
    let entry = by_uid(uid).ok().flatten();
    entry.map_or_else(|| uid.to_string(), |entry| entry.name)
}

fn by_name(name: &str) -> io::Result<Option<Entry>> {
    let Ok(name) = CString::new(name) else {
        return Ok(None);
    };
    // SAFETY: a string that ends in a zero byte; the rest is `passwd`'s, which says how it is valid.
    passwd(|entry, text, room, found| unsafe {
        libc::getpwnam_r(name.as_ptr(), entry, text, room, found)
    })
}

fn by_uid(uid: u32) -> io::Result<Option<Entry>> {
    // SAFETY: the pointers are `passwd`'s, which says how they are valid.
    passwd(|entry, text, room, found| unsafe { libc::getpwuid_r(uid, entry, text, room, found) })
}

fn passwd(
    ask: impl FnOnce(*mut libc::passwd, *mut c_char, usize, *mut *mut libc::passwd) -> c_int,
) -> io::Result<Option<Entry>> {
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut text = vec![0; ENTRY];
    let mut found = ptr::null_mut();
    // Room for an entry, for its strings with their size, and for the pointer to the entry: all outlive the call.
    let code = ask(
        entry.as_mut_ptr(),
        text.as_mut_ptr(),
        text.len(),
        &raw mut found,
    );
    if !exists(code, found.is_null())? {
        return Ok(None);
    }
    // SAFETY: the call succeeded and found one, so it filled the entry.
    let entry = unsafe { entry.assume_init() };
    // SAFETY: the name is a string inside `text`, which lives.
    let name = unsafe { CStr::from_ptr(entry.pw_name) };
    Ok(Some(Entry {
        name: name.to_string_lossy().into_owned(),
        uid: entry.pw_uid,
        gid: entry.pw_gid,
    }))
}

/// A group by name or number.
fn group_id(group: &str) -> Result<u32, AccountError> {
    let mut entry = MaybeUninit::<libc::group>::uninit();
    let mut text = vec![0; ENTRY];
    let mut found = ptr::null_mut();
    let unknown = || AccountError::NoGroup {
        group: group.into(),
    };
    let Ok(name) = CString::new(group) else {
        return Err(unknown());
    };
    // SAFETY: a string that ends in a zero byte, and room for an entry, its strings and the pointer to it.
    let code = unsafe {
        libc::getgrnam_r(
            name.as_ptr(),
            entry.as_mut_ptr(),
            text.as_mut_ptr(),
            text.len(),
            &raw mut found,
        )
    };
    let exists = exists(code, found.is_null()).map_err(|source| AccountError::Lookup {
        name: group.into(),
        source,
    })?;
    if exists {
        // SAFETY: the call succeeded and found one, so it filled the entry.
        return Ok(unsafe { entry.assume_init() }.gr_gid);
    }
    group.parse().ok().ok_or_else(unknown)
}

/// Whether an entry was found; some systems answer with an error that there is none.
fn exists(code: c_int, is_null: bool) -> io::Result<bool> {
    match code {
        0 | libc::ENOENT | libc::ESRCH => Ok(code == 0 && !is_null),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// All groups of a user, `gid` among them.
fn groups_of(user: &str, gid: u32) -> io::Result<Vec<u32>> {
    let user = CString::new(user)?;
    let mut groups = vec![0; MAX_GROUPS as usize];
    let mut count = MAX_GROUPS;
    // SAFETY: a string that ends in a zero byte, and room for as many groups as `count` says.
    let result =
        unsafe { libc::getgrouplist(user.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
    if result < 0 {
        return Err(io::Error::other("the user is in too many groups"));
    }
    groups.truncate(count.unsigned_abs() as usize);
    Ok(groups)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn users_are_found_by_name_and_number() {
        let root = Account::find("root", None).unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(Account::find("0", None).unwrap(), root);
        assert_eq!(name_of(0), "root");
        let stranger = Account::find("3999999999", Some("3999999998")).unwrap();
        assert_eq!((stranger.uid, stranger.gid), (3_999_999_999, 3_999_999_998));
        assert_eq!(stranger.groups, [3_999_999_998]);
        assert_eq!(name_of(3_999_999_999), "3999999999");
    }

    #[test]
    fn who_is_not_there_is_told() {
        let told = |user, group| Account::find(user, group).unwrap_err().to_string();
        assert_eq!(
            told("no-such-user", None),
            "server.user: there is no user `no-such-user` on this system"
        );
        assert_eq!(
            told("root", Some("no-such-group")),
            "server.group: there is no group `no-such-group` on this system"
        );
        assert_eq!(
            told("3999999999", None),
            "server.user: the user 3999999999 has no entry, and so no group; set server.group"
        );
    }
}
