//! `[server]`: the process.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::keys::{self, Key};
use super::reader::Section;
use super::values;

#[derive(Clone, Debug)]
pub struct Server {
    /// `None`: one per core.
    pub workers: Option<NonZeroUsize>,
    pub state_dir: PathBuf,
    pub shutdown_grace: Duration,
    /// How many keys of limits are remembered at a time.
    pub limit_keys: usize,
}

pub(super) static KEYS: keys::Section = keys::Section {
    name: "server",
    doc: "The process.",
    keys: &[
        Key::optional(
            "workers",
            "number",
            "2",
            "Worker threads. Absent: one per core.",
        ),
        Key::default(
            "state_dir",
            "path",
            "\"/var/lib/openclaw\"",
            "Where the lists of `openclaw blocklist` and `allowlist` are kept.",
        ),
        Key::default(
            "shutdown_grace",
            "duration",
            "\"30s\"",
            "How long requests may go on when the server stops; then they are cut.",
        ),
        Key::default(
            "limit_keys",
            "number",
            "262144",
            "How many keys the limits of all routes remember at a time, 16 bytes each. When they are more, those that come least go first.",
        ),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Server> {
    let workers = section.value("workers", values::count(1, 1024));
    let state_dir = section.value("state_dir", |node| section.reader.path(node));
    let shutdown_grace = section.value("shutdown_grace", values::any_duration);
    let limit_keys = section.value("limit_keys", values::count(1024, 1 << 28));
    Some(Server {
        workers: workers.and_then(|workers| NonZeroUsize::new(workers as usize)),
        state_dir: state_dir?,
        shutdown_grace: shutdown_grace?,
        limit_keys: limit_keys? as usize,
    })
}
