//! What proxies and checks read from disk: a P-256 certificate for localhost, and the bodies of the origin.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

/// The paths of the origin, each with the length of its body.
pub(crate) const PAGES: [(&str, usize); 5] = [
    ("/1k", 1024),
    ("/100k", 100 * 1024),
    ("/16m", 16 * 1024 * 1024),
    ("/10m", 10 * 1024 * 1024),
    (JSON, 32 * 1024),
];

const JSON: &str = "/json";

/// What the origin calls a page, and what is on it.
pub(crate) fn page(path: &str, length: usize) -> (&'static str, Vec<u8>) {
    if path == JSON {
        ("application/json", json(length))
    } else {
        ("text/plain", body(length))
    }
}

/// A list of people, as an API would give it.
fn json(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut text = String::from("[");
    for id in 0.. {
        if text.len() >= length {
            break;
        }
        let (name, mail, score) = (
            random.u32(..1_000_000),
            random.u32(..),
            random.u32(..10_000),
        );
        let (is_active, tag) = (random.bool(), random.u8(..10));
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{{\"id\":{id},\"name\":\"user-{name}\",\"email\":\"u{mail:x}@example.test\",\"active\":{is_active},\"score\":{score},\"tags\":[\"a{tag}\",\"b{}\"]}},",
            id % 7
        );
    }
    text.truncate(length);
    text.into_bytes()
}

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
        let (_, body) = page(path, length);
        fs::write(folder.join(path.trim_start_matches('/')), body)?;
    }
    Ok(())
}
