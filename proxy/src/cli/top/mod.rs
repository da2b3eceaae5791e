//! `openclaw top`: a dashboard of the running proxy. It asks for one sample a second and makes rates of the counters; the proxy does
//! nothing for it between two samples.

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use clap::Args;
use hyper::body::Bytes;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::{DefaultTerminal, Terminal};
use serde_json::Value;

use self::board::Board;
use super::Context;
use super::error::CliError;
use super::output::{Format, Outcome};
use crate::control::top::Sample;
use crate::shield::ListEvent;

mod board;
mod figures;
mod tables;
#[cfg(test)]
mod tests;
mod view;

/// Between two samples.
const EVERY: Duration = Duration::from_secs(1);
/// How long news wait to be looked at while no key is pressed.
const KEYS: Duration = Duration::from_millis(100);
/// What is printed once is so wide and so high.
const PAGE: (u16, u16) = (100, 40);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print one look at everything and end, as without a terminal
    #[arg(long)]
    once: bool,
}

/// What comes in beside keys.
enum News {
    Sample(Box<Sample>),
    /// Why there is none.
    Trouble(String),
    /// Something came to the block lists, or went.
    Ban(ListEvent),
}

pub(super) fn run(
    context: &Context,
    arguments: &Arguments,
    format: Format,
) -> Result<Outcome, CliError> {
    let first = ask(context)?;
    if format == Format::Json {
        let json = serde_json::to_value(&first).unwrap_or_default();
        return Ok(Outcome::new(String::new(), json));
    }
    let mut board = Board::new(first);
    if arguments.once || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        thread::sleep(EVERY);
        board.take(ask(context)?);
        return Ok(Outcome::new(page(&board), Value::Null));
    }
    let (sender, news) = mpsc::channel();
    // They end with the process, which is when the dashboard does.
    let (asking, samples) = (context.clone(), sender.clone());
    thread::spawn(move || watch_samples(&asking, &samples));
    let following = context.clone();
    thread::spawn(move || watch_bans(&following, &sender));
    let failed = |source| CliError::Terminal { source };
    let terminal = ratatui::try_init().map_err(failed)?;
    let shown = show(terminal, &mut board, &news);
    ratatui::restore();
    shown.map_err(failed)?;
    Ok(Outcome::new(String::new(), Value::Null))
}

fn ask(context: &Context) -> Result<Sample, CliError> {
    let reply = context.call_within("GET", "/top", &Bytes::new(), 2 * EVERY)?;
    if !reply.is_success() {
        return Err(CliError::Answer {
            message: reply.error(),
        });
    }
    serde_json::from_slice(&reply.body).map_err(|source| CliError::ForeignAnswer { source })
}

/// Until nobody listens any more.
fn watch_samples(context: &Context, news: &Sender<News>) {
    loop {
        thread::sleep(EVERY);
        let told = match ask(context) {
            Ok(sample) => News::Sample(Box::new(sample)),
            Err(error) => News::Trouble(error.to_string()),
        };
        if news.send(told).is_err() {
            return;
        }
    }
}

/// Bans as they happen. A proxy that comes back is followed again.
fn watch_bans(context: &Context, news: &Sender<News>) {
    let mut is_heard = true;
    while is_heard {
        let followed = context.follow("/shield/watch/block", |line| {
            let event = serde_json::from_slice(line);
            is_heard = event.is_ok_and(|event| news.send(News::Ban(event)).is_ok());
            if is_heard {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        // What is wrong with the socket is told with the samples.
        drop(followed);
        thread::sleep(EVERY);
    }
}

fn show(mut terminal: DefaultTerminal, board: &mut Board, news: &Receiver<News>) -> io::Result<()> {
    loop {
        terminal.draw(|frame| view::draw(frame, board))?;
        let mut is_new = false;
        while !is_new {
            if event::poll(KEYS)? {
                if let Event::Key(key) = event::read()?
                    && key.kind == KeyEventKind::Press
                    && board.press(key).is_break()
                {
                    return Ok(());
                }
                is_new = true;
            }
            for told in news.try_iter() {
                is_new = true;
                match told {
                    News::Sample(sample) => board.take(*sample),
                    News::Trouble(trouble) => board.trouble(trouble),
                    News::Ban(event) => board.ban(&event),
                }
            }
        }
    }
}

/// One look at everything, as text.
fn page(board: &Board) -> String {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(PAGE.0, PAGE.1));
    let Ok(_) = terminal.draw(|frame| view::draw(frame, board));
    let buffer = terminal.backend().buffer();
    let lines = buffer.content().chunks(PAGE.0.into());
    let lines: Vec<String> = lines
        .map(|cells| {
            let line: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
            line.trim_end().to_owned() + "\n"
        })
        .collect();
    // The last line is about keys.
    let shown = lines.len().saturating_sub(1);
    let page: String = lines.into_iter().take(shown).collect();
    page.trim_end().to_owned() + "\n"
}
