//! Countries: a database in the `MaxMind` format, and what it means for every class word. [`database`] reads, [`countries`] compiles,
//! which is pure; when to read again is decided by [`attend`].

mod attend;
mod countries;
mod database;

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use maxminddb::MaxMindDbError;
use openclaw_common::abi::geo as mode;
use openclaw_core::config::{Geo, GeoRule};

pub(super) use self::attend::Attention;
pub(super) use self::countries::{Countries, Parted};

/// Why there are no countries.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    #[error("cannot read the database of countries {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no database of countries in the MaxMind format", path.display())]
    Format {
        path: PathBuf,
        source: MaxMindDbError,
    },
    #[error(
        "{} (of the type `{kind}`) names no country: neither `country.iso_code` nor `country`",
        path.display()
    )]
    NoCountries { path: PathBuf, kind: String },
    #[error("{} has more than {most} ranges", path.display())]
    TooMany { path: PathBuf, most: usize },
}

/// Who is let in, as the kernel program reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) mode: u32,
    pub(super) mask: [u64; 4],
}

impl Policy {
    pub(super) const OFF: Self = Self {
        mode: mode::OFF,
        mask: [0; 4],
    };

    pub(super) fn of(geo: &Geo) -> Self {
        let mut mask = [0; 4];
        for number in &geo.countries {
            if let Some(bits) = mask.get_mut(usize::from(number >> 6)) {
                *bits |= 1 << (number & 63);
            }
        }
        let mode = match geo.rule {
            GeoRule::Deny => mode::DENY,
            GeoRule::Allow => mode::ONLY,
        };
        Self { mode, mask }
    }

    /// Whether a country is let in; of those that are unknown, private addresses are in any case.
    pub(super) fn admits(&self, country: u8) -> bool {
        let bits = self.mask.get(usize::from(country >> 6)).unwrap_or(&0);
        let is_listed = bits >> (country & 63) & 1 != 0;
        is_listed == (self.mode == mode::ONLY)
    }
}

/// Which file it was: another one has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Stamp {
    /// Nothing if there is no such file.
    pub(super) fn of(path: &std::path::Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            inode: metadata.ino(),
        })
    }
}

/// Reads and compiles. Takes about a second for the whole world.
///
/// # Errors
/// See [`GeoError`].
pub(super) fn load(geo: &Geo) -> Result<Countries, GeoError> {
    database::read(&geo.database).map(|database| Countries::compile(database, Policy::of(geo)))
}

/// Whether the database could be used.
///
/// # Errors
/// See [`GeoError`].
pub fn check_database(geo: &Geo) -> Result<(), GeoError> {
    database::read(&geo.database).map(drop)
}
