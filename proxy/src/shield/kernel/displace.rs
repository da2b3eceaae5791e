//! Taking the place of somebody else's XDP program, which only an operator may order, and only by name of the interface.
//!
//! The kernel puts no link where a program is without one, so the interface runs without either for a moment.

use std::os::fd::{AsFd as _, BorrowedFd};

use aya::programs::{ProgramFd, ProgramInfo, loaded_programs};

use super::{Attached, Kernel, KernelError, Mode, interface};

impl Kernel {
    /// Attaches to an interface, in place of another XDP program if there is one. What is there is taken off only once this program
    /// is loaded, and put back if this one is refused.
    ///
    /// # Errors
    /// As [`Self::attach`]; [`KernelError::Held`] if only its owner can take the other program off.
    pub fn displace(&mut self, interface: &str, mode: Mode) -> Result<Attached, KernelError> {
        let (program, id) = match self.attach(interface, mode) {
            Err(KernelError::Busy { program, id, .. }) => (program, id),
            outcome => return outcome,
        };
        let index = interface::index(interface)?;
        let Some(found) = interface::xdp(interface, index)?.filter(|found| found.program == id)
        else {
            // It changed hands just now.
            return self.attach(interface, mode);
        };
        // To put it back. Asking for it takes more than the proxy keeps.
        let kept: Option<ProgramFd> = info(id).and_then(|info| info.fd().ok());
        interface::set_xdp(index, None, found.mode).map_err(|source| {
            if source.raw_os_error() == Some(libc::EBUSY) {
                KernelError::Held {
                    interface: interface.into(),
                    program: program.clone(),
                    id,
                }
            } else {
                KernelError::Netlink {
                    interface: interface.into(),
                    source,
                }
            }
        })?;
        tracing::warn!(interface, program, id, "took an XDP program off");
        match self.attach(interface, mode) {
            Ok(attached) => Ok(Attached {
                displaced: Some(format!("the XDP program `{program}` (id {id})")),
                ..attached
            }),
            Err(error) => {
                let back = kept.as_ref().map(|kept| kept.as_fd());
                Err(restore(
                    interface, index, back, found.mode, &program, id, error,
                ))
            }
        }
    }
}

/// Puts a program back where it was; the error that is told then is why.
fn restore(
    interface: &str,
    index: u32,
    program: Option<BorrowedFd<'_>>,
    mode: super::AttachedMode,
    name: &str,
    id: u32,
    error: KernelError,
) -> KernelError {
    let is_back = program.is_some_and(|program| {
        let back = interface::set_xdp(index, Some(program), mode);
        back.is_ok()
    });
    if is_back {
        return error;
    }
    KernelError::NotPutBack {
        interface: interface.into(),
        program: name.into(),
        id,
        source: Box::new(error),
    }
}

/// The name of a loaded program, `?` if it has none or this process may not ask.
pub fn program_name(id: u32) -> String {
    let name = info(id).and_then(|program| program.name_as_str().map(str::to_owned));
    name.unwrap_or_else(|| "?".into())
}

fn info(id: u32) -> Option<ProgramInfo> {
    loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.id() == id)
}
