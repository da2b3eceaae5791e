//! What each view shows, as rows: made of a sample and the one before it.

use std::cmp::Ordering;

use ratatui::style::Color;

use super::figures::{millis, quantile, rate, short, whole};
use crate::control::top::{RouteRow, Sample, UpstreamRow};

/// Which view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Interfaces,
    Xdp,
    Listeners,
    Routes,
    Upstreams,
    Refusals,
}

impl View {
    pub(super) const ALL: [Self; 6] = [
        Self::Interfaces,
        Self::Xdp,
        Self::Listeners,
        Self::Routes,
        Self::Upstreams,
        Self::Refusals,
    ];

    /// Title, then the names of the columns; the first is text, and so is a state.
    const fn heads(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Interfaces => (
                "NIC",
                &[
                    "interface",
                    "rx pkt/s",
                    "rx B/s",
                    "drop/s",
                    "tx pkt/s",
                    "tx B/s",
                    "xdp",
                ],
            ),
            Self::Xdp => ("XDP", &["stage", "pkt/s", "B/s", "packets", "verdict"]),
            Self::Listeners => (
                "LISTENER",
                &[
                    "name", "open", "conn/s", "req/s", "5xx/s", "in B/s", "out B/s",
                ],
            ),
            Self::Routes => (
                "ROUTE",
                &[
                    "name", "req/s", "4xx/s", "5xx/s", "p50", "p99", "out B/s", "hit %",
                ],
            ),
            Self::Upstreams => (
                "UPSTREAM",
                &[
                    "endpoint", "req/s", "fail/s", "active", "latency", "weight", "state",
                ],
            ),
            Self::Refusals => ("REFUSAL", &["reason", "per s", "in all"]),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Text(String),
    /// As it is compared, and as it is shown.
    Number(f64, String),
    /// Nothing was measured.
    None,
}

impl Cell {
    fn figure(value: f64) -> Self {
        Self::Number(value, short(value))
    }

    fn count(value: u64) -> Self {
        Self::Number(value as f64, whole(value))
    }

    fn time(value: Option<f64>) -> Self {
        value.map_or(Self::None, |value| Self::Number(value, millis(value)))
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(_, text) => text,
            Self::None => "-",
        }
    }

    /// The larger number first, texts by the alphabet, nothing last.
    fn before(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(one, _), Self::Number(other, _)) => other.total_cmp(one),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (one, other) => one.rank().cmp(&other.rank()),
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Number(..) => 0,
            Self::Text(_) => 1,
            Self::None => 2,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Row {
    /// What it stands for, also when the order changes.
    pub(super) key: String,
    pub(super) cells: Vec<Cell>,
    pub(super) colour: Option<Color>,
}

#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) columns: &'static [&'static str],
    pub(super) rows: Vec<Row>,
}

/// Two samples and the time between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    pub(super) now: &'a Sample,
    /// Nothing: no rates yet.
    pub(super) before: Option<&'a Sample>,
}

impl<'a> Span<'a> {
    fn seconds(self) -> f64 {
        let passed = self.before.map(|before| self.now.uptime - before.uptime);
        passed.filter(|passed| *passed > 0.0).unwrap_or(1.0)
    }

    /// The rate of something that is found in both samples; none yet is 0.
    pub(super) fn rate(self, of: impl Fn(&Sample) -> Option<u64>) -> f64 {
        let before = self.before.map(|before| of(before).unwrap_or(0));
        let Some(before) = before else { return 0.0 };
        rate(of(self.now).unwrap_or(0), before, self.seconds())
    }

    fn figure(self, of: impl Fn(&Sample) -> Option<u64>) -> Cell {
        Cell::figure(self.rate(of))
    }

    /// The rows of a view, sorted by a column where one is chosen.
    pub(super) fn table(self, view: View, sort: Option<(usize, bool)>) -> Table {
        let (title, columns) = view.heads();
        let mut rows = match view {
            View::Interfaces => self.interfaces(),
            View::Xdp => self.xdp(),
            View::Listeners => self.listeners(),
            View::Routes => self.routes(),
            View::Upstreams => self.upstreams(),
            View::Refusals => self.refusals(),
        };
        if let Some((column, is_reversed)) = sort {
            let column = column % columns.len();
            rows.sort_by(|one, other| {
                let cells = one.cells.get(column).zip(other.cells.get(column));
                let order = cells.map_or(Ordering::Equal, |(one, other)| one.before(other));
                if is_reversed { order.reverse() } else { order }
            });
        }
        Table {
            title,
            columns,
            rows,
        }
    }

    fn interfaces(self) -> Vec<Row> {
        let rows = self.now.interfaces.iter().enumerate();
        rows.map(|(index, one)| {
            let find = |sample: &Sample| {
                let at = sample.interfaces.get(index);
                let found = at.filter(|other| other.name == one.name);
                found.cloned().or_else(|| {
                    let mut all = sample.interfaces.iter();
                    all.find(|other| other.name == one.name).cloned()
                })
            };
            let drops = self.rate(|sample| Some(find(sample)?.rx_dropped));
            let xdp = one.xdp.clone().unwrap_or_else(|| "-".to_owned());
            Row {
                key: one.name.clone(),
                cells: vec![
                    Cell::Text(one.name.clone()),
                    self.figure(|sample| Some(find(sample)?.rx_packets)),
                    self.figure(|sample| Some(find(sample)?.rx_bytes)),
                    Cell::figure(drops),
                    self.figure(|sample| Some(find(sample)?.tx_packets)),
                    self.figure(|sample| Some(find(sample)?.tx_bytes)),
                    Cell::Text(xdp),
                ],
                colour: (drops > 0.0).then_some(Color::Yellow),
            }
        })
        .collect()
    }

    fn xdp(self) -> Vec<Row> {
        let rows = self.now.stages.iter();
        rows.map(|one| {
            let of = |sample: &Sample| {
                let mut stages = sample.stages.iter();
                let same = stages
                    .find(|stage| stage.interface == one.interface && stage.reason == one.reason);
                same.map(|stage| (stage.packets, stage.bytes))
            };
            let packets = self.rate(|sample| Some(of(sample)?.0));
            let is_loud = one.verdict == "drop" && packets > 0.0;
            Row {
                key: format!("{} {}", one.interface, one.reason),
                cells: vec![
                    Cell::Text(format!("{} {}", one.interface, one.reason)),
                    Cell::figure(packets),
                    self.figure(|sample| Some(of(sample)?.1)),
                    Cell::count(one.packets),
                    Cell::Text(one.verdict.clone()),
                ],
                colour: is_loud.then_some(Color::Red),
            }
        })
        .collect()
    }

    fn listeners(self) -> Vec<Row> {
        let rows = self.now.listeners.iter();
        rows.map(|one| {
            let of = |sample: &Sample| {
                let mut all = sample.listeners.iter();
                Some(all.find(|other| other.name == one.name)?.figures.clone())
            };
            let errors = self.rate(|sample| Some(of(sample)?.errors));
            Row {
                key: one.name.clone(),
                cells: vec![
                    Cell::Text(one.name.clone()),
                    Cell::count(one.figures.open.max(0).unsigned_abs()),
                    self.figure(|sample| Some(of(sample)?.accepted)),
                    self.figure(|sample| Some(of(sample)?.requests)),
                    Cell::figure(errors),
                    self.figure(|sample| Some(of(sample)?.bytes_in)),
                    self.figure(|sample| Some(of(sample)?.bytes_out)),
                ],
                colour: (errors > 0.0).then_some(Color::Red),
            }
        })
        .collect()
    }

    fn routes(self) -> Vec<Row> {
        let rows = self.now.routes.iter();
        rows.map(|one| self.route(one)).collect()
    }

    fn route(self, one: &RouteRow) -> Row {
        let of = |sample: &'a Sample| {
            let mut all = sample.routes.iter();
            all.find(|other| other.name == one.name)
                .map(|row| &row.figures)
        };
        let class = |class: usize| {
            let count = |sample: &Sample| {
                let mut all = sample.routes.iter();
                let row = all.find(|other| other.name == one.name)?;
                row.figures.classes.get(class).copied()
            };
            self.rate(count)
        };
        let before = self.before.and_then(of);
        let time = |part| {
            let before = self.before.map(|_| before)?;
            quantile(&one.figures, before, &self.now.bounds, part)
        };
        let figure = |pick: fn(&crate::telemetry::RouteFigures) -> u64| {
            self.rate(|sample| {
                let mut all = sample.routes.iter();
                Some(pick(&all.find(|other| other.name == one.name)?.figures))
            })
        };
        let asked = figure(|figures| figures.cache_asked);
        let hits = figure(|figures| figures.cache_hits) * 100.0 / asked;
        let errors = class(5);
        let name = if one.name.is_empty() {
            "(none)"
        } else {
            &one.name
        };
        Row {
            key: one.name.clone(),
            cells: vec![
                Cell::Text(name.to_owned()),
                Cell::figure(figure(|figures| figures.requests)),
                Cell::figure(class(4)),
                Cell::figure(errors),
                Cell::time(time(0.5)),
                Cell::time(time(0.99)),
                Cell::figure(figure(|figures| figures.bytes_out)),
                if asked > 0.0 {
                    Cell::Number(hits, format!("{hits:.0}"))
                } else {
                    Cell::None
                },
            ],
            colour: (errors > 0.0).then_some(Color::Red),
        }
    }

    fn upstreams(self) -> Vec<Row> {
        let all = self.now.upstreams.iter();
        all.flat_map(|upstream| self.endpoints(upstream)).collect()
    }

    fn endpoints(self, upstream: &UpstreamRow) -> Vec<Row> {
        let rows = upstream.endpoints.iter();
        rows.map(|one| {
            let of = |sample: &Sample| {
                let mut all = sample.upstreams.iter();
                let upstream = all.find(|other| other.name == upstream.name)?;
                let mut all = upstream.endpoints.iter();
                all.find(|other| other.endpoint == one.endpoint).cloned()
            };
            let failures = self.rate(|sample| Some(of(sample)?.failures));
            let colour = match &*one.state {
                "up" if failures > 0.0 => Some(Color::Yellow),
                "up" => None,
                _ => Some(Color::Red),
            };
            Row {
                key: format!("{} {}", upstream.name, one.endpoint),
                cells: vec![
                    Cell::Text(format!("{} {}", upstream.name, one.endpoint)),
                    self.figure(|sample| Some(of(sample)?.requests)),
                    Cell::figure(failures),
                    Cell::count(one.active),
                    Cell::time(one.latency_ms),
                    Cell::count(one.weight.into()),
                    Cell::Text(one.state.clone()),
                ],
                colour,
            }
        })
        .collect()
    }

    fn refusals(self) -> Vec<Row> {
        let rows = self.now.refusals.iter();
        rows.map(|(reason, count)| {
            let lately = self.rate(|sample| sample.refusals.get(reason).copied());
            Row {
                key: reason.clone(),
                cells: vec![
                    Cell::Text(reason.clone()),
                    Cell::figure(lately),
                    Cell::count(*count),
                ],
                colour: (lately > 0.0).then_some(Color::Yellow),
            }
        })
        .collect()
    }
}
