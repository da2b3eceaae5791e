//! Where figures were made: without that they say little.

use std::fs;
use std::thread;

use anyhow::{Context as _, Result};

/// Processor, number of cores, kernel.
pub(crate) fn describe() -> Result<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
    let model = cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.trim() == "model name")
        .map_or("an unnamed processor", |(_, model)| model.trim());
    let guest = cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| line.split_whitespace().any(|flag| flag == "hypervisor"));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")
        .context("cannot read the kernel's version")?;
    let number = kernel.split(['-', '+']).next().unwrap_or_default().trim();
    let cores = thread::available_parallelism()?;
    let place = if guest { "a virtual machine with " } else { "" };
    Ok(format!("{place}{cores} cores of {model}, Linux {number}"))
}

/// How many wait for a core: more than a few, and the figures are those of a busy machine.
pub(crate) fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
    let averages: Vec<&str> = text.split_whitespace().take(3).collect();
    Ok(averages.join(" "))
}
