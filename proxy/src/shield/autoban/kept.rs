//! Who was banned before, over restarts: one JSON file in the state directory, replaced as a whole. The bans themselves are on a
//! list; this is what makes the next one longer.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use crate::files;
use crate::shield::save_as;
use openclaw_core::autoban::Convict;
use serde::{Deserialize, Serialize};

const FILE: &str = "autoban.json";
const VERSION: u32 = 1;
/// Longer than any ban: whose last ban ended before is not saved again.
const FORGOTTEN_AFTER: u64 = 30 * 86_400;

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    peers: Vec<Peer>,
}

/// Times are seconds since 1970.
#[derive(Serialize, Deserialize)]
struct Peer {
    address: IpAddr,
    bans: u32,
    until: u64,
}

/// Nothing if there is no such file; one that cannot be read costs the memory of repeaters, not the start.
pub(super) fn load(state_dir: &Path) -> Vec<(IpAddr, Convict)> {
    let path = state_dir.join(FILE);
    let read = files::read(&path, files::KEPT).and_then(|bytes| {
        serde_json::from_slice::<Saved>(&bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    });
    match read {
        Ok(saved) => saved
            .peers
            .into_iter()
            .map(
                |Peer {
                     address,
                     bans,
                     until,
                 }| (address, Convict { bans, until }),
            )
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "who was banned before is not known");
            Vec::new()
        }
    }
}

/// Writes beside the file and moves it into place, so that a crash leaves the old or the new one.
pub(super) fn save(
    state_dir: &Path,
    convicts: impl Iterator<Item = (IpAddr, Convict)>,
    now: u64,
) -> io::Result<()> {
    let saved = Saved {
        version: VERSION,
        peers: convicts
            .filter(|(_, convict)| now <= convict.until.saturating_add(FORGOTTEN_AFTER))
            .map(|(address, Convict { bans, until })| Peer {
                address,
                bans,
                until,
            })
            .collect(),
    };
    let bytes = serde_json::to_vec(&saved)?;
    save_as(state_dir, FILE, &bytes)
}
