//! Reading a database of countries. Files come from somewhere on the network, so nothing in them is believed: sizes are bounded, and a
//! tree that repeats itself ends at a number of ranges.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use maxminddb::{LookupResult, Reader, WithinOptions, path};
use openclaw_core::country::{UNKNOWN, country_number};

use super::super::prefix::Net;
use super::GeoError;
use super::countries::Ranges;
use crate::files;

/// The largest file. Databases of countries have about 10 MiB, those of cities about 100.
const MAX_FILE: u64 = 512 << 20;
/// The most ranges, over both families.
const MAX_RANGES: usize = 1 << 23;

/// What a file says: which range is in which country, none overlapping another.
#[derive(Debug, Default)]
pub(super) struct Database {
    /// Seconds since 1970.
    pub(super) built: u64,
    /// What the provider calls it.
    pub(super) kind: String,
    pub(super) v4: Ranges<u32>,
    pub(super) v6: Ranges<u128>,
}

pub(super) fn read(path: &Path) -> Result<Database, GeoError> {
    let bytes = read_file(path).map_err(|source| GeoError::Read {
        path: path.to_owned(),
        source,
    })?;
    let broken = |source| GeoError::Format {
        path: path.to_owned(),
        source,
    };
    let reader = Reader::from_source(bytes).map_err(broken)?;
    let metadata = reader.metadata();
    let mut database = Database {
        built: metadata.build_epoch,
        kind: metadata.database_type.chars().take(60).collect(),
        ..Database::default()
    };
    // Ranges of one country share a record.
    let mut known = HashMap::new();
    let mut count = 0;
    for found in reader.networks(WithinOptions::default()).map_err(broken)? {
        let found = found.map_err(broken)?;
        count += 1;
        if count > MAX_RANGES {
            return Err(GeoError::TooMany {
                path: path.to_owned(),
                most: MAX_RANGES,
            });
        }
        let country = *known
            .entry(found.offset())
            .or_insert_with(|| country(&found));
        let network = found.network().map_err(broken)?;
        database.add(network.ip(), network.prefix(), country);
    }
    if database.v4.is_empty() && database.v6.is_empty() {
        return Err(GeoError::NoCountries {
            path: path.to_owned(),
            kind: database.kind,
        });
    }
    database.v4.sort_unstable();
    database.v6.sort_unstable();
    Ok(database)
}

impl Database {
    fn add(&mut self, address: IpAddr, length: u8, country: u8) {
        if country == UNKNOWN {
            return;
        }
        match address {
            IpAddr::V4(address) => self.v4.push((Net::new(address.to_bits(), length), country)),
            IpAddr::V6(address) => {
                let net = Net::new(address.to_bits(), length);
                // IPv4 is at ::/96; a range around that holds all of it.
                if net.covers(Net::new(0, 96)) {
                    self.v4.push((Net::new(0, 0), country));
                }
                self.v6.push((net, country));
            }
        }
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    files::read(path, MAX_FILE)
}

/// The country of a record: where the address is used, else where it is registered, else as providers write it that have only that.
fn country(found: &LookupResult<'_, Vec<u8>>) -> u8 {
    let texts = [
        found.decode_path::<&str>(&path!["country", "iso_code"]),
        found.decode_path::<&str>(&path!["registered_country", "iso_code"]),
        found.decode_path::<&str>(&path!["country_code"]),
        found.decode_path::<&str>(&path!["country"]),
    ];
    // A record of another shape is an error of its path, which is an answer as well: not this way.
    let mut texts = texts.into_iter().filter_map(|text| text.ok().flatten());
    texts.find_map(country_number).unwrap_or(UNKNOWN)
}
