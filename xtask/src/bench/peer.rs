//! The proxies that can be measured: how each is found, configured, started and named.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::process::{self, PROXY_CORE};
use super::template::{self, Kind};
use crate::shell;

/// What forwards bytes in nginx, where a distribution has it as a module of its own.
const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    #[value(name = "openclaw")]
    OpenClaw,
    Nginx,
    Haproxy,
    Varnish,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OpenClaw => "OpenClaw",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Varnish => "Varnish",
        }
    }

    /// Where its program is, if it is here.
    pub(crate) fn program(self) -> Option<PathBuf> {
        match self {
            Self::OpenClaw => Some(shell::target("release/openclaw")).filter(|file| file.exists()),
            Self::Nginx => shell::which("nginx"),
            Self::Haproxy => shell::which("haproxy"),
            Self::Varnish => shell::which("varnishd"),
        }
    }

    /// The first line with which the program names itself.
    pub(crate) fn version(self, program: &Path) -> Result<String> {
        let argument = match self {
            Self::OpenClaw => "version",
            Self::Nginx | Self::Haproxy => "-v",
            Self::Varnish => "-V",
        };
        let text = said(program, argument)?;
        let line = text.lines().next().unwrap_or_default();
        let number = line
            .split([' ', '/', '-'])
            .find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        Ok(format!("{} {}", self.name(), number.unwrap_or("?")))
    }

    /// Whether it can do what a listener of this kind does; of HTTP/3 its program knows more.
    pub(crate) fn serves(self, kind: Kind) -> bool {
        match self {
            Self::OpenClaw | Self::Nginx => true,
            // Its gzip is quick, and makes half as many bytes again.
            Self::Haproxy => kind != Kind::Coded,
            Self::Varnish => kind == Kind::Stored,
        }
    }

    /// Whether it was built with HTTP/3.
    pub(crate) fn has_quic(self, program: &Path) -> Result<bool> {
        let (argument, sign) = match self {
            Self::OpenClaw => return Ok(true),
            Self::Varnish => return Ok(false),
            Self::Nginx => ("-V", "--with-http_v3_module"),
            Self::Haproxy => ("-vv", "+QUIC"),
        };
        Ok(said(program, argument)?.contains(sign))
    }

    /// Writes the configuration into `folder` and gives the command that serves it.
    pub(crate) fn command(
        self,
        program: &Path,
        folder: &Path,
        kind: Kind,
        values: &[(&str, String)],
    ) -> Result<Command> {
        // Others build it in.
        let stream = if said(program, "-V")?.contains("--with-stream=dynamic") {
            format!("load_module {NGINX_STREAM};")
        } else {
            String::new()
        };
        let mut values = values.to_vec();
        values.push(("stream", stream));
        for file in self.files(kind) {
            let template = shell::root().join(format!("benches/peers/{file}.in"));
            let template = fs::read_to_string(&template)
                .with_context(|| format!("cannot read {}", template.display()))?;
            fs::write(
                folder.join(file),
                template::render(&template, kind, &values),
            )?;
        }
        let mut command = process::pinned(PROXY_CORE, program);
        match self {
            Self::OpenClaw => command
                .arg("run")
                .arg("--config")
                .arg(folder.join("openclaw.toml")),
            Self::Nginx => command
                .arg("-p")
                .arg(folder)
                .arg("-c")
                .args(self.files(kind).iter().map(|file| folder.join(file))),
            Self::Haproxy => command.args(["-db", "-f"]).arg(folder.join("haproxy.cfg")),
            Self::Varnish => {
                let port = values.iter().find(|(name, _)| *name == "port");
                let (_, port) = port.context("there is no port to listen on")?;
                command
                    .args(["-F", "-j", "none", "-s", "default,64m"])
                    .args(["-p", "thread_pools=1", "-a", &format!("127.0.0.1:{port}")])
                    .arg("-n")
                    .arg(folder.join("varnish"))
                    .arg("-f")
                    .arg(folder.join("varnish.vcl"))
            }
        };
        Ok(command)
    }

    fn files(self, kind: Kind) -> &'static [&'static str] {
        match self {
            Self::OpenClaw => &["openclaw.toml"],
            Self::Nginx if kind == Kind::Relay => &["nginx-stream.conf"],
            Self::Nginx => &["nginx.conf"],
            Self::Haproxy => &["haproxy.cfg", "haproxy.map"],
            Self::Varnish => &["varnish.vcl"],
        }
    }
}

/// What a program says of itself.
fn said(program: &Path, argument: &str) -> Result<String> {
    let output = Command::new(program)
        .arg(argument)
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    // nginx says it on standard error.
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).into_owned())
}
