//! Requests of the command line and the admin API, each to the verb that knows it.

use super::api::{Answer, ApiError, Request};
use super::format::Parsed;
use super::kernel::{Kernel, KernelError, Mode};
use super::news::Cause;
use super::state::State;
use super::trial::Attaching;
use super::{Shield, look, prefix};
use crate::telemetry::chain;

impl Shield {
    /// Answers one request of the command line or the admin API. What it changes is on the disk before the answer, or a warning
    /// in it says why not.
    ///
    /// # Errors
    /// The request is wrong, or the answer is no.
    pub fn handle(&self, request: Request) -> Result<Answer, ApiError> {
        let mut answer = self.carry_out(request)?;
        if let Answer::Changed(changed) = &mut answer
            && !changed.dry_run
        {
            self.flush();
            changed.warnings.extend(self.lock().unsaved());
        }
        Ok(answer)
    }

    fn carry_out(&self, mut request: Request) -> Result<Answer, ApiError> {
        if request == Request::Status {
            return self.look(
                |state| {
                    check(state)?;
                    state.follow_switch();
                    Ok(Answer::Status(state.status()))
                },
                |seen| Ok(Answer::Status(seen.status())),
            );
        }
        // A million lines take a while, and nobody has to wait for that.
        let parsed = if let Request::Import(import) = &mut request {
            import.read()?
        } else {
            Parsed::default()
        };
        let mut state = self.hold();
        check(&state)?;
        state.follow_switch();
        if let Request::Stats { kind } = request {
            return Ok(Self::stats(state, kind));
        }
        state.news.cause = Cause::of(&request);
        let answer = self.answer(&mut state, request, parsed);
        state.news.cause = None;
        answer
    }

    fn answer(
        &self,
        state: &mut State,
        request: Request,
        parsed: Parsed,
    ) -> Result<Answer, ApiError> {
        match request {
            Request::Add {
                kind,
                addresses,
                ttl,
                reason,
                list,
                confirm,
            } => {
                let (ttl, reason) = (ttl.as_deref(), reason.as_deref());
                state.add(kind, &addresses, ttl, reason, list, confirm.as_deref())
            }
            Request::Confirm { kind } => state.confirm(kind),
            Request::Del {
                kind,
                addresses,
                list,
                spare,
            } => state.delete(kind, &addresses, list, spare),
            Request::List {
                kind,
                containing,
                list,
                limit,
            } => state.list(kind, containing.as_deref(), list.as_deref(), limit),
            Request::Test { kind, address } => state.test(kind, &address),
            Request::Explain { address } => state.explain(&address),
            Request::Flush { kind, list, spare } => state.flush(kind, list, spare),
            Request::Import(import) => state.import(import, parsed),
            Request::Export { kind, list, format } => state.export(kind, list.as_deref(), format),
            Request::Stats { kind } => Ok(Answer::Stats(state.stats(kind).0)),
            Request::Status => Ok(Answer::Status(state.status())),
            Request::Drops { limit } => Ok(Answer::Drops {
                drops: self.drops.recent(limit.unwrap_or(look::SHOWN_ENTRIES)),
            }),
            Request::Attach {
                interface,
                mode,
                replace,
                confirm,
                spare,
            } => state.order_attach(&Attaching {
                interface: &interface,
                mode: parse_mode(mode.as_deref())?,
                way: if replace {
                    Kernel::displace
                } else {
                    Kernel::attach
                },
                confirm: confirm.as_deref(),
                spare,
            }),
            Request::ConfirmAttach => state.confirm_attach(),
            Request::Detach { interface } => done(&state.detach(&interface), state),
            Request::Off => done(&state.switch(false), state),
            Request::On => done(&state.switch(true), state),
        }
    }
}

/// Whether this process is the one to ask.
fn check(state: &State) -> Result<(), ApiError> {
    if state.is_suspended {
        let error = "another process takes over at this moment; ask again, and it answers";
        return Err(ApiError::failed(&error));
    }
    Ok(())
}

fn done(result: &Result<(), KernelError>, state: &State) -> Result<Answer, ApiError> {
    match result {
        Ok(()) => Ok(Answer::Status(state.status())),
        Err(error) => Err(ApiError::failed(&chain(error))),
    }
}

fn parse_mode(mode: Option<&str>) -> Result<Mode, ApiError> {
    match mode {
        None | Some("auto") => Ok(Mode::Auto),
        Some("native") => Ok(Mode::Native),
        Some("generic") => Ok(Mode::Generic),
        Some(other) => Err(ApiError::usage(&format!(
            "`{}` is not auto, native or generic",
            prefix::shorten(other)
        ))),
    }
}
