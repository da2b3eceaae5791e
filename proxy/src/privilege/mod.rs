//! What the process may do beyond what its user may: which capabilities it keeps, and how it gives the others up. Credentials belong
//! to threads; all of this happens before there is a second one, and every later thread inherits it.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::geteuid;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use serde::{Deserialize, Serialize};

mod account;

pub use self::account::{Account, AccountError};

/// What a reload may need: to load, attach and write the kernel program, and to listen on a port below 1024.
const SHIELDED: CapabilitySet = CapabilitySet::NET_ADMIN
    .union(CapabilitySet::BPF)
    .union(CapabilitySet::PERFMON)
    .union(UNSHIELDED);
/// The same without the kernel program.
const UNSHIELDED: CapabilitySet = CapabilitySet::NET_BIND_SERVICE;

/// Why privileges could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("cannot become the user {user}; that takes CAP_SETUID and CAP_SETGID")]
    Become { user: String, source: io::Error },
    #[error("cannot give up capabilities")]
    Shed { source: io::Error },
}

/// What the process is and may do, for people and programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileges {
    /// Its name, or its number if it has none.
    pub user: String,
    pub uid: u32,
    /// Lower case, `cap_net_admin`.
    pub capabilities: Vec<String>,
}

impl Privileges {
    /// Those of the calling thread, which are those of all.
    pub fn current() -> Self {
        static USER: OnceLock<(u32, String)> = OnceLock::new();
        let uid = geteuid().as_raw();
        // The database of users may be far away. A process changes its user before it first asks.
        let (known, name) = USER.get_or_init(|| (uid, account::name_of(uid)));
        let user = if *known == uid {
            name.clone()
        } else {
            uid.to_string()
        };
        let effective = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
        Self {
            user,
            uid,
            capabilities: effective
                .iter_names()
                .map(|(name, _)| format!("cap_{}", name.to_ascii_lowercase()))
                .collect(),
        }
    }
}

impl fmt::Display for Privileges {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "user {}", self.user)?;
        if self.user != self.uid.to_string() {
            write!(out, " ({})", self.uid)?;
        }
        if self.capabilities.is_empty() {
            write!(out, ", no capabilities")
        } else {
            write!(out, ", {}", self.capabilities.join(" "))
        }
    }
}

/// Whether this process may load kernel programs, whatever else stands in its way.
pub fn has_bpf() -> bool {
    let needed = CapabilitySet::BPF.union(CapabilitySet::NET_ADMIN);
    capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

/// Leaves a file that root makes in somebody's directory to the owner of the directory, who has to go on with it.
pub fn leave_to_owner(file: &File, directory: &Path) {
    if !geteuid().is_root() {
        return;
    }
    if let Ok(owner) = directory.metadata()
        && owner.uid() != 0
    {
        // Root without this right works on its own files only.
        let _ = fchown(file, Some(owner.uid()), Some(owner.gid()));
    }
}

/// Gives up for good what serving does not need; `shielded`: the kernel program may be wanted, if not now then after a reload.
///
/// # Errors
/// The kernel refuses to take something back, which it never does of itself.
pub fn shed(shielded: bool) -> Result<(), PrivilegeError> {
    let wanted = if shielded { SHIELDED } else { UNSHIELDED };
    reduce(wanted).map_err(|source| PrivilegeError::Shed { source })
}

/// Leaves the capabilities of the calling thread to the programs that it executes. Root's need no leaving.
///
/// # Errors
/// The kernel refuses, which it never does of itself.
pub fn bequeath() -> io::Result<()> {
    if geteuid().is_root() {
        return Ok(());
    }
    let held = capabilities(None)?;
    let inheritable = held.permitted;
    set_capabilities(
        None,
        CapabilitySets {
            inheritable,
            ..held
        },
    )?;
    for (_, one) in held.permitted.iter_names() {
        configure_capability_in_ambient_set(one, true)?;
    }
    Ok(())
}

fn reduce(wanted: CapabilitySet) -> io::Result<()> {
    let held = capabilities(None)?;
    // The limit for programs that are executed later; without the right to change it, no_new_privs does as well.
    if held.permitted.contains(CapabilitySet::SETPCAP) {
        // Becoming a user made it ineffective.
        let effective = held.effective.union(CapabilitySet::SETPCAP);
        set_capabilities(None, CapabilitySets { effective, ..held })?;
        for bit in 0..u64::BITS {
            let one = CapabilitySet::from_bits_retain(1 << bit);
            match capability_is_in_bounding_set(one) {
                Ok(true) if !wanted.contains(one) => remove_capability_from_bounding_set(one)?,
                Ok(_) => {}
                // The kernel knows no more of them.
                Err(_) => break,
            }
        }
    }
    set_no_new_privs(true)?;
    clear_ambient_capability_set()?;
    let kept = held.permitted.intersection(wanted);
    set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_line_says_who_and_with_what() {
        let mut privileges = Privileges {
            user: "web".into(),
            uid: 812,
            capabilities: vec!["cap_net_admin".into(), "cap_bpf".into()],
        };
        assert_eq!(
            privileges.to_string(),
            "user web (812), cap_net_admin cap_bpf"
        );
        privileges.user = "812".into();
        privileges.capabilities.clear();
        assert_eq!(privileges.to_string(), "user 812, no capabilities");
    }

    #[test]
    fn a_thread_gives_up_what_is_not_wanted() {
        let sets = std::thread::spawn(|| {
            let before = capabilities(None).unwrap().permitted;
            reduce(CapabilitySet::NET_ADMIN).unwrap();
            (before, capabilities(None).unwrap())
        });
        let (before, after) = sets.join().unwrap();
        assert_eq!(
            after.permitted,
            before.intersection(CapabilitySet::NET_ADMIN)
        );
        assert_eq!(
            (after.effective, after.inheritable),
            (after.permitted, CapabilitySet::empty())
        );
    }
}
