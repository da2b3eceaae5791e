//! Nanoseconds a packet of the kernel program, by `BPF_PROG_TEST_RUN` on random sources, minus what a program costs that draws the
//! same random source and passes. Needs root. `cargo bench --bench xdp`, or `cargo xtask bench xdp`; words behind `--` choose the
//! stages whose names have them.
#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::{path::PathBuf, time::Instant};

use anyhow::Result;
use openclaw::shield::kernel::{Kernel, Maps, Subject};
use openclaw_common::{
    abi::{Config, Entry, Prefix4, Prefix6, class, flags, geo},
    verdict::{Reason, Verdict},
};

const REPEAT: u32 = 200_000;
const ROUNDS: usize = 25;
/// Bans without an end, from 10.0.0.0 on.
const LISTED: u32 = 100_000;

/// Where the random sources of a stage come from: `base | random & mask`.
#[derive(Clone, Copy)]
struct Sources {
    base: u32,
    mask: u32,
}

const ANYWHERE: Sources = Sources {
    base: 0,
    mask: u32::MAX,
};
const ONE: Sources = Sources {
    base: 0xc000_0207,
    mask: 0,
};
/// The listed addresses.
const IN_LIST: Sources = Sources {
    base: 0x0a00_0000,
    mask: 0xffff,
};
/// The same for a time.
const IN_TIMED: Sources = Sources {
    base: 0x0e00_0000,
    mask: 0xffff,
};

struct Bench {
    kernel: Kernel,
    pin_dir: PathBuf,
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Nothing to be done about a pin that stays behind; the directory names its process.
        let _ = std::fs::remove_dir_all(&self.pin_dir);
    }
}

fn main() -> Result<()> {
    let pin_dir = PathBuf::from(format!("/sys/fs/bpf/openclaw-bench-{}", std::process::id()));
    let start = Instant::now();
    let kernel = Kernel::load(&pin_dir)?;
    println!(
        "loaded and verified in {} ms\n",
        start.elapsed().as_millis()
    );
    let mut bench = Bench { kernel, pin_dir };
    let maps = bench.kernel.maps();
    let enabled = Config {
        flags: flags::ENABLED,
        ..Config::OFF
    };
    println!(
        "{:<58} {:>8} {:>8} {:>8}  verdict",
        "stage", "reading", "floor", "net ns"
    );

    maps.set_config(&Config::OFF)?;
    bench.stage("kill switch", &v4(ONE))?;
    maps.set_config(&enabled)?;
    bench.stage("pass, empty lists, one source", &v4(ONE))?;
    bench.stage("pass, empty lists, random sources", &v4(ANYWHERE))?;
    bench.stage("pass, empty lists, IPv6", &v6(ANYWHERE))?;

    fill(&maps)?;
    maps.set_config(&Config {
        geo_mode: geo::DENY,
        geo_mask: [0, 1, 0, 0],
        default6: 0,
        ..enabled
    })?;
    bench.stage(
        "pass, full class table, 100k bans, countries, one source",
        &v4(ONE),
    )?;
    bench.stage(
        "pass, the same, random sources of all countries",
        &v4(ANYWHERE),
    )?;
    bench.stage(
        "pass, the same, /24 with a ban, another address",
        &v4(Sources {
            base: 0x0c00_0000,
            mask: 0xffff,
        }),
    )?;
    bench.stage("pass, the same, IPv6, 10k class words", &v6(ANYWHERE))?;
    let hot = Sources {
        mask: 0x0fff,
        ..IN_LIST
    };
    bench.stage("drop, banned, 100k bans, random of 4,096", &v4(hot))?;
    bench.stage("drop, banned, 100k bans, random of 65,536", &v4(IN_LIST))?;
    bench.stage(
        "drop, banned for a time, random of 4,096",
        &v4(Sources {
            mask: 0x0fff,
            ..IN_TIMED
        }),
    )?;
    bench.stage("drop, banned for a time, random of 65,536", &v4(IN_TIMED))?;
    bench.stage("drop, banned /64, IPv6, one source", &banned6())?;
    bench.stage(
        "drop, blocked /24, random of 65,536",
        &v4(Sources {
            base: 0x1000_0000,
            mask: 0x00ff_ffff,
        }),
    )?;
    bench.stage(
        "drop, country",
        &v4(Sources {
            base: 0x1100_0000,
            mask: 0x00ff_ffff,
        }),
    )?;
    bench.stage(
        "drop, fine /28 of 4,096, random",
        &v4(Sources {
            base: 0x1200_0000,
            mask: 0xffff,
        }),
    )?;
    maps.set_config(&Config {
        monitored: u64::MAX,
        ..enabled
    })?;
    bench.stage("monitor, banned, random of 65,536", &v4(IN_LIST))?;
    Ok(())
}

/// Class words of every kind, 100,000 bans, 4,096 fine blocks.
fn fill(maps: &Maps) -> Result<()> {
    let mut words: Vec<u16> = (0..1_u32 << 24)
        .map(|index| (index % 61 + 1) as u16)
        .collect();
    let mut set = |first: u32, count: u32, word: u16| {
        for slot in words
            .iter_mut()
            .skip((first >> 8) as usize)
            .take(count as usize)
        {
            *slot = word;
        }
    };
    set(0x0a00_0000, LISTED / 256 + 1, class::BANNED);
    set(0x0c00_0000, 256, class::BANNED);
    set(0x0e00_0000, 256, class::BANNED);
    set(0x1000_0000, 1 << 16, class::BLOCKED);
    set(0x1100_0000, 1 << 16, 64);
    set(0x1200_0000, 256, class::FINE);
    let block = Entry {
        reason: Reason::Block as u32,
        ..Entry::default()
    };
    for at in 0..LISTED {
        maps.ban4.insert((0x0a00_0000 + at).to_be_bytes(), 0)?;
    }
    for at in 0..0x1_0000_u32 {
        let until_ns = u64::MAX - 1;
        maps.ban4
            .insert((0x0e00_0000 + at).to_be_bytes(), until_ns)?;
    }
    let fine: Vec<_> = (0..4096_u32)
        .map(|at| {
            (
                Prefix4::new((0x1200_0000 + at * 16).to_be_bytes(), 28),
                block,
            )
        })
        .collect();
    maps.fine4.insert_many(&fine)?;
    let class6: Vec<_> = (0..10_000_u32)
        .map(|at| ((0x2600_0000 + at).to_be_bytes(), 1))
        .collect();
    maps.class6.insert_many(&class6)?;
    maps.class6.insert(&[0x20, 1, 0xd, 0xb8], &class::BANNED)?;
    maps.ban6.insert(
        &Prefix6::subnet([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        &block,
    )?;
    maps.class4.replace(&words);
    Ok(())
}

impl Bench {
    fn stage(&mut self, name: &str, frame: &[u8]) -> Result<()> {
        let mut words = std::env::args()
            .skip(1)
            .filter(|word| !word.starts_with('-'));
        if !words.all(|word| name.contains(&word)) {
            return Ok(());
        }
        let floor = self.best(Subject::RandomFloor, frame)?.0;
        let (reading, verdict) = self.best(Subject::RandomSource, frame)?;
        println!(
            "{name:<58} {reading:>8} {floor:>8} {:>8}  {verdict:?}",
            reading.saturating_sub(floor)
        );
        Ok(())
    }

    /// The best round: what else runs on the machine can only make a round slower.
    fn best(&mut self, subject: Subject, frame: &[u8]) -> Result<(u128, Verdict)> {
        let mut best = u128::MAX;
        let mut verdict = Verdict::Pass;
        for _ in 0..ROUNDS {
            let run = self.kernel.test_run(subject, frame, REPEAT)?;
            best = best.min(run.duration.as_nanos());
            verdict = run.verdict;
        }
        Ok((best, verdict))
    }
}

/// A TCP packet over IPv4, then the two words from which the program makes its source.
fn v4(sources: Sources) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend([0x45, 0, 0, 48, 0, 1, 0x40, 0, 64, 6, 0, 0]);
    frame.extend([192, 0, 2, 7, 198, 51, 100, 1]);
    with_tcp(frame, sources)
}

/// The same over IPv6 from `2600::/32`, the random word in the last four bytes of the source.
fn v6(sources: Sources) -> Vec<u8> {
    ip6([0x26, 0, 0, 0], sources)
}

fn banned6() -> Vec<u8> {
    ip6([0x20, 1, 0xd, 0xb8], ANYWHERE)
}

fn ip6(network: [u8; 4], sources: Sources) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd];
    frame.extend([0x60, 0, 0, 0, 0, 28, 6, 64]);
    frame.extend(network);
    frame.extend([0; 12]);
    frame.extend([0x26, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    with_tcp(frame, sources)
}

fn with_tcp(mut frame: Vec<u8>, sources: Sources) -> Vec<u8> {
    frame.extend([
        0x9c, 0x40, 1, 0xbb, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xfa, 0xf0, 0, 0, 0, 0,
    ]);
    frame.extend(sources.base.to_be_bytes());
    frame.extend(sources.mask.to_be_bytes());
    frame
}
