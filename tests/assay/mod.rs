//! What would become of requests and packets, told by the verbs that need no proxy.

mod adapt;
mod diff;
mod examples;
mod replay;
mod test;

use std::process::Command;

use crate::support::{Folder, Output};

/// Runs the program in a folder, where it finds what the test has put there.
fn openclaw_in(folder: &Folder, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openclaw"));
    command.args(arguments).current_dir(folder.path());
    Output::of(&mut command, "the proxy")
}
