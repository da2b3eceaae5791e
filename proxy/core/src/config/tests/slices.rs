//! `slice` of a route's cache.

use super::{accepted, rejected};

fn route(cache: &str) -> String {
    format!(
        "[listener.web]\nbind = \"127.0.0.1:80\"\n[upstream.app]\nendpoints = \"127.0.0.1:81\"\n[[route]]\nto = \"app\"\ncache = {{ {cache} }}\n"
    )
}

#[test]
fn large_things_are_stored_in_slices_where_it_is_said() {
    let slice = |cache: &str| {
        let rule = accepted(&route(cache)).routes[0].cache.clone();
        rule.unwrap().slice
    };
    assert_eq!(slice(""), None);
    assert_eq!(slice("slice = \"1m\""), Some(1 << 20));
    assert_eq!(
        slice("slice = \"64m\", max_object = \"64m\""),
        Some(64 << 20)
    );
}

#[test]
fn slices_are_of_a_size_that_is_worth_it_and_fit() {
    let check = |cache: &str, expected: &str| {
        let told = rejected(&route(cache)).to_string();
        assert!(told.contains(expected), "{told}");
    };
    check("slice = \"63k\"", "out of range");
    check("slice = \"65m\", max_object = \"1g\"", "out of range");
    check("slice = \"16m\"", "larger than `max_object`");
    check("slice = true", "expected");
}
