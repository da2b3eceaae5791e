//! Certificates for one test.

use std::path::PathBuf;

use super::Folder;

/// Writes a self-signed certificate for these names and its key; gives the paths of both.
pub fn certificate(folder: &Folder, names: &[&str]) -> (PathBuf, PathBuf) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let file = names.first().expect("a certificate has a name");
    let file = file.replace('*', "wildcard");
    let made = rcgen::generate_simple_self_signed(names).expect("these are names");
    (
        folder.write(&format!("{file}.pem"), made.cert.pem()),
        folder.write(&format!("{file}.key"), made.signing_key.serialize_pem()),
    )
}
