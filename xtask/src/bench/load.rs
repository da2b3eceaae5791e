//! Load generators: how each is called, and what it reports.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::check::ACCEPT_GZIP;
use super::process::{self, LOAD_CORE};
use super::scenario::{Load, Scenario};
use super::template::Kind;
use crate::{build, shell};

/// The keep-alive connections of wrk.
const CONNECTIONS: &str = "64";

/// Concurrent handshakes.
const HANDSHAKES: &str = "16";

/// Builds the load program of this repository, and says where it is.
pub(crate) fn program() -> Result<PathBuf> {
    let package = ["build", "--release", "--package", "openclaw"];
    shell::run(build::release()?.args(package).args(["--example", "load"]))?;
    Ok(shell::target("release/examples/load"))
}

/// The proxy under load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) scenario: Scenario,
    pub(crate) port: u16,
    pub(crate) seconds: u32,
}

/// What a load generator reports.
#[derive(Debug, PartialEq)]
pub(crate) struct Done {
    pub(crate) requests: f64,
    pub(crate) errors: f64,
    pub(crate) seconds: f64,
}

impl Target {
    /// The command that makes the load; `own` is the load program of this repository.
    pub(crate) fn command(self, own: &Path) -> Result<Command> {
        match self.scenario.load() {
            Load::Wrk => self.wrk(),
            Load::H2load {
                connections,
                streams,
            } => self.h2load(connections, streams),
            Load::Sink { connections } => Ok(self.own(own, "sink", &connections.to_string())),
            Load::Handshake => Ok(self.own(own, "handshake", HANDSHAKES)),
            Load::Resets => Ok(self.own(own, "resets", HANDSHAKES)),
            Load::Http3 {
                connections,
                streams,
            } => {
                let mut command = self.own(own, "http3", &connections.to_string());
                command.arg(streams.to_string());
                Ok(command)
            }
            Load::QuicHandshake => Ok(self.own(own, "quic-handshake", HANDSHAKES)),
            Load::Idle { .. } => bail!("idle connections are no load"),
        }
    }

    pub(crate) fn result(self, text: &str) -> Option<Done> {
        match self.scenario.load() {
            Load::Wrk => Done::of_wrk(text),
            Load::H2load {
                connections,
                streams,
            } => Done::of_h2load(text, self.seconds, connections * streams),
            Load::Sink { .. }
            | Load::Handshake
            | Load::Resets
            | Load::Http3 { .. }
            | Load::QuicHandshake
            | Load::Idle { .. } => Done::of_own(text),
        }
    }

    fn wrk(self) -> Result<Command> {
        let mut command = named("wrk")?;
        command.args(["--threads", "1", "--connections", CONNECTIONS]);
        command.args(["--timeout", "10s", "--duration"]);
        command.arg(format!("{}s", self.seconds));
        if let Some(host) = self.scenario.host() {
            command.args(["--header", &format!("Host: {host}")]);
        }
        if self.scenario.kind() == Kind::Coded {
            command.args(["--header", ACCEPT_GZIP]);
        }
        command.arg(self.url());
        Ok(command)
    }

    fn h2load(self, connections: u32, streams: u32) -> Result<Command> {
        let mut command = named("h2load")?;
        command.args(["--threads", "1", "--clients", &connections.to_string()]);
        command.args(["--max-concurrent-streams", &streams.to_string()]);
        command.args(["--duration", &self.seconds.to_string()]);
        command.args(["--tls13-ciphers", "TLS_AES_128_GCM_SHA256"]);
        command.arg(self.url());
        Ok(command)
    }

    fn own(self, program: &Path, role: &str, connections: &str) -> Command {
        let mut command = process::pinned(LOAD_CORE, program);
        command.args([role, &self.port.to_string(), self.scenario.path()]);
        command.args([connections, &self.seconds.to_string()]);
        command
    }

    /// By name, so that the client sends it in the TLS handshake.
    fn url(self) -> String {
        let scheme = match self.scenario.kind() {
            Kind::Tls | Kind::Quic | Kind::StoredTls => "https",
            Kind::Plain | Kind::Big | Kind::Stored | Kind::Coded | Kind::Relay | Kind::Hosts(_) => {
                "http"
            }
        };
        format!("{scheme}://localhost:{}{}", self.port, self.scenario.path())
    }
}

fn named(name: &str) -> Result<Command> {
    let program = shell::which(name).with_context(|| format!("{name} is not on PATH"))?;
    Ok(process::pinned(LOAD_CORE, &program))
}

impl Done {
    fn of_wrk(text: &str) -> Option<Self> {
        let line = text.lines().find(|line| line.contains(" requests in "))?;
        let mut words = line.split_whitespace();
        let requests = words.next()?.parse().ok()?;
        let seconds = words.nth(2)?.trim_end_matches([',', 's']).parse().ok()?;
        let errors = text
            .lines()
            .filter(|line| line.contains("Socket errors") || line.contains("Non-2xx"))
            .flat_map(|line| line.split([' ', ',']))
            .filter_map(|word| word.parse::<f64>().ok())
            .sum();
        Some(Self {
            requests,
            errors,
            seconds,
        })
    }

    /// h2load counts the requests that were under way when the time was up as failed: up to `in_flight` may.
    fn of_h2load(text: &str, seconds: u32, in_flight: u32) -> Option<Self> {
        let negotiated = text.contains("Application protocol: h2");
        let line = text.lines().find(|line| line.starts_with("requests: "))?;
        let counted = |name: &str| {
            let (number, _) = line.split_once(name)?;
            number
                .split([' ', ','])
                .rfind(|word| !word.is_empty())?
                .parse::<f64>()
                .ok()
        };
        let failed = counted(" failed")? + counted(" timeout")?;
        Some(Self {
            requests: counted(" succeeded").filter(|_| negotiated)?,
            errors: (failed - f64::from(in_flight)).max(0.0),
            seconds: f64::from(seconds),
        })
    }

    fn of_own(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [_, requests, _, errors, _, seconds] = words.as_slice() else {
            return None;
        };
        Some(Self {
            requests: requests.parse().ok()?,
            errors: errors.parse().ok()?,
            seconds: seconds.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Done;

    const fn done(requests: f64, errors: f64, seconds: f64) -> Done {
        Done {
            requests,
            errors,
            seconds,
        }
    }

    #[test]
    fn wrk_is_understood() {
        let quiet = "  80611 requests in 2.10s, 94.33MB read\nRequests/sec:  38404.52\n";
        assert_eq!(Done::of_wrk(quiet), Some(done(80611.0, 0.0, 2.1)));
        let errors = "  7 requests in 2.00s, 1KB read\n  Socket errors: connect 1, read 2, write 0, timeout 3\n  \
                      Non-2xx or 3xx responses: 5\n";
        assert_eq!(Done::of_wrk(errors), Some(done(7.0, 11.0, 2.0)));
        assert_eq!(Done::of_wrk("unable to connect"), None);
    }

    #[test]
    fn h2load_is_understood() {
        let text = "Application protocol: h2\nrequests: 300 total, 310 started, 300 done, 290 succeeded, 10 failed, \
                    2 errored, 1 timeout\n";
        assert_eq!(Done::of_h2load(text, 2, 8), Some(done(290.0, 3.0, 2.0)));
        assert_eq!(Done::of_h2load(text, 2, 128), Some(done(290.0, 0.0, 2.0)));
        let h1 = text.replace(": h2", ": http/1.1");
        assert_eq!(Done::of_h2load(&h1, 2, 128), None);
    }

    #[test]
    fn the_load_program_is_understood() {
        let text = "requests 12 errors 1 seconds 2.0010\n";
        assert_eq!(Done::of_own(text), Some(done(12.0, 1.0, 2.001)));
        assert_eq!(Done::of_own("Error: refused"), None);
    }
}
