//! The tests inside the examples pass.

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
