//! What is written into which log, what is left out, and where it goes after a rotation.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use serde_json::Value;

use crate::control::{address, sample};
use crate::support::{Net, Origin, Proxy, RawClient, eventually, wait_until};

/// Lines of a file as JSON; a torn one fails the test.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    whole
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn line_of(path: &Path, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || lines(path).into_iter().find(&is_it))
}

fn ask(web: SocketAddr, path: &str) -> u16 {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: shop.test:8080\r\nUser-Agent: tester/1\r\nReferer: http://x.test/?token=abc\r\n\r\n"
    );
    RawClient::connect(web).exchange(request).status()
}

fn config(log: &str) -> String {
    format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[[route]]\nname = \"here\"\nmatch = {{ path = \"/here\" }}\nrespond = {{ body = \"x\" }}\n\
         [log]\n{log}\n"
    )
}

#[test]
fn secrets_are_left_out_of_every_log_and_of_what_is_remembered() {
    let proxy = Proxy::start(&config(
        "access = { to = \"access.log\" }\nsecurity = { to = \"security.log\" }\n\
         redact = { query = [\"token\"], headers = [\"user-agent\"], client = \"/24\" }",
    ));
    let web = address(&proxy, "web");
    assert_eq!(ask(web, "/here?a=1&Token=secret"), 200);
    let refused =
        RawClient::connect(web).exchange("GET /lost?token=secret HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(refused.status(), 404);
    let access = proxy.folder().path().join("access.log");
    let line = line_of(&access, "the first", |line| line["status"] == 200);
    assert_eq!(line["path"], "/here?a=1&Token=redacted");
    assert_eq!(line["client"], "127.0.0.0");
    assert_eq!(line["user_agent"], Value::Null);
    assert_eq!(line["referer"], "http://x.test/?token=redacted");
    let security = proxy.folder().path().join("security.log");
    let line = line_of(&security, "the refusal", |line| line["event"] == "refusal");
    assert_eq!(
        (&line["reason"], &line["path"]),
        (&"route.none".into(), &"/lost?token=redacted".into())
    );
    assert_eq!(line["client"], "127.0.0.0");
    assert!(
        lines(&security).iter().all(|line| line["status"] != 200),
        "what went well is no matter of security"
    );
    let id = refused.header("x-request-id").unwrap();
    let told = proxy.cli(&["-o", "json", "explain", "id", id]).ok().text();
    assert!(
        !told.contains("secret") && told.contains("token=redacted"),
        "{told}"
    );
}

#[test]
fn what_an_operator_changes_stands_in_the_security_log_with_who_it_was() {
    let proxy = Proxy::start(&config(
        "access = { to = \"off\" }\nsecurity = { to = \"security.log\" }",
    ));
    let security = proxy.folder().path().join("security.log");
    proxy
        .cli(&[
            "blocklist",
            "add",
            "203.0.113.7",
            "--ttl",
            "1h",
            "--reason",
            "scanner",
        ])
        .ok();
    proxy.cli(&["blocklist", "list"]).ok();
    proxy.cli(&["status"]).ok();
    proxy.cli(&["log", "level", "debug"]).ok();
    proxy.cli(&["reload"]).ok();
    let refused = proxy.cli(&["upstream", "drain", "none", "127.0.0.1:1"]);
    assert_ne!(refused.code, 0);
    let change = |action: &str| {
        line_of(&security, action, |line| {
            line["event"] == "change" && line["action"] == action
        })
    };
    let added = change("blocklist.add");
    assert_eq!(added["detail"]["verb"], "add");
    assert_eq!(added["detail"]["addresses"][0], "203.0.113.7");
    assert_eq!(added["detail"]["reason"], "scanner");
    assert_eq!((&added["uid"], &added["done"]), (&0.into(), &true.into()));
    assert!(
        added["pid"]
            .as_u64()
            .is_some_and(|pid| pid != u64::from(proxy.pid())),
        "{added}"
    );
    assert_eq!(change("log.level")["detail"]["level"], "debug");
    assert_eq!(change("config.reload")["done"], true);
    assert_eq!(change("upstream.drain")["outcome"], "refused");
    let reloaded = change("config.reload");
    assert_eq!(
        (
            &reloaded["generation"],
            &reloaded["outcome"],
            &reloaded["uid"]
        ),
        (&2.into(), &"done".into(), &0.into())
    );
    let changes = lines(&security)
        .into_iter()
        .filter(|line| line["event"] == "change")
        .count();
    assert_eq!(
        changes, 4,
        "one line each, and who only looks changes nothing"
    );
    // What is refused is told as that: by the lists, and by the configuration.
    assert_ne!(proxy.cli(&["blocklist", "add", "127.0.0.1"]).code, 0);
    proxy.rewrite("[listener.web]\nbindd = 1\n");
    assert_eq!(proxy.cli(&["reload"]).code, 2);
    for action in ["blocklist.add", "config.reload"] {
        let refused = line_of(&security, action, |line| {
            line["action"] == action && line["outcome"] == "refused"
        });
        assert_eq!(
            (&refused["event"], &refused["done"]),
            (&"change".into(), &false.into())
        );
    }
    let once = lines(&security).into_iter();
    assert_eq!(
        once.filter(|line| line["action"] == "config.reload")
            .count(),
        2
    );
}

#[test]
fn a_ban_stands_in_the_security_log() {
    let net = Net::new();
    let limited = "respond = { body = \"x\" }\nlimit = { rate = \"1/h\" }";
    let config =
        config("access = { to = \"off\" }\nsecurity = { to = \"security.log\", format = \"ecs\" }")
            .replace("127.0.0.1:0", &format!("{}:0", net.outside4))
            .replace("respond = { body = \"x\" }", limited)
            + "[autoban]\nafter = { limit = 1 }\n";
    let proxy = Proxy::start(&config);
    let url = format!("http://{}/here", address(&proxy, "web"));
    for status in ["200", "429"] {
        let output = net.curl(&["-o", "/dev/null", "-w", "%{http_code}", &url]);
        assert_eq!(output.text(), status);
    }
    let security = proxy.folder().path().join("security.log");
    let ban = line_of(&security, "the ban", |line| {
        line["event"]["action"] == "ban"
    });
    assert_eq!(ban["openclaw"]["prefix"], net.inside4.to_string(), "{ban}");
    let why = ban["openclaw"]["reason"].as_str();
    assert!(why.is_some_and(|why| why.contains("limit.rate")), "{ban}");
    let refusal = line_of(&security, "the refusal", |line| {
        line["event"]["action"] == "refusal"
    });
    assert_eq!(refusal["event"]["reason"], "limit.rate");
    assert_eq!(refusal["event"]["dataset"], "openclaw.security");
    assert_eq!(refusal["client"]["ip"], net.inside4.to_string());
}

#[test]
fn each_of_many_bans_stands_in_the_security_log_from_the_reload_on_that_wants_it() {
    const BANS: usize = 400;
    let with = |to: &str| {
        config(&format!("security = {{ to = \"{to}\" }}")) + "[autoban]\nafter = { protocol = 1 }\n"
    };
    let proxy = Proxy::start(&with("off"));
    let web = address(&proxy, "web");
    proxy.rewrite(&with("security.log"));
    proxy.cli(&["reload"]).ok();
    let smuggled =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut clients: Vec<RawClient> = (0..BANS)
        .map(|number| {
            let address = Ipv4Addr::new(127, 77, (number / 200) as u8, (number % 200) as u8 + 1);
            RawClient::try_connect_from(address.into(), web).unwrap()
        })
        .collect();
    for client in &mut clients {
        client.send(smuggled);
    }
    let security = proxy.folder().path().join("security.log");
    let bans = || {
        let lines = lines(&security).into_iter();
        lines.filter(|line| line["event"] == "ban").count()
    };
    wait_until("each ban is told", || bans() == BANS);
    let dropped = sample(&proxy, "openclaw_security_log_dropped_total");
    assert_eq!(dropped.as_deref(), Some("0"));
}

#[test]
fn ecs_lines_have_their_fields_where_the_schema_wants_them() {
    let origin = Origin::serving("hello");
    let config = crate::control::forwarding(origin.address())
        + "[log]\naccess = { to = \"access.log\", format = \"ecs\" }\n";
    let proxy = Proxy::start(&config);
    assert_eq!(ask(address(&proxy, "web"), "/a/b?c=d"), 200);
    let line = line_of(
        &proxy.folder().path().join("access.log"),
        "the line",
        |_| true,
    );
    for (pointer, expected) in [
        ("/ecs/version", "8.11"),
        ("/event/dataset", "openclaw.access"),
        ("/event/outcome", "success"),
        ("/event/category/0", "web"),
        ("/event/type/0", "access"),
        ("/client/ip", "127.0.0.1"),
        ("/http/version", "1.1"),
        ("/http/request/method", "GET"),
        ("/http/request/referrer", "http://x.test/?token=abc"),
        ("/url/path", "/a/b"),
        ("/url/query", "c=d"),
        ("/url/original", "/a/b?c=d"),
        ("/url/domain", "shop.test"),
        ("/user_agent/original", "tester/1"),
        ("/openclaw/route", "all"),
        ("/openclaw/upstream", "app"),
    ] {
        assert_eq!(
            line.pointer(pointer),
            Some(&expected.into()),
            "{pointer}: {line:#}"
        );
    }
    assert_eq!(
        line.pointer("/http/response/status_code"),
        Some(&200.into())
    );
    assert_eq!(line.pointer("/http/response/body/bytes"), Some(&5.into()));
    assert_eq!(line.pointer("/url/port"), Some(&8080.into()));
    assert!(
        line["event"]["duration"]
            .as_u64()
            .is_some_and(|nanos| nanos > 0)
    );
    assert!(
        line["@timestamp"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
}

#[test]
fn a_sample_of_what_goes_well_is_logged_and_all_that_does_not() {
    let proxy = Proxy::start(&config("access = { to = \"access.log\", sample = 0.2 }"));
    let web = address(&proxy, "web");
    let (count, mut client) = (1000, RawClient::connect(web));
    for _ in 0..count {
        client.send("GET /here HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(client.response().status(), 200);
    }
    for _ in 0..20 {
        assert_eq!(ask(web, "/lost"), 404);
    }
    proxy.cli(&["stop"]).ok();
    let access = proxy.folder().path().join("access.log");
    wait_until("all refusals", || {
        lines(&access)
            .iter()
            .filter(|line| line["status"] == 404)
            .count()
            == 20
    });
    let fine = lines(&access)
        .iter()
        .filter(|line| line["status"] == 200)
        .count();
    // Fewer than one in a billion runs are outside.
    assert!((120..280).contains(&fine), "{fine} of {count}");
}

/// Under load, by the signal and by the verb: every request has its line, whole, in one of the files.
#[test]
fn files_are_opened_anew_without_a_line_lost_or_torn() {
    let mut proxy = Proxy::start(&config(
        "access = { to = \"access.log\" }\nsecurity = { to = \"security.log\" }",
    ));
    let web = address(&proxy, "web");
    let folder = proxy.folder().path().to_owned();
    let (rounds, each) = (4, 150);
    let load = std::thread::spawn(move || {
        let mut client = RawClient::connect(web);
        for number in 0..rounds * each {
            client.send(format!(
                "GET /here/{number} HTTP/1.1\r\nHost: a.test\r\n\r\n"
            ));
            assert_eq!(client.response().status(), 200);
        }
    });
    let mut files = vec![folder.join("access.log")];
    for round in 0..rounds {
        let (now, old) = (
            folder.join("access.log"),
            folder.join(format!("access.log.{round}")),
        );
        wait_until("the file is there", || now.exists());
        fs::rename(&now, &old).unwrap();
        files.push(old);
        if round % 2 == 0 {
            proxy.signal("USR1");
        } else {
            proxy.cli(&["log", "reopen"]).ok();
        }
    }
    load.join().unwrap();
    wait_until("the new file is there", || {
        folder.join("access.log").exists()
    });
    let written = || -> Vec<Value> { files.iter().flat_map(|file| lines(file)).collect() };
    wait_until("every line", || written().len() >= rounds * each);
    let mut paths: Vec<String> = written()
        .iter()
        .map(|line| line["path"].to_string())
        .collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), rounds * each);
    assert_eq!(
        sample(&proxy, "openclaw_access_log_dropped_total").as_deref(),
        Some("0")
    );
    assert_eq!(
        sample(&proxy, "openclaw_security_log_dropped_total").as_deref(),
        Some("0")
    );
}

#[test]
fn the_level_of_diagnostics_changes_while_the_proxy_runs() {
    let proxy = Proxy::start(&config("level = \"warn\"\naccess = { to = \"off\" }"));
    assert_eq!(proxy.cli(&["log", "level"]).ok().text(), "warn\n");
    proxy.cli(&["reload"]).ok();
    assert!(
        !proxy.stderr().contains("configuration reloaded"),
        "{}",
        proxy.stderr()
    );
    assert_eq!(proxy.cli(&["log", "level", "info"]).ok().text(), "info\n");
    proxy.rewrite(&config("level = \"info\"\naccess = { to = \"off\" }"));
    proxy.cli(&["reload"]).ok();
    proxy.wait_for("configuration reloaded");
    let loud = proxy.cli(&["log", "level", "loud"]);
    assert_eq!(loud.code, 2);
    assert!(
        loud.stderr.contains("`loud` is no level"),
        "{}",
        loud.stderr
    );
}
