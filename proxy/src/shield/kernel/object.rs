//! The kernel program, as the build script put it into the binary.

use super::KernelError;

#[cfg(openclaw_bpf_object)]
static OBJECT: Option<&[u8]> = Some(aya::include_bytes_aligned!(concat!(
    env!("OUT_DIR"),
    "/openclaw-xdp.o"
)));
#[cfg(not(openclaw_bpf_object))]
static OBJECT: Option<&[u8]> = None;

/// Whether this binary carries the kernel program.
pub fn is_built_in() -> bool {
    OBJECT.is_some()
}

pub(super) fn bytes() -> Result<&'static [u8], KernelError> {
    OBJECT.ok_or(KernelError::NoObject)
}
