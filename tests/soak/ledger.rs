//! What clients have asked and what became of it, to be held against what the proxy says that it did.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of a request, as its client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// A whole response.
    Answered(u16),
    /// The proxy ended the connection, or the stream, before a response was whole.
    Broken,
    /// The client left first. The proxy may never have seen the request.
    Left,
}

/// How an origin behaves for one request; it stands in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// So many bytes, with their length.
    Length,
    Chunked,
    /// The end is the end of the connection.
    UntilClose,
    /// An interim response first.
    Hint,
    /// In pieces, with pauses.
    Slow,
    /// What was sent comes back.
    Echo,
    /// Half a body, then the end of the connection.
    Cut,
    /// Half a body, then a reset.
    Reset,
    /// The end of the connection in place of an answer.
    Nothing,
    /// Another protocol: every byte comes back.
    Tunnel,
}

const ACTS: [(&str, Act); 10] = [
    ("length", Act::Length),
    ("chunked", Act::Chunked),
    ("until-close", Act::UntilClose),
    ("hint", Act::Hint),
    ("slow", Act::Slow),
    ("echo", Act::Echo),
    ("cut", Act::Cut),
    ("reset", Act::Reset),
    ("nothing", Act::Nothing),
    ("tunnel", Act::Tunnel),
];

/// One request: its number, what the origin is to do, and with how many bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub number: u64,
    pub act: Act,
    pub size: usize,
}

impl Asked {
    pub(super) fn path(self) -> String {
        let (name, _) = ACTS.iter().find(|(_, act)| *act == self.act).unwrap();
        format!("/soak/{}/{name}/{}", self.number, self.size)
    }

    /// From a path, if it is one of ours.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix("/soak/")?.split('/');
        let number = parts.next()?.parse().ok()?;
        let name = parts.next()?;
        let (_, act) = ACTS.iter().find(|(known, _)| *known == name)?;
        let size = parts.next()?.parse().ok()?;
        Some(Self {
            number,
            act: *act,
            size,
        })
    }

    /// The bytes that the origin answers with, others for each request.
    pub(super) fn body(self) -> Vec<u8> {
        (0..self.size)
            .map(|at| ((self.number as usize + at) % 251) as u8)
            .collect()
    }

    /// Whether a whole response of status 200 is a lie.
    pub(super) fn never_ends_well(self) -> bool {
        let is_cut = matches!(self.act, Act::Cut | Act::Reset) && self.size > 0;
        is_cut || self.act == Act::Nothing
    }
}

#[derive(Default)]
pub(super) struct Ledger {
    next: AtomicU64,
    fates: Mutex<HashMap<u64, (Asked, Fate)>>,
}

impl Ledger {
    /// A new request; until its fate is known its client may leave at any time.
    pub(super) fn ask(&self, act: Act, size: usize) -> Asked {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let asked = Asked { number, act, size };
        self.settle(asked, Fate::Left);
        asked
    }

    pub(super) fn settle(&self, asked: Asked, fate: Fate) {
        let mut fates = self.fates.lock().unwrap();
        fates.insert(asked.number, (asked, fate));
    }

    /// Checks a whole response against what was asked.
    pub(super) fn answered(&self, asked: Asked, status: u16, body: &[u8], expected: &[u8]) {
        match status {
            200 => {
                assert!(
                    !asked.never_ends_well(),
                    "{asked:?} came to a clean end, of {} bytes",
                    body.len()
                );
                assert!(
                    body == expected,
                    "{asked:?}: {} bytes that are not those of the origin",
                    body.len()
                );
            }
            // No endpoint that answers: they die all the time.
            502..=504 => {}
            _ => panic!("{asked:?} was answered with {status}"),
        }
        self.settle(asked, Fate::Answered(status));
    }

    pub(super) fn fates(&self) -> HashMap<u64, (Asked, Fate)> {
        self.fates.lock().unwrap().clone()
    }
}
