//! The logs of the process: their files, which are opened anew when they were rotated, and what the control plane itself writes into the
//! security log: what operators change, bans, and floods.

use std::fs;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use openclaw_core::config::{AccessFormat, AccessTarget, Level, Log};
use rustix::fs::{Access, access};
use serde_json::{Map, Value, json};
use tokio::task::{spawn_blocking, spawn_local};
use tokio::time::{MissedTickBehavior, interval};

use super::admin::rfc3339;
use super::admin::table::{Call, Route};
use super::error::Trouble;
use super::http::Answer;
use super::state::Control;
use crate::shield::Kind;
use crate::telemetry::{AccessLog, AccessWriter, Output, chain};

/// Calls have no body.
const NO_BODY: usize = 0;
/// How often floods are looked for.
const TICK: Duration = Duration::from_millis(500);
/// News of bans that are written together.
const AT_ONCE: usize = 256;

pub(super) static ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/log/level",
        max_body: NO_BODY,
        run: |control, _| Box::pin(async move { level_told(control.level.level()) }),
    },
    Route {
        method: "POST",
        path: "/log/level",
        max_body: NO_BODY,
        run: |control, call| Box::pin(async move { set_level(&control, &call) }),
    },
    Route {
        method: "POST",
        path: "/log/reopen",
        max_body: NO_BODY,
        run: |control, _| Box::pin(async move { reopen(&control) }),
    },
];

fn level_told(level: Level) -> Answer {
    Answer::json(200, &json!({ "level": level.word() }))
}

/// The parameter `level`. A reload brings back what the configuration says.
fn set_level(control: &Control, call: &Call) -> Answer {
    let word = call.parameter("level").unwrap_or_default();
    let Some(level) = Level::of(&word) else {
        let message = format!("`{word}` is no level: error, warn, info, debug or trace");
        return Answer::error(400, &message);
    };
    control.level.set(level);
    level_told(level)
}

fn reopen(control: &Control) -> Answer {
    match control.reopen_logs() {
        Ok(()) => Answer::json(200, &json!({ "reopened": true })),
        Err(trouble) => Answer::error(409, &chain(&trouble)),
    }
}

/// Files that are open for the logs, before anything is written to them.
#[derive(Debug)]
pub(super) struct Outputs {
    access: Output,
    security: Output,
}

impl Outputs {
    pub(super) fn open(log: &Log) -> Result<Self, Trouble> {
        Ok(Self {
            access: open("access", &log.access.to)?,
            security: open("security", &log.security.to)?,
        })
    }
}

/// Files of the logs that could not be written to, and whether that is because their folder is missing, which may be so only where this is
/// asked. Nothing is made.
pub(super) fn unwritable(log: &Log) -> impl Iterator<Item = (Trouble, bool)> {
    let all = [("access", &log.access.to), ("security", &log.security.to)];
    all.into_iter().filter_map(|(log, target)| {
        let AccessTarget::File(path) = target else {
            return None;
        };
        let source = examine(path).err()?;
        let is_missing = source.kind() == io::ErrorKind::NotFound;
        let target = path.display().to_string();
        let trouble = Trouble::LogFile {
            log,
            target,
            source,
        };
        Some((trouble, is_missing))
    })
}

/// Whether a file can be written to, or made.
fn examine(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => Ok(access(path, Access::WRITE_OK)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or_else(|| Path::new("."));
            Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
        }
        Err(error) => Err(error),
    }
}

fn open(log: &'static str, target: &AccessTarget) -> Result<Output, Trouble> {
    Output::open(target).map_err(|source| Trouble::LogFile {
        log,
        target: match target {
            AccessTarget::File(path) => path.display().to_string(),
            AccessTarget::Stdout => "stdout".to_owned(),
            AccessTarget::Off => "off".to_owned(),
        },
        source,
    })
}

/// Who writes.
#[derive(Debug)]
pub(super) struct Logs {
    access: AccessWriter,
    security: AccessWriter,
}

impl Logs {
    pub(super) fn start(outputs: Outputs) -> io::Result<Self> {
        Ok(Self {
            access: AccessWriter::start("access log", outputs.access)?,
            security: AccessWriter::start("security log", outputs.security)?,
        })
    }

    /// For one worker.
    pub(super) fn handles(&self) -> (AccessLog, AccessLog) {
        (self.access.handle(), self.security.handle())
    }

    pub(super) fn switch(&self, outputs: Outputs) {
        self.access.switch(outputs.access);
        self.security.switch(outputs.security);
    }

    /// Waits until everything is written.
    pub(super) fn close(self) {
        self.access.close();
        self.security.close();
    }
}

/// Who asked for something, as the kernel knows the other end of the socket.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::control) struct Caller {
    pub uid: Option<u32>,
    pub pid: Option<i32>,
    /// By the page for browsers, where the kernel knows no user.
    pub peer: Option<SocketAddr>,
}

impl Control {
    /// Opens the files of the logs anew: they may have been renamed.
    pub(super) fn reopen_logs(&self) -> Result<(), Trouble> {
        let outputs = Outputs::open(&self.snapshot().config.log)?;
        if let Some(logs) = &*self.logs.borrow() {
            logs.switch(outputs);
        }
        Ok(())
    }

    /// A line of the security log. `facts` is an object.
    pub(super) fn tell_security(&self, event: &str, facts: Value) {
        self.tell_all([(event, facts)]);
    }

    fn tell_all<'a>(&self, events: impl IntoIterator<Item = (&'a str, Value)>) {
        let snapshot = self.snapshot();
        let log = &snapshot.config.log.security;
        if log.to == AccessTarget::Off {
            return;
        }
        let lines = events.into_iter();
        let lines = lines.map(|(event, facts)| line(log.format, event, facts));
        let lines: String = lines.collect();
        if let Some(logs) = self.logs.borrow().as_ref().filter(|_| !lines.is_empty()) {
            logs.security.write(lines);
        }
    }

    /// Hears of bans from now on if the security log is on, which this answers; else of none: the lists keep no news for nobody.
    pub(super) async fn watch_bans(&self) -> bool {
        let is_on = self.snapshot().config.log.security.to != AccessTarget::Off;
        if !is_on {
            *self.bans.borrow_mut() = None;
        } else if self.bans.borrow().is_none() {
            let shield = self.shield.clone();
            // An import may hold the lists for seconds.
            let watching = spawn_blocking(move || shield.watch_lists(Kind::Block)).await;
            // As many watch as may: the next tick tries again.
            *self.bans.borrow_mut() = watching.ok().and_then(Result::ok);
        }
        is_on
    }

    /// Waits for news of the lists; where nobody is told, for good.
    async fn next_bans(&self) -> Vec<Arc<str>> {
        let mut lines = Vec::new();
        let heard = poll_fn(|cx| match &mut *self.bans.borrow_mut() {
            Some(bans) => bans.poll_recv_many(cx, &mut lines, AT_ONCE),
            None => Poll::Pending,
        });
        if heard.await == 0 {
            // They say no more.
            *self.bans.borrow_mut() = None;
        }
        lines
    }
}

fn line(format: AccessFormat, event: &str, facts: Value) -> String {
    let now = rfc3339(SystemTime::now());
    let mut line = Map::new();
    match format {
        AccessFormat::Json | AccessFormat::Combined => {
            line.insert("time".into(), now.into());
            line.insert("event".into(), event.into());
            if let Value::Object(facts) = facts {
                line.extend(facts);
            }
        }
        AccessFormat::Ecs => {
            line.insert("@timestamp".into(), now.into());
            line.insert("ecs".into(), json!({ "version": "8.11" }));
            line.insert("event".into(), ecs(event, &facts));
            if let Some(uid) = facts.get("uid").filter(|uid| !uid.is_null()) {
                line.insert("user".into(), json!({ "id": uid.to_string() }));
            }
            if let Some(pid) = facts.get("pid").filter(|pid| !pid.is_null()) {
                line.insert("process".into(), json!({ "pid": pid }));
            }
            line.insert("openclaw".into(), facts);
        }
    }
    format!("{}\n", Value::Object(line))
}

/// What such a line is about, in the words of the schema.
fn ecs(event: &str, facts: &Value) -> Value {
    let action = facts.get("action").and_then(Value::as_str);
    let (categories, types): (&[&str], &[&str]) = match (event, action) {
        ("change", Some("stop")) => (&["process"], &["end"]),
        ("change", _) => (&["configuration"], &["change"]),
        ("ban", _) => (&["intrusion_detection", "network"], &["denied"]),
        ("flood", _) => (&["intrusion_detection", "network"], &["info"]),
        _ => (&["network"], &["info"]),
    };
    let outcome = match facts.get("done") {
        Some(Value::Bool(true)) => "success",
        Some(Value::Bool(false)) => "failure",
        _ => "unknown",
    };
    json!({
        "kind": "event",
        "dataset": "openclaw.security",
        "module": "openclaw",
        "action": action.unwrap_or(event),
        "category": categories,
        "type": types,
        "outcome": outcome,
    })
}

/// Follows bans and floods for the security log, for as long as the proxy runs.
pub(super) fn attend(control: &Rc<Control>) {
    let control = Rc::clone(control);
    spawn_local(async move {
        control.watch_bans().await;
        let mut clock = interval(TICK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_attack = false;
        loop {
            tokio::select! {
                lines = control.next_bans() => {
                    control.tell_all(lines.iter().filter_map(|line| event(line)));
                    continue;
                }
                _ = clock.tick() => if !control.watch_bans().await {
                    continue;
                }
            }
            let is_attack = control.shield.is_attack();
            if is_attack != was_attack {
                let state = if is_attack { "begun" } else { "over" };
                control.tell_security("flood", json!({ "state": state }));
                was_attack = is_attack;
            }
        }
    });
}

/// What operators do with the lists is told with their names; bans have none.
fn event(line: &str) -> Option<(&'static str, Value)> {
    let Ok(Value::Object(mut facts)) = serde_json::from_str(line) else {
        return None;
    };
    let event = facts.remove("event");
    match event.as_ref().and_then(Value::as_str) {
        Some("autoban") => {
            facts.remove("time");
            facts.retain(|_, value| !value.is_null());
            Some(("ban", Value::Object(facts)))
        }
        Some("lost") => Some(("lost", Value::Object(facts))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_security_log_is_one_object_in_both_formats() {
        let facts = json!({ "action": "config.reload", "uid": 0, "pid": 7, "done": true, "detail": "a\nb" });
        let read = |format| {
            let line = line(format, "change", facts.clone());
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            serde_json::from_str::<Value>(&line).unwrap_or_default()
        };
        let plain = read(AccessFormat::Json);
        assert_eq!(plain.get("event"), Some(&"change".into()));
        assert_eq!(plain.get("pid"), Some(&7.into()));
        let ecs = read(AccessFormat::Ecs);
        for (pointer, expected) in [
            ("/event/action", json!("config.reload")),
            ("/event/category", json!(["configuration"])),
            ("/event/type", json!(["change"])),
            ("/event/outcome", json!("success")),
            ("/user/id", json!("0")),
            ("/process/pid", json!(7)),
            ("/openclaw/detail", json!("a\nb")),
        ] {
            assert_eq!(ecs.pointer(pointer), Some(&expected), "{pointer}");
        }
    }
}
