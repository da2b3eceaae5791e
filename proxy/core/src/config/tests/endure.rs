//! Keys about endpoints that are not well, far away, or gone without a word.

use std::time::Duration;

use super::{accepted, rejected};
use crate::config::{After, GrpcQuestion, Question, RetryOn, Upstream};

fn text(keys: &str) -> String {
    format!(
        "[listener.web]\nbind = [\"127.0.0.1:0\"]\n[upstream.app]\nendpoints = [\"127.0.0.1:1\"]\n{keys}\n[[route]]\nto = \"app\"\n"
    )
}

fn read(keys: &str) -> Upstream {
    accepted(&text(keys)).upstreams.remove(0)
}

fn refused(keys: &str, expected: &str) {
    let told = rejected(&text(keys)).to_string();
    assert!(told.contains(expected), "{keys}: {told}");
}

#[test]
fn an_endpoint_may_be_asked_in_the_words_of_grpc() {
    let asked = |keys: &str| {
        let upstream = read(&format!("protocol = \"h2\"\nhealth = {{ {keys} }}"));
        upstream.health.unwrap().question
    };
    let question = |service: &str, host: Option<&str>| {
        Question::Grpc(GrpcQuestion {
            service: service.to_owned(),
            host: host.map(str::to_owned),
        })
    };
    assert_eq!(asked("grpc = true"), question("", None));
    assert_eq!(asked("grpc = false"), Question::Tcp);
    let named = asked("grpc = \"lab.Echo\", host = \"echo.test\"");
    assert_eq!(named, question("lab.Echo", Some("echo.test")));
    let h2 = "protocol = \"h2\"\n";
    refused("health = { grpc = true }", "these endpoints speak h1");
    for other in ["path = \"/\"", "status = [200]", "body = \"x\""] {
        let keys = format!("{h2}health = {{ grpc = true, {other} }}");
        refused(&keys, "`grpc` asks another one");
    }
    for wrong in ["\"a b\"", "\"\"", "1"] {
        refused(&format!("{h2}health = {{ grpc = {wrong} }}"), "grpc");
    }
}

#[test]
fn answers_may_be_a_reason_to_ask_elsewhere() {
    let given = read("retry_on = [\"connect\", \"http_503\", \"http_504\"]");
    assert_eq!(
        given.retry_on,
        [RetryOn::Connect, RetryOn::Status(503), RetryOn::Status(504)]
    );
    refused("retry_on = [\"http_500\"]", "is not known here");
    refused("retry_on = [503]", "expected a string");
}

#[test]
fn endpoints_and_the_proxy_stand_in_zones() {
    let endpoints = "[server]\nzone = \"eu-1a\"\n[listener.web]\nbind = [\"127.0.0.1:0\"]\n[upstream.app]\nendpoints = [{ address = \"127.0.0.1:1\", zone = \"eu-1a\" }, \"127.0.0.1:2\"]\nKEYS\n[[route]]\nto = \"app\"\n";
    let config = accepted(&endpoints.replace("KEYS", ""));
    let upstream = &config.upstreams[0];
    let zones = upstream.endpoints.iter().map(|one| one.zone.as_deref());
    assert!(zones.eq([Some("eu-1a"), None]));
    assert_eq!(upstream.zone.as_deref(), Some("eu-1a"));
    assert_eq!(upstream.spill_below, 70);
    let given = accepted(&endpoints.replace("KEYS", "spill_below = \"0%\""));
    assert_eq!(given.upstreams[0].spill_below, 0);
    assert_eq!(read("").zone, None);
    refused("spill_below = 70", "a share needs a percent sign");
    let bad = endpoints.replace("\"eu-1a\" }", "\"a b\" }");
    assert!(
        rejected(&bad.replace("KEYS", ""))
            .to_string()
            .contains("cannot be a name")
    );
}

#[test]
fn peers_are_looked_after_with_a_period_or_not_at_all() {
    let upstream = |keys: &str| read(keys).ping;
    assert_eq!(upstream(""), Some(Duration::from_mins(6)));
    assert_eq!(upstream("ping = \"10s\""), Some(Duration::from_secs(10)));
    assert_eq!(upstream("ping = \"off\""), None);
    refused("ping = \"0s\"", "longer than zero");
    refused("ping = \"of\"", "ping");
    let listener =
        |keys: &str| text("").replace("[upstream.app]", &format!("{keys}\n[upstream.app]"));
    let ping = |keys: &str| accepted(&listener(keys)).listeners[0].ping;
    assert_eq!(ping(""), Some(Duration::from_mins(1)));
    assert_eq!(ping("ping = \"off\""), None);
    let relay = listener("mode = \"tcp\"\nto = \"app\"\nping = \"1m\"");
    assert!(
        rejected(&relay)
            .to_string()
            .contains("`ping` means nothing")
    );
}

#[test]
fn refusals_may_have_pages() {
    let listener =
        |keys: &str| text("").replace("[upstream.app]", &format!("{keys}\n[upstream.app]"));
    let config = accepted(&listener(
        "error_pages = { \"503\" = \"busy.html\", \"5xx\" = \"/e/error.json\" }",
    ));
    let told: Vec<String> = config.listeners[0]
        .error_pages
        .iter()
        .map(|page| {
            format!(
                "{} {} {}",
                page.statuses,
                page.path.display(),
                page.content_type
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "503 busy.html text/html; charset=utf-8",
            "5xx /e/error.json application/json"
        ]
    );
    for (keys, expected) in [
        ("{ \"200\" = \"a.html\" }", "no status of a refusal"),
        ("{ \"3xx\" = \"a.html\" }", "no status of a refusal"),
        ("{ \"502\" = \"a.exe\" }", "told by its name"),
        ("{ \"502\" = 1 }", "expected a string"),
    ] {
        let told = rejected(&listener(&format!("error_pages = {keys}"))).to_string();
        assert!(told.contains(expected), "{keys}: {told}");
    }
}

#[test]
fn a_second_endpoint_may_be_asked_beside_a_slow_one() {
    assert_eq!(read("").hedge, None);
    let after = |keys: &str| {
        read(&format!("hedge = {{ after = {keys} }}"))
            .hedge
            .unwrap()
            .after
    };
    assert_eq!(after("\"50ms\""), After::Time(Duration::from_millis(50)));
    assert_eq!(after("\"p50\""), After::Percent(50));
    assert_eq!(after("\"p99\""), After::Percent(99));
    for wrong in ["p49", "p100", "p", "pp95", "p95.5"] {
        let keys = format!("hedge = {{ after = \"{wrong}\" }}");
        refused(&keys, &format!("`{wrong}` is no percentile"));
    }
    refused("hedge = {}", "missing key `after`");
    refused("hedge = { after = \"0s\" }", "longer than zero");
    refused("hedge = { after = 50 }", "after");
    refused("hedge = { aftr = \"1s\" }", "did you mean `after`?");
    let both = "hedge = { after = \"1s\" }\nsticky = { cookie = \"c\" }";
    refused(both, "`hedge` and `sticky` exclude each other");
}

#[test]
fn refusals_of_a_route_may_have_pages_of_their_own() {
    let route = |keys: &str| format!("{}{keys}\n", text(""));
    let config = accepted(&route("error_pages = { \"429\" = \"slow.json\" }"));
    let [page] = &config.routes[0].error_pages[..] else {
        panic!("{:?}", config.routes[0].error_pages);
    };
    assert_eq!(page.path.to_str(), Some("slow.json"));
    assert_eq!(accepted(&text("")).routes[0].error_pages, []);
    let told = rejected(&route("error_pages = { \"302\" = \"a.html\" }")).to_string();
    assert!(
        told.contains("no status of a refusal") && told.contains("route[0].error_pages.302"),
        "{told}"
    );
}
