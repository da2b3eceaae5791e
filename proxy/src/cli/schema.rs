//! `openclaw schema`: what may stand in a configuration, for editors.

use openclaw_core::config;

use super::output::Outcome;

pub(super) fn schema() -> Outcome {
    let schema = config::schema();
    Outcome::new(format!("{schema:#}\n"), schema)
}
