//! The keys of sticky cookies: an upstream's own secret, or one for all that is made at the first need and kept in the state
//! directory, so that clients find their endpoints again after a restart.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::{hmac, rand};
use openclaw_core::balance::Pin;
use openclaw_core::config::{Secret, Upstream};

use crate::files;
use crate::snapshot::ResolvedEndpoint;

const FILE: &str = "sticky.key";
const LENGTH: usize = 32;

/// What pins are made with.
#[derive(Debug, Default)]
pub(super) struct Stickies {
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    key: [u8; LENGTH],
    path: PathBuf,
    is_kept: bool,
}

impl Stickies {
    /// Finds the key that upstreams without a secret need; a new one is not on the disk before [`Self::keep`].
    pub(super) fn prepare(&mut self, upstreams: &[Upstream], state_dir: &Path) {
        let mut sticky = upstreams
            .iter()
            .filter_map(|upstream| upstream.sticky.as_ref());
        if self.own.is_some() || sticky.all(|sticky| sticky.secret.is_some()) {
            return;
        }
        let path = state_dir.join(FILE);
        let kept = files::read(&path, files::KEPT).and_then(|bytes| {
            <[u8; LENGTH]>::try_from(bytes)
                .map_err(|bytes| io::Error::other(format!("it has {} bytes", bytes.len())))
        });
        let is_kept = kept.is_ok();
        let key = kept.unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                let path = path.display();
                tracing::warn!(%path, %error, "the key of sticky cookies cannot be read: clients will be spread anew");
            }
            let mut key = [0; LENGTH];
            if rand::fill(&mut key).is_err() {
                tracing::warn!("the system gives no random bytes: sticky cookies can be guessed");
            }
            key
        });
        self.own = Some(Own { key, path, is_kept });
    }

    /// Puts a new key on the disk, when it serves.
    pub(super) fn keep(&mut self) {
        let Some(own) = self.own.as_mut().filter(|own| !own.is_kept) else {
            return;
        };
        own.is_kept = true;
        if let Err(error) = write(&own.path, &own.key) {
            let path = own.path.display();
            tracing::warn!(%path, %error, "the key of sticky cookies cannot be kept: a restart will spread clients anew");
        }
    }

    /// One for each endpoint; none where the upstream is not sticky.
    pub(super) fn pins(&self, upstream: &Upstream, endpoints: &[ResolvedEndpoint]) -> Vec<Pin> {
        let Some(sticky) = &upstream.sticky else {
            return Vec::new();
        };
        let secret = sticky.secret.as_ref().map(Secret::as_bytes);
        let own = self.own.as_ref().map(|own| &own.key[..]);
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.or(own).unwrap_or_default());
        let pin = |endpoint: &ResolvedEndpoint| {
            let text = format!(
                "{}\n{}\n{}",
                upstream.name, endpoint.label, endpoint.address
            );
            let tag = hmac::sign(&key, text.as_bytes());
            let first = tag.as_ref().first_chunk::<16>();
            Pin::new(first.copied().unwrap_or_default())
        };
        endpoints.iter().map(pin).collect()
    }
}

/// Writes beside the file and moves it into place, so that a crash leaves a whole one or none.
fn write(path: &Path, key: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("key.{}", std::process::id()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(&beside).and_then(|mut file| {
        file.write_all(key)?;
        file.sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&beside, path));
    moved.inspect_err(|_| {
        // What is left of it only takes room; that it may not be there is fine.
        let _ = fs::remove_file(&beside);
    })
}
