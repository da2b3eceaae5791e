//! The load program's roles that last: the origin, and connections that idle.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// A role of the load program that runs until its input ends.
pub(crate) struct Role {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Role {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the load program")?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("it has no output")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    /// Ends the program's input, which is what it waits for.
    pub(crate) fn finish(&mut self) {
        drop(self.input.take());
    }

    /// The numbers of the next line, which begins with `word`.
    pub(crate) fn numbers(&mut self, word: &str) -> Result<Box<[u64]>> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let rest = line
            .strip_prefix(word)
            .with_context(|| format!("the load program says {line:?}, not {word}"))?;
        rest.split_whitespace()
            .map(|number| Ok(number.parse()?))
            .collect()
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        drop(self.input.take());
        // It ends when its input does; one that does not is ended.
        thread::sleep(Duration::from_millis(50));
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
