//! `[server]`: the process.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::keys::{self, Key};
use super::problem::Complaint;
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
    /// Whom the process becomes when root starts it; `None`: it stays root.
    pub user: Option<String>,
    /// `None`: the user's own.
    pub group: Option<String>,
    /// Where this proxy stands.
    pub zone: Option<Arc<str>>,
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
        Key::optional(
            "user",
            "name",
            "\"openclaw\"",
            "When root starts the proxy: the user, by name or number, that it becomes before it opens anything. It keeps CAP_NET_ADMIN, \
CAP_BPF, CAP_PERFMON (not with --no-shield) and CAP_NET_BIND_SERVICE, which a reload needs. The configuration, \
certificates and keys must be readable by that user, as every reload reads them again. state_dir and pin_dir are made for him where \
they are missing, and the BPF file system is opened for passing through; an older state_dir is to be given to him (chown -R). \
Absent: it stays root, with these capabilities alone and no right to other users' files.",
        ),
        Key::optional(
            "group",
            "name",
            "\"openclaw\"",
            "The group that goes with `user`. Absent: the user's own.",
        ),
        Key::optional(
            "zone",
            "name",
            "\"eu-1a\"",
            "Where this proxy stands: endpoints of the same `zone` are preferred, see `spill_below` of upstreams. Absent: all are the same.",
        ),
    ],
    later: &[],
};

pub(super) fn read(section: &Section<'_>) -> Option<Server> {
    let workers = section.value("workers", values::count(1, 1024));
    let state_dir = section.value("state_dir", |node| section.reader.path(node));
    let shutdown_grace = section.value("shutdown_grace", values::any_duration);
    let limit_keys = section.value("limit_keys", values::count(1024, 1 << 28));
    let user = section.optional("user", values::text);
    let group = section.optional("group", values::text);
    let zone = section.optional("zone", values::label);
    if section.has("group") && !section.has("user") {
        section.reader.warn(
            section.place_of("group"),
            &section.key_path("group"),
            Complaint::new("`group` without `user` does nothing").hint("name the user, too"),
        );
    }
    Some(Server {
        workers: workers.and_then(|workers| NonZeroUsize::new(workers as usize)),
        state_dir: state_dir?,
        shutdown_grace: shutdown_grace?,
        limit_keys: limit_keys? as usize,
        user: user.ok()?,
        group: group.ok()?,
        zone: zone.ok()?,
    })
}
