//! A process that is gone with its value, and what it said until then.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What a process has said on one of its outputs so far.
#[derive(Debug, Clone, Default)]
pub struct Said(Arc<Heard>);

#[derive(Debug, Default)]
struct Heard {
    so_far: Mutex<(String, bool)>,
    more: Condvar,
}

impl Said {
    fn listen(source: impl Read + Send + 'static) -> Self {
        let said = Self::default();
        let own = said.clone();
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                own.0.so_far.lock().unwrap().0 += &String::from_utf8_lossy(&line);
                own.0.more.notify_all();
                line.clear();
            }
            own.0.so_far.lock().unwrap().1 = true;
            own.0.more.notify_all();
        });
        said
    }

    pub fn text(&self) -> String {
        self.0.so_far.lock().unwrap().0.clone()
    }

    /// Waits for a line that `wanted` accepts. None if the output ends or the time is over before.
    pub fn line(&self, limit: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let end = Instant::now() + limit;
        let mut heard = self.0.so_far.lock().unwrap();
        loop {
            if let Some(line) = heard.0.lines().find(|line| wanted(line)) {
                return Some(line.to_owned());
            }
            let left = end.checked_duration_since(Instant::now())?;
            if heard.1 {
                return None;
            }
            heard = self.0.more.wait_timeout(heard, left).unwrap().0;
        }
    }

    /// Waits for the output to end, as it does with its process.
    pub fn to_the_end(&self, limit: Duration) -> String {
        self.line(limit, |_| false);
        self.text()
    }
}

/// A running process.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    pub stdout: Said,
    pub stderr: Said,
}

impl Child {
    /// Starts a command. `package` is what to install if there is no such program.
    pub fn start(command: &mut Command, package: &str) -> Self {
        Self::start_with_input(command, package, Stdio::null())
    }

    /// The same with a standard input.
    pub fn start_with_input(command: &mut Command, package: &str, input: Stdio) -> Self {
        let started = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut process = started.unwrap_or_else(|error| {
            let program = command.get_program().display();
            panic!(
                "cannot start {program} ({error}): install {package}, or run `cargo xtask setup`"
            )
        });
        let stdout = Said::listen(process.stdout.take().expect("it is piped"));
        let stderr = Said::listen(process.stderr.take().expect("it is piped"));
        Self {
            process,
            stdout,
            stderr,
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal by name, such as `TERM`. A process that has ended is not signalled: its number may be another's.
    pub fn signal(&mut self, name: &str) {
        if self.ended().is_some() {
            return;
        }
        let line = format!("kill -s {name} {}", self.pid());
        let status = Command::new("sh").args(["-c", &line]).status();
        assert!(status.is_ok_and(|s| s.success()), "`{line}` failed");
    }

    /// Ends the process at once, as `kill -9` does.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            self.process.kill().expect("our own process can be killed");
            self.process
                .wait()
                .expect("our own process can be waited for");
        }
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process
            .try_wait()
            .expect("our own process can be asked")
    }

    /// Waits for the process to end by itself.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::PATIENCE;

    fn shell(script: &str) -> Child {
        Child::start(Command::new("sh").args(["-c", script]), "a shell")
    }

    #[test]
    fn a_line_is_awaited_and_an_end_ends_the_wait() {
        let child = shell("echo one; sleep 0.05; echo two; echo three >&2");
        assert_eq!(
            child.stdout.line(PATIENCE, |line| line == "two").as_deref(),
            Some("two")
        );
        assert_eq!(child.stdout.line(PATIENCE, |line| line == "four"), None);
        assert_eq!(child.stderr.to_the_end(PATIENCE), "three\n");
    }

    #[test]
    fn a_signal_reaches_the_process_and_its_status_is_seen() {
        let mut child = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
        child.stdout.line(PATIENCE, |line| line == "ready").unwrap();
        child.signal("TERM");
        assert_eq!(child.wait(PATIENCE).unwrap().code(), Some(7));
        child.signal("TERM");
    }

    #[test]
    fn a_process_is_gone_with_its_value() {
        let child = shell("exec sleep 60");
        let own = format!("/proc/{}", child.pid());
        assert!(std::path::Path::new(&own).exists());
        drop(child);
        assert!(!std::path::Path::new(&own).exists());
    }
}
