//! A proxy under measurement: pinned to its core, its whole process tree accounted for, ended when dropped.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::shell;

/// The core of the proxy; the load and the origin share the other one.
pub(crate) const PROXY_CORE: &str = "0";
pub(crate) const LOAD_CORE: &str = "1";

/// How long a proxy may take to end when asked.
const FAREWELL: Duration = Duration::from_secs(3);

/// A command that runs on one core.
pub(crate) fn pinned(core: &str, program: &Path) -> Command {
    let mut command = shell::foreign("taskset");
    command.args(["--cpu-list", core]).arg(program);
    command
}

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a command, what it says going to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file =
            fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child })
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Time on a CPU, user and system, of all threads of all processes.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for process in tree(self.child.id())? {
            for thread in fs::read_dir(format!("/proc/{process}/task"))? {
                let text = fs::read_to_string(thread?.path().join("schedstat"))?;
                let ran = text.split_whitespace().next().unwrap_or_default();
                nanoseconds += ran
                    .parse::<u64>()
                    .context("schedstat holds no run time: is CONFIG_SCHED_INFO off?")?;
            }
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Resident memory of all processes.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let mut sum = 0;
        for process in tree(self.child.id())? {
            let text = fs::read_to_string(format!("/proc/{process}/status"))?;
            sum += text
                .lines()
                .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next())
                .context("no VmRSS in /proc/PID/status")?
                .parse::<u64>()?;
        }
        ensure!(sum > 0, "the proxy has ended");
        Ok(sum)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let all = tree(self.child.id()).unwrap_or_default();
        signal("TERM", &[self.child.id()]);
        let start = Instant::now();
        while self.is_running() && start.elapsed() < FAREWELL {
            thread::sleep(Duration::from_millis(20));
        }
        // Whoever has not ended by now, or was left behind.
        let ended = !self.is_running();
        let left: Vec<u32> = all
            .into_iter()
            .filter(|process| !(ended && *process == self.child.id()))
            .collect();
        signal("KILL", &left);
        // Its status is of no use: it has been told to end.
        drop(self.child.wait());
    }
}

fn signal(name: &str, processes: &[u32]) {
    if processes.is_empty() {
        return;
    }
    let mut command = Command::new("kill");
    command.arg(format!("-{name}")).stderr(Stdio::null());
    for process in processes {
        command.arg(process.to_string());
    }
    // Whoever is gone already needs no signal.
    drop(command.status());
}

/// A process and its descendants.
fn tree(root: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process that ends meanwhile is nobody's child.
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The name in parentheses may hold anything; behind it come the state and the parent.
        let parent = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        parents.extend(parent.map(|parent| (process, parent)));
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&process) = found.get(next) {
        let children = parents.iter().filter(|(_, parent)| *parent == process);
        found.extend(children.map(|(child, _)| *child));
        next += 1;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

    use std::fs;
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::{Process, tree};
    use crate::shell;

    #[test]
    fn a_tree_is_counted_whole_and_ended_whole() {
        let log = shell::target("tmp/bench-process.log");
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do :; done & while :; do :; done"]);
        let mut process = Process::start(&mut command, &log).unwrap();
        while tree(process.child.id()).unwrap().len() < 2
            || process.cpu_time().unwrap() < Duration::from_millis(50)
        {
            assert!(process.is_running());
        }
        assert!(process.resident_kib().unwrap() > 100);
        let all = tree(process.child.id()).unwrap();
        drop(process);
        let deadline = Instant::now() + Duration::from_secs(5);
        for process in all {
            // The command line of a process that has ended is empty, or gone.
            while fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|line| !line.is_empty()) {
                assert!(Instant::now() < deadline, "{process} is still there");
            }
        }
    }
}
