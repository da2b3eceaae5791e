//! `bench peers`: OpenClaw beside other proxies, as CPU time per request, which says more than requests per second
//! where the cores are few or not ours alone.
//!
//! Each proxy has one worker on core 0; the load and the origin share core 1. Rounds go through the proxies in turn,
//! so that what disturbs the machine for a while disturbs all of them.

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Result, bail, ensure};

use super::load;
use super::machine;
use super::peer::Peer;
use super::readme;
use super::report::{Lane, Report};
use super::scenario::{GROUPS, Load, Scenario};
use super::stage::{Running, Stage};
use super::template::Kind;
use crate::build;
use crate::setup::packages;
use crate::shell::{self, say};

/// Of load before the first round that counts.
const WARM_UP: u32 = 1;
/// Of each load, for a profile.
const TRAINING: u32 = 2;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to measure; everything by default
    #[arg(long, value_enum, value_delimiter = ',')]
    scenarios: Vec<Scenario>,
    /// Whom to measure; everyone found on PATH by default
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// The median of this many rounds counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// The time of a round
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Puts the table into README.md
    #[arg(long)]
    write: bool,
}

/// A proxy that is here.
struct Found {
    peer: Peer,
    program: PathBuf,
    version: String,
    /// Built with HTTP/3.
    has_quic: bool,
}

impl Found {
    fn serves(&self, kind: Kind) -> bool {
        self.peer.serves(kind) && (self.has_quic || kind != Kind::Quic)
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(
        thread::available_parallelism()?.get() >= 2,
        "two cores are needed, one for the proxy and one for the load"
    );
    packages::install(packages::LOADS)?;
    let peers = found(&arguments.peers)?;
    let stage = Stage::set(shell::target("bench/peers"), load::program()?)?;
    let mut report = Report::default();
    say(format!("load average {}", machine::load()?));
    for group in GROUPS {
        let wanted: Vec<Scenario> = group
            .iter()
            .copied()
            .filter(|scenario| {
                arguments.scenarios.is_empty() || arguments.scenarios.contains(scenario)
            })
            .collect();
        measure(&stage, &wanted, &peers, arguments, &mut report);
    }
    say(format!("load average {}", machine::load()?));
    let text = readme::section(&report, &machine::describe()?, &versions(&peers));
    println!("\n{text}");
    if arguments.write {
        readme::write(&text)?;
    }
    if !report.failures.is_empty() {
        bail!("not measured:\n{}", report.failures.join("\n"));
    }
    Ok(())
}

/// Puts a binary of ours under all loads, a few seconds each.
pub(crate) fn train(binary: &Path) -> Result<()> {
    packages::install(packages::LOADS)?;
    let stage = Stage::set(shell::target("bench/profile"), load::program()?)?;
    for scenario in GROUPS.into_iter().flatten() {
        say(format!("{}: {}", scenario.name(), scenario.about()));
        let running = stage.start(Peer::OpenClaw, binary, *scenario)?;
        stage.round(&running, TRAINING)?;
    }
    Ok(())
}

/// The proxies to measure; who was asked for by name must be there.
fn found(wanted: &[Peer]) -> Result<Vec<Found>> {
    let all = [Peer::OpenClaw, Peer::Nginx, Peer::Haproxy, Peer::Varnish];
    let mut peers = Vec::new();
    for peer in all {
        if !(wanted.is_empty() || wanted.contains(&peer)) {
            continue;
        }
        if peer == Peer::OpenClaw {
            build::run()?;
        }
        let Some(program) = peer.program() else {
            ensure!(wanted.is_empty(), "{} is not on PATH", peer.name());
            say(format!("{} is not on PATH: left out", peer.name()));
            continue;
        };
        let version = peer.version(&program)?;
        let has_quic = peer.has_quic(&program)?;
        say(format!("{version}: {}", program.display()));
        peers.push(Found {
            peer,
            program,
            version,
            has_quic,
        });
    }
    Ok(peers)
}

fn versions(peers: &[Found]) -> String {
    let versions: Vec<&str> = peers.iter().map(|found| found.version.as_str()).collect();
    versions.join(", ")
}

/// All rounds of a group of scenarios, the proxies in turn.
fn measure(
    stage: &Stage,
    group: &[Scenario],
    peers: &[Found],
    arguments: &Arguments,
    report: &mut Report,
) {
    let mut lanes: Vec<(Running, Lane)> = Vec::new();
    for scenario in group {
        for found in peers {
            if !found.serves(scenario.kind()) {
                let (scenario, peer) = (scenario.name(), found.peer.name());
                say(format!("{scenario} {peer}: it cannot, left out"));
                continue;
            }
            match stage.start(found.peer, &found.program, *scenario) {
                Ok(running) => lanes.push((running, Lane::new(*scenario, found.peer))),
                Err(error) => report.fail(*scenario, found.peer, &error),
            }
        }
    }
    // Memory grows with the first connections only: there is nothing to warm up and nothing to repeat.
    let idle = lanes
        .iter()
        .any(|(running, _)| matches!(running.scenario.load(), Load::Idle { .. }));
    let rounds = if idle { 1 } else { arguments.rounds };
    if !idle {
        lanes.retain(|(running, lane)| match stage.round(running, WARM_UP) {
            Ok(_) => true,
            Err(error) => {
                report.fail(lane.scenario, lane.peer, &error);
                false
            }
        });
    }
    for _ in 0..rounds {
        for (running, lane) in &mut lanes {
            match stage.round(running, arguments.seconds) {
                Ok(round) => lane.rounds.push(round),
                Err(error) => report.fail(lane.scenario, lane.peer, &error),
            }
        }
    }
    for (_, lane) in lanes {
        say(lane.detail());
        report.lanes.push(lane);
    }
}
