//! What comes to the block lists and goes from them, for pages that ask every second. All of them share one reader of the lists, which is
//! there only while somebody asks.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::control::state::Control;
use crate::shield::{Kind, ListEvent};

/// How many are kept for a page that is new.
const KEPT: usize = 100;
/// Lists are not watched any more when nobody has asked for so long.
const UNASKED: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct News {
    lines: RefCell<Option<Receiver<Arc<str>>>>,
    /// The last ones, each with its number.
    kept: RefCell<VecDeque<(u64, ListEvent)>>,
    /// Numbers given so far.
    count: Cell<u64>,
    is_asked: Cell<bool>,
}

/// The number that a page has seen last, by its query.
pub(super) fn after(query: &str) -> Option<u64> {
    query.strip_prefix("after=")?.parse().ok()
}

impl News {
    /// What is newer than a number, with the number to ask for next.
    pub(super) async fn since(&self, control: &Control, after: Option<u64>) -> Value {
        self.is_asked.set(true);
        if self.lines.borrow().is_none() {
            let shield = control.shield.clone();
            // An import may hold the lists for seconds.
            let watching = spawn_blocking(move || shield.watch_lists(Kind::Block)).await;
            // As many watch as may: the next question tries again.
            *self.lines.borrow_mut() = watching.ok().and_then(Result::ok);
        }
        self.read();
        let kept = self.kept.borrow();
        // A number that was never given is another process's.
        let after = after.filter(|after| *after <= self.count.get());
        let newer = kept
            .iter()
            .filter(|(number, _)| after.is_none_or(|after| *number > after));
        let events: Vec<&ListEvent> = newer.map(|(_, event)| event).collect();
        json!({
            "watched": self.lines.borrow().is_some(),
            "last": self.count.get(),
            "events": events,
        })
    }

    fn read(&self) {
        let mut lines = self.lines.borrow_mut();
        let Some(lines) = &mut *lines else { return };
        let mut kept = self.kept.borrow_mut();
        while let Ok(line) = lines.try_recv() {
            let event = serde_json::from_str::<ListEvent>(&line);
            // The first line says that there will be others.
            let Some(event) = event.ok().filter(|event| event.event != "watch") else {
                continue;
            };
            let number = self.count.get() + 1;
            self.count.set(number);
            kept.push_back((number, event));
            if kept.len() > KEPT {
                kept.pop_front();
            }
        }
    }

    /// Lets the lists alone while nobody asks; never ends.
    pub(super) async fn rest(&self) {
        loop {
            sleep(UNASKED).await;
            if !self.is_asked.replace(false) {
                self.lines.take();
            }
        }
    }
}
