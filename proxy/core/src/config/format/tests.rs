//! What is written anew means the same, keeps its comments, and is written the same again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use insta::assert_snapshot;
use proptest::collection::vec;
use proptest::prelude::*;
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use super::format;

fn comments(text: &str) -> Vec<String> {
    let tokens = Source::new(text).lex();
    let comments = tokens.filter(|token| token.kind() == TokenKind::Comment);
    let texts = comments.map(|token| {
        let span = token.span();
        text.get(span.start()..span.end())
            .unwrap()
            .trim()
            .to_owned()
    });
    let mut texts: Vec<String> = texts.collect();
    texts.sort();
    texts
}

fn parse(text: &str) -> toml::Table {
    match text.parse() {
        Ok(table) => table,
        Err(error) => panic!("{error}\n{text}"),
    }
}

fn check(text: &str) {
    let once = format(text);
    assert_eq!(parse(text), parse(&once), "\n{text}\n---\n{once}");
    assert_eq!(comments(text), comments(&once), "\n{text}\n---\n{once}");
    assert_eq!(once, format(&once), "\n{text}");
}

#[test]
fn one_way_to_write_it() {
    let text = "\n\n  # what it is\n\n\n[ server ]   # here\n\tworkers=2\nstate_dir   =   '/x'#there\n\n\n\n\n[listener . web]\n# all\nbind=[\"0.0.0.0:80\",\n\n  \"[::]:80\"]\nproxies = [\n# first\n\"10.0.0.0/8\", # the office\n\n\"10.1.0.0/16\"\n# last\n]\ntls={certificates=[{cert=\"a.pem\",key=\"a.key\"}],min=\"1.2\"}\n[[route]]\n# matches\nmatch={path=\"/a\"  ,  host = \"a.test\"}\nto=\"app\"\n# at the end\n\n\n";
    assert_snapshot!(format(text), @r#"
    # what it is

    [server] # here
    workers = 2
    state_dir = '/x' #there

    [listener.web]
    # all
    bind = ["0.0.0.0:80", "[::]:80"]
    proxies = [
      # first
      "10.0.0.0/8", # the office

      "10.1.0.0/16",
      # last
    ]
    tls = { certificates = [{ cert = "a.pem", key = "a.key" }], min = "1.2" }

    [[route]]
    # matches
    match = { path = "/a", host = "a.test" }
    to = "app"
    # at the end
    "#);
}

#[test]
fn what_is_too_long_for_a_line_is_a_list_of_lines() {
    let one = "\"a-rather-long-endpoint.example.com:8080\"";
    let text =
        format!("[upstream.app]\nendpoints = [{one}, {one}, {{ address = {one}, weight = 2 }}]\n");
    assert_snapshot!(format(&text), @r#"
    [upstream.app]
    endpoints = [
      "a-rather-long-endpoint.example.com:8080",
      "a-rather-long-endpoint.example.com:8080",
      { address = "a-rather-long-endpoint.example.com:8080", weight = 2 },
    ]
    "#);
}

#[test]
fn every_kind_of_value_stays_what_it_is() {
    for text in [
        "",
        "# alone",
        "a = 1979-05-27 07:32:00  # a date\nb=1.5e3\nc = 0x1\n",
        "a = \"\"\"\n [ # no comment\n\"\"\"\nb = '''x'''\nc = ['''\n''', 1.5]\n",
        "a.b . \"c d\" = 1\n[ x.\"y.z\" ]\n[[ l ]]\n",
        "a = []\nb = {}\nc = [[], [[]], {}]\n",
        "a = [ # one\n1 # two\n, # three\n2 # four\n# five\n, 3 # six\n]\n",
        "a = { # one\nb = 1, # two\n\n# three\nc = [ # four\n2],\n}\n",
        "a = [\n# only\n]\n",
        "a = 1\r\n\r\n\r\n# x\r\n[b]\r\n",
    ] {
        check(text);
    }
    check(&crate::config::reference());
    check(crate::config::DEFAULT);
}

/// Between tokens inside a list anything may stand.
fn space() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ \t]{0,2}",
        Just("\n".to_owned()),
        "[ ]?#[ a-c\\[\\]{},=\"']{0,5}\n"
    ];
    vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        "[1-9][0-9]{0,3}",
        "\"[a-z #,{}=\\[\\]']{0,40}\"",
        "'[a-z #\"]{0,9}'",
        Just("\"\"\"a\n # b\n\"\"\"".to_owned()),
        Just("true".to_owned()),
    ];
    plain.prop_recursive(3, 24, 4, |inner| {
        let item = (space(), inner.clone(), space())
            .prop_map(|(before, value, behind)| before + &value + &behind);
        let list = (vec(item, 0..4), space())
            .prop_map(|(items, end)| format!("[{}{end}]", items.join(",")));
        let entries = vec((space(), inner), 0..3);
        let table = (entries, space()).prop_map(|(entries, end)| {
            let entries = entries.iter().enumerate();
            let entries: Vec<String> = entries
                .map(|(index, (space, value))| format!("{space}k{index} = {value}"))
                .collect();
            format!("{{{}{end}}}", entries.join(","))
        });
        prop_oneof![list, table]
    })
}

proptest! {
    #[test]
    fn it_means_the_same_and_is_written_the_same_again(
        settings in vec((space(), value(), "([ ]?#[ a-c]{0,3})?", any::<bool>()), 0..5)
    ) {
        let mut text = String::new();
        for (index, (space, value, comment, has_header)) in settings.iter().enumerate() {
            let header = format!("\n[ t{index} ] {comment}\n");
            let header = if *has_header { &header } else { "\n" };
            let setting = format!("k{index}  ={value} {comment}\n");
            text.extend([space, header, &setting]);
        }
        check(&text);
    }
}
