//! What cannot be found out now, for whoever loads a configuration.

use std::time::Duration;

use openclaw_core::config::Registry;

use super::Discovery;
use crate::shield::show_seconds;

/// What cannot be found out now.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    why: String,
    /// How many endpoints it goes on with, and how old they are.
    kept: usize,
    age: Option<Duration>,
}

impl Failure {
    /// What serves meanwhile.
    pub(in crate::control) fn hint(&self) -> String {
        match (self.kept, self.age) {
            (0, _) | (_, None) => {
                "it has no address until somebody knows it; it is asked for again every few seconds"
                    .to_owned()
            }
            (1, Some(age)) => format!(
                "the one that it had {} ago serves on",
                show_seconds(age.as_secs())
            ),
            (kept, Some(age)) => format!(
                "the {kept} that it had {} ago serve on",
                show_seconds(age.as_secs())
            ),
        }
    }
}

impl Discovery {
    /// Why a source says nothing now. `keeps`: its last endpoints serve on when it is denied.
    pub(in crate::control) fn failure(&self, source: &Registry, keeps: bool) -> Option<Failure> {
        let followed = self.0.followed.borrow();
        let follower = &followed.get(source)?.follower;
        let last = follower.last().filter(|_| keeps || !follower.is_denied());
        let why = match follower.failing() {
            Some(failing) => failing.why,
            // It was given no time.
            None if follower.round() == 0 && self.follows() => "no answer yet".to_owned(),
            None => return None,
        };
        Some(Failure {
            why,
            kept: last.as_ref().map_or(0, |last| last.endpoints.len()),
            age: last.map(|last| last.at.elapsed().unwrap_or_default()),
        })
    }
}
