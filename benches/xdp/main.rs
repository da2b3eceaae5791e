//! Nanoseconds a packet of the kernel program, by `BPF_PROG_TEST_RUN` on random sources, minus what a program costs that draws the
//! same random source and passes. Needs root. `cargo bench --bench xdp`, or `cargo xtask bench xdp`; words behind `--` choose the
//! stages whose names have them.
//!
//! What else runs on the machine makes figures of one minute larger than those of another. So each round of a stage measures the
//! reference beside it: a packet of one source that passes empty tables. "net" is between the best rounds of the stage and of its
//! floor, "ratio" the median over the rounds of that difference to the reading of the reference, and "scaled" the ratio times the best
//! reading of the reference in this run: two runs are compared by the ratio, and a run with its budget by what is scaled.
#![expect(clippy::print_stdout, reason = "a bench prints its table")]

mod cookies;
mod frames;
mod rounds;

use std::{path::PathBuf, time::Instant};

use anyhow::Result;
use frames::{banned6, v4, v6};
use openclaw::shield::kernel::{Kernel, Maps};
use openclaw_common::{
    abi::{Config, Entry, Prefix4, class, geo},
    verdict::Reason,
};
use rounds::{Bench, REFERENCE};

/// Bans without an end, from 10.0.0.0 on.
const LISTED: u32 = 100_000;

/// Where the random sources of a stage come from: `base | random & mask`.
#[derive(Clone, Copy)]
struct Sources {
    base: u32,
    mask: u32,
}

impl Sources {
    /// As the program wants them in a frame.
    fn parameters(self) -> [u8; 8] {
        (u64::from(self.base) << 32 | u64::from(self.mask)).to_be_bytes()
    }
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
/// The last bits of a banned /64, in a frame of [`banned6`].
const SUBNETS: Sources = Sources {
    base: 0,
    mask: 0x7fff,
};
const ONE_SUBNET: Sources = Sources { base: 0, mask: 0 };
/// Banned /64s, from `2001:db8::/64` on.
const SUBNETS_LISTED: u32 = 60_000;
/// The same for a time.
const IN_TIMED: Sources = Sources {
    base: 0x0e00_0000,
    mask: 0xffff,
};

fn main() -> Result<()> {
    let pin_dir = PathBuf::from(format!("/sys/fs/bpf/openclaw-bench-{}", std::process::id()));
    let start = Instant::now();
    let kernel = Kernel::load(&pin_dir)?;
    println!(
        "loaded and verified in {} ms\n",
        start.elapsed().as_millis()
    );
    let mut bench = Bench::new(kernel, pin_dir);
    let maps = bench.kernel.maps();
    let enabled = REFERENCE;

    maps.begin(&Config::OFF)?;
    bench.stage("kill switch", &v4(ONE))?;
    maps.begin(&enabled)?;
    bench.stage("pass, empty lists, one source", &v4(ONE))?;
    bench.stage("pass, empty lists, random sources", &v4(ANYWHERE))?;
    bench.stage("pass, empty lists, IPv6", &v6(ANYWHERE))?;

    fill(&maps)?;
    maps.begin(&Config {
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
    bench.stage("drop, banned /64, IPv6, one source", &banned6(ONE_SUBNET))?;
    bench.stage(
        "drop, banned /64, IPv6, 60k bans, random of 32,768",
        &banned6(SUBNETS),
    )?;
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
    maps.begin(&Config {
        monitored: u64::MAX,
        ..enabled
    })?;
    bench.stage("monitor, banned, random of 65,536", &v4(IN_LIST))?;
    cookies::run(&mut bench, &maps)?;
    bench.conclude();
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
    maps.fine4().insert_many(&fine)?;
    for at in 0..10_000_u32 {
        maps.class6.store((0x2600_0000 + at).to_be_bytes(), 1)?;
    }
    maps.class6.store([0x20, 1, 0xd, 0xb8], class::BANNED)?;
    for at in 0..SUBNETS_LISTED {
        let [a, b, c, d] = at.to_be_bytes();
        maps.ban6.insert([0x20, 1, 0xd, 0xb8, a, b, c, d], 0)?;
    }
    maps.class4.replace(&words);
    Ok(())
}
