//! The dashboard on the screen.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span as Piece};
use ratatui::widgets::{self, Clear, Paragraph};

use super::board::{Board, Page};
use super::figures::{short, span};
use super::tables::{Row, Table, View};
use crate::cli::output::{counted, harmless};

const KEYS: &str = "q quit  tab page  enter look closer  esc back  s sort  r turn  p pause  ? help";
const HELP: &[&str] = &[
    "0 or esc   everything at a glance",
    "1          network interfaces, as the kernel counts them",
    "2          what the XDP program decides, by reason",
    "3          listeners",
    "4          routes: answers, times, the share of the cache",
    "5          endpoints of upstreams",
    "6          refusals, by reason (`openclaw reasons CODE` explains them)",
    "7          comings and goings of the block lists",
    "tab        the next of these",
    "up, down   choose a row; enter tells all of it",
    "s          sort by the next column; r turns the order",
    "p          hold the picture; again to go on",
    "q          end",
    "",
    "Rates are those of the last second. Nothing here changes the proxy.",
];
/// How wide a figure is.
const FIGURE: u16 = 9;
/// The least a first column keeps.
const NAME: u16 = 12;

pub(super) fn draw(frame: &mut Frame<'_>, board: &Board) {
    let whole = frame.area();
    frame.render_widget(Clear, whole);
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(whole);
    draw_head(frame, board, head);
    match &board.page {
        Page::Overview => draw_overview(frame, board, body),
        Page::Whole(view) => {
            let table = board.table(*view);
            draw_table(frame, &table, body, Some(board.selected), board.sort);
        }
        Page::Row(view, key) => draw_row(frame, board, (*view, key), body),
        Page::News => draw_news(frame, board, body, board.selected),
        Page::Help => {
            let lines: Vec<Line<'_>> = HELP.iter().copied().map(Line::from).collect();
            frame.render_widget(Paragraph::new(lines), body);
        }
    }
    let foot_text = Paragraph::new(KEYS).style(Style::new().add_modifier(Modifier::DIM));
    frame.render_widget(foot_text, foot);
}

fn draw_head(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let now = board.now();
    let all = board.span();
    let sum = |pick: fn(&crate::control::top::ListenerRow) -> u64| {
        all.rate(move |sample| Some(sample.listeners.iter().map(pick).sum()))
    };
    let open: i64 = now.listeners.iter().map(|one| one.figures.open).sum();
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut line = vec![Piece::styled(format!("openclaw {}", now.version), bold)];
    for (is_so, word, colour) in [
        (board.is_paused, "  PAUSED", Color::Yellow),
        (now.draining, "  DRAINING", Color::Yellow),
        (now.attack, "  SYN FLOOD", Color::Red),
    ] {
        if is_so {
            line.push(Piece::styled(word, bold.fg(colour)));
        }
    }
    line.push(Piece::from(format!(
        "  {} req/s  {} 5xx/s  {} open  up {}  config {}  {}",
        short(sum(|one| one.figures.requests)),
        short(sum(|one| one.figures.errors)),
        open,
        span(now.uptime),
        now.generation,
        counted(now.workers as u64, "worker"),
    )));
    let second = match &board.trouble {
        Some(trouble) => Line::styled(
            format!("no news: {}", harmless(trouble)),
            Style::new().fg(Color::Red),
        ),
        None => Line::from(format!(
            "{} blocked; shield: {}",
            now.blocked,
            harmless(&now.shield)
        )),
    };
    frame.render_widget(Paragraph::new(vec![Line::from(line), second]), area);
}

/// All views above each other, each as high as it needs and there is room for.
fn draw_overview(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let tables: Vec<Table> = View::ALL.iter().map(|view| board.table(*view)).collect();
    let wanted: Vec<usize> = tables.iter().map(|table| table.rows.len()).collect();
    let wanted: Vec<usize> = wanted.into_iter().chain([board.news.len()]).collect();
    let heights = share(&wanted, usize::from(area.height));
    let constraints = heights.iter().map(|height| Constraint::Length(*height));
    let areas = Layout::vertical(constraints).split(area);
    for (table, area) in tables.iter().zip(areas.iter()) {
        draw_table(frame, table, *area, None, None);
    }
    if let Some(area) = areas.last() {
        draw_news(frame, board, *area, 0);
    }
}

/// Shares the height out: a head for each, then row after row to those who still want one.
fn share(wanted: &[usize], height: usize) -> Vec<u16> {
    let mut heights = vec![1_u16; wanted.len()];
    let mut left = height.saturating_sub(wanted.len());
    let mut is_over = false;
    while left > 0 && !is_over {
        is_over = true;
        for (height, wanted) in heights.iter_mut().zip(wanted) {
            if left > 0 && usize::from(*height) <= *wanted {
                *height += 1;
                left -= 1;
                is_over = false;
            }
        }
    }
    heights
}

fn draw_table(
    frame: &mut Frame<'_>,
    table: &Table,
    area: Rect,
    selected: Option<usize>,
    sort: Option<(usize, bool)>,
) {
    let figures = table.columns.len().saturating_sub(1) as u16 * (FIGURE + 1);
    let name = area.width.saturating_sub(figures).clamp(NAME, 44);
    let widths = table
        .columns
        .iter()
        .enumerate()
        .map(|(index, _)| Constraint::Length(if index == 0 { name } else { FIGURE }));
    let sorted = sort.map(|(column, is_reversed)| (column % table.columns.len(), is_reversed));
    let heads = table.columns.iter().enumerate().map(|(index, column)| {
        let mark = match sorted {
            Some((column, false)) if column == index => "▼",
            Some((column, true)) if column == index => "▲",
            _ => "",
        };
        let text = if index == 0 {
            format!("{} {column}{mark}", table.title)
        } else {
            format!("{column}{mark}")
        };
        aligned(index, text)
    });
    let head = widgets::Row::new(heads).style(Style::new().fg(Color::Cyan));
    let room = usize::from(area.height.saturating_sub(1));
    let selected = selected.map(|selected| selected.min(table.rows.len().saturating_sub(1)));
    // The chosen row stays in sight.
    let first = selected.map_or(0, |selected| (selected + 1).saturating_sub(room));
    let rows = table.rows.iter().enumerate().skip(first).take(room);
    let rows = rows.map(|(index, row)| shown(row, selected == Some(index), usize::from(name)));
    frame.render_widget(widgets::Table::new(rows, widths).header(head), area);
}

fn shown(row: &Row, is_selected: bool, width: usize) -> widgets::Row<'_> {
    let cells = row.cells.iter().enumerate();
    let cells = cells.map(|(index, cell)| {
        let text = harmless(cell.text()).into_owned();
        let width = if index == 0 { width } else { usize::MAX };
        aligned(index, cut_inside(text, width))
    });
    let mut style = Style::new();
    if let Some(colour) = row.colour {
        style = style.fg(colour);
    }
    if is_selected {
        style = style.add_modifier(Modifier::REVERSED);
    }
    widgets::Row::new(cells).style(style)
}

/// Of a name that is too long the middle goes: an endpoint ends with its port.
fn cut_inside(text: String, width: usize) -> String {
    let length = text.chars().count();
    if length <= width || width == 0 {
        return text;
    }
    let tail = width * 2 / 3;
    let head = text.chars().take(width - tail - 1);
    let tail = text.chars().skip(length - tail);
    head.chain(['…']).chain(tail).collect()
}

/// Figures end where their column does.
fn aligned(index: usize, text: String) -> Line<'static> {
    let alignment = if index == 0 {
        Alignment::Left
    } else {
        Alignment::Right
    };
    Line::from(text).alignment(alignment)
}

/// Everything of one row, and what belongs to it.
fn draw_row(frame: &mut Frame<'_>, board: &Board, (view, key): (View, &str), area: Rect) {
    let table = board.table(view);
    let Some(row) = table.rows.iter().find(|row| row.key == key) else {
        frame.render_widget(Paragraph::new("it is gone"), area);
        return;
    };
    let cells = table.columns.iter().zip(&row.cells);
    let cells = cells.map(|(name, cell)| (*name, harmless(cell.text()).into_owned()));
    let more = board.more(view, key);
    let more = more
        .iter()
        .map(|(name, text)| (*name, harmless(text).into_owned()));
    let lines = cells
        .chain(more)
        .map(|(name, text)| Line::from(format!("{name:<14} {text}")));
    let title = Line::styled(table.title, Style::new().fg(Color::Cyan));
    let lines: Vec<Line<'_>> = [title].into_iter().chain(lines).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_news(frame: &mut Frame<'_>, board: &Board, area: Rect, first: usize) {
    let head = Line::styled("BLOCK LISTS as they change", Style::new().fg(Color::Cyan));
    let lines = board
        .news
        .iter()
        .skip(first)
        .map(|line| Line::from(&**line));
    let lines: Vec<Line<'_>> = [head].into_iter().chain(lines).collect();
    frame.render_widget(Paragraph::new(lines), area);
}
