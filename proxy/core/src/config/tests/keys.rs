//! The registry and the reader know the same keys.

use std::collections::BTreeSet;

use crate::config::keys::{Key, Presence, Section};
use crate::config::load::{ROOT, read_all};
use crate::config::reader::Reader;
use crate::config::{NoFiles, Source};

use super::load_text;

const EVERY_SECTION: &str = r#"
[listener.web]
bind = "127.0.0.1:80"
tls = { certificates = [{ cert = "a", key = "b" }] }
[listener.names]
bind = "127.0.0.1:81"
mode = "tls"
sni = { "*" = { upstream = "app" } }
[log]
redact = {}
[cache]
disk = { path = "a", max = "10g" }
[shield]
geo = { database = "c", deny = "ZZ" }
lists = [{ name = "drop", file = "a" }]
[cdn.own]
ranges = "192.0.2.0/24"
[upstream.app]
endpoints = [{ address = "127.0.0.1:80" }]
discover = { kubernetes = { service = "a" } }
tls = { certificate = { cert = "a", key = "b" } }
health = {}
breaker = {}
sticky = { cookie = "c" }
[upstream.slow]
endpoints = "127.0.0.1:81"
hedge = { after = "1s" }
[[route]]
to = [{ upstream = "app" }]
limit = { rate = "1/s" }
rewrite = { regex = "a", to = "/" }
mirror = { to = "app" }
[[route]]
respond = {}
[[route]]
redirect = { to = "/" }
[[route]]
name = "kept"
to = "app"
cache = { key = {} }
compress = {}
[[test]]
request = "GET /"
expect = { status = 200 }
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

/// A document that holds the example of one key, and what else its section needs.
#[expect(clippy::too_many_lines, reason = "one table, an arm a section")]
fn document(section: &Section, key: &Key) -> String {
    let required = section
        .keys
        .iter()
        .filter(|other| other.presence == Presence::Required && other.name != key.name);
    let settings: Vec<String> = required
        .chain([key])
        .map(|key| format!("{} = {}", key.name, key.example))
        .collect();
    let (lines, inline) = (settings.join("\n"), settings.join(", "));
    let listener = "[listener.web]\nbind = \"127.0.0.1:80\"\n";
    let app = "[upstream.app]\nendpoints = \"127.0.0.1:8080\"\n";
    let action = match key.name {
        "to" | "respond" | "redirect" => "",
        _ => "to = \"app\"",
    };
    match section.name {
        "shield.lists" if matches!(key.name, "name" | "kind") => {
            format!("{listener}[shield]\nlists = [{{ {inline}, file = \"a\" }}]")
        }
        "shield.lists" if matches!(key.name, "every" | "ttl" | "timeout") => {
            format!("{listener}[shield]\nlists = [{{ {inline}, url = \"http://a\" }}]")
        }
        "shield.lists" if key.name == "crowdsec" => {
            format!("{listener}[shield]\nlists = [{{ {inline}, api_key = \"k\" }}]")
        }
        "shield.lists" if key.name == "api_key" => {
            format!("{listener}[shield]\nlists = [{{ {inline}, crowdsec = \"http://a\" }}]")
        }
        "shield.lists" => format!("{listener}[shield]\nlists = [{{ {inline} }}]"),
        "shield.geo" if !matches!(key.name, "deny" | "allow") => {
            format!("{listener}[shield.geo]\n{lines}\ndeny = [\"DE\"]\n")
        }
        "cdn" => format!("[cdn.own]\n{lines}\n{listener}"),
        "server" | "autoban" | "autoban.after" | "admin" | "log" | "trace" | "log.access"
        | "log.security" | "log.redact" | "shield" | "shield.syn" | "shield.udp" | "shield.geo" => {
            format!("[{}]\n{lines}\n{listener}", section.name)
        }
        "listener" if key.name == "to" => {
            format!(
                "[listener.web]\n{lines}\nmode = \"tcp\"\n[upstream.app]\nendpoints = \"127.0.0.1:8080\""
            )
        }
        "listener" if key.name == "sni" => {
            let upstreams = ["app", "other", "rest"]
                .map(|name| format!("[upstream.{name}]\nendpoints = \"127.0.0.1:8080\"\n"));
            format!(
                "[listener.web]\n{lines}\nmode = \"tls\"\n{}",
                upstreams.concat()
            )
        }
        "listener.sni" => {
            format!("{app}{listener}mode = \"tls\"\nsni = {{ \"*\" = {{ {inline} }} }}")
        }
        "listener" => format!("[listener.web]\n{lines}\n"),
        "listener.tls" if key.name == "certificates" => format!("{listener}tls = {{ {inline} }}"),
        "listener.tls" => format!(
            "{listener}tls = {{ certificates = [{{ cert = \"a\", key = \"b\" }}], {inline} }}"
        ),
        "listener.tls.certificates" => {
            format!("{listener}tls = {{ certificates = [{{ {inline} }}] }}")
        }
        "upstream" => format!("{listener}[upstream.app]\n{lines}\n"),
        "upstream.tls" => format!("{listener}{app}tls = {{ {inline} }}\n"),
        "upstream.tls.certificate" => {
            format!("{listener}{app}tls = {{ certificate = {{ {inline} }} }}\n")
        }
        "upstream.discover" => {
            let beside = match key.name {
                "dns" | "srv" | "file" | "kubernetes" => "",
                "consul" => "service = \"a\", ",
                "service" => "consul = \"http://a\", ",
                "tag" | "token" | "datacenter" => "consul = \"http://a\", service = \"a\", ",
                "eureka" => "app = \"A\", ",
                "app" => "eureka = \"http://a\", ",
                _ => "dns = \"a:80\", ",
            };
            format!("{listener}[upstream.app]\ndiscover = {{ {beside}{inline} }}\n")
        }
        "upstream.discover.kubernetes" => {
            format!("{listener}[upstream.app]\ndiscover = {{ kubernetes = {{ {inline} }} }}\n")
        }
        "upstream.health" if key.name == "grpc" => {
            format!("{listener}{app}protocol = \"h2\"\nhealth = {{ {inline} }}")
        }
        "upstream.health" if matches!(key.name, "host" | "status" | "body") => {
            format!("{listener}{app}health = {{ path = \"/\", {inline} }}\n")
        }
        "upstream.health" => format!("{listener}{app}health = {{ {inline} }}\n"),
        "upstream.hedge" => format!("{listener}{app}hedge = {{ {inline} }}\n"),
        "upstream.breaker" => format!("{listener}{app}breaker = {{ {inline} }}\n"),
        "upstream.sticky" => format!("{listener}{app}sticky = {{ {inline} }}\n"),
        "upstream.endpoints" => format!("{listener}[upstream.app]\nendpoints = [{{ {inline} }}]"),
        "route" => format!("{listener}{app}[[route]]\n{action}\n{lines}\n"),
        "route.match" => format!("{listener}{app}[[route]]\n{action}\nmatch = {{ {inline} }}\n"),
        "route.to" => format!("{listener}{app}[[route]]\nto = [{{ {inline} }}]"),
        "cache" => format!("[cache]\n{lines}\n{listener}"),
        "cache.disk" => format!("[cache]\ndisk = {{ {inline} }}\n{listener}"),
        "route.cache.key" => {
            format!("{listener}{app}[[route]]\n{action}\ncache = {{ key = {{ {inline} }} }}\n")
        }
        "route.cache" => format!("{listener}{app}[[route]]\n{action}\ncache = {{ {inline} }}\n"),
        "route.compress" => {
            format!("{listener}{app}[[route]]\n{action}\ncompress = {{ {inline} }}\n")
        }
        "route.compress.level" => {
            format!("{listener}{app}[[route]]\n{action}\ncompress = {{ level = {{ {inline} }} }}\n")
        }
        "route.limit" => format!("{listener}{app}[[route]]\n{action}\nlimit = {{ {inline} }}\n"),
        "route.rewrite" => format!(
            "{listener}{app}[[route]]\nto = \"app\"\nmatch = {{ path_regex = '^/v1/(.*)$' }}\nrewrite = {{ {inline} }}\n"
        ),
        "route.mirror" => {
            format!("{listener}{app}[[route]]\nto = \"app\"\nmirror = {{ {inline} }}\n")
        }
        "route.respond" => format!("{listener}[[route]]\nrespond = {{ {inline} }}"),
        "route.redirect" => format!("{listener}[[route]]\nredirect = {{ {inline} }}"),
        "route.headers" => format!("{listener}{app}[[route]]\n{action}\nheaders = {{ {inline} }}"),
        "route.headers.request" | "route.headers.response" => {
            let side = section.name.rsplit('.').next().unwrap();
            format!("{listener}{app}[[route]]\n{action}\nheaders = {{ {side} = {{ {inline} }} }}")
        }
        "test" if matches!(key.name, "request" | "packet") => {
            let expect = "expect = { reason = \"shield.pass\" }";
            format!(
                "{listener}[[test]]\n{}\n{expect}\n",
                settings[settings.len() - 1]
            )
        }
        "test" => format!("{listener}[[test]]\nrequest = \"GET /\"\n{lines}\n"),
        "test.expect" if key.name == "verdict" => {
            format!(
                "{listener}[[test]]\npacket = \"tcp 192.0.2.1 -> :80\"\nexpect = {{ {inline} }}\n"
            )
        }
        "test.expect" => {
            format!("{listener}[[test]]\nrequest = \"GET /\"\nexpect = {{ {inline} }}\n")
        }
        name => panic!("no template for {name}"),
    }
}

#[test]
fn every_example_of_the_registry_is_accepted() {
    fn check(section: &'static Section) {
        for key in section.keys {
            if !section.name.is_empty() {
                let text = document(section, key);
                if let Err(problems) = load_text(&text) {
                    panic!("{problems}\nin\n{text}");
                }
            }
            key.fields.into_iter().for_each(check);
        }
    }
    check(&ROOT);
}
