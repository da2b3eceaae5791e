//! Changes of upstreams and routes that outlive the process: one file in the state directory, in TOML, replaced as a whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use openclaw_core::config::{Config, Upstream};
use openclaw_core::overlay::{Layer, Verb};

use super::endpoints::Beside;
use crate::files;
use crate::shield::save_as;
use crate::snapshot::{ResolvedEndpoint, UpstreamSetup};
use crate::telemetry::chain;

const FILE: &str = "changes.toml";
/// What becomes of one that cannot be used when the next change is kept.
const BAD: &str = "changes.toml.bad";
/// As much as there can be changes.
const MAX_SIZE: u64 = 8 << 20;

/// Why changes that were kept are not in force.
#[derive(Debug, thiserror::Error)]
enum KeptError {
    #[error("cannot read the changes in {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the changes in {} cannot be used; repair the file and reload, or delete it", path.display())]
    Damaged {
        path: PathBuf,
        source: toml::de::Error,
    },
}

impl Beside {
    /// What is left of changes when the configuration is loaded anew, and what is doubtful about it. A file of kept changes that
    /// cannot be used leaves those in force that are.
    pub(super) fn after_reload(mut self, state_dir: &Path, config: &Config) -> (Self, Vec<String>) {
        let mut doubts = Vec::new();
        self.overlay.passing = Layer::default();
        match read(state_dir) {
            Ok(kept) => self.overlay.kept = kept,
            Err(error) => doubts.push(chain(&error)),
        }
        let place = state_dir.join(FILE);
        doubts.extend(self.overlay.kept.strangers(config).map(|stranger| {
            let place = place.display();
            format!("{place} has changes of {stranger}, which the configuration does not have")
        }));
        (self, doubts)
    }
}

/// What was kept; nothing if nothing was.
fn read(state_dir: &Path) -> Result<Layer, KeptError> {
    let path = state_dir.join(FILE);
    let read = fs::metadata(&path).and_then(|found| {
        if found.len() > MAX_SIZE {
            return Err(io::Error::other(format!(
                "it is larger than {MAX_SIZE} bytes"
            )));
        }
        files::read_text(&path, files::KEPT)
    });
    let text = match read {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Layer::default()),
        Err(source) => return Err(KeptError::Read { path, source }),
    };
    Layer::from_text(&text).map_err(|source| KeptError::Damaged { path, source })
}

/// Upstreams of which nothing serves, though the configuration is sound: endpoints were taken out for good while it had others.
pub(super) fn silenced(
    kept: &Layer,
    upstreams: &[Upstream],
    setups: &[UpstreamSetup],
) -> Vec<String> {
    let mut silenced = Vec::new();
    for (upstream, setup) in upstreams.iter().zip(setups) {
        let serves = |one: &ResolvedEndpoint| one.weight > 0 && !one.is_draining;
        if setup.endpoints.iter().any(serves) {
            continue;
        }
        for (label, verb) in kept.withheld(upstream) {
            let name = &upstream.name;
            let (is, back, more) = match verb {
                Verb::Delete => ("is deleted", "add", ""),
                Verb::Drain => ("is drained", "enable", ""),
                Verb::Weigh(_) | Verb::Add(_) | Verb::Enable => ("has weight 0", "weight", " 1"),
            };
            silenced.push(format!(
                "upstream {name} has no endpoint that serves, and requests get 503: {label} {is} by a change that was kept; \
                 `openclaw upstream {back} {name} {label}{more} --persist` takes that back"
            ));
        }
    }
    silenced
}

/// Keeps this in place of what was kept. A file that cannot be used may be one that somebody was editing: it is set aside, and it is
/// told where.
pub(super) fn write(state_dir: &Path, kept: &Layer) -> io::Result<Option<String>> {
    let mut set_aside = None;
    if let Err(error) = read(state_dir) {
        let aside = state_dir.join(BAD);
        fs::rename(state_dir.join(FILE), &aside)?;
        let aside = aside.display().to_string();
        tracing::warn!(
            "{}; it is now {aside}, and what is in force is kept without it",
            chain(&error)
        );
        set_aside = Some(aside);
    }
    save_as(state_dir, FILE, kept.to_text().as_bytes())?;
    Ok(set_aside)
}
