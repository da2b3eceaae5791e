//! Keys of lists that come from elsewhere.

use std::time::Duration;

use super::{accepted, rejected};
use crate::config::ListSource;

fn text(keys: &str) -> String {
    format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[shield]\nlists = [{{ name = \"a\", {keys} }}]\n"
    )
}

#[test]
fn a_fetch_may_take_as_long_as_it_says() {
    let url = "url = \"https://a/b\"";
    let config = accepted(&text(&format!("{url}, timeout = \"5s\"")));
    let Some(ListSource::Url { timeout, .. }) =
        config.shield.lists.first().map(|list| &list.source)
    else {
        unreachable!("{:?}", config.shield.lists)
    };
    assert_eq!(*timeout, Duration::from_secs(5));
    for (keys, expected) in [
        (format!("{url}, timeout = \"0s\""), "longer than zero"),
        (
            "file = \"a.netset\", timeout = \"5s\"".to_owned(),
            "`timeout` is for a url",
        ),
        (
            "crowdsec = \"http://a\", api_key = \"k\", timeout = \"5s\"".to_owned(),
            "`timeout` and `crowdsec` exclude each other",
        ),
    ] {
        let told = rejected(&text(&keys)).to_string();
        assert!(told.contains(expected), "{keys}: {told}");
    }
}
