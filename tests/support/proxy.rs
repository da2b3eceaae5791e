//! The proxy itself, as a process with a configuration, an admin socket and a metrics port of its own.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::iter;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Child, Folder, Manager, Output, PATIENCE, free_port};

/// What the proxy says on standard error when it serves.
const READY: &str = "openclaw ready";

#[derive(Debug)]
pub struct Proxy {
    process: Child,
    /// The command that started it.
    line: Vec<OsString>,
    config: PathBuf,
    socket: PathBuf,
    metrics: SocketAddr,
    /// Processes that have taken over.
    successors: Mutex<Vec<u32>>,
    // Last, so that it is removed after the process.
    folder: Folder,
}

impl Proxy {
    /// Starts the proxy and waits until it serves.
    ///
    /// The configuration gets `[admin]`, `[server]`, `[shield]` and `[log]` sections of the test's own where it has none, so that
    /// tests beside each other do not meet.
    pub fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// The same with more arguments behind `run`.
    pub fn start_with(config: &str, arguments: &[&str]) -> Self {
        Self::ready(Self::launch(config, arguments))
    }

    fn ready(proxy: Self) -> Self {
        let ready = proxy
            .process
            .stderr
            .line(PATIENCE, |line| line.starts_with(READY));
        assert!(
            ready.is_some(),
            "the proxy does not say `{READY}`:\n{}",
            proxy.stderr()
        );
        proxy
    }

    /// The same as [`Self::start`] in a network namespace.
    pub fn start_in(namespace: &str, config: &str) -> Self {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{namespace}"))
            .arg(env!("CARGO_BIN_EXE_openclaw"));
        Self::ready(Self::launch_in(Folder::new(), command, config, &[]))
    }

    /// The same as [`Self::start`] with at most so many open files.
    pub fn start_with_files(config: &str, files: u32) -> Self {
        let mut command = Command::new("prlimit");
        command
            .arg(format!("--nofile={files}:{files}"))
            .arg(env!("CARGO_BIN_EXE_openclaw"));
        Self::ready(Self::launch_in(Folder::new(), command, config, &[]))
    }

    /// Starts the proxy as a service manager does, which gives it sockets; does not wait.
    pub fn launch_as_service(config: &str, manager: &Manager, given: &[(String, OwnedFd)]) -> Self {
        let (mut command, input) = manager.command(given);
        command.arg(env!("CARGO_BIN_EXE_openclaw"));
        Self::launch_with_input(Folder::new(), command, config, &[], input)
    }

    /// Starts it once more in its folder, after it has ended, with what the manager has kept for it; does not wait.
    pub fn launch_again_as_service(&mut self, manager: &Manager, given: &[(String, OwnedFd)]) {
        assert!(!self.is_running(), "the one before still runs");
        let (mut command, input) = manager.command(given);
        command.arg(env!("CARGO_BIN_EXE_openclaw"));
        command.arg("-c").arg(&self.config).arg("run");
        command.current_dir(self.folder.path());
        self.process = Child::start_with_input(&mut command, "the proxy", input);
    }

    /// Starts the proxy with a configuration that it should refuse; gives how it ended and what it said.
    pub fn refuse(config: &str) -> (ExitStatus, String) {
        let mut proxy = Self::launch(config, &[]);
        let status = proxy.process.wait(PATIENCE);
        let status = status.unwrap_or_else(|| panic!("the proxy runs:\n{}", proxy.stderr()));
        (status, proxy.process.stderr.to_the_end(PATIENCE))
    }

    /// Starts a copy of the proxy in a place of `uid`'s through a program such as setpriv, which runs what stands behind its own
    /// arguments; waits until it serves.
    pub fn start_through(config: &str, uid: u32, through: &[&str], arguments: &[&str]) -> Self {
        let folder = Folder::new();
        // The build directory may be closed to others.
        let program = folder.path().join("openclaw");
        // By a process of its own: a program that this one holds open for writing, if only in a child just born, cannot be started.
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_openclaw"))
            .arg(&program)
            .status();
        assert!(copied.is_ok_and(|status| status.success()), "cp failed");
        chown(folder.path(), Some(uid), Some(uid)).expect("these tests run as root");
        let mut command = Command::new(through[0]);
        command.args(&through[1..]).arg(program);
        let proxy = Self::launch_in(folder, command, config, arguments);
        proxy.wait_for(READY);
        proxy
    }

    /// Starts it once more, in its folder and as it was started first.
    pub fn start_again(&mut self) {
        self.launch_again();
        self.wait_for(READY);
    }

    /// Waits until it serves; gives how it ended if it does not.
    pub fn ready_or_ended(&mut self) -> Option<ExitStatus> {
        let is_ready = |line: &str| line.starts_with(READY);
        match self.process.stderr.line(PATIENCE, is_ready) {
            Some(_) => None,
            None => Some(self.wait()),
        }
    }

    /// The same as [`Self::start_again`], and does not wait.
    pub fn launch_again(&mut self) {
        assert!(!self.is_running(), "the one before still runs");
        let mut command = Command::new(&self.line[0]);
        command.args(&self.line[1..]);
        self.process = Child::start(command.current_dir(self.folder.path()), "the proxy");
    }

    /// Starts it and does not wait.
    pub fn launch(config: &str, arguments: &[&str]) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_openclaw"));
        Self::launch_in(Folder::new(), command, config, arguments)
    }

    fn launch_in(folder: Folder, command: Command, config: &str, arguments: &[&str]) -> Self {
        Self::launch_with_input(folder, command, config, arguments, Stdio::null())
    }

    fn launch_with_input(
        folder: Folder,
        mut command: Command,
        config: &str,
        arguments: &[&str],
        input: Stdio,
    ) -> Self {
        let socket = folder.path().join("admin.sock");
        let metrics = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let path = folder.path().join("openclaw.toml");
        let whole = complete(config, folder.path(), &socket, metrics);
        fs::write(&path, whole).expect("a file in a folder of ours can be written");
        command.arg("-c").arg(&path).arg("run").args(arguments);
        let line = iter::once(command.get_program()).chain(command.get_args());
        let line = line.map(OsStr::to_owned).collect();
        command.current_dir(folder.path());
        let process = Child::start_with_input(&mut command, "the proxy", input);
        Self {
            process,
            line,
            config: path,
            socket,
            metrics,
            successors: Mutex::default(),
            folder,
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The admin socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Where /metrics, /healthz and /readyz are.
    pub fn metrics(&self) -> SocketAddr {
        self.metrics
    }

    /// A folder of the proxy's own, its working directory.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Replaces the configuration file, for the next reload.
    pub fn rewrite(&self, config: &str) {
        let whole = complete(config, self.folder.path(), &self.socket, self.metrics);
        fs::write(&self.config, whole).expect("a file in a folder of ours can be written");
    }

    /// Sends a signal by name, such as `HUP` or `TERM`.
    pub fn signal(&mut self, name: &str) {
        self.process.signal(name);
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Has another process take over with `openclaw upgrade`, which gives its number.
    pub fn upgrade(&self, arguments: &[&str]) -> u32 {
        let all = [&["-o", "json", "upgrade"], arguments].concat();
        let said: serde_json::Value = serde_json::from_str(&self.cli(&all).ok().text()).unwrap();
        let pid = said["pid"].as_u64().expect("a number") as u32;
        self.has_successor(pid);
        pid
    }

    /// A process that is to be gone with this value.
    pub fn has_successor(&self, pid: u32) {
        self.successors.lock().unwrap().push(pid);
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let status = self.process.wait(PATIENCE);
        status.unwrap_or_else(|| panic!("the proxy still runs:\n{}", self.stderr()))
    }

    pub fn is_running(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// What it has said on standard error so far.
    pub fn stderr(&self) -> String {
        self.process.stderr.text()
    }

    /// What it has said on standard output so far: the access log.
    pub fn stdout(&self) -> String {
        self.process.stdout.text()
    }

    /// Waits for a line on standard error that contains `text`.
    pub fn wait_for(&self, text: &str) -> String {
        let line = self
            .process
            .stderr
            .line(PATIENCE, |line| line.contains(text));
        line.unwrap_or_else(|| panic!("no {text:?} in:\n{}", self.stderr()))
    }

    /// Waits for a line of the access log that contains `text`.
    pub fn wait_for_access(&self, text: &str) -> String {
        self.wait_for_access_to(text, |line| line.contains(text))
    }

    /// Waits for the line about `what`.
    pub fn wait_for_access_to(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let line = self.process.stdout.line(PATIENCE, is_it);
        line.unwrap_or_else(|| panic!("no {what:?} in:\n{}", self.stdout()))
    }

    /// Runs another `openclaw` that speaks with this one.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        Output::of(
            Command::new(env!("CARGO_BIN_EXE_openclaw"))
                .arg("-c")
                .arg(&self.config)
                .arg("--socket")
                .arg(&self.socket)
                .args(arguments),
            "the proxy",
        )
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.process.kill();
        let successors = self.successors.get_mut();
        for pid in successors.unwrap_or_else(PoisonError::into_inner) {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let config = self.config.display().to_string();
            // The number may be another's by now.
            if String::from_utf8_lossy(&line).contains(&config) {
                let line = format!("kill -9 {pid}");
                // It may have ended meanwhile.
                let _ = Command::new("sh").args(["-c", &line]).status();
            }
        }
        if thread::panicking() {
            let said = self.process.stderr.to_the_end(PATIENCE);
            eprintln!("--- the proxy's standard error:\n{said}--- its access log:");
            eprintln!("{}---", self.process.stdout.to_the_end(PATIENCE));
        }
    }
}

/// Runs `openclaw` with these arguments alone, to its end.
pub fn openclaw(arguments: &[&str]) -> Output {
    Output::of(
        Command::new(env!("CARGO_BIN_EXE_openclaw")).args(arguments),
        "the proxy",
    )
}

/// The configuration with sections of the test's own where it has none.
fn complete(config: &str, folder: &Path, socket: &Path, metrics: SocketAddr) -> String {
    let state = folder.join("state");
    let name = Path::new(folder.file_name().unwrap_or(folder.as_os_str()));
    let mut whole = config.to_owned();
    for (section, keys) in [
        (
            "admin",
            format!("socket = \"{}\"\nmetrics = \"{metrics}\"", socket.display()),
        ),
        (
            "server",
            format!("state_dir = \"{}\"\nworkers = 2", state.display()),
        ),
        (
            // Not the usual place: what an operator has attached on this machine is none of a test's business.
            "shield",
            format!("pin_dir = \"/sys/fs/bpf/{}\"", name.display()),
        ),
        (
            "log",
            "level = \"info\"\naccess = { to = \"stdout\", format = \"json\" }".to_owned(),
        ),
    ] {
        let header = format!("[{section}]");
        let is_there = config.lines().any(|line| line.trim().starts_with(&header));
        if !is_there {
            whole.extend(["\n", &header, "\n", &keys, "\n"]);
        } else if section == "admin"
            && !config.contains("socket = ")
            && !config.contains("metrics = ")
        {
            // The test says something else there.
            whole = whole.replacen(&header, &format!("{header}\n{keys}"), 1);
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_completed_but_not_changed() {
        let metrics = SocketAddr::from(([127, 0, 0, 1], 1));
        let given = "[log]\nlevel = \"debug\"\n";
        let whole = complete(given, Path::new("/f"), Path::new("/f/s"), metrics);
        assert!(whole.starts_with(given), "{whole}");
        assert_eq!(whole.matches("[log]").count(), 1);
        assert!(whole.contains("\n[admin]\nsocket = \"/f/s\"\nmetrics = \"127.0.0.1:1\"\n"));
        assert!(whole.contains("\n[server]\nstate_dir = \"/f/state\"\n"));
        let whole = complete(
            "[admin]\nweb = \"x\"\n",
            Path::new("/f"),
            Path::new("/f/s"),
            metrics,
        );
        assert!(
            whole.starts_with(
                "[admin]\nsocket = \"/f/s\"\nmetrics = \"127.0.0.1:1\"\nweb = \"x\"\n"
            )
        );
    }
}
