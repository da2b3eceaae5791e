//! From one configuration to another while the proxy serves: taking the file anew, with or without a time to confirm it in, and going
//! back to what served before.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use openclaw_core::config::units;
use serde_json::{Value, json};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep};

use super::admin::table::{Call, Route};
use super::admin::{SMALL, rfc3339};
use super::audit::Came;
use super::build::Builder;
use super::error::Refused;
use super::history::History;
use super::http::Answer;
use super::load::{self, Reading};
use super::logs::Caller;
use super::not_taken::NotTaken;
use super::notify::{State, notify};
use super::prepare::{Prepared, keep_until_restart, prepare, snapshot};
use super::sockets::Binding;
use super::state::{Attempt, Control};
use super::written::Written;
use crate::net::descriptors;
use crate::telemetry::chain;

/// What a confirmation may take.
const LONGEST: Duration = Duration::from_hours(24);
/// After this, going back is tried again where it failed.
const AGAIN: Duration = Duration::from_secs(5);

pub(super) static ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/reload",
        max_body: SMALL,
        run: |control, call| Box::pin(answer_reload(control, call)),
    },
    Route {
        method: "POST",
        path: "/confirm",
        max_body: SMALL,
        run: |control, call| Box::pin(async move { answer(control.confirm(call.caller()).await) }),
    },
    Route {
        method: "POST",
        path: "/rollback",
        max_body: SMALL,
        run: |control, call| {
            Box::pin(async move { answer(control.roll_back(call.caller()).await) })
        },
    },
];

/// What was taken, for the one who asked.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    generation: u64,
    /// When it is gone back from unless confirmed; RFC 3339.
    confirm_by: Option<String>,
    /// What is probably not meant, though it works.
    warnings: Vec<String>,
}

/// A configuration that is gone back from unless somebody confirms it.
#[derive(Debug)]
pub(super) struct Unconfirmed {
    by: Instant,
    /// For people.
    at: SystemTime,
    back: History,
    clock: JoinSet<()>,
}

impl Control {
    /// Takes the configuration as it stands now, or goes on with the old one and says why. `confirm`: to go back after this, unless it is
    /// confirmed before. `spare`: whom the shield must not cut off by it.
    ///
    /// # Errors
    /// Everything that is wrong with the new one; or another one waits.
    pub(super) async fn reload(
        self: &Rc<Self>,
        confirm: Option<Duration>,
        spare: Option<IpAddr>,
        caller: Caller,
    ) -> Result<Taken, NotTaken> {
        // One at a time: the builder is held for all of it.
        let held = self.hold().await;
        let waits = self.unconfirmed.borrow().as_ref().map(Unconfirmed::left);
        let reading = load::read(&self.options.origin);
        let refusal = match (&held, waits) {
            (Err(gone), _) => Some(NotTaken::Gone(*gone)),
            (Ok(_), Some(left)) => Some(NotTaken::Unconfirmed { left }),
            (Ok(_), None) => self.cuts_off(&reading, spare).await,
        };
        let outcome = if let Some(refusal) = refusal {
            // The log may have been rotated all the same.
            self.reopen_log();
            tracing::warn!("not reloaded: {refusal}");
            Err(refusal)
        } else {
            let mut builder = held?;
            let remember = |written| self.go_on(written, confirm);
            let taken = self.turn(&mut builder, reading, remember).await;
            let confirm_by = self.waits_until();
            let taken = taken.map(|taken| Taken {
                confirm_by,
                ..taken
            });
            taken.map_err(NotTaken::Refused)
        };
        let action = confirm.map_or("config.reload", |_| "config.reload_unconfirmed");
        self.told(action, caller, &outcome);
        outcome
    }

    /// What is wrong with a configuration whose shield drops the one who asks for it.
    async fn cuts_off(
        &self,
        reading: &Result<Reading, Refused>,
        spare: Option<IpAddr>,
    ) -> Option<NotTaken> {
        let (Ok(reading), Some(peer), true) = (reading, spare, self.options.shield) else {
            return None;
        };
        let (shield, config) = (self.shield.clone(), reading.loaded.config.clone());
        // Its lists and countries are read for that.
        let asked = spawn_blocking(move || shield.cut_off_by(&config, peer)).await;
        let reason = asked.ok().flatten()?;
        Some(NotTaken::CutsOff { peer, reason })
    }

    /// When what waits for its confirmation is gone back from.
    fn waits_until(&self) -> Option<String> {
        let waits = self.unconfirmed.borrow();
        waits.as_ref().map(|waits| rfc3339(waits.at))
    }

    /// Keeps the configuration that waits for it.
    async fn confirm(&self, caller: Caller) -> Result<Taken, NotTaken> {
        // Going back may have begun.
        let _builder = self.builder.lock().await;
        let outcome = match self.unconfirmed.take() {
            Some(_) => Ok(Taken {
                generation: self.snapshot().generation,
                confirm_by: None,
                warnings: self.history.borrow().save(),
            }),
            None => Err(NotTaken::NothingWaits),
        };
        self.told("config.confirm", caller, &outcome);
        outcome
    }

    /// Goes back to what served before.
    async fn roll_back(&self, caller: Caller) -> Result<Taken, NotTaken> {
        let mut builder = self.hold().await?;
        let waits = self.unconfirmed.borrow().as_ref().map(|it| it.back.clone());
        let outcome = match waits.or_else(|| self.history.borrow().one_back()) {
            Some(history) => self.go_back(&mut builder, history).await,
            None => Err(NotTaken::NothingBefore),
        };
        self.told("config.rollback", caller, &outcome);
        outcome
    }

    /// Nobody has confirmed it in time. False: it is to be tried again.
    async fn expire(&self) -> bool {
        let Ok(mut builder) = self.hold_at_last().await else {
            return true;
        };
        let back = self.unconfirmed.borrow().as_ref().map(|it| it.back.clone());
        // Confirmed at the last moment, or gone back from.
        let Some(history) = back else { return true };
        tracing::warn!("nobody has confirmed the configuration: going back to the one before");
        let outcome = self.go_back(&mut builder, history).await;
        self.told("config.unconfirmed", Caller::default(), &outcome);
        outcome.is_ok()
    }

    fn told(&self, action: &str, caller: Caller, outcome: &Result<Taken, NotTaken>) {
        let why = outcome.as_ref().err().map(NotTaken::in_short);
        let detail = json!({ "why": why });
        self.audit(action, caller, Came::of(outcome), &detail);
    }

    async fn go_back(&self, builder: &mut Builder, history: History) -> Result<Taken, NotTaken> {
        let reading = load::parse_written(&history.serving);
        let turned = self.turn(builder, reading, |_| {
            if let Some(mut waited) = self.unconfirmed.take() {
                // It may be the clock that has come here.
                waited.clock.detach_all();
            }
            *self.history.borrow_mut() = history;
            self.history.borrow().save()
        });
        turned.await.map_err(NotTaken::Refused)
    }

    /// The file's configuration serves from now on, if only for a while.
    fn go_on(self: &Rc<Self>, written: Written, confirm: Option<Duration>) -> Vec<String> {
        let mut history = self.history.borrow_mut();
        let Some(within) = confirm else {
            history.advance(written);
            return history.save();
        };
        let back = history.clone().without(&written);
        history.advance(written);
        // It is on the disk before the new one serves, which may be the end of the process.
        let warnings = back.save();
        let control = Rc::clone(self);
        let mut clock = JoinSet::new();
        clock.spawn_local(async move {
            sleep(within).await;
            while !control.expire().await {
                sleep(AGAIN).await;
            }
        });
        *self.unconfirmed.borrow_mut() = Some(Unconfirmed {
            by: Instant::now() + within,
            at: SystemTime::now() + within,
            back,
            clock,
        });
        warnings
    }

    /// Changes over to a configuration. `remember` is called when nothing can fail any more.
    pub(super) async fn turn(
        &self,
        builder: &mut Builder,
        reading: Result<Reading, Refused>,
        remember: impl FnOnce(Written) -> Vec<String>,
    ) -> Result<Taken, Refused> {
        notify(State::Reloading);
        let outcome = match reading {
            Ok(reading) => self.replace(builder, reading, remember).await,
            Err(refused) => Err(refused),
        };
        notify(State::Ready);
        *self.attempt.borrow_mut() = Attempt {
            at: SystemTime::now(),
            problems: outcome.as_ref().err().map(Refused::json),
        };
        match &outcome {
            Ok(taken) => {
                tracing::info!(generation = taken.generation, "configuration reloaded");
                for warning in &taken.warnings {
                    tracing::warn!("{warning}");
                }
            }
            Err(refused) => {
                builder.refused();
                tracing::error!("configuration refused, the old one serves on\n{refused}");
                self.reopen_log();
            }
        }
        outcome
    }

    async fn replace(
        &self,
        builder: &mut Builder,
        Reading {
            mut loaded,
            written,
        }: Reading,
        remember: impl FnOnce(Written) -> Vec<String>,
    ) -> Result<Taken, Refused> {
        let old = self.snapshot();
        let waiting = keep_until_restart(&old.config, &mut loaded.config, self.worker_count);
        let state_dir = old.config.server.state_dir.clone();
        let before = self.beside.borrow().clone();
        let (beside, doubts) = before.after_reload(&state_dir, &loaded.config);
        let Prepared {
            mut config,
            built,
            outputs,
            mut warnings,
            places,
        } = prepare(&self.options, loaded, builder, &beside).await?;
        warnings.extend(doubts);
        let waits = |key| format!("{key} changes with the next restart");
        warnings.extend(waiting.iter().map(waits));
        let bound = self.bound.borrow().clone();
        let Binding { bound, sockets } = bound
            .extend(&mut config, self.worker_count, &builder.quic)
            .map_err(|troubles| Refused::placed(troubles, &places))?;
        // Nothing can fail from here on.
        builder.taken(&built.upstreams);
        warnings.extend(remember(written));
        *self.waiting.borrow_mut() = waiting;
        self.level.set(config.log.level);
        descriptors::share_among(config.listeners.len());
        let generation = old.generation + 1;
        self.certificates
            .borrow_mut()
            .clone_from(&built.certificates);
        let snapshot = snapshot(generation, config, built);
        if let Some(logs) = &*self.logs.borrow() {
            logs.switch(outputs);
        }
        if let Some(autoban) = &*self.autoban.borrow() {
            autoban.follow(&snapshot.config.autoban);
        }
        *self.bound.borrow_mut() = bound;
        self.keep();
        self.beside.borrow_mut().overlay = beside.overlay;
        *self.snapshot.borrow_mut() = Arc::clone(&snapshot);
        self.watch_bans().await;
        warnings.extend(self.hand_over(&snapshot, sockets).await);
        warnings.extend(super::shield::follow(self, snapshot).await);
        Ok(Taken {
            generation,
            confirm_by: None,
            warnings,
        })
    }

    /// The files may have been rotated, whatever is wrong with the configuration.
    fn reopen_log(&self) {
        if let Err(trouble) = self.reopen_logs() {
            tracing::error!("{}", chain(&trouble));
        }
    }

    /// What waits for a confirmation, and what there is to go back to.
    pub(super) fn standing(&self) -> Value {
        let history = self.history.borrow();
        let waits = self.unconfirmed.borrow();
        let waits = waits.as_ref();
        let waits =
            waits.map(|it| json!({ "by": rfc3339(it.at), "seconds_left": it.left().as_secs() }));
        json!({
            "unconfirmed": waits,
            "is_rolled_back": history.is_back(),
            "steps_back": history.steps(),
        })
    }
}

impl Unconfirmed {
    fn left(&self) -> Duration {
        self.by.saturating_duration_since(Instant::now())
    }
}

async fn answer_reload(control: Rc<Control>, call: Call) -> Answer {
    let (confirm, spare) = (call.parameter("confirm"), call.parameter("spare"));
    let spare = match spare.map(|text| text.parse::<IpAddr>()) {
        None => None,
        Some(Ok(peer)) => Some(peer),
        Some(Err(_)) => return Answer::error(400, "spare is not an address"),
    };
    match confirm.as_deref().map(confirm_within).transpose() {
        Ok(confirm) => answer(control.reload(confirm, spare, call.caller()).await),
        Err(message) => Answer::error(400, &message),
    }
}

/// The time that `--confirm` names.
pub(crate) fn confirm_within(text: &str) -> Result<Duration, String> {
    let within = units::duration(text).map_err(|complaint| complaint.to_string())?;
    if within < Duration::from_secs(1) || within > LONGEST {
        return Err("a confirmation takes from one second to a day".to_owned());
    }
    Ok(within)
}

fn answer(outcome: Result<Taken, NotTaken>) -> Answer {
    match outcome {
        Ok(taken) => Answer::json(
            200,
            &json!({
                "generation": taken.generation,
                "confirm_by": taken.confirm_by,
                "warnings": taken.warnings,
            }),
        ),
        Err(refusal) => refusal.answer(),
    }
}
