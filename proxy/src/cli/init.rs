//! `openclaw init`: a first configuration to go on from.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use openclaw_core::config::{endpoint_address, units};
use serde_json::json;

use super::Context;
use super::error::CliError;
use super::output::Outcome;

/// Where it goes unless a file is named.
const FILE: &str = "openclaw.toml";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The file, `-` for standard output; else that of --config, else ./openclaw.toml. One that exists is left alone
    file: Option<PathBuf>,
    /// Where requests go
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    to: String,
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080", value_parser = address)]
    listen: SocketAddr,
    /// An interface to shield by XDP
    #[arg(long, value_name = "IFACE")]
    interface: Vec<String>,
    /// The certificate, and with --key its key: the listener speaks TLS then
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<String>,
    /// The key of --cert
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<String>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    units::bind_address(text).map_err(|complaint| complaint.to_string())
}

pub(super) fn init(context: &Context, arguments: &Arguments) -> Result<Outcome, CliError> {
    let text = text(arguments)?;
    let file = arguments.file.clone().or_else(|| context.config.clone());
    let file = file.unwrap_or_else(|| FILE.into());
    if file.as_os_str() == "-" {
        let json = json!({ "text": text });
        return Ok(Outcome::new(text, json));
    }
    let written = File::create_new(&file).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| {
        let path = file.clone();
        if source.kind() == ErrorKind::AlreadyExists {
            CliError::Exists { path }
        } else {
            CliError::WriteFile { path, source }
        }
    })?;
    let name = file.display().to_string();
    let said =
        format!("{name} is written; next:\n  openclaw check {name}\n  openclaw -c {name} run\n");
    Ok(Outcome::new(said, json!({ "ok": true, "file": name })))
}

fn text(arguments: &Arguments) -> Result<String, CliError> {
    endpoint_address(&arguments.to).map_err(|complaint| CliError::Usage {
        message: match complaint.hint {
            Some(hint) => format!("--to: {}; {hint}", complaint.message),
            None => format!("--to: {}", complaint.message),
        },
    })?;
    let tls = match (&arguments.cert, &arguments.key) {
        (Some(cert), Some(key)) => {
            let (cert, key) = (quoted(cert)?, quoted(key)?);
            format!("tls = {{ certificates = [{{ cert = {cert}, key = {key} }}] }}\n")
        }
        _ => {
            "# tls = { certificates = [{ cert = \"site.pem\", key = \"site.key\" }] }\n".to_owned()
        }
    };
    let names: Result<Vec<String>, CliError> = arguments
        .interface
        .iter()
        .map(|name| quoted(name))
        .collect();
    let interfaces = names?.join(", ");
    let sign = if interfaces.is_empty() { "# " } else { "" };
    let interfaces = if interfaces.is_empty() {
        "\"eth0\""
    } else {
        &interfaces
    };
    let (listen, to) = (
        quoted(&arguments.listen.to_string())?,
        quoted(&arguments.to)?,
    );
    Ok(format!(
        r#"# A first configuration. Every key with its default: `config/openclaw.toml` of the source, or `openclaw schema`.
# `openclaw check` says what is wrong with it, `openclaw fmt` writes it in one way, `openclaw reload` takes changes over.

[listener.web]
bind = [{listen}]
# protocols = ["h1", "h2"]
{tls}# Behind a load balancer: whose X-Forwarded-For is believed.
# trusted_proxies = ["10.0.0.0/8"]

[upstream.app]
# One endpoint or more; {{ address = "127.0.0.1:3001", weight = 3 }} gets three times the share of one without a weight.
endpoints = [{to}]

# Routes are found by host and path, the most specific first. More of them go above or below this one.
[[route]]
name = "app"
to = "app"
# match = {{ host = "www.example.com", path = "/" }}
# limit = {{ rate = "100/s", burst = 50, key = "client_ip" }}
# max_body = "10m"

[shield]
# Blocked packets are dropped by XDP on these interfaces; without any, when connections are accepted.
{sign}interfaces = [{interfaces}]
# Never blocked, whatever the lists say: the place that you work from, for example.
# allow = ["192.0.2.0/24"]
# block = ["203.0.113.0/24"]

[autoban]
# Who sends what no honest client sends is banned for a while.
after = {{ protocol = 3 }}
"#
    ))
}

/// As a TOML string.
fn quoted(text: &str) -> Result<String, CliError> {
    // What TOML would have to escape is in no address, name or path that anybody means.
    if text.contains(|character: char| character.is_control() || "\"\\$".contains(character)) {
        let message = format!("{text:?} cannot stand in a configuration as it is");
        return Err(CliError::Usage { message });
    }
    Ok(format!("\"{text}\""))
}
