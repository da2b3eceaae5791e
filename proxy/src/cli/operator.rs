//! Who sits at the other end of this terminal.

use std::net::IpAddr;

/// Whom a shield that is asked must not cut off; nobody if the operator insists.
pub(super) fn spared(force: bool) -> Option<IpAddr> {
    if force { None } else { ssh_peer() }
}

/// The address that the operator has logged in from over SSH; nothing for one who sits at the machine.
pub(super) fn ssh_peer() -> Option<IpAddr> {
    let mut names = ["SSH_CONNECTION", "SSH_CLIENT"].into_iter();
    names.find_map(|name| {
        let value = std::env::var(name).ok()?;
        // A link-local address comes with its interface.
        let address = value.split([' ', '%']).next()?;
        address.parse::<IpAddr>().ok()
    })
}
