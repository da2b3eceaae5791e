//! `bench objects`: what a stored response takes of memory beside its body.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::machine;
use super::process::{self, PROXY_CORE, Process};
use crate::build;
use crate::shell::{self, say};

/// How long the proxy may take until it listens.
const START: Duration = Duration::from_secs(10);
/// So many are stored before memory is looked at first: what is made once, however many there are, is there by then.
const WARM: u32 = 1000;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Responses
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    count: u32,
    /// Bytes of the body of each
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    size: u32,
    /// A binary that is there; else the released one is built
    #[arg(long)]
    binary: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let binary = match &arguments.binary {
        Some(binary) => binary.clone(),
        None => build::run()?,
    };
    let folder = shell::target("bench/objects");
    // Nothing of an earlier run may be taken for this one's.
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder)?;
    let origin = origin(arguments.size as usize)?;
    let (process, proxy) = start(&binary, &folder, origin, arguments)?;
    let mut client = BufReader::new(TcpStream::connect(proxy)?);
    fetch(&mut client, 0..WARM, false)?;
    let before = process.resident_kib()?;
    let all = WARM..WARM + arguments.count;
    fetch(&mut client, all.clone(), false)?;
    let grown = process.resident_kib()?.saturating_sub(before) * 1024;
    // Nothing of it has been pushed out.
    fetch(&mut client, all.step_by(97), true)?;
    let each = grown as f64 / f64::from(arguments.count);
    say(machine::describe()?);
    println!(
        "\n| stored responses | body | resident each | beside the body |\n| ---: | ---: | ---: | ---: |\n| {} | {} B | {each:.0} B | {:.0} B |",
        arguments.count,
        arguments.size,
        each - f64::from(arguments.size)
    );
    Ok(())
}

/// Answers everything with a body of that size that holds for an hour.
fn origin(size: usize) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nETag: \"0123456789abcdef\"\r\nCache-Control: max-age=31536000\r\nContent-Length: {size}\r\n\r\n"
    );
    let answer = [head.into_bytes(), vec![b'x'; size]].concat();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || {
                let mut peer = BufReader::new(stream);
                // Whoever has gone wants no answer.
                while head_of(&mut peer).is_ok_and(|head| !head.is_empty()) {
                    if peer.get_mut().write_all(&answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(address)
}

/// A proxy with an empty cache that has room for all, once it listens.
fn start(
    binary: &Path,
    folder: &Path,
    origin: SocketAddr,
    arguments: &Arguments,
) -> Result<(Process, SocketAddr)> {
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let room = u64::from(arguments.count + WARM) * u64::from(arguments.size + 4096);
    let (name, config) = (folder.display(), folder.join("openclaw.toml"));
    fs::write(
        &config,
        format!(
            "[server]\nworkers = 1\nstate_dir = \"{name}/state\"\n[admin]\nsocket = \"{name}/admin.sock\"\nmetrics = \"off\"\n\
             [log]\nlevel = \"error\"\naccess = {{ to = \"off\" }}\n[listener.web]\nbind = \"{proxy}\"\n\
             [cache]\nmemory = {room}\n[upstream.app]\nendpoints = \"{origin}\"\n[[route]]\ncache = {{}}\nto = \"app\"\n"
        ),
    )?;
    let mut command = process::pinned(PROXY_CORE, binary);
    command.arg("--config").arg(&config).arg("run");
    let log = folder.join("output");
    let mut process = Process::start(&mut command, &log)?;
    let begun = Instant::now();
    while TcpStream::connect(proxy).is_err() {
        if !process.is_running() || begun.elapsed() > START {
            bail!("it did not start: {}", fs::read_to_string(&log)?);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok((process, proxy))
}

/// Asks for each of these; `stored`: the answer has to come out of the cache.
fn fetch(
    client: &mut BufReader<TcpStream>,
    numbers: impl Iterator<Item = u32>,
    stored: bool,
) -> Result<()> {
    for number in numbers {
        let request = format!("GET /objects/{number:08} HTTP/1.1\r\nHost: www.example.com\r\n\r\n");
        client.get_mut().write_all(request.as_bytes())?;
        let head = head_of(client)?.to_ascii_lowercase();
        ensure!(head.starts_with("http/1.1 200"), "the answer is {head}");
        let told = if stored { "; hit" } else { "; stored" };
        ensure!(head.contains(told), "{number} is not `{told}`: {head}");
        let length = head
            .split_once("content-length: ")
            .and_then(|(_, rest)| rest.lines().next()?.parse().ok())
            .context("an answer without a length")?;
        let mut body = vec![0; length];
        client.read_exact(&mut body)?;
    }
    Ok(())
}

/// The lines until the empty one.
fn head_of(peer: &mut BufReader<TcpStream>) -> Result<String> {
    let mut head = String::new();
    while peer.read_line(&mut head)? > 2 {}
    Ok(head)
}
