//! Lists that others keep: read again when their file changes, replaced when their URL has something new, emptied when it has been dead
//! for too long. What may be blocked is decided as for an import. The fetching itself is the control plane's.

mod crowdsec;
mod keep;
mod state;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use openclaw_core::config::{ListSource, ShieldList};

pub use self::state::check_list;
pub(super) use self::state::read_file;
use super::geo::Stamp;
use super::lists::Kind;

/// The largest body of a URL, and the largest file.
pub const MAX_FEED: usize = 64 << 20;
/// The longest wait after a failure.
const RETRY: Duration = Duration::from_mins(1);

/// What makes a URL answer with something new only.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

/// A URL to be fetched now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub list: ShieldList,
    pub validators: Validators,
    /// Everything is wanted, not what has changed.
    pub startup: bool,
}

/// What came of fetching.
#[derive(Debug)]
pub enum Fetched {
    Body {
        text: String,
        validators: Validators,
    },
    /// The answer of a `CrowdSec` to a question for everything, or for what has changed.
    Decisions { text: String, startup: bool },
    /// 304: what is known is still right.
    Unchanged,
}

/// A list with its source.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    list: ShieldList,
    /// The file that was read last.
    stamp: Option<Stamp>,
    validators: Validators,
    /// Length of what a URL answered last.
    bytes: u64,
    /// Seconds since 1970.
    last_success: Option<u64>,
    last_error: Option<String>,
    /// Some lines of what it was filled with last were left out.
    has_gaps: bool,
    failures: u64,
    /// Seconds since 1970 of the next fetch.
    next: u64,
    /// Its entries have ended because the URL has been dead for too long.
    has_expired: bool,
    /// A `CrowdSec` has told everything, and what has changed since.
    is_warm: bool,
    /// Its decisions have changed since they were last on the disk.
    is_unkept: bool,
    /// When they were put there.
    kept: Option<Instant>,
}

impl Feed {
    fn new(list: ShieldList) -> Self {
        Self {
            list,
            stamp: None,
            validators: Validators::default(),
            bytes: 0,
            last_success: None,
            last_error: None,
            has_gaps: false,
            failures: 0,
            next: 0,
            has_expired: false,
            is_warm: false,
            is_unkept: false,
            kept: None,
        }
    }

    fn kind(&self) -> Kind {
        kind(&self.list)
    }

    fn file(&self) -> Option<&PathBuf> {
        match &self.list.source {
            ListSource::File(path) => Some(path),
            ListSource::Url { .. } | ListSource::Crowdsec { .. } => None,
        }
    }

    /// Whether the entries are too old to be believed.
    fn is_dead(&self, unix: u64) -> bool {
        match (&self.list.source, self.last_success) {
            (ListSource::Url { ttl: Some(ttl), .. }, Some(success)) => {
                success.saturating_add(ttl.as_secs()) <= unix
            }
            _ => false,
        }
    }

    /// What was left out may be taken now.
    pub(super) fn read_again_if_lines_were_left_out(&mut self) {
        if self.last_error.is_none() && !self.has_gaps {
            return;
        }
        self.stamp = None;
        self.validators = Validators::default();
        self.is_warm = false;
        // One that is being fetched has its turn afterwards.
        if self.next != u64::MAX {
            self.next = 0;
        }
    }

    /// What it follows, for people.
    fn origin(&self) -> String {
        match &self.list.source {
            ListSource::File(path) => path.display().to_string(),
            ListSource::Url { url, .. } | ListSource::Crowdsec { url, .. } => url.clone(),
        }
    }
}

pub(super) fn kind(list: &ShieldList) -> Kind {
    if list.allow { Kind::Allow } else { Kind::Block }
}
