//! Content codings (RFC 9110 §8.4): which one a client gets, which responses are coded for it, and what is different in their heads.
//! The coding itself is done elsewhere.

mod change;
mod negotiation;
mod rule;
mod verdict;

pub use change::Change;
pub use negotiation::{Choice, choose, settled};
pub use rule::{Levels, MediaType, Rule};
pub use verdict::{Verdict, Wish};

/// A coding that responses are put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Brotli (RFC 7932).
    Br,
    /// Zstandard (RFC 8878).
    Zstd,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// In the order of their declaration, so that a table can be indexed by them.
    pub const ALL: [Self; 3] = [Self::Br, Self::Zstd, Self::Gzip];

    /// As `Content-Encoding` says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Br => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The coding of a name; `x-gzip` is another one for gzip (RFC 9110 §8.4.1.3).
    fn of(name: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Self::Gzip);
        }
        let mut all = Self::ALL.into_iter();
        all.find(|coding| name.eq_ignore_ascii_case(coding.name().as_bytes()))
    }
}
