//! A proxy is measured only when it answers rightly: curl says so, which is nobody's load generator.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::process::{self, LOAD_CORE};
use super::scenario::{Load, Scenario};
use super::template::Kind;
use crate::shell;

/// The codings that a client of a scenario with gzip takes.
pub(super) const ACCEPT_GZIP: &str = "Accept-Encoding: gzip";

/// Enough for round robin to show both ports of the origin.
const FETCHES: usize = 4;

/// Status, protocol and whole body of a few answers; that they come from both endpoints, or from the cache where there is one. `files`
/// holds the certificate and the bodies of the origin, `folder` is the proxy's own.
pub(crate) fn answers(scenario: Scenario, port: u16, files: &Path, folder: &Path) -> Result<()> {
    let expected = fs::read(files.join(scenario.path().trim_start_matches('/')))?;
    let mut origins = Vec::new();
    let mut serials = Vec::new();
    for _ in 0..FETCHES {
        let head = fetch(scenario, port, files, folder)?;
        ensure!(
            fs::read(folder.join("answer.body"))? == expected,
            "the body is not the origin's"
        );
        origins.push(field(&head, "x-origin")?);
        serials.push(field(&head, "x-serial")?);
    }
    for found in [&mut origins, &mut serials] {
        found.sort_unstable();
        found.dedup();
    }
    if matches!(scenario.kind(), Kind::Stored | Kind::StoredTls) {
        ensure!(serials.len() == 1, "an answer did not come from the cache");
        return Ok(());
    }
    ensure!(origins.len() >= 2, "only one endpoint was asked");
    ensure!(serials.len() >= FETCHES, "an answer came from a cache");
    Ok(())
}

/// One request; gives the response head, and leaves the body in a file.
fn fetch(scenario: Scenario, port: u16, files: &Path, folder: &Path) -> Result<String> {
    let curl = shell::which("curl").context("curl is not on PATH")?;
    let mut command = process::pinned(LOAD_CORE, &curl);
    command.args(["--silent", "--show-error", "--max-time", "5", "--output"]);
    command
        .arg(folder.join("answer.body"))
        .arg("--dump-header")
        .arg(folder.join("answer.head"));
    command.args(["--write-out", "%{http_code} HTTP/%{http_version}"]);
    command.arg("--cacert").arg(files.join("cert.pem"));
    command.args(["--tlsv1.3", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256"]);
    command.args(["--resolve", &format!("localhost:{port}:127.0.0.1")]);
    let is_coded = scenario.kind() == Kind::Coded;
    if is_coded {
        // What is written to the file is decoded.
        command.args(["--compressed", "--header", ACCEPT_GZIP]);
    }
    if let Some(host) = scenario.host() {
        command.args(["--header", &format!("Host: {host}")]);
    }
    // Distributions build curl without HTTP/3: the same listener answers over TCP, and the load looks at each of its own answers.
    let over_http2 = matches!(scenario.load(), Load::H2load { .. } | Load::Resets)
        || scenario.kind() == Kind::Quic;
    let protocol = if over_http2 {
        command.arg("--http2");
        "HTTP/2"
    } else {
        command.arg("--http1.1");
        "HTTP/1.1"
    };
    let scheme = match scenario.kind() {
        Kind::Tls | Kind::Quic | Kind::StoredTls => "https",
        Kind::Plain | Kind::Big | Kind::Stored | Kind::Coded | Kind::Relay | Kind::Hosts(_) => {
            "http"
        }
    };
    command.arg(format!("{scheme}://localhost:{port}{}", scenario.path()));
    let answer = shell::capture(&mut command)?;
    let wanted = format!("200 {protocol}");
    ensure!(answer == wanted, "it answered {answer}, not {wanted}");
    let head = fs::read_to_string(folder.join("answer.head"))?;
    ensure!(
        !is_coded || field(&head, "content-encoding")? == "gzip",
        "it is not in gzip"
    );
    Ok(head)
}

fn field(head: &str, name: &str) -> Result<String> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_owned())
        .with_context(|| format!("the origin's {name} was lost"))
}
