//! What can be asked of the shield, and what it answers: the words between the command line and the process that holds the lists,
//! which is the running proxy or, without one, the command line itself.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::drops::DropView;
use super::explain::Explained;
use super::format::{Format, Problems};
use super::lists::Kind;
use super::status::Status;

/// A question or an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    Add {
        kind: Kind,
        addresses: Vec<String>,
        ttl: Option<String>,
        reason: Option<String>,
        list: Option<String>,
        /// Taken back after this, unless confirmed.
        #[serde(default)]
        confirm: Option<String>,
    },
    /// Keep what waits for it.
    Confirm {
        kind: Kind,
    },
    Del {
        kind: Kind,
        addresses: Vec<String>,
        list: Option<String>,
        /// Who asks: refused if it would cut them off.
        #[serde(default)]
        spare: Option<IpAddr>,
    },
    List {
        kind: Kind,
        containing: Option<String>,
        list: Option<String>,
        limit: Option<usize>,
    },
    Test {
        kind: Kind,
        address: String,
    },
    /// Everything that touches an address.
    Explain {
        address: String,
    },
    Flush {
        kind: Kind,
        list: Option<String>,
        /// As of [`Self::Del`].
        #[serde(default)]
        spare: Option<IpAddr>,
    },
    Import(Import),
    Export {
        kind: Kind,
        list: Option<String>,
        format: Format,
    },
    Stats {
        kind: Kind,
    },
    Status,
    /// The last packets that were dropped or would have been, a sample.
    Drops {
        limit: Option<usize>,
    },
    Attach {
        interface: String,
        mode: Option<String>,
        /// Displace another's program.
        #[serde(default)]
        replace: bool,
        /// Taken off after this, unless confirmed.
        #[serde(default)]
        confirm: Option<String>,
        /// Who asks: refused if their packets would be dropped.
        #[serde(default)]
        spare: Option<IpAddr>,
    },
    /// Keep what is attached and waits for it.
    ConfirmAttach,
    Detach {
        interface: String,
    },
    Off,
    On,
}

/// A file for a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    pub kind: Kind,
    pub text: String,
    /// Nothing is by the content.
    #[serde(default)]
    pub format: Option<Format>,
    pub ttl: Option<String>,
    pub reason: Option<String>,
    /// Nothing is the lists that the file names, `manual` where it names none.
    pub list: Option<String>,
    /// Take everything else off the list.
    pub replace: bool,
    /// Only say what would happen.
    pub dry_run: bool,
    /// Who asks: a block file with a range around it is refused.
    #[serde(default)]
    pub spare: Option<IpAddr>,
    /// As of [`Request::Add`].
    #[serde(default)]
    pub confirm: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    Changed(Changed),
    Entries {
        kind: Kind,
        entries: Vec<EntryView>,
        /// With those that are not shown.
        total: usize,
    },
    Tested(Tested),
    Explained(Explained),
    Exported {
        text: String,
        entries: usize,
    },
    Stats(Stats),
    Status(Status),
    Drops {
        drops: Vec<DropView>,
    },
}

/// Lists were changed, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    pub kind: Kind,
    pub list: Option<String>,
    pub dry_run: bool,
    pub added: usize,
    pub updated: usize,
    pub removed: usize,
    /// Kept from now on.
    #[serde(default)]
    pub confirmed: usize,
    /// When what was added is taken back unless confirmed; RFC 3339.
    #[serde(default)]
    pub confirm_by: Option<String>,
    /// Entries that were not taken, with the line of the file.
    pub refused: Problems,
    /// Lines that are no entry.
    pub invalid: Problems,
    /// Entries taken otherwise than written.
    pub normalised: Problems,
    /// What was to be deleted and is not there.
    pub missing: Vec<String>,
    pub notes: Vec<String>,
    /// What did not work behind the lists: a full map, a full disk.
    pub warnings: Vec<String>,
}

impl Changed {
    pub(super) fn new(kind: Kind, list: Option<String>) -> Self {
        Self {
            kind,
            list,
            dry_run: false,
            added: 0,
            updated: 0,
            removed: 0,
            confirmed: 0,
            confirm_by: None,
            refused: Problems::default(),
            invalid: Problems::default(),
            normalised: Problems::default(),
            missing: Vec::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// An entry for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryView {
    pub address: String,
    pub list: String,
    pub reason: Option<String>,
    /// RFC 3339.
    pub added: String,
    /// RFC 3339; nothing is never.
    pub expires: Option<String>,
    /// Seconds.
    pub expires_in: Option<u64>,
    /// Packets that it has decided; nothing where they are not counted entry by entry.
    #[serde(default)]
    pub hits: Option<u64>,
    /// When it is taken back unless confirmed; RFC 3339.
    #[serde(default)]
    pub confirm_by: Option<String>,
}

/// What happens to an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    pub kind: Kind,
    pub address: String,
    /// What the lists say, kill switch and monitor mode apart.
    pub blocked: bool,
    pub allowed: bool,
    /// Code of the country, where a database of countries is configured and knows it.
    #[serde(default)]
    pub country: Option<String>,
    /// `drop` or `pass`: what happens to its packets now.
    pub verdict: String,
    /// Dotted code.
    pub reason: String,
    /// Whether its packets are dropped as soon as the shield is on.
    #[serde(default)]
    pub kept_out: bool,
    /// The entries that decide, the widest first.
    pub entries: Vec<EntryView>,
    /// Blocks that an allow entry beats.
    pub overruled: Vec<EntryView>,
    /// Why the verdict is not what the lists say.
    pub note: Option<String>,
}

/// Figures of one kind of lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    pub kind: Kind,
    pub lists: Vec<ListStats>,
    pub tables: Vec<TableStats>,
    #[serde(default)]
    pub memory: MemoryStats,
    /// Seconds until the next entry ends.
    pub next_end_in: Option<u64>,
}

/// Figures of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListStats {
    pub name: String,
    pub ipv4: usize,
    pub ipv6: usize,
    /// Packets that its entries have decided, as far as they are counted one by one; nothing where none is.
    #[serde(default)]
    pub hits: Option<u64>,
    /// Nothing for a list that follows no file or url.
    #[serde(default)]
    pub feed: Option<FeedStatus>,
}

/// Figures of the source of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedStatus {
    /// The file or url.
    pub source: String,
    /// RFC 3339.
    pub last_success: Option<String>,
    pub last_success_unix: Option<u64>,
    /// What is wrong now.
    pub last_error: Option<String>,
    /// Attempts that failed since the start.
    pub failures: u64,
    /// The url has been dead for longer than its `ttl`, and the entries have ended.
    pub expired: bool,
}

/// How full a table is; entries of both kinds share it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableStats {
    pub name: String,
    pub entries: usize,
    pub capacity: usize,
}

/// What the shield takes, in bytes; nothing where that cannot be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryStats {
    /// All maps in the kernel.
    pub kernel: Option<u64>,
    /// The process that answers, with all that it does.
    pub process: Option<u64>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{error}")]
pub struct ApiError {
    pub error: String,
    /// Whether the question was wrong, as against the answer being no.
    #[serde(default)]
    pub usage: bool,
}

impl ApiError {
    pub(super) fn usage(error: &impl ToString) -> Self {
        Self {
            error: error.to_string(),
            usage: true,
        }
    }

    pub(super) fn failed(error: &impl ToString) -> Self {
        Self {
            error: error.to_string(),
            usage: false,
        }
    }
}
