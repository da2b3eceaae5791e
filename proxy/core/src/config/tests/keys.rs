//! The registry and the reader know the same keys.

use std::collections::BTreeSet;

use crate::config::keys::Section;
use crate::config::load::{ROOT, read_all};
use crate::config::reader::Reader;
use crate::config::{NoFiles, Source};

const EVERY_SECTION: &str = r#"
[listener.web]
bind = "127.0.0.1:80"
tls = { certificates = [{ cert = "a", key = "b" }] }
[upstream.app]
endpoints = [{ address = "127.0.0.1:80" }]
[[route]]
to = [{ upstream = "app" }]
[[route]]
respond = {}
[[route]]
redirect = { to = "/" }
"#;

fn registered(section: &'static Section, into: &mut BTreeSet<(&'static str, String)>) {
    for key in section.keys {
        into.insert((section.name, key.name.to_owned()));
        if let Some(fields) = key.fields {
            registered(fields, into);
        }
    }
}

#[test]
fn every_key_of_the_registry_is_read_and_no_other() {
    let variable = |_: &str| None;
    let reader = Reader::new(&variable);
    let source = Source {
        name: "openclaw.toml",
        text: EVERY_SECTION,
        files: &NoFiles,
        variable: &variable,
    };
    assert!(read_all(&source, &reader).is_some());
    let mut expected = BTreeSet::new();
    registered(&ROOT, &mut expected);
    assert_eq!(reader.asked(), expected);
}

#[test]
fn a_key_is_supported_or_it_is_for_later() {
    fn check(section: &'static Section) {
        for key in section.keys {
            assert!(section.later(key.name).is_none(), "{}", key.name);
            key.fields.into_iter().for_each(check);
        }
    }
    check(&ROOT);
}
