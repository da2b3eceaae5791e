//! Prints `config/openclaw.toml`: every key with its doc and default.
#![expect(clippy::print_stdout, reason = "printing is all it does")]

fn main() {
    print!("{}", openclaw_core::config::reference());
}
