//! Measuring a stage beside the reference, and the table.
#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::path::PathBuf;

use anyhow::Result;
use openclaw::shield::kernel::{Kernel, Subject};
use openclaw_common::{
    abi::{Config, flags},
    verdict::Verdict,
};

use crate::{ONE, frames::v4};

const REPEAT: u32 = 100_000;
const ROUNDS: usize = 25;

/// What the reference is measured with.
pub(crate) const REFERENCE: Config = Config {
    flags: flags::ENABLED,
    ..Config::OFF
};

/// What a stage may take, in scaled nanoseconds, by the word that its name begins with.
const BUDGETS: [(&str, f64); 3] = [("pass", 120.0), ("drop", 100.0), ("cookie, SYN", 450.0)];

/// A program and what it does besides the shield.
pub(crate) type Pair = [Subject; 2];
const RANDOM: Pair = [Subject::RandomSource, Subject::RandomFloor];

pub(crate) struct Bench {
    pub(crate) kernel: Kernel,
    pin_dir: PathBuf,
    /// The best that the reference was.
    best: u64,
    rows: Vec<Row>,
}

/// A stage that was measured.
struct Row {
    name: String,
    reading: u64,
    floor: u64,
    ratio: f64,
    verdict: Verdict,
}

/// Nanoseconds a packet in one round.
#[derive(Clone, Copy)]
struct Round {
    reading: u64,
    floor: u64,
    /// Of the reference, with its floor: small figures have large errors.
    reference: u64,
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Nothing to be done about a pin that stays behind; the directory names its process.
        let _ = std::fs::remove_dir_all(&self.pin_dir);
    }
}

impl Bench {
    pub(crate) fn new(kernel: Kernel, pin_dir: PathBuf) -> Self {
        println!(
            "{:<58} {:>8} {:>8} {:>8} {:>7}  verdict",
            "stage", "reading", "floor", "net ns", "ratio"
        );
        Self {
            kernel,
            pin_dir,
            best: u64::MAX,
            rows: Vec::new(),
        }
    }

    pub(crate) fn stage(&mut self, name: &str, frame: &[u8]) -> Result<()> {
        self.measure(name, RANDOM, frame)
    }

    pub(crate) fn measure(
        &mut self,
        name: &str,
        [subject, floor]: Pair,
        frame: &[u8],
    ) -> Result<()> {
        let mut words = std::env::args()
            .skip(1)
            .filter(|word| !word.starts_with('-'));
        if !words.all(|word| name.contains(&word)) {
            return Ok(());
        }
        let maps = self.kernel.maps();
        let config = maps.config()?;
        let passing = v4(ONE);
        let mut rounds = Vec::new();
        let mut verdict = Verdict::Pass;
        for _ in 0..ROUNDS {
            let empty = self.time(floor, frame)?.0;
            let (reading, said) = self.time(subject, frame)?;
            verdict = said;
            maps.begin(&REFERENCE)?;
            let [passes, _] = RANDOM;
            let reference = self.time(passes, &passing)?.0;
            maps.begin(&config)?;
            rounds.push(Round {
                reading,
                floor: empty,
                reference: reference.max(1),
            });
        }
        self.take(name, &rounds, verdict);
        Ok(())
    }

    fn time(&mut self, subject: Subject, frame: &[u8]) -> Result<(u64, Verdict)> {
        let run = self.kernel.test_run(subject, frame, REPEAT)?;
        Ok((run.duration.as_nanos().try_into()?, run.verdict))
    }

    fn take(&mut self, name: &str, rounds: &[Round], verdict: Verdict) {
        let best = |side: fn(&Round) -> u64| rounds.iter().map(side).min().unwrap_or(0);
        let mut ratios: Vec<f64> = rounds
            .iter()
            .map(|round| round.reading.saturating_sub(round.floor) as f64 / round.reference as f64)
            .collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let row = Row {
            name: name.to_owned(),
            reading: best(|round| round.reading),
            floor: best(|round| round.floor),
            ratio: ratios.get(ratios.len() / 2).copied().unwrap_or(0.0),
            verdict,
        };
        self.best = self.best.min(best(|round| round.reference));
        println!(
            "{:<58} {:>8} {:>8} {:>8} {:>7.2}  {:?}",
            row.name,
            row.reading,
            row.floor,
            row.reading.saturating_sub(row.floor),
            row.ratio,
            row.verdict
        );
        self.rows.push(row);
    }

    /// The reference, and what is above its budget.
    pub(crate) fn conclude(&self) {
        println!(
            "\nthe reference, a packet of one source that passes empty tables, is {} ns at its best",
            self.best
        );
        for row in &self.rows {
            let scaled = row.ratio * self.best as f64;
            let budget = BUDGETS.iter().find(|(word, _)| row.name.starts_with(word));
            if let Some((_, budget)) = budget.filter(|(_, budget)| scaled > *budget) {
                println!(
                    "above its budget of {budget} ns: {}, {scaled:.0} ns scaled",
                    row.name
                );
            }
        }
    }
}
