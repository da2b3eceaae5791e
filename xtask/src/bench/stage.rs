//! What surrounds the proxies: the origin and the load generators on their own core, and a proxy put before them.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::check;
use super::load::{Done, Target};
use super::peer::Peer;
use super::process::{self, LOAD_CORE, Process};
use super::role::Role;
use super::scenario::{Load, Scenario};
use crate::shell;

/// How long a proxy may take until it answers.
const START: Duration = Duration::from_secs(10);

/// What a load generator may take beyond its time.
const GRACE: Duration = Duration::from_secs(20);

/// Time for a proxy to give back what idle connections do not need.
const REST: Duration = Duration::from_secs(2);

/// For the load generators that use OpenSSL: what they offer is what the others offer.
const OPENSSL: &str = "openssl_conf = init\n[init]\nssl_conf = tls\n[tls]\nsystem_default = offer\n[offer]\n\
    MinProtocol = TLSv1.3\nCiphersuites = TLS_AES_128_GCM_SHA256\nGroups = X25519\n";

pub(crate) struct Stage {
    folder: PathBuf,
    program: PathBuf,
    ports: [u16; 2],
    _origin: Role,
}

/// A proxy that answers rightly.
pub(crate) struct Running {
    pub(crate) scenario: Scenario,
    process: Process,
    port: u16,
}

/// What a round found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    /// Microseconds of CPU per request; KiB per connection of an idle round.
    pub(crate) cost: f64,
    /// Answers per second; none in an idle round.
    pub(crate) rate: f64,
    /// Time on the CPU of the time that went by: near 1, the proxy was the bottleneck.
    pub(crate) busy: f64,
}

impl Stage {
    /// Starts the origin; everything is written below `folder`.
    pub(crate) fn set(folder: PathBuf, program: PathBuf) -> Result<Self> {
        // Nothing of an earlier run may be taken for this one's.
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("openssl.cnf"), OPENSSL)?;
        shell::run(Command::new(&program).arg("files").arg(&folder))?;
        let mut origin = Role::start(process::pinned(LOAD_CORE, &program).arg("origin"))?;
        let [first, second] = *origin.numbers("ports")? else {
            bail!("the origin names other than two ports");
        };
        Ok(Self {
            folder,
            program,
            ports: [first as u16, second as u16],
            _origin: origin,
        })
    }

    /// Starts a proxy, and waits until it answers rightly.
    pub(crate) fn start(&self, peer: Peer, program: &Path, scenario: Scenario) -> Result<Running> {
        let folder = self
            .folder
            .join(format!("{}-{}", scenario.name(), peer.name()));
        fs::create_dir_all(&folder)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let [first, second] = self.ports;
        let values = [
            ("port", port.to_string()),
            ("origin1", first.to_string()),
            ("origin2", second.to_string()),
            ("dir", folder.display().to_string()),
            ("files", self.folder.display().to_string()),
        ];
        let mut command = peer.command(program, &folder, scenario.kind(), &values)?;
        let log = folder.join("output");
        let mut process = Process::start(&mut command, &log)?;
        let start = Instant::now();
        while let Err(error) = check::answers(scenario, port, &self.folder, &folder) {
            if !process.is_running() || start.elapsed() > START {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(error.context(format!("its own words: {:?}", said.trim())));
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(Running {
            scenario,
            process,
            port,
        })
    }

    /// Puts a proxy under load, or under idle connections.
    pub(crate) fn round(&self, running: &Running, seconds: u32) -> Result<Round> {
        if let Load::Idle { connections } = running.scenario.load() {
            return self.idle(running, connections);
        }
        let before = running.process.cpu_time()?;
        let done = self.load(running, seconds)?;
        let used = running
            .process
            .cpu_time()?
            .saturating_sub(before)
            .as_secs_f64();
        Ok(Round {
            cost: used * 1e6 / done.requests,
            rate: done.requests / done.seconds,
            busy: used / done.seconds,
        })
    }

    fn load(&self, running: &Running, seconds: u32) -> Result<Done> {
        let log = self.folder.join("load");
        let target = Target {
            scenario: running.scenario,
            port: running.port,
            seconds,
        };
        let mut command = target.command(&self.program)?;
        command.env("OPENSSL_CONF", self.folder.join("openssl.cnf"));
        let limit = Duration::from_secs(seconds.into()) + GRACE;
        shell::run_within(&mut command, limit, &log)?;
        let text = fs::read_to_string(&log)?;
        let done = target
            .result(&text)
            .with_context(|| format!("the load generator says: {text}"))?;
        ensure!(
            done.errors == 0.0 && done.requests > 0.0,
            "{} answers and {} errors: {text}",
            done.requests,
            done.errors
        );
        Ok(done)
    }

    fn idle(&self, running: &Running, connections: u32) -> Result<Round> {
        let before = running.process.resident_kib()?;
        let mut command = process::pinned(LOAD_CORE, &self.program);
        command.args(["idle", &running.port.to_string(), running.scenario.path()]);
        let mut clients = Role::start(command.arg(connections.to_string()))?;
        ensure!(*clients.numbers("opened")? == [u64::from(connections)]);
        thread::sleep(REST);
        let after = running.process.resident_kib()?;
        clients.finish();
        let alive = clients.numbers("alive")?;
        ensure!(
            *alive == [u64::from(connections)],
            "only {alive:?} of {connections} connections were kept"
        );
        Ok(Round {
            cost: after.saturating_sub(before) as f64 / f64::from(connections),
            rate: 0.0,
            busy: 0.0,
        })
    }
}
