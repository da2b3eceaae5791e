//! `bench case-study`: what a cache takes off a site, and what its visitors notice of it.
//!
//! The same visitors, drawn from the same seed, go to the site itself and then through OpenClaw, whose cache is empty at first.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::load;
use super::machine;
use super::peer::Peer;
use super::process::{self, LOAD_CORE, Process};
use super::role::Role;
use super::template::Kind;
use crate::build;
use crate::shell::{self, say};

/// How long the proxy may take until it listens.
const START: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Requests of all visitors together
    #[arg(long, default_value_t = 40_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    requests: u32,
    /// Visitors at a time, a connection each
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1000))]
    visitors: u32,
    /// Who asks for what
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What one way to the site came to.
struct Way {
    requests: u64,
    hits: u64,
    /// 50, 90 and 99 of a hundred answers came within so many microseconds: of all, of files, of pages, of accounts.
    within: Vec<[u64; 3]>,
    /// At the site.
    served: u64,
    bytes: u64,
    /// Of the proxy.
    cpu: Duration,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let binary = build::run()?;
    let program = load::program()?;
    let folder = shell::target("bench/case-study");
    // Nothing of an earlier run may be taken for this one's.
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder)?;
    let direct = visit(arguments, &program, None)?;
    let through = visit(arguments, &program, Some((&binary, &folder)))?;
    say(machine::describe()?);
    say(format!(
        "{} requests of {} visitors, seed {}: 7 of 10 for files, 2 for pages that hold for 5 minutes, 1 for what nobody may store",
        direct.requests, arguments.visitors, arguments.seed
    ));
    println!("\n{}", table(&direct, &through));
    Ok(())
}

/// All visitors, straight to the site or through a proxy.
fn visit(
    arguments: &Arguments,
    program: &Path,
    proxy: Option<(&PathBuf, &PathBuf)>,
) -> Result<Way> {
    let mut site = Role::start(process::pinned(LOAD_CORE, program).arg("site"))?;
    let [first, second] = *site.numbers("ports")? else {
        bail!("the site names other than two ports");
    };
    let proxy = proxy
        .map(|(binary, folder)| start(binary, folder, [first, second]))
        .transpose()?;
    let port = proxy.as_ref().map_or(first, |(_, port)| u64::from(*port));
    let mut visitors = Role::start(process::pinned(LOAD_CORE, program).args([
        "visit".to_owned(),
        port.to_string(),
        arguments.requests.to_string(),
        arguments.visitors.to_string(),
        arguments.seed.to_string(),
    ]))?;
    let found = visitors.numbers("visit")?;
    let cpu = proxy.map_or(Ok(Duration::ZERO), |(process, _)| process.cpu_time())?;
    site.finish();
    let [served, bytes] = *site.numbers("served")? else {
        bail!("the site does not say what it served");
    };
    let (&[requests, hits], within) = found
        .split_first_chunk()
        .context("the visitors say nothing")?;
    let within: Vec<[u64; 3]> = within.as_chunks().0.to_vec();
    ensure!(
        within.len() == 4,
        "the visitors did not see all kinds of paths: make more requests"
    );
    Ok(Way {
        requests,
        hits,
        within,
        served,
        bytes,
        cpu,
    })
}

/// A proxy with an empty cache before the site, once it listens.
fn start(binary: &Path, folder: &Path, site: [u64; 2]) -> Result<(Process, u16)> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port();
    let [first, second] = site;
    let values = [
        ("port", port.to_string()),
        ("origin1", first.to_string()),
        ("origin2", second.to_string()),
        ("dir", folder.display().to_string()),
        ("files", folder.display().to_string()),
    ];
    let mut command = Peer::OpenClaw.command(binary, folder, Kind::Stored, &values)?;
    let log = folder.join("output");
    let mut process = Process::start(&mut command, &log)?;
    let start = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if !process.is_running() || start.elapsed() > START {
            bail!(
                "OpenClaw did not start: {}",
                fs::read_to_string(&log).unwrap_or_default()
            );
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok((process, port))
}

/// Markdown.
fn table(direct: &Way, through: &Way) -> String {
    let mut text =
        String::from("| | straight | through OpenClaw | |\n| --- | ---: | ---: | ---: |\n");
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0);
    let fewer =
        |less: u64, more: u64| format!("{:.0} % less", 100.0 - 100.0 * less as f64 / more as f64);
    let mut row = |what: &str, one: String, other: String, note: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {what} | {one} | {other} | {note} |");
    };
    let hits = format!(
        "{:.1} % of {}",
        100.0 * through.hits as f64 / through.requests as f64,
        through.requests
    );
    row(
        "answered out of the cache",
        "–".to_owned(),
        through.hits.to_string(),
        hits,
    );
    row(
        "requests at the site",
        direct.served.to_string(),
        through.served.to_string(),
        fewer(through.served, direct.served),
    );
    row(
        "bytes from the site",
        mib(direct.bytes),
        mib(through.bytes),
        fewer(through.bytes, direct.bytes),
    );
    let kinds = ["all", "files", "pages", "accounts"];
    for (kind, (one, other)) in kinds.iter().zip(direct.within.iter().zip(&through.within)) {
        let times = |[half, most, nearly_all]: &[u64; 3]| {
            let ms = |micros: &u64| *micros as f64 / 1000.0;
            format!(
                "{:.2} / {:.2} / {:.2} ms",
                ms(half),
                ms(most),
                ms(nearly_all)
            )
        };
        row(
            &format!("{kind}: p50 / p90 / p99"),
            times(one),
            times(other),
            String::new(),
        );
    }
    let cost = through.cpu.as_secs_f64() * 1e6 / through.requests as f64;
    row(
        "CPU of the proxy",
        "–".to_owned(),
        format!("{cost:.1} µs a request"),
        String::new(),
    );
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Way, table};

    fn way(served: u64, hits: u64, half: u64) -> Way {
        Way {
            requests: 1000,
            hits,
            within: vec![[half, 2 * half, 3 * half]; 4],
            served,
            bytes: served * 1024 * 1024,
            cpu: Duration::from_millis(hits),
        }
    }

    #[test]
    fn a_table_says_what_the_site_is_spared() {
        let text = table(&way(1000, 0, 4000), &way(250, 750, 500));
        for line in [
            "| answered out of the cache | – | 750 | 75.0 % of 1000 |",
            "| requests at the site | 1000 | 250 | 75 % less |",
            "| bytes from the site | 1000.0 MiB | 250.0 MiB | 75 % less |",
            "| pages: p50 / p90 / p99 | 4.00 / 8.00 / 12.00 ms | 0.50 / 1.00 / 1.50 ms |  |",
            "| CPU of the proxy | – | 750.0 µs a request |  |",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
