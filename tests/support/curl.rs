//! curl, the client that everybody has.

use std::process::Command;

/// What a program left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// -1 if a signal ended it.
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Output {
    /// Runs a command to its end. `package` is what to install if there is no such program.
    pub fn of(command: &mut Command, package: &str) -> Self {
        let output = command.output().unwrap_or_else(|error| {
            let program = command.get_program().display();
            panic!(
                "cannot start {program} ({error}): install {package}, or run `cargo xtask setup`"
            )
        });
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The same, if the program was content.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.text(), self.stderr);
        self
    }
}

/// Runs curl without the settings of the user or a proxy of the machine.
pub fn curl(arguments: &[&str]) -> Output {
    Output::of(
        Command::new("curl")
            .args(["--disable", "--noproxy", "*", "--silent", "--show-error"])
            .args(["--max-time", "20"])
            .args(arguments),
        "curl",
    )
}
