//! What the dashboard knows and shows: two samples, the last news, and what the keys have chosen.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use openclaw_core::reason::Reason;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::figures::whole;
use super::tables::{Span, Table, View};
use crate::cli::output::harmless;
use crate::control::top::Sample;
use crate::shield::{ListEvent, show_seconds};

/// News of the lists that are remembered.
const NEWS: usize = 200;

/// All of it.
#[derive(Debug)]
pub(super) struct Board {
    now: Sample,
    before: Option<Sample>,
    /// Why there was no newer sample.
    pub(super) trouble: Option<String>,
    /// Comings and goings of the block lists, the newest first.
    pub(super) news: VecDeque<String>,
    pub(super) page: Page,
    /// The chosen row.
    pub(super) selected: usize,
    /// A column, and whether from the other end.
    pub(super) sort: Option<(usize, bool)>,
    pub(super) is_paused: bool,
}

/// What fills the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Overview,
    Whole(View),
    /// One row, by its key, with all that is known of it.
    Row(View, String),
    News,
    Help,
}

impl Board {
    pub(super) fn new(now: Sample) -> Self {
        Self {
            now,
            before: None,
            trouble: None,
            news: VecDeque::new(),
            page: Page::Overview,
            selected: 0,
            sort: None,
            is_paused: false,
        }
    }

    pub(super) fn now(&self) -> &Sample {
        &self.now
    }

    /// A new sample; that of another process begins anew.
    pub(super) fn take(&mut self, sample: Sample) {
        self.trouble = None;
        if self.is_paused {
            return;
        }
        let before = std::mem::replace(&mut self.now, sample);
        let is_same = before.pid == self.now.pid && before.uptime < self.now.uptime;
        self.before = is_same.then_some(before);
    }

    pub(super) fn trouble(&mut self, trouble: String) {
        self.trouble = Some(trouble);
    }

    pub(super) fn ban(&mut self, event: &ListEvent) {
        if event.event == "watch" {
            return;
        }
        let time = event.time.get(11..19).unwrap_or(&event.time);
        let parts = [
            event.prefix.as_ref().map(|prefix| format!(" {prefix}")),
            event.counts.map(|counts| {
                let (added, updated, removed) = (counts.added, counts.updated, counts.removed);
                format!(" +{added} ~{updated} -{removed}")
            }),
            event.lost.map(|lost| format!(" {lost} not told")),
            event.ttl.map(|ttl| format!(" for {}", show_seconds(ttl))),
            event.list.as_ref().map(|list| format!(" on {list}")),
            event.reason.as_ref().map(|reason| format!(": {reason}")),
        ];
        let parts: String = parts.into_iter().flatten().collect();
        let line = format!("{time} {}{}", event.event, harmless(&parts));
        self.news.push_front(line);
        self.news.truncate(NEWS);
    }

    pub(super) fn span(&self) -> Span<'_> {
        Span {
            now: &self.now,
            before: self.before.as_ref(),
        }
    }

    pub(super) fn table(&self, view: View) -> Table {
        let sort = self.sort.filter(|_| self.page == Page::Whole(view));
        self.span().table(view, sort)
    }

    /// What is known of a row beside its cells.
    pub(super) fn more(&self, view: View, key: &str) -> Vec<(&'static str, String)> {
        match view {
            View::Listeners => {
                let mut all = self.now.listeners.iter();
                all.find(|one| one.name == key)
                    .map_or_else(Vec::new, |one| {
                        vec![
                            ("addresses", one.addresses.join(" ")),
                            ("protocols", one.protocols.join(" ")),
                            ("accepted", whole(one.figures.accepted)),
                            ("requests", whole(one.figures.requests)),
                            ("5xx", whole(one.figures.errors)),
                            ("bytes in", whole(one.figures.bytes_in)),
                            ("bytes out", whole(one.figures.bytes_out)),
                        ]
                    })
            }
            View::Routes => {
                let mut all = self.now.routes.iter();
                all.find(|one| one.name == key)
                    .map_or_else(Vec::new, |one| {
                        let names = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];
                        let classes = names.into_iter().zip(one.figures.classes);
                        let classes = classes.map(|(name, count)| (name, whole(count)));
                        let more = [
                            ("requests", whole(one.figures.requests)),
                            ("bytes in", whole(one.figures.bytes_in)),
                            ("bytes out", whole(one.figures.bytes_out)),
                            ("cache hits", whole(one.figures.cache_hits)),
                            ("cache asked", whole(one.figures.cache_asked)),
                        ];
                        classes.chain(more).collect()
                    })
            }
            View::Upstreams => {
                let upstreams = self.now.upstreams.iter();
                let mut endpoints = upstreams.flat_map(|one| {
                    let endpoints = one.endpoints.iter();
                    endpoints.map(move |endpoint| (one, endpoint))
                });
                let found =
                    endpoints.find(|(one, end)| format!("{} {}", one.name, end.endpoint) == key);
                found.map_or_else(Vec::new, |(one, endpoint)| {
                    vec![
                        ("balance", one.balance.clone()),
                        ("requests", whole(endpoint.requests)),
                        ("failures", whole(endpoint.failures)),
                        ("no connection", whole(endpoint.connects_failed)),
                    ]
                })
            }
            View::Refusals => Reason::from_code(key).map_or_else(Vec::new, |reason| {
                let entry = reason.entry();
                vec![
                    ("what", entry.meaning.to_owned()),
                    ("whose", entry.fault.word().to_owned()),
                    ("do", entry.advice.to_owned()),
                ]
            }),
            View::Interfaces | View::Xdp => Vec::new(),
        }
    }

    /// Breaks at the end.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "most keys of a keyboard mean nothing here"
    )]
    pub(super) fn press(&mut self, key: KeyEvent) -> ControlFlow<()> {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_control => return ControlFlow::Break(()),
            KeyCode::Char('q') => return ControlFlow::Break(()),
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => self.back(),
            KeyCode::Char('?' | 'h') => self.turn(Page::Help),
            KeyCode::Char('0') => self.turn(Page::Overview),
            KeyCode::Char(digit @ '1'..='7') => self.turn(nth(digit as usize - '1' as usize)),
            KeyCode::Tab => self.turn_by(1),
            KeyCode::BackTab => self.turn_by(PAGES - 1),
            KeyCode::Down | KeyCode::Char('j') => {
                let last = self.rows().saturating_sub(1);
                self.selected = (self.selected + 1).min(last);
            }
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Enter | KeyCode::Right => self.drill(),
            KeyCode::Char('s') => {
                self.sort = Some((self.sort.map_or(0, |(column, _)| column + 1), false));
            }
            KeyCode::Char('r') => {
                let (column, is_reversed) = self.sort.unwrap_or_default();
                self.sort = Some((column, !is_reversed));
            }
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn turn(&mut self, page: Page) {
        if page != self.page {
            self.page = page;
            self.selected = 0;
            self.sort = None;
        }
    }

    fn turn_by(&mut self, by: usize) {
        let here = match &self.page {
            Page::Overview | Page::Help => 0,
            Page::Whole(view) | Page::Row(view, _) => {
                let mut all = View::ALL.iter();
                all.position(|one| one == view).map_or(0, |at| at + 1)
            }
            Page::News => PAGES - 1,
        };
        self.turn(match (here + by) % PAGES {
            0 => Page::Overview,
            place => nth(place - 1),
        });
    }

    fn back(&mut self) {
        let page = match &self.page {
            Page::Row(view, _) => Page::Whole(*view),
            Page::Overview | Page::Whole(_) | Page::News | Page::Help => Page::Overview,
        };
        self.turn(page);
    }

    fn drill(&mut self) {
        if let Page::Whole(view) = self.page {
            let table = self.table(view);
            if let Some(row) = table.rows.get(self.selected) {
                self.turn(Page::Row(view, row.key.clone()));
            }
        } else if self.page == Page::Overview {
            self.turn_by(1);
        }
    }

    /// How many rows can be chosen from.
    fn rows(&self) -> usize {
        match &self.page {
            Page::Whole(view) => self.table(*view).rows.len(),
            Page::News => self.news.len(),
            Page::Overview | Page::Row(..) | Page::Help => 0,
        }
    }
}

/// The overview, a page for each view, and the news.
const PAGES: usize = View::ALL.len() + 2;

fn nth(index: usize) -> Page {
    View::ALL
        .get(index)
        .map_or(Page::News, |view| Page::Whole(*view))
}
