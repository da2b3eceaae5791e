//! The tests inside the examples pass, and they are written as `fmt` writes them.

use std::fs;
use std::path::Path;

use crate::support::openclaw;

#[test]
fn every_example_does_what_its_tests_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples");
    let mut with_tests = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let output = openclaw(&["test", path.to_str().unwrap()]);
        assert_eq!(output.code, 0, "{}\n{}", path.display(), output.text());
        with_tests += usize::from(output.text().contains(" passed)"));
    }
    assert!(with_tests >= 5, "{with_tests} examples have tests");
}

#[test]
fn every_example_is_as_fmt_writes_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_one = path.extension().is_some_and(|ending| ending == "toml");
        if is_one {
            let output = openclaw(&["fmt", "--check", path.to_str().unwrap()]);
            assert_eq!(output.code, 0, "{}", output.text());
        }
    }
}
