//! What proxies and checks read from disk: a P-256 certificate for localhost, and the bodies of the origin.

use std::fs;
use std::path::Path;

use anyhow::Result;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

/// The paths of the origin, each with the length of its body.
pub(crate) const PAGES: [(&str, usize); 4] = [
    ("/1k", 1024),
    ("/100k", 100 * 1024),
    ("/16m", 16 * 1024 * 1024),
    ("/10m", 10 * 1024 * 1024),
];

/// A body without a short period, so that a piece lost or doubled shows.
pub(crate) fn body(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| b'a' + ((at % 251 + at / 251) % 26) as u8)
        .collect()
}

pub(crate) fn write(folder: &Path) -> Result<()> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names)?.self_signed(&key)?.pem();
    let key = key.serialize_pem();
    fs::write(folder.join("cert.pem"), &certificate)?;
    fs::write(folder.join("key.pem"), &key)?;
    fs::write(folder.join("both.pem"), certificate + &key)?;
    for (path, length) in PAGES {
        fs::write(folder.join(path.trim_start_matches('/')), body(length))?;
    }
    Ok(())
}
