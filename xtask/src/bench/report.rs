//! Medians, and the table made of them.

use std::fmt::Write as _;

use anyhow::Error;

use super::peer::Peer;
use super::scenario::{Load, Scenario};
use super::stage::Round;
use crate::shell::say;

/// One proxy in one scenario.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) scenario: Scenario,
    pub(crate) peer: Peer,
    pub(crate) rounds: Vec<Round>,
}

#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) failures: Vec<String>,
}

impl Lane {
    pub(crate) fn new(scenario: Scenario, peer: Peer) -> Self {
        Self {
            scenario,
            peer,
            rounds: Vec::new(),
        }
    }

    fn cost(&self) -> Option<f64> {
        median(self.rounds.iter().map(|round| round.cost))
    }

    fn rate(&self) -> Option<f64> {
        median(self.rounds.iter().map(|round| round.rate))
    }

    /// The cost as a multiple of another's. Rounds that ran one after the other are compared with each other, and the median of
    /// their ratios counts: what slows the machine for seconds slows both, and leaves the ratio alone.
    fn compared(&self, other: &Self) -> Option<f64> {
        let pairs = self.rounds.iter().zip(&other.rounds);
        median(pairs.map(|(ours, others)| ours.cost / others.cost))
    }

    /// All that was found, for who watches.
    pub(crate) fn detail(&self) -> String {
        let costs: Vec<String> = self
            .rounds
            .iter()
            .map(|round| format!("{:.2}", round.cost))
            .collect();
        let busy = median(self.rounds.iter().map(|round| round.busy)).unwrap_or_default();
        let (unit, rest) = match self.scenario.load() {
            Load::Idle { .. } => ("KiB per connection", String::new()),
            Load::Wrk
            | Load::H2load { .. }
            | Load::Sink { .. }
            | Load::Handshake
            | Load::Resets
            | Load::Http3 { .. }
            | Load::QuicHandshake => (
                "us per request",
                format!(
                    ", {:.0} requests/s, busy {busy:.2}",
                    self.rate().unwrap_or_default()
                ),
            ),
        };
        format!(
            "{} {}: {} {unit}{rest}",
            self.scenario.name(),
            self.peer.name(),
            costs.join(" ")
        )
    }
}

impl Report {
    pub(crate) fn fail(&mut self, scenario: Scenario, peer: Peer, error: &Error) {
        let line = format!("{} {}: {error:#}", scenario.name(), peer.name());
        say(&line);
        self.failures.push(line);
    }

    /// A Markdown table, a scenario a line.
    pub(crate) fn table(&self) -> String {
        let mut peers: Vec<Peer> = Vec::new();
        let mut scenarios: Vec<Scenario> = Vec::new();
        for lane in &self.lanes {
            if !peers.contains(&lane.peer) {
                peers.push(lane.peer);
            }
            if !scenarios.contains(&lane.scenario) {
                scenarios.push(lane.scenario);
            }
        }
        let mut text = String::from("| |");
        for peer in &peers {
            let _ = write!(text, " {} |", peer.name());
        }
        text.push_str(" to the best other |\n| --- |");
        text.push_str(&" ---: |".repeat(peers.len() + 1));
        for scenario in scenarios {
            let _ = write!(text, "\n| `{}` {} |", scenario.name(), scenario.about());
            for peer in &peers {
                let cell = self.lane(scenario, *peer).and_then(cell);
                let _ = write!(text, " {} |", cell.as_deref().unwrap_or("–"));
            }
            match self.ratio(scenario) {
                Some(ratio) => {
                    let _ = write!(text, " **{ratio:.2}** |");
                }
                None => text.push_str(" – |"),
            }
        }
        text
    }

    /// What OpenClaw costs, as a multiple of the cheapest other proxy.
    fn ratio(&self, scenario: Scenario) -> Option<f64> {
        let best = self
            .lanes
            .iter()
            .filter(|lane| lane.scenario == scenario && lane.peer != Peer::OpenClaw)
            .filter_map(|lane| Some((lane.cost()?, lane)))
            .min_by(|(one, _), (other, _)| one.total_cmp(other));
        self.lane(scenario, Peer::OpenClaw)?.compared(best?.1)
    }

    /// What a request costs OpenClaw with many routes, as a multiple of what it costs with one.
    pub(crate) fn routes(&self) -> Option<f64> {
        let lane = |scenario| self.lane(scenario, Peer::OpenClaw);
        lane(Scenario::ManyRoutes)?.compared(lane(Scenario::OneRoute)?)
    }

    fn lane(&self, scenario: Scenario, peer: Peer) -> Option<&Lane> {
        self.lanes
            .iter()
            .find(|lane| lane.scenario == scenario && lane.peer == peer)
    }
}

fn cell(lane: &Lane) -> Option<String> {
    let cost = lane.cost()?;
    Some(match lane.scenario.load() {
        Load::Idle { .. } => format!("{cost:.1} KiB"),
        Load::Wrk
        | Load::H2load { .. }
        | Load::Sink { .. }
        | Load::Handshake
        | Load::Resets
        | Load::Http3 { .. }
        | Load::QuicHandshake => {
            format!("{cost:.1} µs, {:.0}/s", lane.rate()?)
        }
    })
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*values.get(middle.checked_sub(1)?)?, upper))
}

#[cfg(test)]
mod tests {
    use super::{Lane, Report, median};
    use crate::bench::peer::Peer;
    use crate::bench::scenario::Scenario;
    use crate::bench::stage::Round;

    fn lane(scenario: Scenario, peer: Peer, costs: &[f64]) -> Lane {
        let rounds = costs.iter().map(|cost| Round {
            cost: *cost,
            rate: 1e6 / cost,
            busy: 1.0,
        });
        Lane {
            scenario,
            peer,
            rounds: rounds.collect(),
        }
    }

    #[test]
    fn the_middle_counts() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn a_table_compares_with_the_cheapest_other() {
        let report = Report {
            lanes: vec![
                lane(Scenario::Small, Peer::OpenClaw, &[10.0, 9.0, 50.0]),
                lane(Scenario::Small, Peer::Nginx, &[16.0, 16.0, 16.0]),
                lane(Scenario::Small, Peer::Haproxy, &[12.5, 10.0, 62.5]),
                lane(Scenario::Idle, Peer::OpenClaw, &[2.0]),
                lane(Scenario::Idle, Peer::Nginx, &[]),
            ],
            failures: Vec::new(),
        };
        let expected = "| | OpenClaw | nginx | HAProxy | to the best other |\n\
            | --- | ---: | ---: | ---: | ---: |\n\
            | `h1-1k` HTTP/1.1 kept alive, 1 KiB, 64 connections | 10.0 µs, 100000/s | 16.0 µs, 62500/s | 12.5 µs, \
            80000/s | **0.80** |\n\
            | `idle` Resident memory of each of 8000 connections that made one request and wait | 2.0 KiB | – | – | – |";
        assert_eq!(report.table(), expected);
    }
}
