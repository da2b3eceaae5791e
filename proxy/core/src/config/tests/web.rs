//! The page of `[admin]`: what is accepted, and what is not.

use std::path::Path;

use super::{accepted, load_text, rejected};
use crate::config::{Admin, Token};

const BEFORE: &str =
    "[listener.web]\nbind = [\"127.0.0.1:80\"]\n[[route]]\nrespond = {}\n[admin]\n";
const TOKEN: &str = "token = \"0123456789abcdef\"\n";

fn admin(keys: &str) -> Admin {
    accepted(&format!("{BEFORE}{keys}\n")).admin
}

#[test]
fn the_page_is_off_shows_only_and_is_for_this_machine_unless_told_otherwise() {
    let usual = admin("");
    assert_eq!((usual.web, usual.token), (None, None));
    assert!(usual.web_names.is_empty());
    for address in ["127.0.0.1:9465", "[::1]:9465", "127.9.9.9:0"] {
        let own = admin(&format!("web = \"{address}\""));
        assert_eq!(own.web, address.parse().ok());
        assert_eq!(own.token, None);
    }
    let guarded = admin(&format!(
        "web = \"0.0.0.0:9465\"\n{TOKEN}web_names = [\"Proxy.Example.Net\"]"
    ));
    let Some(Token::Here(token)) = guarded.token else {
        panic!("{:?}", guarded.token);
    };
    assert_eq!(token.expose(), "0123456789abcdef");
    assert_eq!(guarded.web_names, ["proxy.example.net"]);
    let file = admin("web = \"127.0.0.1:1\"\ntoken_file = \"token\"").token;
    assert!(matches!(file, Some(Token::File(path)) if path == Path::new("token")));
}

#[test]
fn nobody_is_let_in_by_a_slip() {
    for (keys, message) in [
        ("web = \"0.0.0.0:9465\"", "would read this proxy's traffic"),
        ("web = \"[::]:9465\"", "would read this proxy's traffic"),
        (
            "web = \"192.0.2.1:9465\"",
            "would read this proxy's traffic",
        ),
        ("web = \"127.0.0.1\"", "127.0.0.1"),
        ("web = \"off\"", "off"),
        ("web = \"127.0.0.1:9464\"", "`metrics` has the address"),
        ("web = \"127.0.0.1:80\"", "bound twice"),
        ("web = \"127.0.0.1:1\"\ntoken = \"short\"", "can be guessed"),
        (
            "web = \"127.0.0.1:1\"\ntoken = \"0123456789abcde f\"",
            "cannot be a key",
        ),
        (
            "web = \"127.0.0.1:1\"\ntoken = \"0123456789abcdef\"\ntoken_file = \"a\"",
            "exclude each other",
        ),
        (
            "web = \"127.0.0.1:1\"\nweb_names = [\"http://a\"]",
            "no host name",
        ),
    ] {
        let problems = rejected(&format!("{BEFORE}{keys}\n")).0;
        let told: Vec<_> = problems.iter().map(|problem| &*problem.message).collect();
        assert!(
            told.len() == 1 && told[0].contains(message),
            "{keys}\n{told:#?}"
        );
    }
}

#[test]
fn what_does_nothing_or_crosses_the_network_in_the_clear_is_warned_of() {
    for (keys, message) in [
        (TOKEN.to_owned(), "does nothing without `web`"),
        (format!("web = \"0.0.0.0:9465\"\n{TOKEN}"), "in the clear"),
    ] {
        let loaded = load_text(&format!("{BEFORE}{keys}")).unwrap();
        let told: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert!(
            told.len() == 1 && told[0].contains(message),
            "{keys}: {told:#?}"
        );
    }
}
