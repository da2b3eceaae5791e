//! `openclaw blocklist watch` and `allowlist watch`: what comes to the lists and goes from them.

use std::fmt::Write;
use std::ops::ControlFlow;

use serde_json::Value;

use super::Context;
use super::error::CliError;
use super::output::{Outcome, error_line, print};
use crate::control::admin::client::Followed;
use crate::shield::{EventCounts, Kind, ListEvent, show_seconds};

pub(super) fn run(context: &Context, kind: Kind, is_json: bool) -> Result<Outcome, CliError> {
    let target = format!("/shield/watch/{}", kind.word());
    let refused = context.follow(&target, |line| {
        if is_json {
            print(&String::from_utf8_lossy(line));
        } else if let Ok(event) = serde_json::from_slice(line) {
            print(&row(&event));
        }
        ControlFlow::Continue(())
    })?;
    if let Followed::Refused(reply) = refused {
        return Err(CliError::Answer {
            message: reply.error(),
        });
    }
    error_line("the proxy has ended, and the watch with it");
    Ok(Outcome::new(String::new(), Value::Null))
}

fn row(event: &ListEvent) -> String {
    let ListEvent {
        time,
        event,
        kind,
        list,
        prefix,
        ttl,
        reason,
        counts,
        lost,
    } = event;
    if event == "watch" {
        return format!("{time} watching the {} lists\n", kind.word());
    }
    let mut row = format!("{time} {event}");
    if let Some(prefix) = prefix {
        // Writing to a String cannot fail.
        let _ = write!(row, " {prefix}");
    }
    if let Some(list) = list {
        let _ = write!(row, " list {list}");
    }
    if let Some(ttl) = ttl {
        let _ = write!(row, " for {}", show_seconds(*ttl));
    }
    if let Some(EventCounts {
        added,
        updated,
        removed,
    }) = counts
    {
        let _ = write!(row, ": {added} added, {updated} updated, {removed} removed");
    }
    if let Some(lost) = lost {
        let _ = write!(row, ": {lost} lines, because this reader is too slow");
    }
    if let Some(reason) = reason {
        let _ = write!(row, ": {reason}");
    }
    row + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let event = |event: &str| ListEvent {
            time: "2026-11-22T18:00:00Z".into(),
            event: event.into(),
            kind: Kind::Block,
            list: None,
            prefix: None,
            ttl: None,
            reason: None,
            counts: None,
            lost: None,
        };
        let list = || Some("manual".to_owned());
        let add = ListEvent {
            list: list(),
            prefix: Some("203.0.113.7".into()),
            ttl: Some(14_400),
            reason: Some("scanner".into()),
            ..event("add")
        };
        let import = ListEvent {
            list: list(),
            counts: Some(EventCounts {
                added: 3,
                updated: 2,
                removed: 1,
            }),
            ..event("import")
        };
        let lost = ListEvent {
            lost: Some(7),
            ..event("lost")
        };
        let rows: String = [event("watch"), add, import, lost]
            .iter()
            .map(row)
            .collect();
        insta::assert_snapshot!(rows, @r"
        2026-11-22T18:00:00Z watching the block lists
        2026-11-22T18:00:00Z add 203.0.113.7 list manual for 4h: scanner
        2026-11-22T18:00:00Z import list manual: 3 added, 2 updated, 1 removed
        2026-11-22T18:00:00Z lost: 7 lines, because this reader is too slow
        ");
    }
}
