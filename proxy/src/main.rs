//! The `openclaw` program.

use std::ffi::c_ulong;
use std::process::ExitCode;

/// Drops of whole configurations cross threads, which it is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    refuse_huge_pages();
    openclaw::cli::main()
}

/// The allocator asks for huge pages, with which the first KiB of any part of its arena makes 2 MiB resident: 16 MiB
/// at start instead of 2, and none of the requests that we measured is cheaper for it.
#[expect(unsafe_code, reason = "no safe function makes this call")]
fn refuse_huge_pages() {
    const NONE: c_ulong = 0;
    const YES: c_ulong = 1;
    // SAFETY: it takes numbers alone, and changes no memory. Where it fails, the program is only larger.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, YES, NONE, NONE, NONE) };
}
