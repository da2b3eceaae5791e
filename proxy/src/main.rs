//! The `openclaw` program.

use std::process::ExitCode;

/// Drops of whole configurations cross threads, which it is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    openclaw::cli::main()
}
