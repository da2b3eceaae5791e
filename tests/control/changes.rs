//! Endpoints that are changed while the proxy runs.

use std::net::SocketAddr;

use serde_json::Value;

use super::address;
use crate::support::{Origin, Proxy, RawClient, eventually, free_port, openclaw, wait_until};

pub(super) const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// An upstream of these endpoints, with more keys, and a route to it.
pub(super) fn group(endpoints: &[SocketAddr], keys: &str) -> String {
    let endpoints: Vec<String> = endpoints.iter().map(|one| format!("\"{one}\"")).collect();
    format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n\
         [upstream.app]\nendpoints = [{}]\n{keys}\n[[route]]\nname = \"all\"\nto = \"app\"\n",
        endpoints.join(", ")
    )
}

/// Who answers so many requests, each on a connection of its own.
pub(super) fn asked(web: SocketAddr, count: usize) -> Vec<String> {
    let mut names: Vec<String> = (0..count)
        .map(|_| {
            let response = RawClient::connect(web).exchange(GET);
            assert_eq!(response.status(), 200, "{}", response.text());
            response.text()
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

fn list(proxy: &Proxy) -> Value {
    let output = proxy.cli(&["-o", "json", "upstream", "list"]).ok();
    let json: Value = serde_json::from_slice(&output.stdout).expect("the list is JSON");
    json["upstreams"][0].clone()
}

pub(super) fn endpoint(proxy: &Proxy, address: SocketAddr) -> Value {
    let list = list(proxy);
    let endpoints = list["endpoints"].as_array().expect("a list");
    let found = endpoints
        .iter()
        .find(|one| one["address"] == address.to_string());
    found
        .unwrap_or_else(|| panic!("no {address} in {list:#}"))
        .clone()
}

pub(crate) fn change(proxy: &Proxy, verb: &str, address: SocketAddr, more: &[&str]) -> String {
    let address = address.to_string();
    let mut arguments = vec!["upstream", verb, "app", &address];
    arguments.extend(more);
    proxy.cli(&arguments).ok().text()
}

#[test]
fn endpoints_come_and_go_until_a_reload() {
    let origins = ["one", "two"].map(Origin::serving);
    let [one, two] = origins.each_ref().map(Origin::address);
    let proxy = Proxy::start(&group(&[one], ""));
    let web = address(&proxy, "web");
    assert_eq!(asked(web, 4), ["one"]);
    let told = change(&proxy, "add", two, &["--weight", "3"]);
    assert_eq!(
        told,
        format!("app: {two} added with weight 3 (until the next reload)\n")
    );
    assert_eq!(asked(web, 12), ["one", "two"]);
    let added = endpoint(&proxy, two);
    assert_eq!(added["source"], "runtime");
    assert_eq!(added["weight"], 3);
    assert_eq!(added["state"], "up");
    assert_eq!(added["persisted"], false);
    assert_eq!(endpoint(&proxy, one)["source"], "file");
    let line = proxy.wait_for("audit: upstream.add done");
    for word in ["uid=0", "\"upstream\":\"app\"", &two.to_string()] {
        assert!(line.contains(word), "{word}: {line}");
    }
    change(&proxy, "weight", two, &["0"]);
    assert_eq!(asked(web, 6), ["one"]);
    change(&proxy, "weight", two, &["1"]);
    change(&proxy, "del", one, &[]);
    assert_eq!(asked(web, 6), ["two"]);
    assert_eq!(list(&proxy)["deleted"][0]["endpoint"], one.to_string());
    proxy.cli(&["reload"]).ok();
    assert_eq!(asked(web, 4), ["one"]);
    assert_eq!(list(&proxy)["endpoints"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_is_kept_is_there_after_a_reload_and_a_restart() {
    let origins = ["one", "two"].map(Origin::serving);
    let [one, two] = origins.each_ref().map(Origin::address);
    let mut proxy = Proxy::start(&group(&[one], ""));
    let told = change(&proxy, "add", two, &["--persist"]);
    assert!(told.contains("kept over reloads and restarts"), "{told}");
    change(&proxy, "drain", one, &["--persist"]);
    let check = |proxy: &Proxy| {
        assert_eq!(asked(address(proxy, "web"), 4), ["two"]);
        let (first, second) = (endpoint(proxy, one), endpoint(proxy, two));
        assert_eq!(first["state"], "draining");
        assert_eq!(first["persisted"], true);
        assert_eq!(second["source"], "runtime");
        assert_eq!(second["persisted"], true);
    };
    check(&proxy);
    let kept = proxy.folder().path().join("state/changes.toml");
    let text = std::fs::read_to_string(&kept).unwrap();
    assert!(
        text.contains(&format!("[upstream.app.\"{two}\"]\npresent = true")),
        "{text}"
    );
    proxy.cli(&["reload"]).ok();
    check(&proxy);
    proxy.kill();
    proxy.start_again();
    check(&proxy);
    // A file that is damaged by hand costs nothing that is in force, and is told.
    std::fs::write(&kept, "[upstream.app.\"").unwrap();
    let told = proxy.cli(&["reload"]).ok();
    assert!(
        told.stderr.contains("changes.toml cannot be used"),
        "{told:?}"
    );
    check(&proxy);
    // It may be what somebody was editing: it is not lost.
    let told = change(&proxy, "enable", one, &["--persist"]);
    assert!(told.contains("changes.toml.bad"), "{told}");
    let aside = std::fs::read_to_string(kept.with_extension("toml.bad")).unwrap();
    assert_eq!(aside, "[upstream.app.\"");
    proxy.wait_for("changes.toml.bad");
    change(&proxy, "del", two, &["--persist"]);
    assert_eq!(asked(address(&proxy, "web"), 4), ["one"]);
    let text = std::fs::read_to_string(&kept).unwrap();
    assert!(
        !text.contains("upstream."),
        "nothing is left to keep: {text}"
    );
    // Of an upstream that the file does not have any more.
    std::fs::write(&kept, "[route.gone]\napp = 1\n").unwrap();
    let told = proxy.cli(&["reload"]).ok();
    assert!(
        told.stderr.contains("has changes of route gone"),
        "{told:?}"
    );
}

#[test]
fn metrics_speak_of_endpoints_that_are_there() {
    let origins = ["one", "two"].map(Origin::serving);
    let [one, two] = origins.each_ref().map(Origin::address);
    let proxy = Proxy::start(&group(&[one], ""));
    let web = address(&proxy, "web");
    let page = || {
        let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        RawClient::connect(proxy.metrics()).exchange(request).text()
    };
    let sample = |address: SocketAddr, rest: &str| {
        format!("{{upstream=\"app\",endpoint=\"{address}\"{rest}")
    };
    change(&proxy, "add", two, &[]);
    asked(web, 8);
    let text = page();
    for (name, rest) in [
        ("openclaw_upstream_healthy", "} 1"),
        ("openclaw_upstream_requests_total", ",code=\"2xx\"} 4"),
        ("openclaw_upstream_connects_total", ",result=\"ok\"} "),
    ] {
        let wanted = format!("{name}{}", sample(two, rest));
        assert!(text.contains(&wanted), "{wanted}\n{text}");
    }
    change(&proxy, "del", two, &[]);
    let text = page();
    assert!(!text.contains(&two.to_string()), "{text}");
    assert!(text.contains(&one.to_string()), "{text}");
    // One that comes takes the place of one that went, and begins anew.
    change(&proxy, "add", two, &[]);
    asked(web, 2);
    let row = endpoint(&proxy, two);
    assert!(row["requests"].as_u64().unwrap() <= 2, "{row:#}");
    let text = page();
    assert!(text.contains(&sample(one, ",code=\"2xx\"} ")), "{text}");
}

#[test]
fn the_list_tells_why_an_endpoint_gets_nothing() {
    let origin = Origin::serving("one");
    let dead = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let health = "health = { every = \"50ms\", timeout = \"1s\", fall = 1 }";
    let proxy = Proxy::start(&group(&[origin.address(), dead], health));
    let down = eventually("it is called down", || {
        Some(endpoint(&proxy, dead)).filter(|one| one["state"] == "down")
    });
    assert_eq!(down["healthy"], false);
    let why = down["probe_error"].as_str().expect("probes say why");
    assert!(why.contains("refused"), "{why}");
    assert_eq!(endpoint(&proxy, origin.address())["state"], "up");
    asked(address(&proxy, "web"), 3);
    assert_eq!(endpoint(&proxy, origin.address())["requests"], 3);
    assert!(endpoint(&proxy, origin.address())["latency_ms"].is_number());
    let text = proxy.cli(&["upstream", "list", "app"]).ok().text();
    assert!(
        text.starts_with("app: round_robin, 1 of 2 serve\n"),
        "{text}"
    );
    assert!(text.contains("refused"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn orders_that_make_no_sense_change_nothing() {
    let origin = Origin::serving("one");
    let place = origin.address().to_string();
    let proxy = Proxy::start(&group(&[origin.address()], ""));
    for (arguments, code, told) in [
        (
            ["drain", "ap", &place],
            1,
            "there is no upstream `ap`; did you mean `app`?",
        ),
        (["add", "app", &place], 1, "has"),
        (
            ["enable", "app", "127.0.0.1:1"],
            1,
            "there is no endpoint of upstream app",
        ),
        (["add", "app", "nonsense"], 2, "is not an endpoint"),
    ] {
        let output = proxy.cli(&[&["upstream"], &arguments[..]].concat());
        assert_eq!(output.code, code, "{arguments:?}: {output:?}");
        assert!(output.stderr.contains(told), "{arguments:?}: {output:?}");
    }
    assert_eq!(asked(address(&proxy, "web"), 2), ["one"]);
}

#[test]
fn the_last_endpoint_goes_as_told_and_what_that_means_is_said() {
    let origin = Origin::serving("one");
    let place = origin.address().to_string();
    let proxy = Proxy::start(&group(&[origin.address()], ""));
    let ask = || RawClient::connect(address(&proxy, "web")).exchange(GET);
    let warning = "no endpoint is left that serves upstream app: requests for it get 503";
    let drained = proxy.cli(&["upstream", "drain", "app", &place]);
    assert_eq!(drained.code, 0, "{drained:?}");
    assert!(drained.stderr.contains(warning), "{drained:?}");
    assert_eq!(ask().status(), 503);
    let enabled = proxy.cli(&["upstream", "enable", "app", &place]);
    assert_eq!((enabled.code, &*enabled.stderr), (0, ""));
    assert_eq!(ask().status(), 200);
    let deleted = proxy.cli(&["-o", "json", "upstream", "del", "app", &place]);
    assert_eq!(deleted.code, 0, "{deleted:?}");
    let told = deleted.text();
    assert!(
        told.contains("\"warning\"") && told.contains(warning),
        "{told}"
    );
    assert_eq!(ask().status(), 503);
}

#[test]
fn an_endpoint_that_says_tls_is_not_added_where_none_is_spoken() {
    let origins = ["one", "two"].map(Origin::serving);
    let [one, two] = origins.each_ref().map(Origin::address);
    let proxy = Proxy::start(&group(&[one], ""));
    let url = |scheme: &str| format!("{scheme}://{two}");
    let output = proxy.cli(&["upstream", "add", "app", &url("https")]);
    assert_eq!(output.code, 1, "{output:?}");
    let told = "an upstream speaks TLS with all of its endpoints or with none, and app does not";
    assert!(output.stderr.contains(told), "{output:?}");
    assert_eq!(asked(address(&proxy, "web"), 6), ["one"]);
    proxy.cli(&["upstream", "add", "app", &url("http")]).ok();
    assert_eq!(asked(address(&proxy, "web"), 6), ["one", "two"]);
    let secure = format!("[upstream.safe]\nendpoints = [\"https://{one}\"]\n");
    proxy.rewrite(&(group(&[one], "") + &secure));
    proxy.cli(&["reload"]).ok();
    let output = proxy.cli(&["upstream", "add", "safe", &url("http")]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("and safe does"), "{output:?}");
}

#[test]
fn a_kept_change_that_leaves_nobody_is_told_by_the_reload() {
    let origins = ["one", "two"].map(Origin::serving);
    let [one, two] = origins.each_ref().map(Origin::address);
    let proxy = Proxy::start(&group(&[one, two], ""));
    change(&proxy, "del", two, &["--persist"]);
    assert!(!proxy.cli(&["reload"]).ok().stderr.contains("503"));
    proxy.rewrite(&group(&[two], ""));
    let told = proxy.cli(&["reload"]).ok().stderr;
    let back = format!("openclaw upstream add app {two} --persist");
    for words in [
        "upstream app has no endpoint that serves, and requests get 503",
        &format!("{two} is deleted by a change that was kept"),
        &back,
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let words: Vec<&str> = back.split(' ').skip(1).collect();
    proxy.cli(&words).ok();
    assert_eq!(asked(address(&proxy, "web"), 4), ["two"]);
}

#[test]
fn one_address_of_a_name_goes_and_comes_back_alone() {
    let origins = ["one", "two"].map(Origin::serving);
    let [one, two] = origins.each_ref().map(Origin::address);
    let name = format!("localhost:{}", two.port());
    for is_written in [false, true] {
        let written = format!("\"{one}\", \"{name}\"]");
        let written =
            is_written.then(|| group(&[one], "").replace(&format!("\"{one}\"]"), &written));
        let proxy = Proxy::start(&written.unwrap_or_else(|| group(&[one], "")));
        let web = address(&proxy, "web");
        if !is_written {
            proxy.cli(&["upstream", "add", "app", &name]).ok();
        }
        // Whether the name has an address of IPv6 as well is the system's matter; nobody is there.
        let expect = |expected: &[&str], deleted: usize| {
            assert_eq!(asked(web, 12), expected);
            let list = list(&proxy);
            assert_eq!(
                list["deleted"].as_array().map(Vec::len),
                Some(deleted),
                "{list:#}"
            );
            assert!(!list.to_string().contains("unresolved"), "{list:#}");
        };
        expect(&["one", "two"], 0);
        change(&proxy, "del", two, &[]);
        expect(&["one"], 1);
        change(&proxy, "add", two, &[]);
        expect(&["one", "two"], 0);
        change(&proxy, "del", two, &[]);
        expect(&["one"], 1);
        proxy.cli(&["upstream", "del", "app", &name]).ok();
        proxy.cli(&["upstream", "add", "app", &name]).ok();
        expect(&["one", "two"], 0);
    }
}

#[test]
fn without_a_proxy_there_is_nothing_to_change() {
    for verb in [
        &["upstream", "list"][..],
        &["upstream", "drain", "app", "127.0.0.1:1"],
        &["route", "list"],
        &["route", "switch", "a", "b"],
        &["cert", "list"],
    ] {
        let socket = ["--socket", "/nonexistent/admin.sock"];
        let output = openclaw(&[&socket, verb].concat());
        assert_eq!(output.code, 1, "{verb:?}: {output:?}");
        assert!(
            output.stderr.contains("no openclaw is running"),
            "{output:?}"
        );
    }
}

#[test]
fn what_was_changed_is_forgotten_when_that_is_wanted() {
    let origins = ["one", "two"].map(Origin::serving);
    let [one, two] = origins.each_ref().map(Origin::address);
    let mut proxy = Proxy::start(&group(&[one], ""));
    let web = address(&proxy, "web");
    change(&proxy, "add", two, &["--persist", "--zone", "eu-1"]);
    assert_eq!(endpoint(&proxy, two)["zone"], "eu-1");
    change(&proxy, "drain", one, &["--timeout", "1h"]);
    assert_eq!(asked(web, 4), ["two"]);
    let reset = |words: &[&str]| proxy.cli(&[&["upstream", "reset"], words].concat());
    let told = reset(&["app", &one.to_string()]).ok().text();
    assert_eq!(told, "app: what was changed of 1 endpoint is forgotten\n");
    assert_eq!(asked(web, 4), ["one", "two"]);
    let told = reset(&["app", "127.0.0.1:1"]).ok().text();
    assert_eq!(told, "app: nothing was changed\n");
    let output = reset(&["ap"]);
    assert!(output.stderr.contains("did you mean `app`?"), "{output:?}");
    reset(&["app"]).ok();
    assert_eq!(asked(web, 4), ["one"]);
    proxy.wait_for("audit: upstream.reset done");
    proxy.kill();
    proxy.start_again();
    assert_eq!(asked(address(&proxy, "web"), 4), ["one"]);
}

#[test]
fn each_address_of_a_name_has_figures_of_its_own() {
    let folder = crate::support::Folder::new();
    let here = Origin::serving("here");
    let port = here.address().port();
    // Nobody is at the other one.
    let hosts = folder.write("hosts", "127.0.0.1 both.test\n127.0.0.99 both.test\n");
    let mount = format!(
        "mount --bind {} /etc/hosts && exec \"$0\" \"$@\"",
        hosts.display()
    );
    let config = format!(
        "[server]\nworkers = 1\nstate_dir = \"state\"\n[listener.web]\nbind = [\"127.0.0.1:0\"]\n\
         [upstream.app]\nendpoints = [\"both.test:{port}\"]\n[[route]]\nto = \"app\"\n"
    );
    let through = ["unshare", "--mount", "sh", "-c", &mount];
    let proxy = Proxy::start_through(&config, 0, &through, &[]);
    assert_eq!(asked(address(&proxy, "web"), 6), ["here"]);
    let figures = |ip: &str| {
        let one = endpoint(&proxy, format!("{ip}:{port}").parse().unwrap());
        ["requests", "failures", "connects", "connects_failed"].map(|name| one[name].as_u64())
    };
    let [requests, failures, connects, failed] = figures("127.0.0.1");
    assert_eq!((requests, failures, failed), (Some(6), Some(0), Some(0)));
    assert!(connects > Some(0));
    let [requests, failures, connects, failed] = figures("127.0.0.99");
    assert_eq!((requests, failures), (failed, failed));
    assert_eq!(connects, Some(0));
    assert!(failed > Some(0));
}

#[test]
fn a_client_that_goes_is_no_failure_of_the_endpoint() {
    let origin = Origin::start(|peer| peer.read_to_end().map(drop));
    let proxy = Proxy::start(&group(&[origin.address()], ""));
    let mut client = RawClient::connect(address(&proxy, "web"));
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf");
    wait_until("it has half of the body", || origin.connections() == 1);
    drop(client);
    proxy.wait_for_access("http.client_aborted");
    let one = endpoint(&proxy, origin.address());
    assert_eq!((&one["requests"], &one["failures"]), (&1.into(), &0.into()));
}
